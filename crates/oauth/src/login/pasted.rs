//! The answer to a login as a person pastes it: with what terminals, chats and shells put around
//! and into it. Pure.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::{
    Callback, CallbackError, LoginSecrets, Server,
    login::{callback, check_state, read_callback},
};

/// The parameters by which a text is known for the query of an answer.
const NAMES: [&str; 4] = ["code=", "state=", "error=", "iss="];

/// A pasted text, without what terminals, chats and shells have added.
#[derive(Debug)]
pub struct Pasted(String);

impl Pasted {
    /// Takes off what came along: marks of a bracketed paste, byte order marks, line breaks and
    /// other white space, quotes and brackets around it, the backslashes of a shell, the escapes of
    /// HTML and of an address as a whole.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut text = text.to_owned();
        for mark in [
            "\u{1b}[200~",
            "\u{1b}[201~",
            "\u{9b}200~",
            "\u{9b}201~",
            "^[[200~",
            "^[[201~",
        ] {
            text = text.replace(mark, "");
        }
        // A terminal that has swallowed the escape leaves the rest of the mark.
        let trimmed = text.trim();
        let trimmed = trimmed.strip_prefix("[200~").unwrap_or(trimmed);
        let trimmed = trimmed.strip_suffix("[201~").unwrap_or(trimmed);
        // A long text is wrapped where it is shown, and indented. Words with spaces between them
        // stay what they are: no code.
        let lines = trimmed.split(is_break).map(str::trim);
        let mut text: String = lines
            .flat_map(str::chars)
            .filter(|c| !is_unseen(*c))
            .collect();
        text = without_backslashes(&text).replace("&amp;", "&");
        let bare = text.trim_matches(|c: char| is_around(c) || c.is_whitespace());
        text = bare.to_owned();
        // An address that was copied out of another one.
        let is_plain = !text.contains(['?', '=', '&']);
        if is_plain && let Some(decoded) = decoded(&text) {
            let is_answer =
                decoded.contains("://") || answer(&decoded).is_some() || starts_query(&decoded);
            if is_answer {
                text = decoded;
            }
        }
        Self(text)
    }

    /// The address before the parameters of an answer, and these; `None` for a bare code, and for
    /// parameters without an address.
    #[must_use]
    pub fn address(&self) -> Option<(&str, &str)> {
        answer(&self.0).filter(|(address, _)| !address.is_empty())
    }

    /// Reads it: the whole redirect URL, its query, `code#state`, or the bare code.
    ///
    /// A bare code carries no state to check. It still cannot be another login's: the server ties
    /// it to our PKCE challenge.
    pub fn read(&self, secrets: &LoginSecrets, server: &Server) -> Result<Callback, CallbackError> {
        let text = self.0.as_str();
        let query = match answer(text) {
            Some((address, query)) if !address.is_empty() => {
                return read_callback(query, secrets, server);
            }
            Some((_, query)) => Some(query),
            None if starts_query(text) => Some(text),
            None if text.contains("://") => return Err(CallbackError::MissingCode),
            None => None,
        };
        let bare = match query {
            None => text,
            Some(query) => {
                let (query, rest) = query.split_once('#').unwrap_or((query, ""));
                match query
                    .strip_prefix("code=")
                    .filter(|code| !code.contains('&'))
                {
                    // No more than the code was copied, perhaps with the state that a page shows
                    // behind it.
                    Some(code) if rest.is_empty() => code,
                    Some(_) => text.trim_start_matches('?').trim_start_matches("code="),
                    None => return read_callback(query, secrets, server),
                }
            }
        };
        let bare = decoded(bare).map_or(Cow::Borrowed(bare), Cow::Owned);
        match bare.split_once('#') {
            Some((code, state)) => {
                check_state(Some(state), secrets)?;
                callback(code)
            }
            None => callback(&bare),
        }
    }
}

/// Reads what a user pasted.
pub fn read_pasted(
    text: &str,
    secrets: &LoginSecrets,
    server: &Server,
) -> Result<Callback, CallbackError> {
    Pasted::of(text).read(secrets, server)
}

/// What stands before the query of an answer, and the query; some servers put it into the fragment.
fn answer(text: &str) -> Option<(&str, &str)> {
    if let Some((address, query)) = text.split_once('?') {
        return Some((address, query.split('#').next().unwrap_or_default()));
    }
    let (address, fragment) = text.split_once('#')?;
    let is_address = !address.is_empty() && !starts_query(address);
    (is_address && starts_query(fragment)).then_some((address, fragment))
}

fn starts_query(text: &str) -> bool {
    NAMES.iter().any(|name| text.starts_with(name))
}

fn is_break(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// Invisible characters, which codes and addresses do not hold.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{ad}'
        )
}

/// What people and programs put around a text.
fn is_around(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '`' | '<' | '>' | '\u{2018}'
            ..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{2039}' | '\u{203a}'
    )
}

/// Some shells write a backslash before what they would read otherwise.
fn without_backslashes(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let escapes = c == '\\'
            && rest
                .peek()
                .is_some_and(|next| !next.is_ascii_alphanumeric());
        if !escapes {
            bare.push(c);
        }
    }
    bare
}

/// The text with its percent escapes undone; `None` where it has none, or a percent sign that
/// begins no escape.
fn decoded(text: &str) -> Option<String> {
    let escapes = text.split('%').skip(1);
    let is_escape =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !text.contains('%') || !escapes.into_iter().all(is_escape) {
        return None;
    }
    percent_decode_str(text)
        .decode_utf8()
        .ok()
        .map(Cow::into_owned)
}
