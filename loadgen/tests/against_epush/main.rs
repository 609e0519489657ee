//! Whole runs against the engine: the scenarios there are, what happens to sessions while it runs, and a run beside another.

#![allow(clippy::unwrap_used)]

mod endings;
mod neighbours;
mod node;
mod scenarios;
mod slow;
