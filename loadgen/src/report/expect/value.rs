//! A number with its unit.

use crate::report::figure::Dimension;

const TIMES: [(&str, f64); 6] = [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9)];
const SIZES: [(&str, f64); 5] =
    [("", 1.0), ("B", 1.0), ("KiB", 1_024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0)];
const COUNTS: [(&str, f64); 3] = [("", 1.0), ("k", 1e3), ("M", 1e6)];

/// Larger numbers are typing errors; nothing is counted so far.
const LARGEST: f64 = 1e30;

/// The number in the unit of the dimension.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str, dimension: Dimension) -> Result<f64, String> {
    if dimension == Dimension::Verdict {
        return verdict(text);
    }
    let unit_at = text.find(|char: char| char.is_alphabetic()).unwrap_or(text.len());
    let (digits, unit) = (text[..unit_at].trim(), text[unit_at..].trim());
    let number = number(digits, text)?;
    match dimension {
        Dimension::Time if unit.is_empty() && number != 0.0 => Err(format!("`{text}` is a time: add ns, us, ms or s")),
        Dimension::Time if unit.is_empty() => Ok(0.0),
        Dimension::Time => scaled(number, unit, &TIMES, "times: ns, us, ms, s"),
        // Without a unit, the one in the figure's name.
        Dimension::Micros if unit.is_empty() => Ok(number),
        Dimension::Micros => scaled(number, unit, &TIMES, "times: ns, us, ms, s").map(|ns| ns / 1e3),
        Dimension::Bytes => scaled(number, unit, &SIZES, "sizes: B, KiB, MiB, GiB"),
        _ => scaled(number, unit, &COUNTS, "counts and rates: k (thousand), M (million)"),
    }
}

fn verdict(text: &str) -> Result<f64, String> {
    match text {
        "ok" => Ok(1.0),
        "broken" => Ok(0.0),
        _ => Err(format!("`{text}`: it is ok or broken")),
    }
}

/// Digits with at most a point among them, and a sign before them.
fn number(digits: &str, text: &str) -> Result<f64, String> {
    if text.is_empty() {
        return Err(String::from("a number is missing"));
    }
    // Without letters, neither `inf` nor an exponent can be meant.
    let number: Option<f64> = digits.parse().ok();
    number.filter(|number| number.abs() < LARGEST).ok_or_else(|| format!("`{text}` is no number"))
}

fn scaled(number: f64, unit: &str, units: &[(&str, f64)], those: &str) -> Result<f64, String> {
    let found = units.iter().find(|(name, _)| *name == unit);
    found.map(|(_, scale)| number * scale).ok_or_else(|| format!("`{unit}` is no unit of {those}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_applied() {
        let cases = [
            ("5ms", Dimension::Time, 5e6),
            ("0.5 s", Dimension::Time, 5e8),
            ("7µs", Dimension::Time, 7e3),
            ("7us", Dimension::Time, 7e3),
            ("0", Dimension::Time, 0.0),
            ("3.5", Dimension::Micros, 3.5),
            ("800ns", Dimension::Micros, 0.8),
            ("2KiB", Dimension::Bytes, 2_048.0),
            ("450", Dimension::Bytes, 450.0),
            ("15k", Dimension::Count, 15_000.0),
            ("1.5M", Dimension::Rate, 1_500_000.0),
            ("-1", Dimension::Count, -1.0),
            ("ok", Dimension::Verdict, 1.0),
        ];
        for (text, dimension, value) in cases {
            assert_eq!(parse(text, dimension), Ok(value), "{text}");
        }
    }

    #[test]
    fn letters_are_no_numbers() {
        for text in ["inf", "nan", "1e400", "1e5", "--1", "1.2.3", "e"] {
            assert!(parse(text, Dimension::Count).is_err(), "{text}");
        }
    }
}
