//! Words for whoever started the program. Where nobody listens any more, they are dropped.

use std::io::Write as _;

/// A result, or what else was asked for.
pub fn to_stdout(words: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", words.trim_end_matches('\n'));
}

/// What goes wrong, and what is no result.
pub fn to_stderr(words: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", words.trim_end_matches('\n'));
}
