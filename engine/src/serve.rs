//! `epush serve`: one engine from its configuration to its end, and what signals do to it.
//!
//! Knows no thread of the engine: what it needs of one is [`Running`].

mod node;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use crossbeam_channel::{Receiver, after, never, select, unbounded};
use epush::config::{Config, Layers, Loaded, Reload};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

pub use node::Node;

/// What `serve` needs of an engine whose threads run.
pub trait Running {
    /// What the engine tells its owner.
    type Event: Into<News>;
    /// The line that scripts wait for.
    fn ready_line(&self) -> String;
    /// Where it tells it. Never disconnected while the engine lives.
    fn events(&self) -> Receiver<Self::Event>;
    /// Begins to drain; returns soon.
    fn begin_drain(&self, over: Duration);
    /// Puts what can change of these settings in force, the log level too; on an error nothing.
    fn reload(&self, new: &Config) -> Result<Reload, String>;
    /// Ends all threads, cutting off whoever is left.
    fn stop(self);
}

/// What happens to a running engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// The process was sent this signal.
    Signal(i32),
    /// The control API was asked to drain.
    DrainRequested,
    /// Draining, and the last client is gone.
    Drained,
    /// Draining, and somebody did not go in time.
    TimeUp,
    /// A thread of the engine ended, and why.
    Failed(String),
}

/// Why an engine did not start.
#[derive(Debug)]
pub enum StartFailure {
    /// The configuration names something unusable, such as a key file: exit code 2.
    Config(String),
    /// The system refused, such as an address in use: exit code 1.
    System(String),
}

/// What a drain waits for beyond its own time and the close handshake: the turns of the reactors, on a busy machine.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// Runs an engine to its end. `start` starts logs and threads.
pub fn run<R: Running>(layers: &Layers, start: impl FnOnce(&Config) -> Result<R, StartFailure>) -> ExitCode {
    let Loaded { config, warnings } = match layers.load() {
        Ok(loaded) => loaded,
        Err(errors) => return fail(2, &errors.to_string()),
    };
    // Before any thread: a signal that comes while the engine starts is kept until somebody asks.
    let mut signals = match Signals::new([SIGTERM, SIGINT, SIGHUP]) {
        Ok(signals) => signals,
        Err(why) => return fail(1, &format!("signals: {why}")),
    };
    let engine = match start(&config) {
        Ok(engine) => engine,
        Err(StartFailure::Config(why)) => return fail(2, &why),
        Err(StartFailure::System(why)) => return fail(1, &why),
    };
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if let Err(why) = writeln!(io::stdout(), "{}", engine.ready_line()).and_then(|()| io::stdout().flush()) {
        tracing::warn!("the ready line could not be written to stdout: {why}");
    }
    let handle = signals.handle();
    let ended = std::thread::scope(|threads| {
        let (sender, received) = unbounded();
        // Bounded by what the kernel keeps: one of each kind at a time.
        threads.spawn(move || signals.forever().take_while(|signal| sender.send(*signal).is_ok()).count());
        let ended = Lifecycle { layers, config, draining: false }.run(&engine, &received);
        handle.close();
        ended
    });
    engine.stop();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(1, &why),
    }
}

fn fail(code: u8, why: &str) -> ExitCode {
    // Logs may not run yet, or no longer. The exit code says it when stderr is closed.
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::from(code)
}

/// From the ready line to the moment when the engine is to be stopped.
struct Lifecycle<'a> {
    layers: &'a Layers,
    /// In force.
    config: Config,
    draining: bool,
}

/// What follows from news.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Next {
    GoOn,
    /// Drain for so long at most.
    Drain(Duration),
    Stop(Result<(), String>),
}

