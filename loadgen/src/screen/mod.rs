//! What the person in front of a run sees: a live screen on a terminal, else a line a second.
//!
//! | module | what |
//! |---|---|
//! | [`view`] | what is known of the run, second by second |
//! | `draw`, and one module for each panel | a view on a terminal of any size |
//! | [`painter`] | the thread that draws, and takes keys |
//! | [`terminal`] | the terminal taken over, and given back whatever happens |
//! | [`lines`] | a line a second |
//!
//! Knows nothing of workers. What it is told is copied and drawn by a thread of its own, at most
//! [`painter::FRAMES_PER_S_MAX`] times a second, so that watching does not disturb measuring.

mod account;
mod draw;
mod header;
mod latency;
pub mod lines;
pub mod painter;
mod rates;
mod sides;
mod small;
pub mod terminal;
pub mod view;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::outcome::Tick;
use crate::run::{SoFar, Watcher};
use crate::scenario::Scenario;

use lines::Lines;
use painter::Painter;
use view::View;

/// How much is shown while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// The live screen, where standard output and standard error are a terminal; else lines.
    Screen,
    /// A line a second on standard error.
    Lines,
    /// Nothing.
    Nothing,
}

/// Shows a run while it lasts. Dropped, it gives the terminal back.
pub enum Display {
    /// The live screen.
    Screen(Painter),
    /// A line a second.
    Lines(Lines),
    /// Nothing at all.
    Nothing,
}

impl Display {
    /// Begins to show a run of this scenario; keys that end it set `interrupted`.
    #[must_use]
    pub fn open(show: Show, scenario: &Scenario, interrupted: &Arc<AtomicBool>) -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        match show {
            Show::Nothing => Self::Nothing,
            // A terminal that cannot be taken over still takes lines.
            Show::Screen if terminal => {
                Painter::start(View::new(scenario), interrupted).map_or_else(|_| Self::Lines(Lines), Self::Screen)
            }
            Show::Screen | Show::Lines => Self::Lines(Lines),
        }
    }
}

impl Watcher for Display {
    fn tick(&mut self, tick: &Tick, so_far: &SoFar) {
        match self {
            Self::Screen(painter) => painter.tick(tick, so_far),
            Self::Lines(lines) => lines.tick(tick, so_far),
            Self::Nothing => {}
        }
    }

    fn note(&mut self, words: &str) {
        match self {
            Self::Screen(painter) => painter.note(words),
            Self::Lines(lines) => lines.note(words),
            Self::Nothing => {}
        }
    }
}
