//! One HTTP call: its bounds, and the report of a service that stops or starts answering.
//!
//! Knows nothing of queues and threads.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{HeaderValue, Response, Uri, header};

use super::bodies::Answer;
use super::{WebhookError, WebhookSetup};

/// Bytes of a response body, decompressed: what one message may weigh by default.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// How long a connection is kept for the next call: less than servers keep theirs (Node.js: 5 s), for a call that
/// meets the server's close on its way is lost, and a POST must not be sent twice.
const IDLE_AGE_MAX: Duration = Duration::from_secs(3);

/// Idle connections of a worker pool are for the few hosts of the config.
const IDLE_CONNECTIONS_PER_WORKER: usize = 2;

/// Makes the calls. Shared by the workers.
pub(super) struct Caller {
    agent: Agent,
    authorization: Option<HeaderValue>,
}

impl Caller {
    pub fn new(setup: &WebhookSetup) -> Result<Self, WebhookError> {
        check_url("webhook.handshake_url", &setup.handshake_url)?;
        check_url("webhook.ask_url", &setup.ask_url)?;
        let authorization = match setup.authorization.as_str() {
            "" => None,
            text => {
                let mut value = HeaderValue::from_str(text).map_err(|_| WebhookError::BadAuthorization)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let config = Agent::config_builder()
            // The application's own addresses: whatever HTTP_PROXY says is about other traffic.
            .proxy(None)
            // A redirect is an answer like any other: following it would hand the secrets on.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("epush/", env!("CARGO_PKG_VERSION")))
            .max_idle_age(IDLE_AGE_MAX)
            .max_idle_connections(setup.workers * IDLE_CONNECTIONS_PER_WORKER)
            .max_idle_connections_per_host(setup.workers)
            .build();
        Ok(Self { agent: config.new_agent(), authorization })
    }

    /// Posts JSON to the application. Err: why there is no answer.
    pub fn post(&self, url: &str, body: &[u8], deadline: Instant) -> Result<Answer, String> {
        let mut request = self.agent.post(url).header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.config().timeout_global(Some(left(deadline)?)).build();
        read(request.send(body))
    }

    /// Gets a document, without the application's credentials. Err: why there is none.
    pub fn get(&self, url: &str, deadline: Instant) -> Result<Answer, String> {
        let request = self.agent.get(url).header(header::ACCEPT, "application/json");
        let request = request.config().timeout_global(Some(left(deadline)?)).build();
        read(request.call())
    }
}

fn check_url(key: &'static str, url: &str) -> Result<(), WebhookError> {
    let http = |uri: Uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    };
    if url.is_empty() || url.parse().is_ok_and(http) {
        return Ok(());
    }
    Err(WebhookError::BadUrl { key, url: url.to_owned() })
}

/// The time that is left for the call, some.
fn left(deadline: Instant) -> Result<Duration, String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err("no thread was free in time".to_owned()) } else { Ok(left) }
}

fn read(response: Result<Response<ureq::Body>, ureq::Error>) -> Result<Answer, String> {
    let mut response = response.map_err(|error| error.to_string())?;
    let mut body = Vec::new();
    // The library's own limit counts compressed bytes: a small body may still be a huge one.
    let mut bounded = response.body_mut().as_reader().take(ANSWER_BYTES_MAX + 1);
    bounded.read_to_end(&mut body).map_err(|error| error.to_string())?;
    if body.len() as u64 > ANSWER_BYTES_MAX {
        return Err(format!("the body is longer than {ANSWER_BYTES_MAX} bytes"));
    }
    Ok(Answer { status: response.status().as_u16(), body })
}

/// Between two lines of the log about one service, in ms: a client may be able to make the application answer well
/// and badly in turn.
const HEALTH_LOG_INTERVAL_MS: u64 = 10_000;

/// Logs when a service stops answering and when it answers again, however often it is asked: how often is up to
/// the clients.
pub(super) struct Health {
    service: &'static str,
    started: Instant,
    /// What the last line said.
    failing: AtomicBool,
    /// When the last line was written, in ms after `started`; 0: never.
    logged_ms: AtomicU64,
}

impl Health {
    pub fn new(service: &'static str) -> Self {
        Self { service, started: Instant::now(), failing: AtomicBool::new(false), logged_ms: AtomicU64::new(0) }
    }

    pub fn note<T>(&self, outcome: &Result<T, String>) {
        let failed = outcome.is_err();
        if self.failing.load(Ordering::Relaxed) == failed || !self.may_log() {
            return;
        }
        self.failing.store(failed, Ordering::Relaxed);
        let service = self.service;
        match outcome {
            Ok(_) => tracing::info!(service, "the application answers again"),
            Err(why) => tracing::warn!(service, why, "the application does not answer"),
        }
    }

    fn may_log(&self) -> bool {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let last_ms = self.logged_ms.load(Ordering::Relaxed);
        let due = last_ms == 0 || now_ms.saturating_sub(last_ms) >= HEALTH_LOG_INTERVAL_MS;
        // Of several workers with the same news, one writes it.
        due && self.logged_ms.compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
