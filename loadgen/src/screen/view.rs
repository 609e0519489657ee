//! What is known of a run while it lasts, as the screen shows it.
//!
//! Knows no terminal.

use std::collections::VecDeque;

use crate::outcome::{Phase, Tick};
use crate::report::units;
use crate::run::SoFar;
use crate::scenario::Scenario;

/// Seconds that charts look back: more than a terminal has columns.
const HISTORY_S_MAX: usize = 600;

/// Notes that are kept; older ones go.
const NOTES_MAX: usize = 8;

/// Characters of a note or a URL: what is longer fits on no screen.
const WORDS_MAX: usize = 300;

/// What is known of a run.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The scenario's name.
    pub name: String,
    /// The server's URL.
    pub url: String,
    /// The server's dialect.
    pub dialect: String,
    /// The server's process is watched.
    pub is_server_watched: bool,
    /// Clients the scenario asks for.
    pub clients: u64,
    /// The last seconds, oldest first.
    pub ticks: VecDeque<Tick>,
    /// Since the start.
    pub so_far: SoFar,
    /// Milliseconds since the last tick came.
    pub since_tick_ms: u64,
    /// What the run wanted to be read, oldest first.
    pub notes: VecDeque<String>,
    /// The end was asked for.
    pub is_ending: bool,
}

impl View {
    /// Before anything happened.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let own = scenario.dialect.as_ref().map(|dialect| dialect.name.as_str()).filter(|name| !name.is_empty());
        Self {
            name: units::harmless(&scenario.name, WORDS_MAX),
            url: units::harmless(&scenario.target.url, WORDS_MAX),
            dialect: units::harmless(own.unwrap_or(&scenario.target.dialect), WORDS_MAX),
            is_server_watched: scenario.target.pid.is_some(),
            clients: scenario.groups.iter().map(|group| u64::from(group.clients)).sum(),
            ..Self::default()
        }
    }

    /// A second is over.
    pub fn tick(&mut self, tick: Tick, so_far: SoFar) {
        if self.ticks.len() == HISTORY_S_MAX {
            self.ticks.pop_front();
        }
        self.ticks.push_back(tick);
        self.so_far = so_far;
        self.since_tick_ms = 0;
    }

    /// Something to read.
    pub fn note(&mut self, words: &str) {
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back(units::harmless(words, WORDS_MAX));
    }

    /// The last second; before the first: nothing happened.
    #[must_use]
    pub fn last(&self) -> Tick {
        self.ticks.back().cloned().unwrap_or_default()
    }

    /// The phase in a word.
    #[must_use]
    pub fn phase(&self) -> &'static str {
        phase(self.last().phase)
    }

    /// Milliseconds until the phase ends; `None`: it ends when it is done.
    #[must_use]
    pub fn left_ms(&self) -> Option<u64> {
        self.so_far.phase_until_ms.checked_sub(self.elapsed_ms())
    }

    /// Milliseconds since the start.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        self.last().at_ms + self.since_tick_ms
    }
}

/// A phase in a word.
#[must_use]
pub const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Ramp => "ramp",
        Phase::Steady => "steady",
        Phase::Drain => "drain",
        Phase::RampDown => "ramp-down",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_and_notes_are_bounded_and_the_newest_stay() {
        let mut view = View::default();
        for at_ms in 0..HISTORY_S_MAX as u64 + 5 {
            view.tick(Tick { at_ms, ..Tick::default() }, SoFar::default());
            view.note(&format!("note {at_ms}"));
        }
        assert_eq!((view.ticks.len(), view.ticks[0].at_ms), (HISTORY_S_MAX, 5));
        assert_eq!((view.notes.len(), view.notes.back().unwrap().as_str()), (NOTES_MAX, "note 604"));
    }

    #[test]
    fn a_note_cannot_steer_the_terminal() {
        let mut view = View::default();
        view.note("closed: \u{1b}[2Jgone");
        assert!(!view.notes[0].contains('\u{1b}'));
    }

    #[test]
    fn what_is_left_of_a_phase_runs_on_between_ticks() {
        let mut view = View::default();
        view.tick(Tick { at_ms: 3_000, ..Tick::default() }, SoFar { phase_until_ms: 5_000, ..SoFar::default() });
        view.since_tick_ms = 500;
        assert_eq!(view.left_ms(), Some(1_500));
        view.since_tick_ms = 2_500;
        assert_eq!(view.left_ms(), None, "it is late");
    }
}
