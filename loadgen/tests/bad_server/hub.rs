//! What all connections of the server share: the script, the book, and who is to get what.

use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use epush_loadgen::clock::now_ns;
use epush_loadgen::stamp::{self, Stamp};

use crate::book::{Book, Entry, To};
use crate::script::{Fate, Script};

/// Something for a session to write.
#[derive(Clone, Debug)]
pub enum Say {
    /// A word of the dialect.
    Word(String),
    /// A message, with its stream and number.
    Message(u32, u64, Vec<u8>),
    /// The same, of an earlier run.
    Old(u32, u64),
    /// The answer to the client's close frame.
    Goodbye,
    /// Nothing: the connection just ends.
    HangUp,
}

/// One that has to get something.
struct Receiver {
    client: u32,
    to: To,
    say: Sender<Say>,
}

pub struct Hub {
    pub script: Script,
    book: Mutex<Book>,
    /// Who holds it stops everything.
    receivers: Mutex<Vec<Receiver>>,
    /// Set by the first message.
    first: OnceLock<()>,
}

impl Hub {
    pub fn new(script: Script) -> Self {
        Self { script, book: Mutex::default(), receivers: Mutex::default(), first: OnceLock::new() }
    }

    /// Waits for the first message.
    pub fn begun(&self) {
        self.first.wait();
    }

    /// Does nothing for so long, and writes down when that was.
    pub fn pause(&self, length: Duration) {
        let _stopped = self.receivers.lock().unwrap();
        let from_ns = now_ns();
        thread::sleep(length);
        self.book().pauses.push(from_ns..now_ns());
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this client gets what goes there.
    pub fn join(&self, client: u32, to: To, say: Sender<Say>) {
        self.receivers.lock().unwrap().push(Receiver { client, to, say });
    }

    pub fn leave(&self, client: u32) {
        self.receivers.lock().unwrap().retain(|receiver| receiver.client != client);
    }

    pub fn note(&self, client: u32, entry: Entry) {
        self.book().sessions.entry(client).or_default().entries.push(entry);
    }

    /// A publication came. One after the other: their order is that of the book.
    pub fn publish(&self, to: To, payload: &[u8]) -> Fate {
        let at = stamp::find(payload).expect("a publication has a stamp");
        let Stamp { stream, seq, .. } = Stamp::read(&payload[at..]).expect("and the stamp is whole");
        let _ = self.first.set(());
        let fate = (self.script.fate)(stream, seq);
        let receivers = self.receivers.lock().unwrap();
        {
            let mut book = self.book();
            book.streams.insert(stream, to.clone());
            let taken = book.taken.entry(stream).or_default();
            match fate {
                Fate::Taken | Fate::Forgotten => assert!(taken.insert(seq), "{stream}/{seq} was published twice"),
                Fate::Refused | Fate::RefusedAndSent | Fate::Unanswered => book.refused += 1,
            }
        }
        if matches!(fate, Fate::Taken | Fate::RefusedAndSent) {
            for receiver in receivers.iter().filter(|receiver| receiver.to == to) {
                // Its session may be over.
                let _ = receiver.say.send(Say::Message(stream, seq, payload[at..].to_vec()));
            }
        }
        fate
    }
}
