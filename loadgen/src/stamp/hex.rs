//! Hexadecimal digits, eight at a time: no byte of a stamp is looked at alone.

use super::LEN;

pub(super) const HEX: &[u8; 16] = b"0123456789abcdef";

pub(super) fn write_hex(value: u64, into: &mut [u8]) {
    let mut left = value;
    for digit in into.iter_mut().rev() {
        *digit = HEX[(left & 15) as usize];
        left >>= 4;
    }
}

/// Eight digits as a word, the first in its lowest byte.
#[inline]
pub(super) fn digits(text: &[u8; LEN], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&text[at..at + 8]);
    u64::from_le_bytes(eight)
}

const LOW_BITS: u64 = 0x0f0f_0f0f_0f0f_0f0f;
const ONES: u64 = 0x0101_0101_0101_0101;

/// The nibbles of eight digits, a byte each; nonsense for what is no digit.
#[inline]
const fn nibbles(digits: u64) -> u64 {
    let letters = (digits >> 6) & ONES;
    (digits & LOW_BITS) + letters * 9
}

/// The value of a digit; nonsense for what is none.
#[inline]
pub(super) const fn nibble(digit: u8) -> usize {
    ((digit & 15) + (digit >> 6) * 9) as usize
}

/// Not zero if a byte is none of `0-9a-f`: written again from their nibbles, digits come out the same and nothing else does.
#[inline]
pub(super) const fn not_hex(digits: u64) -> u64 {
    // Bytes of no digit may have nibbles up to 24: masked, they cannot carry into the next byte.
    let nibbles = nibbles(digits) & LOW_BITS;
    let letters = ((nibbles + ONES * 6) >> 4) & ONES;
    digits ^ (nibbles + ONES * 0x30 + letters * 0x27)
}

/// The number that eight digits write.
#[inline]
pub(super) const fn value(digits: u64) -> u32 {
    let nibbles = nibbles(digits);
    // Pairs, then fours, then all eight: the first digit is the lowest byte and the highest nibble.
    let pairs = (nibbles << 4 | nibbles >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs << 8 | pairs >> 16) & 0x0000_ffff_0000_ffff;
    (fours << 16 | fours >> 32) as u32
}
