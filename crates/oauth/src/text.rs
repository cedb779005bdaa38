//! Text from a server, before a person or a terminal sees it.

use crate::limits;

/// Returns `text` without control and direction-changing characters, cut to `limit` characters; `None` when nothing is left.
pub(crate) fn clean(text: &str, limit: usize) -> Option<String> {
    let mut kept: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !changes_direction(*c))
        .take(limit)
        .collect();
    kept.truncate(kept.trim_end().len());
    let kept = kept.trim_start();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// Returns `text` with every one of `secrets` blotted out: some servers echo what they were sent.
pub(crate) fn without_echo<'a>(text: &str, secrets: impl Iterator<Item = &'a str>) -> String {
    secrets
        .filter(|secret| secret.len() >= limits::SHORTEST_ECHO_BYTES)
        .fold(text.to_owned(), |text, secret| {
            text.replace(secret, "[redacted]")
        })
}

/// Embeddings, overrides, isolates and marks, with which a text can show other than it is.
fn changes_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_write_escapes_or_pages() {
        for (text, limit, expect) in [
            ("Token expired.", 40, Some("Token expired.")),
            ("  a\u{1b}[31m\nb\u{7}\u{202e}c ", 40, Some("a[31m bc")),
            ("abcdef", 3, Some("abc")),
            ("grüße", 4, Some("grüß")),
            (" \n\u{0}", 40, None),
            ("", 40, None),
        ] {
            assert_eq!(clean(text, limit).as_deref(), expect, "{text:?}");
        }
    }

    #[test]
    fn an_echoed_secret_is_blotted_out_and_a_short_word_is_not() {
        let text = without_echo(
            "token S3CRET-1 is not in S3CRET-1",
            ["S3CRET-1", "in", ""].into_iter(),
        );
        assert_eq!(text, "token [redacted] is not in [redacted]");
    }
}
