//! Numbers as people read them: three digits and a unit; and words from outside, made harmless.

/// A time: `850 ns`, `12.3 µs`, `4.05 ms`, `1.20 s`.
#[must_use]
pub fn time(ns: f64) -> String {
    scaled(ns, 1_000.0, &["ns", "µs", "ms", "s"])
}

/// A length of time as long as phases are: `10.0 s`, `3 min 20 s`, `2 h 5 min`.
#[must_use]
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..=119 => time(ms as f64 * 1e6),
        120..=7_199 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// A size: `512 B`, `1.50 KiB`, `20.0 MiB`.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    scaled(bytes, 1_024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// A count with its thousands apart: `15 000`.
#[must_use]
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of any size: grouped when it is large, three digits when it is small.
#[must_use]
pub fn number(number: f64) -> String {
    if !number.is_finite() {
        return String::from("–");
    }
    let size = number.abs();
    if size < 1_000.0 && number.fract() != 0.0 {
        return digits(number);
    }
    format!("{}{}", if number < 0.0 { "-" } else { "" }, count(size.round() as u64))
}

/// So many a second.
#[must_use]
pub fn rate(per_s: f64) -> String {
    format!("{}/s", number(per_s))
}

/// A number for an axis: `500`, `2k`, `1.5M`.
#[must_use]
pub fn short(number: f64) -> String {
    let (scale, letter) = match number.abs() {
        size if size >= 1e9 => (1e9, "G"),
        size if size >= 1e6 => (1e6, "M"),
        size if size >= 1e3 => (1e3, "k"),
        _ => (1.0, ""),
    };
    format!("{}{letter}", trimmed(rounded(number / scale)))
}

/// A time for an axis: as [`time`], without zeros at the end.
#[must_use]
pub fn short_time(ns: f64) -> String {
    let (scale, unit) = unit_of(ns, 1_000.0, &["ns", "µs", "ms", "s"]);
    format!("{} {unit}", trimmed(rounded(ns / scale)))
}

/// A share of one processor or many, as percent of one: `83 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{} %", digits(share * 100.0))
}

/// A quantile as people say it: `p50`, `p99.9`.
#[must_use]
pub fn quantile(quantile: f64) -> String {
    format!("p{}", trimmed(quantile * 100.0))
}

/// Words from outside on one line, at most `chars_max` long: no control characters, so that they cannot steer a terminal.
#[must_use]
pub fn harmless(words: &str, chars_max: usize) -> String {
    let clean = |char: char| if char.is_control() || is_direction(char) { '\u{fffd}' } else { char };
    let mut chars = words.trim().chars().map(clean);
    let mut short: String = chars.by_ref().take(chars_max).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

/// Characters that turn around the text after them.
fn is_direction(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    if !value.is_finite() {
        return String::from("–");
    }
    let (scale, unit) = unit_of(value, step, units);
    // A whole number of the smallest unit has no digits after the point.
    if scale == 1.0 && value.fract() == 0.0 {
        return format!("{value} {unit}");
    }
    format!("{} {unit}", digits(value / scale))
}

/// The largest unit of which there is one at least, after rounding to three digits.
fn unit_of<'a>(value: f64, step: f64, units: &[&'a str]) -> (f64, &'a str) {
    let mut scale = 1.0;
    let mut at = 0;
    while at + 1 < units.len() && value.abs() >= scale * step * 0.9995 {
        scale *= step;
        at += 1;
    }
    (scale, units[at])
}

/// Three digits, or all of those before the point.
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        size if size == 0.0 || size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// Four digits, so that a value beside an axis is not longer than it is worth.
fn rounded(value: f64) -> f64 {
    let size = value.abs();
    if size == 0.0 || !size.is_finite() {
        return value;
    }
    let power = 10_f64.powf(3.0 - size.log10().floor());
    (value * power).round() / power
}

/// Up to five digits after the point, without zeros at the end.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.5}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { String::from("0") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_the_unit_that_fits() {
        let cases = [
            (0.0, "0 ns"),
            (850.0, "850 ns"),
            (12_345.0, "12.3 µs"),
            (999_600.0, "1.00 ms"),
            (4_050_000.0, "4.05 ms"),
            (1.2e9, "1.20 s"),
            (6e10, "60.0 s"),
            (f64::NAN, "–"),
        ];
        for (ns, text) in cases {
            assert_eq!(time(ns), text);
        }
    }

    #[test]
    fn sizes_and_counts_and_rates() {
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(bytes(1_536.0), "1.50 KiB");
        assert_eq!(bytes(20.0 * 1_048_576.0), "20.0 MiB");
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(number(-12_345.6), "-12 346");
        assert_eq!(number(3.6), "3.60");
        assert_eq!(rate(15_000.4), "15 000/s");
        assert_eq!(percent(0.834), "83.4 %");
    }

    #[test]
    fn durations_are_as_long_as_phases() {
        assert_eq!(duration(10_000), "10.0 s");
        assert_eq!(duration(200_000), "3 min 20 s");
        assert_eq!(duration(7_500_000), "2 h 5 min");
    }

    #[test]
    fn axes_have_no_needless_zeros() {
        assert_eq!(short(20_000.0), "20k");
        assert_eq!(short(1_500_000.0), "1.5M");
        assert_eq!(short(98_765.4), "98.77k");
        assert_eq!(short(0.0), "0");
        assert_eq!(short_time(2_000_000.0), "2 ms");
        assert_eq!(quantile(0.999), "p99.9");
        assert_eq!(quantile(0.5), "p50");
    }

    #[test]
    fn words_from_outside_cannot_steer_a_terminal() {
        assert_eq!(harmless("\x1b[2J gone\nnext \u{202e}", 40), "\u{fffd}[2J gone\u{fffd}next \u{fffd}");
        assert_eq!(harmless("0123456789", 4), "0123…");
    }
}
