//! Who may call the control API: the bearer keys. Knows nothing of what is called.

use std::hint::black_box;

/// The keys, any of which lets in.
pub struct Keys(Vec<Box<str>>);

impl Keys {
    /// These keys; none: the API is open. An empty key lets nobody in.
    pub fn new(keys: Vec<Box<str>>) -> Self {
        Self(keys)
    }

    /// Whether a caller with this bearer token may call.
    ///
    /// Every key is compared to its end, so that the time it takes says nothing about how much of a guess was right.
    pub fn admit(&self, bearer: Option<&str>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let guess = bearer.unwrap_or_default().as_bytes();
        self.0.iter().fold(false, |found, key| found | same(key.as_bytes(), guess)) && !guess.is_empty()
    }
}

/// Whether two byte strings are equal, in a time that depends on `guess` alone.
fn same(key: &[u8], guess: &[u8]) -> bool {
    let padded = key.iter().copied().chain(std::iter::repeat(0));
    let different = guess.iter().zip(padded).fold(0, |bits, (left, right)| black_box(bits | (left ^ right)));
    (different == 0) & (key.len() == guess.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_key_opens() {
        let keys = Keys::new(vec!["first-key".into(), "second".into()]);
        assert!(keys.admit(Some("first-key")));
        assert!(keys.admit(Some("second")));
        for guess in ["", "first-ke", "first-key2", "First-key", "second\0"] {
            assert!(!keys.admit(Some(guess)), "{guess}");
        }
        assert!(!keys.admit(None));
    }

    #[test]
    fn without_keys_the_api_is_open_and_with_an_empty_one_closed() {
        assert!(Keys::new(Vec::new()).admit(None));
        assert!(!Keys::new(vec!["".into()]).admit(Some("")));
        assert!(!Keys::new(vec!["".into()]).admit(None));
    }
}
