//! Client bytes to messages: whole frames in place, everything else through [`Partial`].
//!
//! Knows nothing of what the messages say.

use std::mem;

use tungstenite::protocol::frame::coding::Control;

use super::close::parse_close;
use super::error::FrameError;
use super::header::{DataKind, Header, Kind};
use super::mask::mask_in_place;
use super::partial::{Partial, Ready};

/// What one message may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameLimits {
    /// Bytes of a message, all its fragments together.
    pub message_bytes_max: usize,
    /// Frames a message may be in.
    pub fragments_max: u32,
}

/// A whole message or control frame, unmasked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping, to be answered by a pong with the same payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The client closes: code and reason, if it gave a code. Nothing after it matters.
    Close(Option<(u16, &'a str)>),
}

/// The incremental decoder of one connection: one pointer while no frame is under way.
#[derive(Default, Debug)]
pub struct Decoder {
    /// What has arrived of an unfinished frame or message.
    ///
    /// Invariant: after [`Decoder::next`] returned `Ok(None)` it is there only if something is unfinished.
    partial: Option<Box<Partial>>,
}

impl Decoder {
    /// Takes the next message or control frame off the front of `input`, which is unmasked in place.
    ///
    /// `Ok(None)`: `input` is used up, and what is unfinished is remembered. A message that lay whole in `input`
    /// is borrowed from it; one that was put together is borrowed from the decoder, and freed by the next call.
    ///
    /// # Errors
    /// The connection has failed with this reason; the decoder must not be fed further.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i mut [u8],
        limits: &FrameLimits,
    ) -> Result<Option<Item<'a>>, FrameError> {
        if let Some(partial) = &mut self.partial {
            partial.free_delivered();
            if partial.is_empty() {
                self.partial = None;
            }
        }
        if self.partial.is_none()
            && let Some(header) = Header::parse(input)?
            && header.last
            && header.len.saturating_add(header.payload_len) <= input.len()
        {
            take(input, header.len);
            return whole_frame(take_payload(input, &header), &header, limits).map(Some);
        }
        self.next_partial(input, limits)
    }

    /// Whether nothing is unfinished: the connection is between two messages.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// Bytes allocated for what is unfinished: never more than twice what was received, and a constant.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| mem::size_of::<Partial>() + partial.buffered_bytes())
    }

    fn next_partial<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i mut [u8],
        limits: &FrameLimits,
    ) -> Result<Option<Item<'a>>, FrameError> {
        if input.is_empty() {
            return Ok(None);
        }
        let ready = self.partial.get_or_insert_default().advance(input, limits)?;
        match (ready, &self.partial) {
            (Ready::Control(control, payload), _) => control_item(control, payload).map(Some),
            (Ready::StoredControl(control), Some(partial)) => control_item(control, partial.control()).map(Some),
            (Ready::Message, Some(partial)) => partial.message().map(Some),
            _ => Ok(None),
        }
    }
}

/// Splits the first `count` bytes off `input`, which has them.
#[inline]
pub(super) fn take<'i>(input: &mut &'i mut [u8], count: usize) -> &'i mut [u8] {
    let (taken, rest) = mem::take(input).split_at_mut(count);
    *input = rest;
    taken
}

/// Splits the payload that belongs to `header` off `input`, which has all of it, and unmasks it.
#[inline]
pub(super) fn take_payload<'i>(input: &mut &'i mut [u8], header: &Header) -> &'i mut [u8] {
    let payload = take(input, header.payload_len);
    mask_in_place(payload, header.mask);
    payload
}

fn whole_frame<'a>(payload: &'a [u8], header: &Header, limits: &FrameLimits) -> Result<Item<'a>, FrameError> {
    match header.kind {
        Kind::Control(control) => control_item(control, payload),
        Kind::Continuation => Err(FrameError::LoneContinuation),
        Kind::Data(_) if payload.len() > limits.message_bytes_max => Err(FrameError::MessageTooBig),
        Kind::Data(DataKind::Binary) => Ok(Item::Binary(payload)),
        Kind::Data(DataKind::Text) => {
            simdutf8::basic::from_utf8(payload).map(Item::Text).map_err(|_| FrameError::BadUtf8)
        }
    }
}

