//! The thread that draws the live screen and takes keys.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::draw;
use super::terminal::{self, Taken};
use super::view::View;
use crate::outcome::Tick;
use crate::run::{SoFar, Watcher};

/// Drawings a second: quick enough for a clock, too few to take a processor from what is measured.
pub const FRAMES_PER_S_MAX: u64 = 4;

/// News on their way to the painter. More is dropped: a screen that is late may skip a second, a run may not wait.
const NEWS_MAX: usize = 16;

/// What a shell says of a process that Ctrl-C ended.
const EXIT_INTERRUPTED: i32 = 130;

/// What the run tells the painter.
enum News {
    Tick(Box<(Tick, SoFar)>),
    Note(String),
}

/// The live screen.
pub struct Painter {
    /// Gone when the painter has to end.
    news: Option<Sender<News>>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Painter {
    /// Takes the terminal over and begins to draw.
    ///
    /// # Errors
    /// When the terminal cannot be taken over.
    pub fn start(view: View, interrupted: &Arc<AtomicBool>) -> io::Result<Self> {
        let taken = Taken::new()?;
        let (news, inbox) = bounded(NEWS_MAX);
        let canvas = Canvas { taken, view, inbox, interrupted: interrupted.clone(), ticked: Instant::now() };
        let thread = std::thread::Builder::new().name("screen".into()).spawn(move || canvas.run())?;
        Ok(Self { news: Some(news), thread: Some(thread) })
    }

    fn tell(&self, news: News) {
        if let Some(inbox) = &self.news {
            let _ = inbox.try_send(news);
        }
    }
}

impl Watcher for Painter {
    fn tick(&mut self, tick: &Tick, so_far: &SoFar) {
        self.tell(News::Tick(Box::new((tick.clone(), so_far.clone()))));
    }

    fn note(&mut self, words: &str) {
        self.tell(News::Note(words.into()));
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        self.news = None;
        let Some(thread) = self.thread.take() else { return };
        // The screen they were on is gone.
        for note in thread.join().unwrap_or_default() {
            let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("note: {note}\n"));
        }
    }
}

/// The painter's side.
struct Canvas {
    taken: Taken,
    view: View,
    inbox: Receiver<News>,
    interrupted: Arc<AtomicBool>,
    /// When the last tick came.
    ticked: Instant,
}

impl Canvas {
    /// Draws until the run's end of the channel is gone; what is left are the notes.
    fn run(mut self) -> Vec<String> {
        while self.take_news() {
            self.view.since_tick_ms = self.ticked.elapsed().as_millis() as u64;
            self.view.is_ending = self.interrupted.load(Ordering::Relaxed);
            // A terminal that takes no more is no reason to end the run.
            let _ = self.taken.terminal.draw(|frame| draw::draw(frame, &self.view));
            self.take_keys(Instant::now() + Duration::from_millis(1_000 / FRAMES_PER_S_MAX));
        }
        self.view.notes.into()
    }

    /// Whether the run still goes on.
    fn take_news(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(News::Tick(news)) => {
                    let (tick, so_far) = *news;
                    self.view.tick(tick, so_far);
                    self.ticked = Instant::now();
                }
                Ok(News::Note(words)) => self.view.note(&words),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Waits for keys until the next frame is due. A key may be a second too late to be seen, never to be heard.
    fn take_keys(&self, until: Instant) {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match event::poll(left) {
                Ok(true) => {}
                Ok(false) => return,
                // No keys to be had: the clock alone.
                Err(_) => return std::thread::sleep(left),
            }
            if let Ok(Event::Key(key)) = event::read()
                && is_end(&key)
                && self.interrupted.swap(true, Ordering::Relaxed)
            {
                // Asked twice: somebody does not want to wait for the result.
                terminal::restore();
                std::process::exit(EXIT_INTERRUPTED);
            }
        }
    }
}

/// `q` or Ctrl-C, which is a key like others while the terminal is ours.
fn is_end(key: &KeyEvent) -> bool {
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (control_c || key.code == KeyCode::Char('q'))
}
