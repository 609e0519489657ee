//! The messages that share a frame, where a dialect lets several do so. It knows nothing of what they say.

use crate::dialect::words::Search;

/// What stands before, between and after the separators; everything, where there is none.
pub fn parts<'a>(text: &'a [u8], separator: Option<&'a Search>) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(separator) = separator else { return Some(text) };
        let Some(at) = separator.find(text) else { return Some(text) };
        rest = Some(&text[at + separator.needle().len()..]);
        Some(&text[..at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_separators() {
        let separator = Search::new("\r\n");
        let texts = |text: &str| {
            let parts = parts(text.as_bytes(), Some(&separator)).map(|part| String::from_utf8(part.into()).unwrap());
            parts.collect::<Vec<_>>()
        };
        assert_eq!(texts("one\r\ntwo\n\r\nthree"), ["one", "two\n", "three"]);
        assert_eq!(texts("\r\none\r\n"), ["", "one", ""]);
        assert_eq!(texts(""), [""]);
        assert_eq!(parts(b"one\r\ntwo", None).count(), 1);
    }
}
