//! The sender's time, and its number, in messages that this tool did not publish: `"time_ms":{time_ms}`, `{seq}`.

use memchr::memmem;

use super::template::{place_at, unknown};

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// In this order: what stands before a number, and what the number is.
    numbers: Vec<(Vec<u8>, Number)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    /// Since 1970, in units of so many nanoseconds.
    Time(u64),
    Seq,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Nanoseconds since 1970.
    pub time_ns: u64,
    /// The sender's own number of the message.
    pub seq: Option<u64>,
}

const PLACES: &[&str] = &["time_s", "time_ms", "time_us", "time_ns", "seq"];

impl Pattern {
    /// Takes a text apart.
    ///
    /// # Errors
    /// An unknown place, one without text before it, or no time at all, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        const WHAT: &str = "dialect.message.stamp";
        let mut numbers: Vec<(Vec<u8>, Number)> = Vec::new();
        let mut before = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            before.extend_from_slice(&rest.as_bytes()[..at]);
            let Some((word, after)) = place_at(&rest[at..]) else {
                before.push(b'{');
                rest = &rest[at + 1..];
                continue;
            };
            if before.is_empty() {
                return Err(format!("{WHAT}: {{{word}}} needs text before it, so that it can be found"));
            }
            let number = Number::parse(word).ok_or_else(|| unknown(word, WHAT, PLACES))?;
            numbers.push((std::mem::take(&mut before), number));
            rest = after;
        }
        let times = numbers.iter().filter(|(_, number)| matches!(number, Number::Time(_))).count();
        if times != 1 {
            return Err(format!(
                "{WHAT}: it needs one of {{time_s}}, {{time_ms}}, {{time_us}} and {{time_ns}}, has {times}"
            ));
        }
        Ok(Self { numbers })
    }

    /// Finds it in a frame.
    #[must_use]
    pub fn find(&self, frame: &[u8]) -> Option<Found> {
        let mut found = Found { time_ns: 0, seq: None };
        let mut rest = frame;
        for (before, number) in &self.numbers {
            rest = &rest[memmem::find(rest, before)? + before.len()..];
            let (whole, digits) = whole_number(rest)?;
            match number {
                Number::Seq => found.seq = Some(whole),
                Number::Time(unit_ns) => {
                    found.time_ns = whole.checked_mul(*unit_ns)?.saturating_add(fraction_ns(&rest[digits..], *unit_ns));
                }
            }
            rest = &rest[digits..];
        }
        Some(found)
    }
}

impl Number {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "time_s" => Self::Time(1_000_000_000),
            "time_ms" => Self::Time(1_000_000),
            "time_us" => Self::Time(1_000),
            "time_ns" => Self::Time(1),
            "seq" => Self::Seq,
            _ => return None,
        })
    }
}

/// The number these bytes begin with, and its length.
pub(crate) fn whole_number(bytes: &[u8]) -> Option<(u64, usize)> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = std::str::from_utf8(bytes.get(..digits)?).ok()?;
    Some((text.parse().ok()?, digits))
}

/// What a point and further digits add, in nanoseconds.
fn fraction_ns(bytes: &[u8], unit_ns: u64) -> u64 {
    let Some(digits) = bytes.strip_prefix(b".") else { return 0 };
    let mut worth_ns = unit_ns;
    let mut ns = 0;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        worth_ns /= 10;
        ns += u64::from(digit - b'0') * worth_ns;
    }
    ns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_found_in_every_unit() {
        for (text, frame, time_ns) in [
            (
                r#""time_ms":{time_ms}"#,
                r#"{"op":"message","time_ms":1800000000123,"data":1}"#,
                1_800_000_000_123_000_000,
            ),
            ("t={time_s};", "x t=1800000000.25; y", 1_800_000_000_250_000_000),
            ("ts {time_us}", "ts 1800000000000001", 1_800_000_000_000_001_000),
            ("ns:{time_ns}", "{ns:7}", 7),
        ] {
            let found = Pattern::parse(text).unwrap().find(frame.as_bytes());
            assert_eq!(found, Some(Found { time_ns, seq: None }), "{text}");
        }
    }

    #[test]
    fn a_number_may_stand_before_or_after_the_time() {
        let frame = br#"{"seq":41,"time_ms":2,"seq2":42}"#;
        let before = Pattern::parse(r#""seq":{seq},"time_ms":{time_ms}"#).unwrap();
        assert_eq!(before.find(frame), Some(Found { time_ns: 2_000_000, seq: Some(41) }));
        let after = Pattern::parse(r#""time_ms":{time_ms},"seq2":{seq}"#).unwrap();
        assert_eq!(after.find(frame), Some(Found { time_ns: 2_000_000, seq: Some(42) }));
    }

    #[test]
    fn another_frame_has_none() {
        let pattern = Pattern::parse(r#""time_ms":{time_ms}"#).unwrap();
        for frame in ["", "{}", r#"{"time_ms":"soon"}"#, r#"{"time_ms":99999999999999999999999}"#] {
            assert_eq!(pattern.find(frame.as_bytes()), None, "{frame}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_found_is_refused() {
        for text in ["{time_ms}", "no place", "a{seq}", "a{time_ms}b{time_s}", "a{time}"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
