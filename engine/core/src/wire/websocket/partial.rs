//! What has arrived of a frame or message that is not whole yet. Exists only while there is one.
//!
//! Memory grows with the bytes that really came, whatever length a header announced.

use std::mem;

use tungstenite::protocol::frame::coding::Control;

use super::decoder::{FrameLimits, Item, take, take_payload};
use super::error::FrameError;
use super::header::{DataKind, HEADER_BYTES_MAX, Header, Kind};
use super::mask::{mask_in_place, rotated};
use super::utf8::Utf8Buffer;

/// An unfinished message, frame and header, any of which may be missing.
#[derive(Default, Debug)]
pub(super) struct Partial {
    /// The first bytes of a header.
    ///
    /// Invariant: `header_len` is below [`HEADER_BYTES_MAX`], and 0 while `frame` is there.
    header: [u8; HEADER_BYTES_MAX],
    header_len: usize,
    /// The frame whose payload is arriving.
    frame: Option<Frame>,
    /// The message under assembly, until it was handed out.
    ///
    /// Invariant: there while `frame` is a data frame.
    message: Option<Message>,
    /// The payload of a control frame that did not come in one piece, until it was handed out.
    control: Vec<u8>,
    delivered: Delivered,
}

/// A frame whose header was read.
#[derive(Debug)]
struct Frame {
    /// None: a data frame.
    control: Option<Control>,
    last: bool,
    /// As the next byte meets it.
    mask: [u8; 4],
    /// Payload bytes that have not come.
    outstanding: usize,
}

#[derive(Debug)]
struct Message {
    frames: u32,
    buffer: Buffer,
}

#[derive(Debug)]
enum Buffer {
    Text(Utf8Buffer),
    Binary(Vec<u8>),
}

/// What the caller still looks at, and the next call frees.
#[derive(Clone, Copy, Default, Debug)]
enum Delivered {
    #[default]
    Nothing,
    Control,
    Message,
}

/// What [`Partial::advance`] came to.
pub(super) enum Ready<'i> {
    /// The input is used up.
    Nothing,
    /// A control frame whose payload lay whole in the input.
    Control(Control, &'i [u8]),
    /// A control frame; its payload is [`Partial::control`].
    StoredControl(Control),
    /// A message; it is [`Partial::message`].
    Message,
}

