//! Makes text of unknown origin safe to print: on a terminal, in a dialog, in a log.

use std::path::Path;

/// A path, as [`visible_text`] shows it.
pub(crate) fn visible(path: &Path) -> String {
    visible_text(&path.to_string_lossy())
}

/// The text with invisible and deceptive characters written out: control characters, and those that
/// turn the direction of writing, join or hide.
pub fn visible_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        // A run of blanks would push what follows out of sight, or into a line of its own.
        let is_run = c == ' ' && before == ' ';
        before = c;
        match is_visible(c) && !is_run {
            true => shown.push(c),
            false => shown.extend(c.escape_unicode()),
        }
    }
    shown
}

/// Whether a character changes how what is around it looks: it turns the direction of writing, or
/// breaks the line.
pub(crate) fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn is_visible(c: char) -> bool {
    !c.is_control()
        && (c == ' ' || !c.is_whitespace())
        && !matches!(
            c,
            '\u{ad}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{ffa0}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_be_seen_is_written_out() {
        let check = |text: &str, expect: &str| assert_eq!(visible_text(text), expect);
        check("/home/ada/größe 日本/.env", "/home/ada/größe 日本/.env");
        check(
            "a\u{1b}[2Jb\r\nc\td\u{7}\u{7f}\u{9b}",
            "a\\u{1b}[2Jb\\u{d}\\u{a}c\\u{9}d\\u{7}\\u{7f}\\u{9b}",
        );
        check("a\u{202e}txt.exe\u{200b}", "a\\u{202e}txt.exe\\u{200b}");
        check(
            "\u{feff}x\u{2028}y\u{e0041}",
            "\\u{feff}x\\u{2028}y\\u{e0041}",
        );
    }
}
