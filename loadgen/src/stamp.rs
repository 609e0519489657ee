//! What every payload begins with: which run sent it, when it was due, how late it was sent, which stream it belongs to, its
//! number there.
//!
//! ASCII of a fixed length, so that it passes through JSON, STOMP and every other text unharmed and is read without parsing:
//! `epl2:` run (8 hex) `:` intended (16 hex, monotonic ns) `:` slip (8 hex, µs) `:` stream (8 hex) `:` number (10 hex) `:`. After it
//! the payload is filled up with `x`, which is compared, too: a payload that was cut, stretched or changed is found out.

use memchr::memmem;

mod hex;

use hex::{digits, nibble, not_hex, value, write_hex};

/// Bytes of a stamp.
pub const LEN: usize = 60;

/// What a stamp begins with.
pub const MARK: &[u8; 5] = b"epl2:";

/// Numbers are below this: they have ten digits.
pub const SEQ_MAX: u64 = 1 << 40;

/// A stamp, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The run that sent it, as its plan says: several may share a channel.
    pub run: u32,
    /// When it was due, monotonic nanoseconds.
    pub intended_ns: u64,
    /// How much later it was written, microseconds.
    pub slip_us: u32,
    /// The stream it belongs to.
    pub stream: u32,
    /// Its number in the stream, from 0; below 2⁴⁰.
    pub seq: u64,
}

impl Stamp {
    /// Appends a payload of so many bytes: the stamp, and what fills it up. Not shorter than [`LEN`].
    pub fn write(&self, payload_bytes: usize, out: &mut Vec<u8>) {
        debug_assert!(self.seq < SEQ_MAX);
        let mut text = [b':'; LEN];
        text[..5].copy_from_slice(MARK);
        write_hex(u64::from(self.run), &mut text[5..13]);
        write_hex(self.intended_ns, &mut text[14..30]);
        write_hex(u64::from(self.slip_us), &mut text[31..39]);
        write_hex(u64::from(self.stream), &mut text[40..48]);
        write_hex(self.seq, &mut text[49..59]);
        out.extend_from_slice(&text);
        out.resize(out.len() + payload_bytes.saturating_sub(LEN), FILLER);
    }

    /// Reads the stamp these bytes begin with. `None`: there is none, or it is damaged.
    #[inline]
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let text: &[u8; LEN] = bytes.first_chunk()?;
        let run = digits(text, 5);
        let intended_high = digits(text, 14);
        let intended_low = digits(text, 22);
        let slip = digits(text, 31);
        let stream = digits(text, 40);
        // Ten digits are two overlapping eights.
        let seq_high = digits(text, 49);
        let seq_low = digits(text, 51);
        let wrong = not_hex(run)
            | not_hex(intended_high)
            | not_hex(intended_low)
            | not_hex(slip)
            | not_hex(stream)
            | not_hex(seq_high)
            | not_hex(seq_low)
            | not_framed(text);
        if wrong != 0 {
            return None;
        }
        Some(Self {
            run: value(run),
            intended_ns: u64::from(value(intended_high)) << 32 | u64::from(value(intended_low)),
            slip_us: value(slip),
            stream: value(stream),
            seq: u64::from(value(seq_high) >> 24) << 32 | u64::from(value(seq_low)),
        })
    }
}

/// Reads stamps, and remembers the last ones: in a fan-out each comes to one client after the other, and to compare 60 bytes is
/// cheaper than to read them. With the filler compared without a call, a message of 128 bytes costs 8 ns less
/// (64 in a read, `cargo run --release -p epush-loadgen --example receive`).
#[derive(Debug)]
pub struct Reader {
    last: Box<[([u8; LEN], Stamp); REMEMBERED]>,
}

/// Stamps that are remembered: as many messages as may share a write. A power of two.
const REMEMBERED: usize = 64;

impl Default for Reader {
    fn default() -> Self {
        // Beginning with what `write` makes, so that every text has its stamp.
        let zero = Stamp { run: 0, intended_ns: 0, slip_us: 0, stream: 0, seq: 0 };
        let mut text = Vec::with_capacity(LEN);
        zero.write(LEN, &mut text);
        let text = text.first_chunk().copied().expect("a stamp has its length");
        Self { last: Box::new([(text, zero); REMEMBERED]) }
    }
}

impl Reader {
    /// As [`Stamp::read`].
    #[inline]
    pub fn read(&mut self, bytes: &[u8]) -> Option<Stamp> {
        let text: &[u8; LEN] = bytes.first_chunk()?;
        // By the last two digits of the number: messages that follow each other have places of their own.
        let at = (nibble(text[57]) << 4 | nibble(text[58])) % REMEMBERED;
        let (last, stamp) = &mut self.last[at];
        if last == text {
            return Some(*stamp);
        }
        let read = Stamp::read(text)?;
        (*last, *stamp) = (*text, read);
        Some(read)
    }
}

/// Where the next stamp begins, if one is there.
#[must_use]
pub fn find(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, MARK)
}

/// Whether a payload of this length begins here and ends where it should, and is what was sent.
#[inline]
#[must_use]
pub fn is_whole(from_stamp: &[u8], payload_bytes: usize) -> bool {
    let Some(mut filler) = from_stamp.get(LEN..payload_bytes) else { return false };
    while let Some((chunk, rest)) = filler.split_at_checked(FILLED.len()) {
        if chunk != FILLED {
            return false;
        }
        filler = rest;
    }
    is_filler(filler) && from_stamp.get(payload_bytes) != Some(&FILLER)
}

