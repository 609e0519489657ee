//! The engine as `serve` runs it: the library's engine, and the log of the process.

use std::time::Duration;

use crossbeam_channel::Receiver;
use epush::Engine;
use epush::config::{Config, Reload};
use epush::engine::Event;
use epush::logging::{self, Format, LogLevel};
use tracing::span::EnteredSpan;

use super::{News, Running, StartFailure};

/// An engine and the level of its process's log.
pub struct Node {
    engine: Engine,
    level: LogLevel,
    /// The node's name on the lines of this thread.
    _lines_of_node: EnteredSpan,
}

impl Node {
    /// Starts the log, then the engine.
    pub fn start(config: &Config) -> Result<Self, StartFailure> {
        let format = Format::parse(config.log.format.word()).expect("config and log have the same formats");
        let level = logging::start(config.log.level.word(), format);
        let level = level.map_err(|why| StartFailure::System(format!("log: {why}")))?;
        let engine = Engine::builder().config(config.clone()).start().map_err(|why| match why.is_usage() {
            true => StartFailure::Config(why.to_string()),
            false => StartFailure::System(why.to_string()),
        })?;
        let _lines_of_node = tracing::error_span!("epush", node = %engine.node()).entered();
        Ok(Self { engine, level, _lines_of_node })
    }
}

impl Running for Node {
    type Event = Event;

    fn ready_line(&self) -> String {
        self.engine.ready_line()
    }

    fn events(&self) -> Receiver<Event> {
        self.engine.events()
    }

    fn begin_drain(&self, over: Duration) {
        self.engine.begin_drain(over);
    }

    fn reload(&self, new: &Config) -> Result<Reload, String> {
        let reload = self.engine.reload(new).map_err(|why| why.to_string())?;
        self.level.set(new.log.level.word()).map_err(|why| why.to_string())?;
        Ok(reload)
    }

    fn stop(self) {
        self.engine.stop();
    }
}

impl From<Event> for News {
    fn from(event: Event) -> Self {
        match event {
            Event::DrainRequested => Self::DrainRequested,
            Event::Drained => Self::Drained,
            Event::Failed { thread, message } => Self::Failed(format!("{thread}: {message}")),
        }
    }
}
