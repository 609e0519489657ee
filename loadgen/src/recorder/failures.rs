//! What failed, by kinds: how often, and an example of each. The kinds are bounded; none is forgotten.

use crate::talk::{FAILURE_KINDS_MAX, Failures};

/// Bytes of an example that are kept.
const EXAMPLE_MAX: usize = 300;

/// Counts one more of a kind. Control characters of the server's are replaced: kind and example are shown to people.
pub(super) fn note(failures: &mut Vec<Failures>, kind: &str, example: &str) {
    let kind = printable(kind);
    let kind = kind.as_str();
    let known = failures.iter().position(|failure| failure.kind == kind);
    let known = known.or_else(|| (failures.len() >= FAILURE_KINDS_MAX).then_some(FAILURE_KINDS_MAX - 1));
    match known {
        Some(at) => failures[at].count += 1,
        None => {
            // The last kind takes all further ones.
            let kind = if failures.len() == FAILURE_KINDS_MAX - 1 { "other" } else { kind };
            let example = printable(&example[..example.floor_char_boundary(EXAMPLE_MAX)]);
            failures.push(Failures { kind: kind.to_owned(), count: 1, example });
        }
    }
}

fn printable(text: &str) -> String {
    text.replace(|letter: char| letter.is_control(), "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_failures_are_bounded_and_none_is_forgotten() {
        let mut failures = Vec::new();
        for round in 0..2 {
            for kind in 0..100 {
                note(&mut failures, &format!("kind {kind}"), &format!("round {round} {}", "ä".repeat(400)));
            }
        }
        assert_eq!(failures.len(), FAILURE_KINDS_MAX);
        assert_eq!(failures.iter().map(|failure| failure.count).sum::<u64>(), 200);
        assert_eq!((failures[0].count, failures[FAILURE_KINDS_MAX - 1].kind.as_str()), (2, "other"));
        assert!(
            failures
                .iter()
                .all(|failure| failure.example.len() <= EXAMPLE_MAX && failure.example.starts_with("round 0"))
        );
    }

    #[test]
    fn what_a_server_says_cannot_steer_a_terminal() {
        let mut failures = Vec::new();
        note(&mut failures, "closed with 4000 \u{1b}[2J", "a\r\nb");
        note(&mut failures, "closed with 4000 \u{1b}[2J", "again");
        assert_eq!((failures[0].kind.as_str(), failures[0].example.as_str()), ("closed with 4000 ?[2J", "a??b"));
        assert_eq!(failures[0].count, 2);
    }
}
