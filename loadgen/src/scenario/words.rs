//! What serde says about a value, in words for the person who wrote the file.

/// Names listed when none is near.
const NAMES_LISTED_MAX: usize = 12;

/// The field a message is about, where it is unknown or missing.
pub(super) fn key_in(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("unknown field `").or_else(|| message.strip_prefix("missing field `"))?;
    rest.split('`').next()
}

/// Something is missing in the table the message is about.
pub(super) fn is_missing(message: &str) -> bool {
    message.starts_with("missing field")
}

/// The message, said better.
pub(super) fn of(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        _ if is_missing(message) => String::from("is missing"),
        Some((unknown, known)) if message.starts_with("unknown field") => {
            format!("unknown key{}", suggestion(unknown, known))
        }
        Some((unknown, known)) if message.starts_with("unknown variant") => {
            format!("nothing is called `{unknown}`{}", suggestion(unknown, known))
        }
        _ => types(message.trim_end()),
    }
}

/// `; did you mean …?`, or what there is.
pub(crate) fn suggestion(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() || known.len() > NAMES_LISTED_MAX => String::new(),
        None => format!("; there is {}", known.join(", ")),
    }
}

/// The closest of the names, when it is close enough to have been meant.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // A third of the letters wrong, and at least one: `cilents` is meant, `foo` for `to` is not.
    let tolerated = (word.chars().count() / 3).max(1);
    let measured = known.iter().map(|name| (strsim::damerau_levenshtein(word, name), *name));
    let near = measured.filter(|(distance, _)| *distance <= tolerated).min_by_key(|(distance, _)| *distance);
    // Or without its unit: `steady` is meant for `steady_ms`.
    let longer = || known.iter().find(|name| name.strip_prefix(word).is_some_and(|rest| rest.starts_with('_')));
    near.map(|(_, name)| name).or_else(|| longer().copied())
}

/// Rust's names of types, as TOML has them.
fn types(message: &str) -> String {
    let Some((before, expected)) = message.rsplit_once(", expected ") else { return message.into() };
    let expected = match expected {
        "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "f64" => "a number",
        other => other,
    };
    let found =
        before.strip_prefix("invalid type: ").or_else(|| before.strip_prefix("invalid value: ")).unwrap_or(before);
    format!("expected {expected}, found {found}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        let message = "unknown field `cilents`, expected one of `name`, `clients`";
        assert_eq!(of(message), "unknown key; did you mean `clients`?");
        assert_eq!(of("unknown field `colour`, expected one of `name`, `to`"), "unknown key; there is name, to");
        assert_eq!(of("unknown field `steady`, expected `steady_ms`"), "unknown key; did you mean `steady_ms`?");
        assert_eq!(key_in(message), Some("cilents"));
    }

    #[test]
    fn a_wrong_type_is_said_in_words() {
        assert_eq!(
            of("invalid type: string \"x\", expected u32"),
            "expected a whole number, 0 or more, found string \"x\""
        );
        assert_eq!(of("unknown variant `ecko`, expected `echo`"), "nothing is called `ecko`; did you mean `echo`?");
        assert_eq!(of("missing field `clients`"), "is missing");
    }
}
