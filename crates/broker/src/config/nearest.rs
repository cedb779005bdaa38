//! Guesses which known name a mistyped one was meant to be.

use super::limits::NEAREST_KEY;

/// The known name nearest to the written one, if any is near. Case, dashes and underscores make no difference, so
/// that `client_id` is taken for `clientId`.
pub(super) fn nearest<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    let written = plain(written);
    let distances = names
        .iter()
        .map(|name| (distance(&written, &plain(name)), *name));
    distances
        .filter(|(distance, name)| *distance <= NEAREST_KEY.min(name.len() / 3))
        .min()
        .map(|(_, name)| name)
}

/// The letters that count; no name is near to a very long one, so what comes after is cut.
fn plain(name: &str) -> Vec<char> {
    let letters = name.chars().filter(|c| c.is_alphanumeric()).take(64);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// The edit distance of Levenshtein.
fn distance(one: &[char], other: &[char]) -> usize {
    if other.is_empty() {
        return one.len();
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (b, above) in other.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *above;
            left = replaced.min(*above + 1).min(left + 1);
            *above = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_key_that_was_meant() {
        let names = [
            "tokenEndpoint",
            "clientId",
            "clientSecret",
            "scopes",
            "mode",
            "rotate",
            "maxWaitMs",
        ];
        for (written, expect) in [
            ("tokenEndpiont", Some("tokenEndpoint")),
            ("token_endpoint", Some("tokenEndpoint")),
            ("clientid", Some("clientId")),
            ("client-id", Some("clientId")),
            ("scope", Some("scopes")),
            ("modes", Some("mode")),
            ("rotation", None),
            ("maxWait", Some("maxWaitMs")),
            ("", None),
            ("x", None),
            ("apiKey", None),
        ] {
            assert_eq!(nearest(written, &names), expect, "{written}");
        }
    }

    #[test]
    fn the_distance_counts_edits() {
        let check = |one: &str, other: &str| distance(&plain(one), &plain(other));
        assert_eq!(check("kitten", "sitting"), 3);
        assert_eq!(check("", "abc"), 3);
        assert_eq!(check("abc", ""), 3);
        assert_eq!(check("abc", "abc"), 0);
        assert_eq!(check("abc", "abcd"), 1);
    }
}
