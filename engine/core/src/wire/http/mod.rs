//! HTTP/1.1 on the wire: request heads and bodies in, responses out, and the upgrade to WebSocket.
//!
//! Strict where intermediaries could disagree about where a request ends: such a request is refused, not repaired.
//! Knows nothing of routes.
//!
//! - `scan`: finds the end of a head in bytes that arrive piece by piece, each byte once;
//! - `head`, `target`, `framing`: a whole head, its parts, and the body it announces;
//! - `body`: the body's bytes out of the stream;
//! - `response`: responses, whole and in chunks;
//! - `upgrade`: RFC 6455 §4.2;
//! - `forwarded`: the client behind trusted proxies.

mod body;
mod error;
mod forwarded;
mod framing;
mod head;
mod response;
mod scan;
mod target;
mod upgrade;

pub use body::{Body, BodyStep};
pub use error::HttpError;
pub use forwarded::forwarded_for;
pub use framing::BodyFraming;
pub use head::{Head, parse_head};
pub use response::{CONTINUE, write_chunk, write_chunked_head, write_last_chunk, write_response};
pub use scan::HeadScan;
pub use target::QueryPair;
pub use upgrade::{Upgrade, UpgradeError, write_switching_protocols};
