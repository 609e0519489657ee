//! Words for whoever started the program. What was asked for is written or it is an error; the rest is dropped where nobody listens.

use std::io::{self, ErrorKind, Write as _};

use epush_loadgen::error::Error;

/// A text for people: who closed the pipe has read enough.
///
/// # Errors
/// [`Error::Failed`] when it cannot be written.
pub fn to_stdout(words: &str) -> Result<(), Error> {
    match write(words) {
        Err(why) if why.kind() != ErrorKind::BrokenPipe => Err(unwritten(&why)),
        _ => Ok(()),
    }
}

/// A result for a program, which has it whole or not at all.
///
/// # Errors
/// [`Error::Failed`] when it cannot be written.
pub fn whole_to_stdout(words: &str) -> Result<(), Error> {
    write(words).map_err(|why| unwritten(&why))
}

fn write(words: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", words.trim_end_matches('\n'))?;
    stdout.flush()
}

fn unwritten(why: &io::Error) -> Error {
    Error::Failed(format!("cannot write to standard output: {why}"))
}

/// What goes wrong, and what is no result.
pub fn to_stderr(words: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", words.trim_end_matches('\n'));
}
