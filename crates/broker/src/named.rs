//! How an error names what a call passed in: an id of ours as it is, anything else without its
//! content, since people pass in addresses and keys by mistake.

use std::time::{Duration, UNIX_EPOCH};

use provider_auth_oauth::{looks_private, without_private};
use provider_auth_policy::Timestamp;
use provider_auth_vault::RecordId;

use crate::limits::SHOWN_NAME_CHARS;

/// An account, behind `there is no account`.
pub(crate) fn account(id: &str) -> String {
    match id.parse::<RecordId>() {
        Ok(id) => format!("\"{id}\""),
        Err(_) => format!(
            "of what was given as its id or label ({}); listAccounts shows both",
            characters(id)
        ),
    }
}

/// An attempt, behind `there is no attempt`.
pub(crate) fn attempt(given: &str) -> String {
    match handle(given) {
        Some(handle) => format!("\"{handle}\""),
        None => format!("of what was given as its handle ({})", characters(given)),
    }
}

/// The handle of an attempt, if it has the form of one.
pub(crate) fn handle(handle: &str) -> Option<&str> {
    let parts: Vec<&str> = handle.split('-').collect();
    let is_hex = |part: &&str| {
        (1..=16).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    (parts.len() == 3 && parts[0].len() == 8 && parts.iter().all(is_hex)).then_some(handle)
}

/// A provider, if it may be shown.
pub(crate) fn provider(id: &str) -> Option<&str> {
    let is_word = !id.is_empty()
        && id.len() <= SHOWN_NAME_CHARS
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/@".contains(&byte));
    (is_word && !looks_private(id)).then_some(id)
}

/// A provider that is not known, behind `the provider`.
pub(crate) fn unknown_provider(id: &str) -> String {
    match provider(id) {
        Some(id) => format!("\"{id}\""),
        None => format!("that was named ({})", characters(id)),
    }
}

/// An option, behind `has no option`.
pub(crate) fn option(key: &str) -> String {
    match provider(key) {
        Some(key) => key.to_owned(),
        None => format!("of the name that was given ({})", characters(key)),
    }
}

/// A time, as HTTP writes it.
pub(crate) fn time(at: Timestamp) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(at.as_millis()))
}

/// A time, as RFC 3339 has it: in UTC, with milliseconds.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let (days, rest) = (at.as_millis() / 86_400_000, at.as_millis() % 86_400_000);
    let (seconds, millis) = (rest / 1000, rest % 1000);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that
    // the day that some have more is their last.
    let days = days + 719_468;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + days / 146_097 * 400 + u64::from(month <= 2);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{:02}.{millis:03}Z",
        seconds % 60
    )
}

/// A name that the user gave, as of a namespace.
pub(crate) fn name(text: &str) -> String {
    without_private(text)
}

fn characters(text: &str) -> String {
    match text.chars().count() {
        1 => "1 character".to_owned(),
        count => format!("{count} characters"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: [&str; 7] = [
        "ada@example.com",
        "ada%40example.com",
        "sk-ant-api03-S3CRETS3CRET",
        "gho_S3CRETS3CRETS3CRETS3CRETS3CRETS3CRET",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "8f14e45fceea167a5a36dedd4bea2543",
        "AIzaSyS3CRETS3CRET",
    ];

    #[test]
    fn a_time_is_written_as_rfc_3339_has_it() {
        for (millis, expect) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_007, "2024-02-29T23:59:59.007Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (1_798_761_600_000, "2027-01-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(Timestamp::from_millis(millis)), expect);
        }
    }

    #[test]
    fn an_id_of_ours_is_shown_and_nothing_else() {
        let id = "01HZX3V5N6Q7R8S9T0ABCDEFGH";
        assert_eq!(account(id), format!("\"{id}\""));
        assert_eq!(attempt("0000002a-1-ff"), "\"0000002a-1-ff\"");
        for text in PRIVATE
            .into_iter()
            .chain(["S3CRET", "", "a-b-c", "ada\u{7}", "x-1-2"])
        {
            let length = text.chars().count().to_string();
            for shown in [account(text), attempt(text)] {
                assert!(
                    text.is_empty() || !shown.contains(&format!("\"{text}")),
                    "{shown}"
                );
                assert!(
                    shown.contains(&length) && !shown.contains("S3CRET"),
                    "{shown}"
                );
            }
        }
    }

    #[test]
    fn a_provider_is_named_unless_it_looks_like_an_address_or_a_key() {
        for id in [
            "anthropic",
            "github-copilot",
            "acme.eu",
            "azure-2024",
            "@acme/notes",
            "MCP_1",
        ] {
            assert_eq!(unknown_provider(id), format!("\"{id}\""));
        }
        for id in PRIVATE
            .into_iter()
            .chain(["", "a b", "\u{1b}[31m", &"x".repeat(200)])
        {
            assert_eq!(provider(id), None, "{id}");
            let shown = unknown_provider(id);
            assert!(shown.ends_with(" characters)"), "{shown}");
        }
        for text in PRIVATE {
            assert!(!name(text).contains(&text[..4]), "{text}");
        }
        assert_eq!(name("work"), "work");
    }
}
