//! Publishing by HTTP: requests that are under way on a connection, and their answers in order.
//!
//! Knows neither sockets nor when something is due.

use std::collections::VecDeque;

use super::answer::{Answer, Answers};
use super::ledger::{Item, Ledger};
use crate::dialect::words::{HttpWords, Search};

/// One connection's requests.
#[derive(Debug)]
pub struct Http {
    /// How many may be under way at once.
    window: usize,
    /// What makes an answer's body a refusal. Boxed: prepared searches are large, and most servers need none.
    refused: Option<Box<Search>>,
    /// Written and not answered, oldest first, with the time of writing.
    under_way: VecDeque<(Item, u64)>,
    answers: Answers,
    /// Answered since it was opened.
    answered: u64,
    /// The server said that it closes after the last answer.
    closing: bool,
    found: Vec<Answer>,
}

/// What becomes of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Stays,
    /// It ends as HTTP allows: the next one is opened at once, and what is not answered was not looked at.
    Renew,
    /// It broke.
    Broken(String),
}

impl Http {
    /// A connection that is not open yet, to a server with these words.
    #[must_use]
    pub fn of(words: &HttpWords) -> Self {
        Self::new(words.pipelined, words.refused.clone())
    }

    /// A connection that is not open yet; `pipelined`: several requests may be under way; `refused`: what makes an answer's
    /// body a refusal.
    fn new(pipelined: bool, refused: Option<Search>) -> Self {
        Self {
            window: if pipelined { PIPELINE_MAX } else { 1 },
            under_way: VecDeque::new(),
            answers: if refused.is_some() { Answers::with_bodies() } else { Answers::default() },
            refused: refused.map(Box::new),
            answered: 0,
            closing: false,
            found: Vec::new(),
        }
    }

    /// A new connection is open.
    pub fn opened(&mut self) {
        self.answers.opened();
        (self.answered, self.closing) = (0, false);
    }

    /// Requests that may be written now.
    #[must_use]
    pub fn room(&self) -> usize {
        if self.closing { 0 } else { self.window.saturating_sub(self.under_way.len()) }
    }

    /// Requests that wait for their answers.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// A request is written.
    pub fn written(&mut self, item: Item, now_ns: u64) {
        self.under_way.push_back((item, now_ns));
    }

    /// Bytes came in.
    pub fn receive(&mut self, bytes: &[u8], now_ns: u64, ledger: &mut Ledger) -> Verdict {
        let mut found = std::mem::take(&mut self.found);
        let read = self.answers.receive(bytes, &mut found);
        let answered = found.drain(..).try_for_each(|answer| self.settle(&answer, now_ns, ledger));
        self.found = found;
        match read.and(answered) {
            Err(words) => Verdict::Broken(words),
            Ok(()) if self.closing => Verdict::Renew,
            Ok(()) => Verdict::Stays,
        }
    }

    /// The server closed the connection.
    ///
    /// Between two requests it may, RFC 9112 §9.3; before it answered anything it does so again and again.
    pub fn closed(&mut self, now_ns: u64, ledger: &mut Ledger) -> Verdict {
        if let Some(last) = self.answers.end()
            && let Err(words) = self.settle(&last, now_ns, ledger)
        {
            return Verdict::Broken(words);
        }
        match self.under_way.is_empty() && self.answered > 0 {
            true => Verdict::Renew,
            false => Verdict::Broken(String::from("closed by the server")),
        }
    }

    /// What is not answered, oldest first.
    pub fn abandon(&mut self) -> impl DoubleEndedIterator<Item = Item> {
        self.under_way.drain(..).map(|(item, _)| item)
    }

