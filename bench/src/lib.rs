//! What the benches of a whole node share: very many clients on one thread, and the node as a process of its own.
//!
//! The benches themselves live in `benches/`; README.md lists them.

pub mod child;
pub mod fleet;
pub mod node;
pub mod shake;

/// The middle one of some numbers.
#[must_use]
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
