//! The queue, the threads behind it, and the promise that whatever was queued is answered.
//!
//! Knows nothing of HTTP.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use epush_core::effect::Handshake;
use epush_core::error::{ErrorCode, Refusal};
use epush_core::id::ShardId;
use epush_core::mail::{Identity, Mail, Verdict};
use serde_json::value::RawValue;

use super::bodies::{ask_body, handshake_body, read_document, read_reply, read_verdict};
use super::calls::{Caller, Health};
use super::{AskCall, Fetch, Fetched, WebhookError, WebhookSetup};

/// Bytes of ask payloads that may wait for a thread. The queue is bounded in calls, but one call may carry a
/// whole message: as much as all publications under way together may take by default.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The longest time-out, in ms: whoever waits longer has gone.
const TIMEOUT_MS_MAX: u64 = 60 * 60 * 1_000;

/// How long a stop waits for calls under way: a healthy application has answered by then, and a stop must end.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// What clients are told. Why it is so is the operator's to know, and in the log.
const UNAVAILABLE: &str = "the application does not answer";

type Deliver = dyn Fn(ShardId, Mail) + Send + Sync;
type Keep = dyn Fn(Fetched) + Send + Sync;

/// The calls to the application, made by a few threads of their own. Shared by reference among the reactors.
pub struct Webhooks {
    shared: Arc<Shared>,
    /// None: stopped. A lock only so that nothing can be queued after the stop; it is written once.
    sender: RwLock<Option<Sender<Queued>>>,
    queue: Receiver<Queued>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    /// Disconnected when the last worker has ended. Nothing is ever sent.
    ended: Receiver<Infallible>,
}

struct Shared {
    setup: WebhookSetup,
    caller: Caller,
    deliver: Box<Deliver>,
    fetched: Box<Keep>,
    stopping: AtomicBool,
    /// Invariant: the sum of the queued jobs' `bytes`.
    queued_bytes: AtomicUsize,
    handshake_health: Health,
    ask_health: Health,
}

struct Queued {
    job: Job,
    bytes: usize,
    /// When the answer is due: the time in the queue counts, for whoever waits has no other.
    deadline: Instant,
}

enum Job {
    Handshake { shard: ShardId, handshake: Box<Handshake>, so_far: Identity },
    Ask { shard: ShardId, ask: AskCall },
    Fetch(Fetch),
}

/// What leaves for one job.
enum Outcome {
    Verdict(Verdict),
    Reply(Result<Box<RawValue>, Refusal>),
    Document(Result<Box<RawValue>, String>),
}

impl Webhooks {
    /// Starts the threads. `deliver` gets [`Mail::Verdict`] and [`Mail::Reply`] for the shard that asked, `fetched`
    /// the documents; both are called on the pool's threads and should not block.
    ///
    /// # Errors
    ///
    /// A URL or the authorization is malformed, or a thread cannot be started.
    pub fn start(
        setup: WebhookSetup,
        deliver: impl Fn(ShardId, Mail) + Send + Sync + 'static,
        fetched: impl Fn(Fetched) + Send + Sync + 'static,
    ) -> Result<Self, WebhookError> {
        let (sender, queue) = bounded(setup.queue_max.max(1));
        let workers = setup.workers.max(1);
        let shared = Arc::new(Shared {
            caller: Caller::new(&setup)?,
            setup,
            deliver: Box::new(deliver),
            fetched: Box::new(fetched),
            stopping: AtomicBool::new(false),
            queued_bytes: AtomicUsize::new(0),
            handshake_health: Health::new("handshake"),
            ask_health: Health::new("ask"),
        });
        let (alive, ended) = bounded(0);
        let pool = Self { shared, sender: RwLock::new(Some(sender)), queue, workers: Mutex::default(), ended };
        // On failure the pool is dropped, which ends the threads that did start.
        pool.start_workers(workers, alive).map_err(WebhookError::Thread)?;
        Ok(pool)
    }

    fn start_workers(&self, count: usize, alive: Sender<Infallible>) -> std::io::Result<()> {
        for number in 0..count {
            let worker = self.start_worker(number, alive.clone())?;
            self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        }
        Ok(())
    }

    fn start_worker(&self, number: usize, alive: Sender<Infallible>) -> std::io::Result<JoinHandle<()>> {
        let (shared, queue) = (Arc::clone(&self.shared), self.queue.clone());
        let span = tracing::Span::current();
        thread::Builder::new().name(format!("webhook-{number}")).spawn(move || {
            let _lines_of_node = span.entered();
            // Ends when the sender is gone and the queue is empty.
            for queued in queue {
                shared.settle(queued);
            }
            drop(alive);
        })
    }

    /// Whether somebody is there to pass an `ask` on to.
    #[must_use]
    pub fn takes_asks(&self) -> bool {
        !self.shared.setup.ask_url.is_empty()
    }

    /// Asks about a handshake; the answer is [`Mail::Verdict`]. `so_far` is what [`crate::auth::Auth::decide`]
    /// accepted. False: the queue is full or stopped, and nothing will come.
    #[must_use]
    pub fn handshake(&self, shard: ShardId, handshake: Box<Handshake>, so_far: Identity) -> bool {
        self.queue(Job::Handshake { shard, handshake, so_far })
    }