impl Lifecycle<'_> {
    fn run<R: Running>(mut self, engine: &R, signals: &Receiver<i32>) -> Result<(), String> {
        let events = engine.events();
        let mut time_up = never();
        loop {
            let news = select! {
                recv(signals) -> signal => News::Signal(signal.expect("the signal thread ends after this loop")),
                recv(events) -> event => event.map_or_else(|_| News::Failed("the engine is gone".into()), Into::into),
                recv(time_up) -> _ => News::TimeUp,
            };
            match self.next(news, engine) {
                Next::GoOn => {}
                Next::Drain(at_most) => time_up = after(at_most),
                Next::Stop(ended) => return ended,
            }
        }
    }

    fn next(&mut self, news: News, engine: &impl Running) -> Next {
        match news {
            News::Signal(SIGHUP) => self.reload(engine),
            News::Signal(_) if self.draining => {
                tracing::warn!("second signal: stopping at once");
                Next::Stop(Ok(()))
            }
            News::DrainRequested if self.draining => Next::GoOn,
            News::Signal(_) | News::DrainRequested => self.drain(engine),
            News::Drained => Next::Stop(Ok(())),
            News::TimeUp => {
                tracing::warn!("clients that did not go in time are cut off");
                Next::Stop(Ok(()))
            }
            News::Failed(why) => Next::Stop(Err(why)),
        }
    }

    fn drain(&mut self, engine: &impl Running) -> Next {
        self.draining = true;
        let over = Duration::from_secs(self.config.drain.seconds);
        tracing::info!(seconds = over.as_secs(), "draining; a second signal stops at once");
        engine.begin_drain(over);
        Next::Drain(over + Duration::from_millis(self.config.sessions.close_timeout_ms) + DRAIN_GRACE)
    }

    /// A configuration that is wrong changes nothing.
    fn reload(&mut self, engine: &impl Running) -> Next {
        match self.layers.load() {
            Ok(loaded) => self.put_in_force(&loaded, engine),
            Err(errors) => errors.all().iter().for_each(|error| tracing::error!("not reloaded: {error}")),
        }
        Next::GoOn
    }

    fn put_in_force(&mut self, loaded: &Loaded, engine: &impl Running) {
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        // Also with no key changed: the files that keys name may have.
        match engine.reload(&loaded.config) {
            Err(why) => tracing::error!("not reloaded: {why}"),
            Ok(Reload { needs_restart, .. }) => {
                self.config = self.config.reloaded(&loaded.config);
                if !needs_restart.is_empty() {
                    tracing::warn!("these keys need a restart: {}", needs_restart.join(" "));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use crossbeam_channel::Sender;

    use super::*;

    /// An engine that notes what it is told.
    struct Noted {
        told: Mutex<Vec<String>>,
        events: (Sender<News>, Receiver<News>),
        /// Whether it is drained as soon as it is told to.
        drains: bool,
        refuses: bool,
    }

    fn noted() -> Noted {
        Noted { told: Mutex::default(), events: unbounded(), drains: true, refuses: false }
    }

    impl Noted {
        fn note(&self, what: String) {
            self.told.lock().expect("no panic").push(what);
        }

        fn told(&self) -> Vec<String> {
            self.told.lock().expect("no panic").clone()
        }
    }

    impl Running for Noted {
        type Event = News;

        fn ready_line(&self) -> String {
            "epush ready node=n1".into()
        }

        fn events(&self) -> Receiver<News> {
            self.events.1.clone()
        }

        fn begin_drain(&self, over: Duration) {
            self.note(format!("drain {over:?}"));
            if self.drains {
                self.events.0.send(News::Drained).expect("listened to");
            }
        }

        fn reload(&self, new: &Config) -> Result<Reload, String> {
            self.note(format!("reload {}", new.limits.connections));
            if self.refuses { Err("no key".into()) } else { Ok(Config::default().reloadable_difference(new)) }
        }

        fn stop(self) {}
    }

    fn lifecycle(layers: &Layers) -> Lifecycle<'_> {
        Lifecycle { layers, config: Config::default(), draining: false }
    }

    #[test]
    fn the_first_signal_drains_and_the_second_stops_at_once() {
        let (layers, engine) = (Layers::new(), noted());
        let mut lifecycle = lifecycle(&layers);
        assert_eq!(lifecycle.next(News::Signal(SIGINT), &engine), Next::Drain(Duration::from_secs(30 + 5 + 1)));
        assert_eq!(lifecycle.next(News::Signal(SIGHUP), &engine), Next::GoOn);
        assert_eq!(lifecycle.next(News::DrainRequested, &engine), Next::GoOn);
        assert_eq!(lifecycle.next(News::Signal(SIGTERM), &engine), Next::Stop(Ok(())));
        assert_eq!(engine.told(), ["drain 30s", "reload 100000"]);
    }

    #[test]
    fn a_drain_asked_for_by_the_api_ends_like_one_by_signal() {
        let (layers, engine) = (Layers::new(), noted());
        let (_signals, none) = unbounded();
        engine.events.0.send(News::DrainRequested).expect("listened to");
        assert_eq!(lifecycle(&layers).run(&engine, &none), Ok(()));
        assert_eq!(engine.told(), ["drain 30s"]);
    }

    #[test]
    fn who_does_not_go_in_time_is_not_waited_for() {
        let layers = Layers::new();
        let engine = Noted { drains: false, ..noted() };
        let mut waiting = lifecycle(&layers);
        waiting.next(News::Signal(SIGTERM), &engine);
        assert_eq!(waiting.next(News::TimeUp, &engine), Next::Stop(Ok(())));
    }

    #[test]
    fn a_thread_that_fails_ends_the_process_with_1() {
        let code = run(&Layers::new(), |_| {
            let engine = noted();
            engine.events.0.send(News::Failed("reactor-0: panicked".into())).expect("listened to");
            Ok(engine)
        });
        assert_eq!(code, ExitCode::from(1));
    }

    #[test]
    fn a_reload_remembers_what_is_in_force() {
        let sets = [("limits.connections", "5"), ("server.reactors", "2"), ("drain.seconds", "1")];
        let layers = sets.iter().fold(Layers::new(), |layers, (key, value)| layers.flag("--set", *key, *value));
        let engine = noted();
        let mut lifecycle = lifecycle(&layers);
        lifecycle.next(News::Signal(SIGHUP), &engine);
        assert_eq!(engine.told(), ["reload 5"]);
        let config = lifecycle.config;
        assert_eq!((config.limits.connections, config.server.reactors, config.drain.seconds), (5, 0, 30));
    }

    #[test]
    fn a_wrong_config_and_a_refused_reload_change_nothing() {
        let wrong = Layers::new().flag("--set", "limits.connections", "0");
        let engine = Noted { refuses: true, ..noted() };
        lifecycle(&wrong).next(News::Signal(SIGHUP), &engine);
        assert_eq!(engine.told(), Vec::<String>::new());
        let good = Layers::new().flag("--set", "limits.connections", "5");
        let mut refused = lifecycle(&good);
        refused.next(News::Signal(SIGHUP), &engine);
        assert_eq!(engine.told(), ["reload 5"]);
        assert_eq!(refused.config, Config::default());
    }

    #[test]
    fn a_real_signal_drains_and_the_drained_engine_ends_serve() {
        let code = run(&Layers::new(), |_| {
            signal_hook::low_level::raise(SIGTERM).map_err(|why| StartFailure::System(why.to_string()))?;
            Ok(noted())
        });
        assert_eq!(code, ExitCode::SUCCESS);
    }

    #[test]
    fn what_keeps_the_engine_from_starting_picks_the_exit_code() {
        let start = |_: &Config| Err::<Noted, _>(StartFailure::System("in use".into()));
        assert_eq!(run(&Layers::new(), start), ExitCode::from(1));
        let start = |_: &Config| Err::<Noted, _>(StartFailure::Config("no key".into()));
        assert_eq!(run(&Layers::new(), start), ExitCode::from(2));
        let wrong = Layers::new().flag("--set", "limits.connections", "0");
        assert_eq!(run(&wrong, |_| Ok(noted())), ExitCode::from(2));
    }
}