impl Partial {
    /// Takes bytes off `input` until something is whole.
    pub(super) fn advance<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        limits: &FrameLimits,
    ) -> Result<Ready<'i>, FrameError> {
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => {
                    let Some(header) = self.take_header(input)? else { return Ok(Ready::Nothing) };
                    match header.kind {
                        Kind::Control(control) if header.payload_len <= input.len() => {
                            return Ok(Ready::Control(control, take_payload(input, &header)));
                        }
                        _ => self.begin(&header, limits)?,
                    }
                }
            };
            let frame = self.take_piece(frame, input)?;
            if frame.outstanding > 0 {
                self.frame = Some(frame);
                return Ok(Ready::Nothing);
            }
            if let Some(control) = frame.control {
                self.delivered = Delivered::Control;
                return Ok(Ready::StoredControl(control));
            }
            if frame.last {
                self.delivered = Delivered::Message;
                return Ok(Ready::Message);
            }
        }
    }

    /// Frees what the last call handed out.
    pub(super) fn free_delivered(&mut self) {
        match mem::take(&mut self.delivered) {
            Delivered::Nothing => {}
            Delivered::Control => self.control = Vec::new(),
            Delivered::Message => self.message = None,
        }
    }

    /// Whether nothing is unfinished.
    pub(super) const fn is_empty(&self) -> bool {
        self.header_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    /// The payload of the control frame that became whole.
    pub(super) fn control(&self) -> &[u8] {
        &self.control
    }

    /// The message that became whole.
    pub(super) fn message(&self) -> Result<Item<'_>, FrameError> {
        match self.message.as_ref().map(|message| &message.buffer) {
            Some(Buffer::Text(text)) => text.finish().map(Item::Text).map_err(|_| FrameError::BadUtf8),
            Some(Buffer::Binary(bytes)) => Ok(Item::Binary(bytes)),
            None => Ok(Item::Binary(&[])),
        }
    }

    /// Bytes allocated for payloads.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.message.as_ref().map_or(0, |message| message.buffer.capacity()) + self.control.capacity()
    }

    /// The next header, taken off `input`; if it is not whole, what there is of it is kept.
    fn take_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, FrameError> {
        let kept = self.header_len;
        let fresh = input.len().min(HEADER_BYTES_MAX - kept);
        self.header[kept..kept + fresh].copy_from_slice(&input[..fresh]);
        let Some(header) = Header::parse(&self.header[..kept + fresh])? else {
            take(input, fresh);
            self.header_len += fresh;
            return Ok(None);
        };
        take(input, header.len - kept);
        self.header_len = 0;
        Ok(Some(header))
    }

    /// Checks a header against the message it belongs to, before any of its payload is taken.
    fn begin(&mut self, header: &Header, limits: &FrameLimits) -> Result<Frame, FrameError> {
        let control = match header.kind {
            Kind::Control(control) => Some(control),
            Kind::Data(kind) => {
                self.begin_message(kind)?;
                None
            }
            Kind::Continuation => {
                let message = self.message.as_mut().ok_or(FrameError::LoneContinuation)?;
                message.frames += 1;
                None
            }
        };
        if control.is_none()
            && let Some(message) = &self.message
        {
            message.check(header.payload_len, limits)?;
        }
        Ok(Frame { control, last: header.last, mask: header.mask, outstanding: header.payload_len })
    }

    fn begin_message(&mut self, kind: DataKind) -> Result<(), FrameError> {
        if self.message.is_some() {
            return Err(FrameError::InterleavedMessage);
        }
        let buffer = match kind {
            DataKind::Text => Buffer::Text(Utf8Buffer::default()),
            DataKind::Binary => Buffer::Binary(Vec::new()),
        };
        self.message = Some(Message { frames: 1, buffer });
        Ok(())
    }

    /// Takes what `input` has of the frame's payload, and returns the frame as it then is.
    fn take_piece(&mut self, frame: Frame, input: &mut &mut [u8]) -> Result<Frame, FrameError> {
        let piece = take(input, frame.outstanding.min(input.len()));
        mask_in_place(piece, frame.mask);
        let outstanding = frame.outstanding - piece.len();
        match &mut self.message {
            _ if frame.control.is_some() => self.control.extend_from_slice(piece),
            Some(message) => message.buffer.push(piece, frame.last.then_some(outstanding))?,
            None => debug_assert!(false, "a data frame began without its message"),
        }
        Ok(Frame { mask: rotated(frame.mask, piece.len()), outstanding, ..frame })
    }
}

impl Message {
    /// Whether a further `payload_len` bytes in this frame are within the limits.
    fn check(&self, payload_len: usize, limits: &FrameLimits) -> Result<(), FrameError> {
        if self.frames > limits.fragments_max.max(1) {
            return Err(FrameError::TooManyFragments);
        }
        if self.buffer.len().saturating_add(payload_len) > limits.message_bytes_max {
            return Err(FrameError::MessageTooBig);
        }
        Ok(())
    }
}

impl Buffer {
    /// Appends `piece`. `to_come`: the bytes still to come, where that is known.
    fn push(&mut self, piece: &[u8], to_come: Option<usize>) -> Result<(), FrameError> {
        let needed = self.len() + piece.len();
        if needed > self.capacity() {
            // Doubling, so that many pieces are copied few times, but never past the known end.
            let doubled = needed.max(2 * self.capacity());
            self.reserve_total(to_come.map_or(doubled, |to_come| doubled.min(needed + to_come)));
        }
        match self {
            Self::Text(text) => text.push(piece).map_err(|_| FrameError::BadUtf8),
            Self::Binary(bytes) => {
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    fn reserve_total(&mut self, total: usize) {
        match self {
            Self::Text(text) => text.reserve_total(total),
            Self::Binary(bytes) => bytes.reserve_exact(total - bytes.len()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Text(text) => text.capacity(),
            Self::Binary(bytes) => bytes.capacity(),
        }
    }
}
