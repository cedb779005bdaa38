//! Guesses which known name a mistyped one was meant to be.

use super::limits::NEAREST_KEY;

/// The known name nearest to the written one, if any is near. Case, dashes and underscores make no difference, so
/// that `client_id` is taken for `clientId`.
pub fn suggestion<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    let written = plain(written);
    let distances = names
        .iter()
        .map(|name| (distance(&written, &plain(name)), *name));
    distances
        .filter(|(distance, name)| *distance <= NEAREST_KEY.min(name.len() / 3))
        .min()
        .map(|(_, name)| name)
}

/// The suggestion as a message goes on; empty where no name is near.
pub(super) fn hint(written: &str, names: &[&str]) -> String {
    suggestion(written, names)
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default()
}

/// The letters that count; no name is near to a very long one, so what comes after is cut.
fn plain(name: &str) -> Vec<char> {
    let letters = name.chars().filter(|c| c.is_alphanumeric()).take(64);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// How many letters are to be added, left out, replaced, or swapped with their neighbour (optimal string alignment).
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let replaced = above[j] + usize::from(a != b);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or_default()
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
            ("mdoe", Some("mode")),
            ("rotation", None),
            ("maxWait", Some("maxWaitMs")),
            ("", None),
            ("x", None),
            ("apiKey", None),
        ] {
            assert_eq!(suggestion(written, &names), expect, "{written}");
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
        assert_eq!(check("lable", "label"), 1);
        assert_eq!(check("ba", "ab"), 1);
    }
}
