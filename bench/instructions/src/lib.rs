//! What is counted, and what criterion times too: the hottest parts of the core, each with its set-up.
//!
//! Depends on the core alone, so that `bench/instructions/check` builds in a moment. The program of the same package runs
//! each case under valgrind and compares what it counts with `baseline.toml`.
//!
//! | module | owns |
//! |---|---|
//! | [`client_frame`], [`json`], [`crowd`], [`deadlines`] | what the cases and the benches are made from |
//! | [`case`] | the cases by name, and the one function whose inside is counted |
//! | [`callgrind`], [`baseline`], [`comparison`] | counting; what was counted before; the verdict |

pub mod baseline;
pub mod callgrind;
pub mod case;
pub mod client_frame;
pub mod comparison;
pub mod crowd;
pub mod deadlines;
pub mod json;
