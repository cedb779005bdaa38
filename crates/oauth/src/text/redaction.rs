//! Finds the personal data and secrets in a text: addresses of people, keys and tokens, in whatever
//! form they are written.
//!
//! Secrets that are known are looked for by their content. What is not known is judged by its look,
//! so that a token shows as little as one that only the server knows.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use secrecy::SecretString;

use crate::{limits, secret::reveal};

const SECRET: &str = "[redacted]";
const ADDRESS: &str = "[address]";

/// How keys of well-known makers begin.
const KEY_PREFIXES: [&str; 16] = [
    "sk-",
    "sk_",
    "pk_",
    "rk_",
    "gho_",
    "ghp_",
    "ghr_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "xox",
    "ya29.",
    "AIza",
    "AKIA",
    "eyJ",
];

/// Whether `text` holds what looks like the address of a person, or like a key or a token.
#[must_use]
pub fn looks_private(text: &str) -> bool {
    without_private(text) != text
}

/// Whether `text` begins as the keys of well-known makers do.
#[must_use]
pub fn begins_as_key(text: &str) -> bool {
    KEY_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

/// Returns `text` with what looks like an address of a person, a key or a token replaced by a word
/// for it.
#[must_use]
pub fn without_private(text: &str) -> String {
    hidden(text, &[])
}

/// The same, with these secrets replaced too.
#[must_use]
pub fn without_secrets(text: &str, secrets: &[&SecretString]) -> String {
    let secrets: Vec<&str> = secrets.iter().map(|secret| reveal(secret)).collect();
    hidden(text, &secrets)
}

/// The same, with every one of `secrets` replaced too: as it is, percent-encoded, escaped as in
/// JSON or HTML, in base64 as part of whatever (HTTP Basic), or several of these.
pub(crate) fn hidden(text: &str, secrets: &[&str]) -> String {
    let forms = forms(secrets);
    let mut shown = blotted(text, &forms);
    let mut inner = shown.clone();
    for _ in 0..limits::ENCODINGS {
        let decoded = decoded(&inner);
        if decoded == inner {
            break;
        }
        inner = blotted(&decoded, &forms);
        if inner != decoded {
            shown.clone_from(&inner);
        }
    }
    shown
}

/// A form of a secret to look for.
struct Form<'a> {
    text: Cow<'a, str>,
    /// Whether what stands around it in base64 goes with it.
    is_base64: bool,
}

/// The longest go first, since one may be a part of another.
fn forms<'a>(secrets: &[&'a str]) -> Vec<Form<'a>> {
    let mut forms = Vec::new();
    for secret in secrets {
        if secret.len() < limits::SHORTEST_ECHO_BYTES {
            continue;
        }
        let plain = |text| Form {
            text,
            is_base64: false,
        };
        forms.push(plain(Cow::Borrowed(*secret)));
        if secret.contains(' ') {
            // Form encoding; percent signs are decoded in the text.
            forms.push(plain(Cow::Owned(secret.replace(' ', "+"))));
        }
        let cores = (0..3).flat_map(|ahead| base64_cores(secret, ahead));
        forms.extend(cores.map(|text| Form {
            text: Cow::Owned(text),
            is_base64: true,
        }));
    }
    forms.sort_unstable_by_key(|form| std::cmp::Reverse(form.text.len()));
    forms
}

/// The characters that `secret` takes in base64 wherever it begins `ahead` bytes behind a multiple
/// of three, but those that hold bits of its neighbours.
fn base64_cores(secret: &str, ahead: usize) -> impl Iterator<Item = String> {
    let mut bytes = vec![0; ahead];
    bytes.extend_from_slice(secret.as_bytes());
    let first = [0, 2, 3][ahead];
    let last = usize::from(!bytes.len().is_multiple_of(3));
    let core = move |whole: String| {
        let core = whole.get(first..whole.len() - last).unwrap_or_default();
        (core.len() >= limits::SHORTEST_ECHO_BYTES).then(|| core.to_owned())
    };
    [
        STANDARD_NO_PAD.encode(&bytes),
        URL_SAFE_NO_PAD.encode(&bytes),
    ]
    .into_iter()
    .filter_map(core)
}