/// Whether these are all what fills up: without a call, for the short ones.
#[inline]
fn is_filler(bytes: &[u8]) -> bool {
    const SIXTEEN: u128 = u128::from_ne_bytes([FILLER; 16]);
    let (chunks, rest) = bytes.as_chunks::<16>();
    let wrong = chunks.iter().fold(0, |wrong, chunk| wrong | (u128::from_ne_bytes(*chunk) ^ SIXTEEN));
    // The rest is compared with some of the bytes before it, where there are enough.
    match bytes.last_chunk::<16>() {
        Some(last) => wrong | (u128::from_ne_bytes(*last) ^ SIXTEEN) == 0,
        None => rest.iter().all(|byte| *byte == FILLER),
    }
}

/// What fills a payload up.
const FILLER: u8 = b'x';

/// To compare with, a piece at a time.
const FILLED: [u8; 256] = [FILLER; 256];

/// Not zero if the mark or a colon is not where it should be.
#[inline]
fn not_framed(text: &[u8; LEN]) -> u64 {
    let colons = [13, 30, 39, 48, 59].iter().fold(0, |wrong, at| wrong | (text[*at] ^ b':'));
    let mark = u32::from_le_bytes([text[0], text[1], text[2], text[3]]) ^ u32::from_le_bytes(*b"epl2");
    u64::from(colons | (text[4] ^ b':')) | u64::from(mark)
}

#[cfg(test)]
mod tests {
    use super::hex::HEX;
    use super::*;

    const SOME: Stamp = Stamp {
        run: 0x89ab_cdef,
        intended_ns: 0x0123_4567_89ab_cdef,
        slip_us: 0xdead_beef,
        stream: 0x8000_0007,
        seq: SEQ_MAX - 2,
    };

    fn payload(bytes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        SOME.write(bytes, &mut out);
        out
    }

    #[test]
    fn what_was_written_is_read() {
        let text = payload(128);
        assert_eq!(text.len(), 128);
        assert!(
            text.starts_with(b"epl2:89abcdef:0123456789abcdef:deadbeef:80000007:fffffffffe:xxx"),
            "{}",
            text.escape_ascii()
        );
        assert_eq!(Stamp::read(&text), Some(SOME));
        for seq in [0, 1, 0xff_ffff, 0xffff_ffff, 0x1_0000_0000, SEQ_MAX - 1] {
            let mut out = Vec::new();
            let (intended_ns, low) = (seq << 20, seq as u32);
            let stamp = Stamp { run: low.reverse_bits(), intended_ns, slip_us: low, stream: !low, seq };
            stamp.write(LEN, &mut out);
            assert_eq!(Stamp::read(&out), Some(stamp));
        }
    }

    #[test]
    fn every_changed_byte_is_refused_or_changes_the_value() {
        let good = payload(LEN);
        for at in 0..LEN {
            for byte in 0..=255 {
                let mut text = good.clone();
                text[at] = byte;
                let digit = matches!(at, 5..=12 | 14..=29 | 31..=38 | 40..=47 | 49..=58);
                let fits = if digit { HEX.contains(&byte) } else { byte == good[at] };
                assert_eq!(Stamp::read(&text).is_some(), fits, "byte {byte} at {at}");
                assert_eq!(Stamp::read(&text) == Some(SOME), byte == good[at], "byte {byte} at {at}");
            }
        }
    }

    #[test]
    fn what_is_remembered_is_what_is_read() {
        let mut reader = Reader::default();
        for round in 0..3 {
            for seq in (0..600).rev() {
                let mut text = Vec::new();
                let stamp = Stamp { seq: seq / 2, stream: round, ..SOME };
                stamp.write(LEN, &mut text);
                assert_eq!(reader.read(&text), Some(stamp));
                text[54] = b'g';
                assert_eq!(reader.read(&text), None);
            }
        }
        assert_eq!(Reader::default().read(&[0; LEN]), Stamp::read(&[0; LEN]), "what it begins with is no stamp");
    }

    #[test]
    fn a_short_one_is_refused() {
        assert_eq!(Stamp::read(&payload(LEN)[..LEN - 1]), None);
        assert_eq!(Stamp::read(b""), None);
    }

    #[test]
    fn a_stamp_is_found_inside_a_frame() {
        let mut frame = br#"{"op":"message","data":""#.to_vec();
        let at = frame.len();
        SOME.write(LEN, &mut frame);
        frame.extend_from_slice(b"\"}");
        assert_eq!(find(&frame), Some(at));
        assert_eq!(find(br#"{"op":"ok"}"#), None);
    }

    #[test]
    fn a_payload_that_was_cut_stretched_or_changed_is_not_whole() {
        for bytes in [LEN, LEN + 1, LEN + 16, LEN + 17, 128, LEN + 255, LEN + 256, 1_024] {
            let mut text = payload(bytes);
            assert!(is_whole(&text, bytes));
            assert!(!is_whole(&text[..bytes - 1], bytes), "cut");
            text.push(b'"');
            assert!(is_whole(&text, bytes), "what comes after it does not matter");
            text[bytes] = b'x';
            assert!(!is_whole(&text, bytes), "stretched");
            if bytes > LEN {
                for at in LEN..bytes {
                    let mut text = payload(bytes);
                    text[at] = b'y';
                    assert!(!is_whole(&text, bytes), "changed at {at}");
                }
            }
        }
    }
}
