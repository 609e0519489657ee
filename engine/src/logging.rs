//! Where log lines go: text or JSON on stderr, a level that can be moved, and a throttle for what peers provoke.
//!
//! Knows nothing of what is logged.

use std::str::FromStr;

use tracing::info;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

impl Format {
    /// The format with this name in the config.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// The level is none of `off`, `error`, `warn`, `info`, `debug`, `trace`, or logging was already set up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogError(String);

impl std::fmt::Display for LogError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for LogError {}

/// Moves the level of a running log.
#[derive(Clone, Debug)]
pub struct LogLevel(reload::Handle<LevelFilter, Registry>);

/// Sends the process's log lines to stderr.
///
/// # Errors
/// When the level is unknown, or the process has a subscriber already.
pub fn start(level: &str, format: Format) -> Result<LogLevel, LogError> {
    let (filter, handle) = reload::Layer::new(parse(level)?);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        Format::Text => registry.with(lines.with_ansi(false)).try_init(),
        Format::Json => registry.with(lines.json().flatten_event(true).with_span_list(false)).try_init(),
    };
    started.map_err(|error| LogError(error.to_string()))?;
    Ok(LogLevel(handle))
}

impl LogLevel {
    /// Shows lines of `level` and above from now on.
    ///
    /// # Errors
    /// When the level is unknown.
    pub fn set(&self, level: &str) -> Result<(), LogError> {
        self.0.reload(parse(level)?).map_err(|error| LogError(error.to_string()))
    }
}

fn parse(level: &str) -> Result<LevelFilter, LogError> {
    LevelFilter::from_str(level).map_err(|_| LogError(format!("{level:?} is no log level")))
}

/// What a peer can make the engine say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A connection over a limit.
    Refused,
    /// Accepts that fail.
    Accept,
    /// Connections that end badly.
    Closed,
    /// Application code that panics.
    Application,
    /// What other nodes, and Redis, make of the relay.
    Relay,
}

impl Kind {
    const COUNT: usize = 5;

    const fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Accept => "accept",
            Self::Closed => "closed",
            Self::Application => "application",
            Self::Relay => "relay",
        }
    }
}

/// Lets some lines of each kind through per second and counts the others. One per thread.
#[derive(Debug, Default)]
pub struct Throttle {
    kinds: [Window; Kind::COUNT],
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    started_us: u64,
    lines: u32,
    suppressed: u64,
}

/// Lines of one kind in a second: enough to see what is going on, too few to fill a disk in a night.
const LINES_PER_SECOND: u32 = 10;

impl Throttle {
    /// Whether to write a line of this kind now. The first line after a silence tells how many were suppressed.
    pub fn admit(&mut self, kind: Kind, now_us: u64) -> bool {
        let window = &mut self.kinds[kind as usize];
        if now_us.saturating_sub(window.started_us) >= 1_000_000 {
            if window.suppressed > 0 {
                info!(kind = kind.word(), lines = window.suppressed, "suppressed log lines");
            }
            *window = Window { started_us: now_us, ..Window::default() };
        }
        let admitted = window.lines < LINES_PER_SECOND;
        if admitted {
            window.lines += 1;
        } else {
            window.suppressed += 1;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_kind_is_cut_to_ten_lines_a_second_and_does_not_silence_the_others() {
        let mut throttle = Throttle::default();
        let admitted = (0..1_000).filter(|_| throttle.admit(Kind::Refused, 5)).count();
        assert_eq!(admitted, 10);
        assert!(throttle.admit(Kind::Closed, 5));
        assert_eq!(throttle.kinds[Kind::Refused as usize].suppressed, 990);
        assert!(throttle.admit(Kind::Refused, 1_000_005));
        assert_eq!(throttle.kinds[Kind::Refused as usize].suppressed, 0, "told with the first line of the new second");
    }

    #[test]
    fn levels_have_the_usual_names() {
        assert!(["off", "error", "warn", "info", "debug", "trace"].iter().all(|level| parse(level).is_ok()));
        assert!(parse("loud").is_err());
    }
}
