//! RFC 6455 frames: an incremental decoder of masked client frames, and the encoder of server frames.
//!
//! Knows nothing of what messages mean, nor when a connection answers a ping or a close.
//!
//! - `decoder`: bytes to [`Item`]s; whole frames in place, the rest through `partial`;
//! - `header`: one frame header and every check it can be given alone;
//! - `mask`, `utf8`: unmasking in words, UTF-8 as it arrives;
//! - `close`: payloads and codes of close frames;
//! - `encoder`: server frames.

mod close;
mod decoder;
mod encoder;
mod error;
mod header;
mod mask;
mod partial;
mod utf8;

pub use close::{close_code_allowed, close_payload};
pub use decoder::{Decoder, FrameLimits, Item};
pub use encoder::{BINARY, CLOSE, PING, PONG, TEXT, frame_into, text_frame, text_frame_into};
pub use error::FrameError;
pub use header::whole_text_frame;
pub use mask::mask_in_place;
pub use tungstenite::protocol::frame::coding::OpCode;
