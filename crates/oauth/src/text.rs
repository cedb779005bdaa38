//! Text from a server, before a person or a terminal sees it.

pub(crate) mod lenient;
pub(crate) mod redaction;

use crate::limits;

use self::redaction::hidden;

/// Returns `text` without control, direction-changing and invisible characters, cut to `limit`
/// characters; `None` when nothing is left.
pub(crate) fn clean(text: &str, limit: usize) -> Option<String> {
    let mut kept: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !changes_direction(*c) && !is_invisible(*c))
        .take(limit)
        .collect();
    kept.truncate(kept.trim_end().len());
    let kept = kept.trim_start();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// Returns `text` cleaned like [`clean`], without any of `secrets` in whatever form, and without
/// what looks like an address of a person or a key: some servers echo what they were sent, or quote
/// what they have just issued.
///
/// It is looked for before and after the cleaning, which joins what a control character had cut in
/// two.
pub(crate) fn without_echo(text: &str, limit: usize, secrets: &[&str]) -> Option<String> {
    let end = text.char_indices().nth(limits::READ_CHARS);
    let text = end.map_or(text, |(end, _)| &text[..end]);
    let whole = clean(&hidden(text, secrets), usize::MAX)?;
    clean(&hidden(&whole, secrets), limit)
}

/// Embeddings, overrides, isolates and marks, with which a text can show other than it is.
fn changes_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Invisible characters, which cut a word in two for a search.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}')
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
            (
                "S3C\u{200b}RET\u{ad}-1 and ada\u{200d}@example.com",
                "[redacted] and [address]",
            ),
            ("S3CRET-1-long and S3CRET-1", "[redacted] and [redacted]"),
        ] {
            let secrets = ["S3CRET-1", "S3CRET-1-long", "in", ""];
            assert_eq!(without_echo(text, 80, &secrets).as_deref(), Some(expect));
        }
    }
}
