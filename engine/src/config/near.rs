//! "Did you mean …?": the known name closest to a misspelt one.

/// The closest of the names, when it is close enough to have been meant.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters wrong, and at least one: `conections` is meant, `foo` for `log` is not.
    let tolerated = (word.chars().count() / 3).max(1);
    let measured = names.into_iter().map(|name| (distance(word, name), name));
    measured.filter(|(distance, _)| *distance <= tolerated).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Levenshtein's distance: insertions, deletions and replacements from one word to the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, left_char) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (column, right_char) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(left_char != *right_char);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_own() {
        let names = ["connections", "connections_per_ip", "fragments_max"];
        assert_eq!(nearest("conections", names), Some("connections"));
        assert_eq!(nearest("fragment_max", names), Some("fragments_max"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("", names), None);
    }
}
