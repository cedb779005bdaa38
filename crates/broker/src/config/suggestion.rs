//! Guesses which known name a mistyped one was meant to be.

use strsim::osa_distance;

use super::limits::NEAREST_KEY;

/// The known name nearest to the written one, if any is near. Case, dashes and underscores make no
/// difference, so that `client_id` is taken for `clientId`.
pub fn suggestion<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    let written = plain(written);
    let distances = names
        .iter()
        .map(|name| (osa_distance(&written, &plain(name)), *name));
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
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric()).take(64);
    letters.map(|c| c.to_ascii_lowercase()).collect()
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
}
