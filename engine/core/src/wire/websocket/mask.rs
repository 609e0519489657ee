//! The masking of RFC 6455 §5.3, in place and a word at a time.

/// Masks or unmasks `payload`, whose first byte meets the first byte of `mask`.
pub fn mask_in_place(payload: &mut [u8], mask: [u8; 4]) {
    let pair = u32::from_ne_bytes(mask);
    let word = u64::from(pair) << 32 | u64::from(pair);
    let (words, rest) = payload.as_chunks_mut::<8>();
    // The compiler turns this loop into the widest vector instructions the target has.
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= key;
    }
}

/// The mask as the byte `offset` bytes further on meets it.
pub(super) fn rotated(mask: [u8; 4], offset: usize) -> [u8; 4] {
    let mut mask = mask;
    mask.rotate_left(offset % 4);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mask_like_single_bytes_whatever_the_length() {
        let mask = [0x11, 0x22, 0x44, 0x88];
        for length in 0..100_u8 {
            let plain: Vec<u8> = (0..length).collect();
            let mut masked = plain.clone();
            mask_in_place(&mut masked, mask);
            let expected: Vec<u8> = plain.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            assert_eq!(masked, expected);
            mask_in_place(&mut masked, mask);
            assert_eq!(masked, plain);
        }
    }

    #[test]
    fn a_rotated_mask_goes_on_where_the_first_part_stopped() {
        let mask = [1, 2, 3, 4];
        for cut in 0..20 {
            let mut whole = [0; 20];
            mask_in_place(&mut whole, mask);
            let mut parts = [0; 20];
            let (head, tail) = parts.split_at_mut(cut);
            mask_in_place(head, mask);
            mask_in_place(tail, rotated(mask, cut));
            assert_eq!(whole, parts);
        }
    }
}