    /// Passes a question on; the answer is [`Mail::Reply`]. False: the queue is full or stopped, and nothing will
    /// come.
    #[must_use]
    pub fn ask(&self, shard: ShardId, ask: AskCall) -> bool {
        self.queue(Job::Ask { shard, ask })
    }

    /// Fetches a document. False: the queue is full or stopped, and nothing will come.
    #[must_use]
    pub fn fetch(&self, fetch: Fetch) -> bool {
        self.queue(Job::Fetch(fetch))
    }

    /// Takes nothing more, answers what waits with "unavailable", and gives the calls under way a second to end: a
    /// thread that has a longer one ends behind it. A second stop does nothing.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        if self.sender.write().unwrap_or_else(PoisonError::into_inner).take().is_none() {
            return;
        }
        // Here too, for the threads may all be busy.
        for queued in self.queue.try_iter() {
            self.shared.settle(queued);
        }
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        if self.ended.recv_timeout(STOP_GRACE) == Err(RecvTimeoutError::Timeout) {
            return tracing::warn!("a call of the application is still under way: not waited for");
        }
        for worker in workers {
            // A worker catches what a call can do; if it died all the same, there is nothing left to save.
            let _ = worker.join();
        }
    }

    fn queue(&self, job: Job) -> bool {
        let bytes = job.bytes();
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = sender.as_ref() else { return false };
        let before = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let deadline = Instant::now() + Duration::from_millis(self.shared.setup.timeout_ms.min(TIMEOUT_MS_MAX));
        if before + bytes <= QUEUE_BYTES_MAX {
            match sender.try_send(Queued { job, bytes, deadline }) {
                Ok(()) => return true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        false
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Answers a job, by a call if there is still time and sense in it.
    fn settle(&self, Queued { job, bytes, deadline }: Queued) {
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let outcome = if self.stopping.load(Ordering::Acquire) {
            job.failed("stopping".to_owned())
        } else {
            // A panic is our mistake or a library's: it costs this one answer, not the thread.
            catch_unwind(AssertUnwindSafe(|| self.call(&job, deadline)))
                .unwrap_or_else(|_| job.failed("internal error".to_owned()))
        };
        if catch_unwind(AssertUnwindSafe(|| self.hand_over(job, outcome))).is_err() {
            tracing::error!("an answer of the application was lost: its receiver panicked");
        }
    }

    fn call(&self, job: &Job, deadline: Instant) -> Outcome {
        let WebhookSetup { node, handshake_url, ask_url, .. } = &self.setup;
        match job {
            Job::Handshake { handshake, so_far, .. } => {
                let answer = self.caller.post(handshake_url, &handshake_body(node, handshake, so_far), deadline);
                let verdict = answer.and_then(|answer| read_verdict(&answer, so_far));
                self.handshake_health.note(&verdict);
                verdict.map_or_else(|why| job.failed(why), Outcome::Verdict)
            }
            Job::Ask { ask, .. } => {
                let answer = self.caller.post(ask_url, &ask_body(node, ask), deadline);
                let reply = answer.and_then(|answer| read_reply(&answer));
                self.ask_health.note(&reply);
                reply.map_or_else(|why| job.failed(why), Outcome::Reply)
            }
            Job::Fetch(fetch) => {
                let answer = self.caller.get(&fetch.url, deadline);
                Outcome::Document(answer.and_then(|answer| read_document(&answer)))
            }
        }
    }

    fn hand_over(&self, job: Job, outcome: Outcome) {
        match (job, outcome) {
            (Job::Handshake { shard, handshake, .. }, Outcome::Verdict(verdict)) => {
                (self.deliver)(shard, Mail::Verdict { conn: handshake.conn, verdict });
            }
            (Job::Ask { shard, ask }, Outcome::Reply(outcome)) => {
                (self.deliver)(shard, Mail::Reply { conn: ask.conn, id: ask.id, outcome });
            }
            (Job::Fetch(fetch), Outcome::Document(outcome)) => {
                (self.fetched)(Fetched { schedule: fetch.schedule, outcome });
            }
            _ => debug_assert!(false, "an outcome of another kind of job"),
        }
    }
}

impl Job {
    /// What it weighs while it waits, where that is not bounded by a request head.
    fn bytes(&self) -> usize {
        match self {
            Self::Ask { ask, .. } => ask.data.get().len(),
            Self::Handshake { .. } | Self::Fetch(_) => 0,
        }
    }

    fn failed(&self, why: String) -> Outcome {
        match self {
            Self::Handshake { .. } => Outcome::Verdict(Verdict::Refuse {
                status: ErrorCode::Unavailable.status(),
                message: UNAVAILABLE.into(),
            }),
            Self::Ask { .. } => Outcome::Reply(Err(Refusal::new(ErrorCode::Unavailable, UNAVAILABLE))),
            Self::Fetch(_) => Outcome::Document(Err(why)),
        }
    }
}
