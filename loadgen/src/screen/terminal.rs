//! The terminal, taken over for the live screen and given back: at the end, on a panic, and when a signal ends the process.

use std::io::{self, BufWriter, Stderr, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

/// Bytes of a frame that are written at once: a whole screen of colours.
const FRAME_BYTES: usize = 64 << 10;

/// The terminal is ours. A process has one, and panics and signals have to find it.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// A terminal that is given back when it is dropped.
pub(super) struct Taken {
    /// Drawn to on standard error, so that results can go to standard output.
    pub terminal: Terminal<CrosstermBackend<BufWriter<Stderr>>>,
}

impl Taken {
    /// Takes the terminal over: no echo, no lines, a screen of its own.
    pub(super) fn new() -> io::Result<Self> {
        restore_on_panic();
        IS_TAKEN.store(true, Ordering::Release);
        let opened = open();
        if opened.is_err() {
            restore();
        }
        opened
    }
}

fn open() -> io::Result<Taken> {
    enable_raw_mode()?;
    execute!(io::stderr(), EnterAlternateScreen)?;
    let writer = BufWriter::with_capacity(FRAME_BYTES, io::stderr());
    Ok(Taken { terminal: Terminal::new(CrosstermBackend::new(writer))? })
}

impl Drop for Taken {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, if it was taken. To be called before the process ends by other ways than returning.
pub fn restore() {
    if IS_TAKEN.swap(false, Ordering::AcqRel) {
        // Nothing more can be done about a terminal that is gone.
        let _ = disable_raw_mode();
        let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
        let _ = io::stderr().flush();
    }
}

/// Panics of any thread first give the terminal back, then say what they have to say.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
    });
}