fn control_item(control: Control, payload: &[u8]) -> Result<Item<'_>, FrameError> {
    match control {
        Control::Ping => Ok(Item::Ping(payload)),
        Control::Pong => Ok(Item::Pong(payload)),
        Control::Close => parse_close(payload).map(Item::Close),
        Control::Reserved(_) => Err(FrameError::UnknownOpcode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::close::CloseReason;

    const LIMITS: FrameLimits = FrameLimits { message_bytes_max: 1_000, fragments_max: 4 };
    const MASK: [u8; 4] = [0xa1, 0x07, 0xff, 0x3c];

    /// A masked client frame; `first` is its first byte.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(0x80 | short as u8),
            long @ 126..=65_535 => {
                frame.push(0x80 | 126);
                frame.extend((long as u16).to_be_bytes());
            }
            long => {
                frame.push(0xff);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend(MASK);
        let start = frame.len();
        frame.extend(payload);
        mask_in_place(&mut frame[start..], MASK);
        frame
    }

    /// Feeds `pieces` one after another; what came out, as text.
    fn decode(pieces: &mut [&mut [u8]]) -> Result<Vec<String>, FrameError> {
        let mut decoder = Decoder::default();
        let mut items = Vec::new();
        for piece in pieces {
            let mut input = &mut **piece;
            while let Some(item) = decoder.next(&mut input, &LIMITS)? {
                items.push(format!("{item:?}"));
            }
            assert!(input.is_empty());
        }
        Ok(items)
    }

    fn whole(frames: &[Vec<u8>]) -> Result<Vec<String>, FrameError> {
        decode(&mut [&mut frames.concat()])
    }

    fn bytewise(frames: &[Vec<u8>]) -> Result<Vec<String>, FrameError> {
        let mut bytes = frames.concat();
        decode(&mut bytes.chunks_mut(1).collect::<Vec<_>>())
    }

    fn both(frames: &[Vec<u8>]) -> Result<Vec<String>, FrameError> {
        let items = whole(frames);
        assert_eq!(items, bytewise(frames), "one byte at a time");
        items
    }

    #[test]
    fn an_idle_decoder_is_one_pointer() {
        assert_eq!(size_of::<Decoder>(), size_of::<usize>());
        let mut decoder = Decoder::default();
        let mut bytes = frame(0x81, b"hi");
        let mut input = &mut bytes[..];
        assert_eq!(decoder.next(&mut input, &LIMITS), Ok(Some(Item::Text("hi"))));
        assert!(decoder.is_idle());
        assert_eq!(decoder.held_bytes(), 0);
    }

    #[test]
    fn whole_messages_are_borrowed_from_the_input() {
        let mut bytes = frame(0x82, b"payload");
        let place = bytes[6..].as_ptr();
        let mut decoder = Decoder::default();
        let Ok(Some(Item::Binary(payload))) = decoder.next(&mut &mut bytes[..], &LIMITS) else { panic!("a message") };
        assert_eq!(payload.as_ptr(), place);
    }

    #[test]
    fn messages_of_every_kind_and_length_come_out_in_order() {
        let long = "é".repeat(150);
        let frames = [
            frame(0x81, b""),
            frame(0x81, long.as_bytes()),
            frame(0x82, &[0, 0xff]),
            frame(0x89, b"ping"),
            frame(0x8a, b""),
            frame(0x88, b"\x03\xe8bye"),
        ];
        let expected = [
            r#"Text("")"#.to_owned(),
            format!("Text({long:?})"),
            "Binary([0, 255])".to_owned(),
            "Ping([112, 105, 110, 103])".to_owned(),
            "Pong([])".to_owned(),
            r#"Close(Some((1000, "bye")))"#.to_owned(),
        ];
        assert_eq!(both(&frames).expect("valid"), expected);
    }

    #[test]
    fn control_frames_may_stand_between_fragments() {
        let frames = [
            frame(0x01, b"caf\xc3"),
            frame(0x89, b"1"),
            frame(0x00, b""),
            frame(0x8a, b"2"),
            frame(0x80, b"\xa9"),
            frame(0x82, b"3"),
        ];
        let expected = ["Ping([49])", "Pong([50])", r#"Text("café")"#, "Binary([51])"];
        assert_eq!(both(&frames).expect("valid"), expected);
    }

    #[test]
    fn the_decoder_is_idle_again_after_a_message_in_pieces() {
        let mut decoder = Decoder::default();
        let mut bytes = frame(0x81, b"hello");
        let (head, tail) = bytes.split_at_mut(3);
        assert_eq!(decoder.next(&mut &mut *head, &LIMITS), Ok(None));
        assert!(!decoder.is_idle());
        let mut input = &mut *tail;
        assert_eq!(decoder.next(&mut input, &LIMITS), Ok(Some(Item::Text("hello"))));
        assert_eq!(decoder.next(&mut input, &LIMITS), Ok(None));
        assert!(decoder.is_idle());
    }

    #[test]
    fn frames_out_of_order_are_refused() {
        assert_eq!(both(&[frame(0x80, b"x")]), Err(FrameError::LoneContinuation));
        assert_eq!(both(&[frame(0x00, b"x")]), Err(FrameError::LoneContinuation));
        assert_eq!(both(&[frame(0x01, b"x"), frame(0x81, b"y")]), Err(FrameError::InterleavedMessage));
        assert_eq!(both(&[frame(0x02, b"x"), frame(0x02, b"y")]), Err(FrameError::InterleavedMessage));
        assert_eq!(both(&[frame(0x81, b"x"), frame(0x80, b"y")]), Err(FrameError::LoneContinuation));
    }

    #[test]
    fn malformed_frames_are_refused_alone_and_inside_a_message() {
        for (bytes, error) in [
            (frame(0xc1, b"x"), FrameError::ReservedBits),
            (frame(0x83, b"x"), FrameError::UnknownOpcode),
            (vec![0x81, 1, b'x'], FrameError::Unmasked),
            (frame(0x09, b"x"), FrameError::BadControl),
            (frame(0x89, &[0; 126]), FrameError::BadControl),
            (frame(0x88, b"\x03"), FrameError::BadClose),
            (frame(0x88, b"\x03\xed"), FrameError::BadClose),
            (frame(0x88, b"\x03\xe8\xff"), FrameError::BadUtf8),
        ] {
            assert_eq!(both(std::slice::from_ref(&bytes)), Err(error));
            assert_eq!(both(&[frame(0x01, b"begun"), bytes]), Err(error));
        }
    }

    #[test]
    fn bad_text_is_refused_at_the_first_byte_that_cannot_be_right() {
        // The payload of Autobahn's case 6.4: it goes wrong at byte 12 (index) of 20.
        let text = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited";
        let mut bytes = frame(0x81, text);
        let (good, bad) = bytes.split_at_mut(6 + 12);
        let mut decoder = Decoder::default();
        assert_eq!(decoder.next(&mut &mut *good, &LIMITS), Ok(None));
        assert_eq!(decoder.next(&mut &mut bad[..1], &LIMITS), Err(FrameError::BadUtf8));
        assert_eq!(both(&[frame(0x81, text)]), Err(FrameError::BadUtf8));
        assert_eq!(both(&[frame(0x01, &text[..12]), frame(0x00, &text[12..13])]), Err(FrameError::BadUtf8));
        assert_eq!(both(&[frame(0x81, b"\xe2\x82")]), Err(FrameError::BadUtf8), "ends inside a character");
        assert_eq!(both(&[frame(0x01, b"\xe2"), frame(0x80, b"\x82")]), Err(FrameError::BadUtf8));
    }

    #[test]
    fn too_big_is_known_from_the_header() {
        assert!(both(&[frame(0x82, &[0; 1_000])]).is_ok());
        assert_eq!(both(&[frame(0x82, &[0; 1_001])]), Err(FrameError::MessageTooBig));
        let header_only = frame(0x82, &[0; 1_001])[..8].to_vec();
        assert_eq!(both(&[header_only]), Err(FrameError::MessageTooBig));
        let second_header = frame(0x80, &[0; 401])[..8].to_vec();
        assert_eq!(both(&[frame(0x02, &[0; 600]), second_header]), Err(FrameError::MessageTooBig));
        let huge = vec![0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        assert_eq!(both(&[huge]), Err(FrameError::MessageTooBig));
    }

    #[test]
    fn a_message_may_have_so_many_fragments_and_no_more() {
        let fragments = |count: usize| -> Vec<_> {
            let middle = std::iter::repeat_n(frame(0x00, b""), count - 2);
            std::iter::once(frame(0x01, b"")).chain(middle).chain([frame(0x80, b"")]).collect()
        };
        assert_eq!(both(&fragments(4)).expect("allowed"), [r#"Text("")"#]);
        assert_eq!(both(&fragments(5)), Err(FrameError::TooManyFragments));
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        let limits = FrameLimits { message_bytes_max: 16 << 20, fragments_max: 1 };
        let mut decoder = Decoder::default();
        let mut bytes = vec![0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([0; 100]);
        assert_eq!(decoder.next(&mut &mut bytes[..], &limits), Ok(None));
        assert!(decoder.held_bytes() < 100 + 200, "{}", decoder.held_bytes());
    }

    #[test]
    fn every_error_has_its_close_reason() {
        assert_eq!(FrameError::BadUtf8.close_reason(), CloseReason::BadUtf8);
        assert_eq!(FrameError::MessageTooBig.close_reason(), CloseReason::TooBig);
        assert_eq!(FrameError::TooManyFragments.close_reason(), CloseReason::TooBig);
        assert_eq!(FrameError::Unmasked.close_reason(), CloseReason::Protocol);
    }
}
