//! Text to expectations, and what is wrong with it.

use super::{Comparison, Expectation, value};
use crate::report::figure::{self, Figure};

/// Longest first, so that `<=` is not read as `<`.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::MoreOrEqual),
    ("!=", Comparison::Unequal),
    ("<", Comparison::Less),
    (">", Comparison::More),
    ("=", Comparison::Equal),
];

/// All that stand between commas.
pub fn expectations(text: &str) -> Result<Vec<Expectation>, String> {
    let mut all = Vec::new();
    let mut from = 0;
    for part in text.split(',') {
        all.push(expectation(part).map_err(|(at, words)| complaint(text, from + at, &words))?);
        from += part.len() + 1;
    }
    Ok(all)
}

/// One. An error has the byte of `text` it is about.
fn expectation(text: &str) -> Result<Expectation, (usize, String)> {
    let begin = text.len() - text.trim_start().len();
    let Some(name_end) = text.find(['<', '>', '=', '!']) else {
        return Err((begin, String::from("expected NAME OP VALUE, as in p99<5ms")));
    };
    let name = text[..name_end].trim();
    let rest = &text[name_end..];
    let Some((sign, comparison)) = COMPARISONS.into_iter().find(|(sign, _)| rest.starts_with(sign)) else {
        return Err((name_end, String::from("the comparison is one of < <= > >= = !=")));
    };
    let Some(figure) = Figure::named(name) else {
        return Err((begin, format!("there is no figure `{name}`; there are: {}", figure::names())));
    };
    let written = &rest[sign.len()..];
    let value_at = name_end + sign.len() + (written.len() - written.trim_start().len());
    let value = value::parse(written.trim(), figure.dimension()).map_err(|words| (value_at, words))?;
    Ok(Expectation { text: text.trim().to_owned(), figure, comparison, value })
}

/// The text with a mark under what is wrong with it.
fn complaint(text: &str, at: usize, words: &str) -> String {
    let column = text[..at].chars().count();
    format!("character {}: {words}\n  {text}\n  {}^", column + 1, " ".repeat(column))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mistakes_are_pointed_at() {
        let cases = [
            ("", 1, "expected NAME OP VALUE"),
            ("p99<5ms,", 9, "expected NAME OP VALUE"),
            ("p99 5ms", 1, "expected NAME OP VALUE"),
            ("p99!5ms", 4, "one of < <= > >= = !="),
            ("p99<5ms, loss=0", 10, "no figure `loss`; there are: p50"),
            ("p99<5", 5, "is a time: add ns, us, ms or s"),
            ("p99< 5 mins", 6, "`mins` is no unit of times"),
            ("lost=x", 6, "is no number"),
            ("lost=", 6, "a number is missing"),
            ("lost==0", 6, "`=0` is no number"),
            ("lost=3ms", 6, "`ms` is no unit of counts"),
            ("µ=1,p99<é", 1, "no figure `µ`"),
            ("balance=1", 9, "ok or broken"),
        ];
        for (text, column, words) in cases {
            let complaint = expectations(text).expect_err(text);
            assert!(complaint.starts_with(&format!("character {column}: ")), "{text}: {complaint}");
            assert!(complaint.contains(words), "{text}: {complaint}");
        }
    }

    #[test]
    fn the_mark_stands_under_the_mistake() {
        let complaint = expectations("lost=0,p99<5").expect_err("no unit");
        let lines: Vec<_> = complaint.lines().collect();
        assert_eq!(lines[1..], ["  lost=0,p99<5", "             ^"]);
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_makes_it_panic(text in "\\PC{0,60}") {
            let _ = expectations(&text);
        }

        #[test]
        fn nothing_that_looks_right_makes_it_panic(
            text in "( ?(p99|p[0-9.]{0,4}|lost|balance|max|connect[.]p[0-9]{1,3}|é) ?(<|<=|=|!=|!|>|=>) ?[-+0-9.eEinfa]{0,8} ?(ms|us|µs|k|KiB|ok)?,?){1,4}"
        ) {
            if let Ok(all) = expectations(&text) {
                for expectation in all {
                    prop_assert!(expectation.value.is_finite());
                    prop_assert_eq!(expectations(&expectation.text).expect("read once"), vec![expectation]);
                }
            }
        }
    }
}
