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
pub(crate) fn attempt(handle: &str) -> String {
    let parts: Vec<&str> = handle.split('-').collect();
    let is_hex = |part: &&str| {
        (1..=16).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    match parts.len() == 3 && parts[0].len() == 8 && parts.iter().all(is_hex) {
        true => format!("\"{handle}\""),
        false => format!("of what was given as its handle ({})", characters(handle)),
    }
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