    fn settle(&mut self, answer: &Answer, now_ns: u64, ledger: &mut Ledger) -> Result<(), String> {
        let (item, written_ns) = self.under_way.pop_front().ok_or("an answer to nothing")?;
        self.answered += 1;
        self.closing |= answer.closes;
        ledger.answered.record(now_ns.saturating_sub(written_ns));
        // A redirection is no consent either.
        if !(200..300).contains(&answer.status) {
            ledger.refuse(item.stream, item.seq, &format!("publication answered {}", answer.status), &answer.words);
        } else if self.refused.as_ref().is_some_and(|refused| refused.find(answer.words.as_bytes()).is_some()) {
            let kind = format!("publication answered {} with a refusal", answer.status);
            ledger.refuse(item.stream, item.seq, &kind, &answer.words);
        }
        Ok(())
    }
}

impl Default for Http {
    /// One request at a time, and the status alone says whether it was taken.
    fn default() -> Self {
        Self::new(false, None)
    }
}

/// Requests under way on a connection whose server answers several in order: enough to fill a socket's buffer with small
/// publications, few enough that the server's own queue is not what is measured.
const PIPELINE_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

    fn item(seq: u64) -> Item {
        Item { due_ns: 0, stream: 3, seq }
    }

    #[test]
    fn without_pipelining_one_request_is_under_way() {
        let (mut http, mut ledger) = (Http::new(false, None), Ledger::default());
        assert_eq!(http.room(), 1);
        http.written(item(0), 100);
        assert_eq!(http.room(), 0);
        assert_eq!(http.receive(OK, 350, &mut ledger), Verdict::Stays);
        assert_eq!((http.room(), ledger.answered.at(1.0)), (1, 250));
    }

    #[test]
    fn refusals_are_listed_with_their_numbers_and_words() {
        let (mut http, mut ledger) = (Http::new(true, None), Ledger::default());
        (0..3).for_each(|seq| http.written(item(seq), 0));
        let answers = [OK, b"HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nfull", OK].concat();
        assert_eq!(http.receive(&answers, 1, &mut ledger), Verdict::Stays);
        assert_eq!(ledger.refused, [(3, 1)]);
        let failure = &ledger.failures[0];
        assert_eq!((failure.kind.as_str(), failure.example.as_str()), ("publication answered 503", "full"));
    }

    #[test]
    fn a_body_may_refuse_what_the_status_took() {
        let error: Search = memchr::memmem::Finder::new(r#""error":{"#).into_owned();
        let (mut http, mut ledger) = (Http::new(true, Some(error)), Ledger::default());
        (0..3).for_each(|seq| http.written(item(seq), 0));
        let took = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"result\":{}}";
        let no = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"err\r\n8\r\nor\":{}}\n\r\n0\r\n\r\n";
        assert_eq!(http.receive(&[took, &no[..], took].concat(), 1, &mut ledger), Verdict::Stays);
        assert_eq!(ledger.refused, [(3, 1)]);
        let failure = &ledger.failures[0];
        assert_eq!(failure.kind, "publication answered 200 with a refusal");
        assert_eq!(failure.example, r#"{"error":{}}"#);
    }

    #[test]
    fn a_server_that_closes_after_an_answer_has_not_looked_at_the_rest() {
        let (mut http, mut ledger) = (Http::new(true, None), Ledger::default());
        (0..3).for_each(|seq| http.written(item(seq), 0));
        let closing = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(http.receive(closing, 1, &mut ledger), Verdict::Renew);
        assert_eq!(http.room(), 0);
        assert_eq!(http.abandon().map(|item| item.seq).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn closing_between_requests_is_fine_and_before_an_answer_is_not() {
        let (mut http, mut ledger) = (Http::new(false, None), Ledger::default());
        assert!(matches!(http.closed(0, &mut ledger), Verdict::Broken(_)));
        http.written(item(0), 0);
        http.receive(OK, 1, &mut ledger);
        assert_eq!(http.closed(2, &mut ledger), Verdict::Renew);
        http.opened();
        http.written(item(1), 3);
        assert!(matches!(http.closed(4, &mut ledger), Verdict::Broken(_)));
    }

    #[test]
    fn an_answer_to_nothing_breaks_the_connection() {
        let (mut http, mut ledger) = (Http::new(true, None), Ledger::default());
        assert!(matches!(http.receive(OK, 0, &mut ledger), Verdict::Broken(_)));
    }
}
