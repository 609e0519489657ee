//! What is said over a publisher's connection: HTTP or WebSocket.

use super::desk::Desk;
use super::http::{Http, Verdict};
use super::ledger::Item;
use super::websocket::WebSocket;

/// One connection's side of a protocol.
#[derive(Debug)]
pub enum Wire {
    /// A request each.
    Http(Http),
    /// A frame each.
    WebSocket(WebSocket),
}

impl Wire {
    /// The connection is open: what has to be said first is appended to `out`.
    pub fn opened(&mut self, out: &mut Vec<u8>, desk: &Desk) {
        match self {
            Self::Http(http) => http.opened(),
            Self::WebSocket(wire) => wire.opened(desk.now_ns, out, &desk.plan),
        }
    }

    /// Appends to `out` what the server wants to hear every so often, where it is due.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>, desk: &Desk) {
        if let Self::WebSocket(wire) = self {
            wire.keep_alive(desk.now_ns, out, &desk.plan);
        }
    }

    /// Publications may be written.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Http(_) => true,
            Self::WebSocket(wire) => wire.is_ready(),
        }
    }

    /// How many publications may be written now.
    #[must_use]
    pub fn room(&self) -> usize {
        match self {
            Self::Http(http) => http.room(),
            Self::WebSocket(wire) if wire.is_ready() => usize::MAX,
            Self::WebSocket(_) => 0,
        }
    }

    /// Publications are answered one by one.
    #[must_use]
    pub const fn has_answers(&self) -> bool {
        matches!(self, Self::Http(_))
    }

    /// Publications that wait for their answers.
    #[must_use]
    pub fn under_way(&self) -> usize {
        match self {
            Self::Http(http) => http.under_way(),
            Self::WebSocket(_) => 0,
        }
    }

    /// Nothing more will be published: appends the goodbye to `out`, where the protocol has one.
    pub fn leave(&mut self, out: &mut Vec<u8>) {
        if let Self::WebSocket(wire) = self {
            wire.leave(out);
        }
    }

    /// It said goodbye: the connection may end now.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        matches!(self, Self::WebSocket(wire) if wire.is_leaving())
    }

    /// Whether the server has to answer a goodbye before it is known that it took everything.
    #[must_use]
    pub const fn has_goodbye(&self) -> bool {
        matches!(self, Self::WebSocket(_))
    }

    /// Appends a publication to `out`.
    pub fn compose(&mut self, item: Item, out: &mut Vec<u8>, desk: &mut Desk) {
        let slip_ns = desk.now_ns.saturating_sub(item.due_ns);
        desk.ledger.slip.record(slip_ns);
        match self {
            Self::Http(http) => {
                desk.composer.request(&desk.plan, item, slip_ns, out);
                http.written(item, desk.now_ns);
            }
            Self::WebSocket(wire) => wire.publish(item, slip_ns, out, desk),
        }
    }

    /// The first bytes of the desk's buffer came in; answers to them are appended to `out`.
    pub fn receive(&mut self, len: usize, out: &mut Vec<u8>, desk: &mut Desk) -> Verdict {
        let bytes = &desk.buffer[..len];
        let verdict = match self {
            Self::Http(http) => http.receive(bytes, desk.now_ns, &mut desk.ledger),
            Self::WebSocket(wire) => wire.receive(bytes, out, &desk.plan, &mut desk.ledger),
        };
        desk.excuse_refused();
        verdict
    }

    /// The server closed the connection.
    pub fn closed(&mut self, desk: &mut Desk) -> Verdict {
        let verdict = match self {
            Self::Http(http) => http.closed(desk.now_ns, &mut desk.ledger),
            Self::WebSocket(_) => Verdict::Broken(String::from("closed by the server")),
        };
        desk.excuse_refused();
        verdict
    }

    /// What is not answered, oldest first; forgotten here.
    pub fn take_under_way(&mut self) -> Vec<Item> {
        match self {
            Self::Http(http) => http.abandon().collect(),
            Self::WebSocket(_) => Vec::new(),
        }
    }
}