fn blotted(text: &str, forms: &[Form<'_>]) -> String {
    let known = forms.iter().fold(text.to_owned(), |text, form| {
        if !text.contains(&*form.text) {
            return text;
        }
        match form.is_base64 {
            true => without_words(&text, is_base64, |word| word.contains(&*form.text)),
            false => text.replace(&*form.text, SECRET),
        }
    });
    without_words(&without_addresses(&known), in_key, is_key)
}

/// Replaces each longest run of characters that `belongs` takes, where `is_secret` says so.
fn without_words(
    text: &str,
    belongs: impl Fn(char) -> bool,
    is_secret: impl Fn(&str) -> bool,
) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(&belongs) {
        let (before, word) = rest.split_at(start);
        let end = word.find(|c| !belongs(c)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        kept.push_str(before);
        kept.push_str(if is_secret(word) { SECRET } else { word });
        rest = after;
    }
    kept + rest
}

/// What a key is written with: base64 in both alphabets, and the dots and strokes that join its
/// parts.
fn in_key(c: char) -> bool {
    is_base64(c) || matches!(c, '.' | '~' | '%')
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_')
}

/// Whether a word looks like a key: it begins like one, or one of its parts is long and mixes
/// letters and digits as words of a language do not. A UUID does not count: servers name their own
/// records by it, and people ask for them by that name.
fn is_key(word: &str) -> bool {
    let begins = |prefix: &&str| {
        word.strip_prefix(*prefix)
            .is_some_and(|rest| rest.len() >= limits::SHORTEST_ECHO_BYTES)
    };
    KEY_PREFIXES.iter().any(begins)
        || word.split(['.', '/', '%']).any(|part| {
            let count = |is: fn(&u8) -> bool| part.bytes().filter(is).count();
            let digits = count(u8::is_ascii_digit);
            let (small, large) = (count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
            let is_mixed = digits >= 2 && small >= 2 && large >= 2;
            let is_key = (is_mixed && part.len() >= limits::SHORTEST_MIXED_KEY_BYTES)
                || (digits >= 3 && small + large >= 3 && part.len() >= limits::SHORTEST_KEY_BYTES);
            is_key && !is_uuid(part)
        })
        || hides_address(word)
}

/// Whether a word is text in base64, as of HTTP Basic, with an address in it.
fn hides_address(word: &str) -> bool {
    let word = word.trim_end_matches(['=', '.']);
    let bytes = STANDARD_NO_PAD
        .decode(word)
        .or_else(|_| URL_SAFE_NO_PAD.decode(word));
    let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.is_some_and(|text| !text.contains(char::is_control) && without_addresses(&text) != text)
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Replaces what stands around an at sign, if it stands on both sides.
fn without_addresses(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_at) {
        let (before, behind) = rest.split_at(at);
        let sign = behind.chars().next().map_or(0, char::len_utf8);
        let behind = &behind[sign..];
        let local = match before.strip_suffix('"').and_then(|text| text.rfind('"')) {
            // A name in quotes may hold anything (RFC 5321 §4.1.2).
            Some(quote) => quote,
            None => before
                .char_indices()
                .rev()
                .take_while(|(_, c)| in_local_part(*c))
                .last()
                .map_or(at, |(start, _)| start),
        };
        let domain = behind.find(|c: char| !in_domain(c)).unwrap_or(behind.len());
        if local < at && domain > 0 {
            kept.push_str(&before[..local]);
            kept.push_str(ADDRESS);
            rest = &behind[domain..];
        } else {
            kept.push_str(&rest[..at + sign]);
            rest = behind;
        }
    }
    kept + rest
}

/// The at sign, and what looks like it.
fn is_at(c: char) -> bool {
    matches!(c, '@' | '\u{ff20}' | '\u{fe6b}')
}

fn in_local_part(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)
}

fn in_domain(c: char) -> bool {
    c.is_alphanumeric() || "-._[:]".contains(c)
}

/// Undoes one layer of percent-encoding and of the escapes of JSON and HTML. Anything else stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (found, length) = match c {
            '%' => percent(rest),
            '\\' => backslash(rest),
            '&' => entity(rest),
            _ => None,
        }
        .unwrap_or((Vec::new(), 0));
        match length {
            0 => {
                bytes.extend_from_slice(&rest.as_bytes()[..c.len_utf8()]);
                rest = &rest[c.len_utf8()..];
            }
            length => {
                bytes.extend_from_slice(&found);
                rest = &rest[length..];
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn percent(text: &str) -> Option<(Vec<u8>, usize)> {
    let digits = text.get(1..3)?;
    Some((vec![u8::from_str_radix(digits, 16).ok()?], 3))
}

fn backslash(text: &str) -> Option<(Vec<u8>, usize)> {
    let (code, length) = match text.get(1..2)? {
        "u" => (u32::from_str_radix(text.get(2..6)?, 16).ok()?, 6),
        "x" => (u32::from_str_radix(text.get(2..4)?, 16).ok()?, 4),
        escaped @ ("/" | "\\" | "\"") => (u32::from(escaped.as_bytes()[0]), 2),
        _ => return None,
    };
    Some((char::from_u32(code)?.to_string().into_bytes(), length))
}

fn entity(text: &str) -> Option<(Vec<u8>, usize)> {
    let end = text.find(';').filter(|end| *end <= 10)?;
    let code = match text.get(1..end)? {
        "amp" => u32::from(b'&'),
        "commat" => u32::from(b'@'),
        "period" => u32::from(b'.'),
        name => {
            let digits = name.strip_prefix('#')?;
            match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            }
        }
    };
    Some((char::from_u32(code)?.to_string().into_bytes(), end + 1))
}
