//! Values of flags as people write them: times and sizes with units, header lines.

/// A time such as `10s` or `500ms`, in milliseconds.
pub(super) fn milliseconds(text: &str) -> Result<u64, String> {
    let (number, unit) = number_and_unit(text);
    let scale = match unit {
        "ms" => 1.0,
        "s" => 1e3,
        "m" | "min" => 60e3,
        "h" => 3_600e3,
        "" if text == "0" => 1.0,
        _ => return Err(String::from("expected a time with its unit, such as 500ms, 10s, 2m or 1h")),
    };
    scaled(number, scale).ok_or_else(|| format!("`{number}` is no number of {unit}"))
}

/// A size such as `128` or `1KiB`, in bytes.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = number_and_unit(text);
    let scale = match unit {
        "" | "B" => 1.0,
        "k" | "kB" => 1e3,
        "KiB" => 1024.0,
        "MB" => 1e6,
        "MiB" => 1024.0 * 1024.0,
        _ => return Err(String::from("expected bytes, such as 128, 1KiB or 2MiB")),
    };
    let bytes = scaled(number, scale).ok_or_else(|| format!("`{number}` is no number of bytes"))?;
    usize::try_from(bytes).map_err(|_| format!("{text} is too large"))
}

/// A header line such as `Authorization: Bearer x`: name and value.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected 'Name: value'")?;
    Ok((name.trim().into(), value.trim().into()))
}

fn number_and_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

fn scaled(number: &str, scale: f64) -> Option<u64> {
    let value = number.replace('_', "").parse::<f64>().ok()? * scale;
    (value < 1e15).then_some(value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units() {
        assert_eq!(milliseconds("500ms"), Ok(500));
        assert_eq!(milliseconds("1.5s"), Ok(1_500));
        assert_eq!(milliseconds("2m"), Ok(120_000));
        assert_eq!(milliseconds("0"), Ok(0));
        assert_eq!(bytes("1_000"), Ok(1_000));
        assert_eq!(bytes("1.5KiB"), Ok(1_536));
        for text in ["10", "", "s", "-1s", "10 s", "1e3s", "1days"] {
            assert!(milliseconds(text).is_err(), "{text}");
        }
        for text in ["", "x", "-1", "1.2.3", "3 KiB", "9999999999999999MiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_header_is_split_at_its_first_colon() {
        let split = header("X-At: 12:30").unwrap();
        assert_eq!(split, (String::from("X-At"), String::from("12:30")));
        assert!(header("nothing").is_err());
    }
}
