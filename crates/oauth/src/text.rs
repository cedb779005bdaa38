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

/// Returns `text` cleaned like [`clean`] and with every one of `secrets` blotted out: some servers echo what they were sent.
///
/// It is looked for before and after the cleaning, which joins what a control character had cut in two.
pub(crate) fn without_echo(text: &str, limit: usize, secrets: &[&str]) -> Option<String> {
    let whole = clean(&blotted(text, secrets), usize::MAX)?;
    clean(&blotted(&whole, secrets), limit)
}

/// The longest go first, since one secret may be a part of another.
fn blotted(text: &str, secrets: &[&str]) -> String {
    let mut secrets: Vec<&str> = secrets
        .iter()
        .copied()
        .filter(|secret| secret.len() >= limits::SHORTEST_ECHO_BYTES)
        .collect();
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.iter().fold(text.to_owned(), |text, secret| {
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
        for (text, expect) in [
            (
                "token S3CRET-1 is not in S3CRET-1",
                "token [redacted] is not in [redacted]",
            ),
            ("S3C\u{7}RET-\u{202e}1 again", "[redacted] again"),
            ("S3CRET-1-long and S3CRET-1", "[redacted] and [redacted]"),
        ] {
            let secrets = ["S3CRET-1", "S3CRET-1-long", "in", ""];
            assert_eq!(without_echo(text, 80, &secrets).as_deref(), Some(expect));
        }
    }
}
