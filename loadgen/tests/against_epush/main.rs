//! Whole runs against the engine: the scenarios there are, and what happens to sessions while it runs.

#![allow(clippy::unwrap_used)]

mod endings;
mod node;
mod scenarios;
mod slow;
