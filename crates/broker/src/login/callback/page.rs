//! The pages that a browser gets to see.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// One page: a status, a headline and a sentence.
#[derive(Clone)]
pub(super) struct Page {
    status: &'static str,
    title: &'static str,
    text: Cow<'static, str>,
}

impl Page {
    pub(super) const NO_REQUEST: Self = Self::fixed(
        "400 Bad Request",
        "Not a request",
        "This port only takes the answer to a login.",
    );
    pub(super) const NOT_FOUND: Self = Self::fixed(
        "404 Not Found",
        "Nothing here",
        "This port only takes the answer to a login.",
    );
    pub(super) const WRONG_METHOD: Self = Self::fixed(
        "405 Method Not Allowed",
        "Not a request",
        "This port only takes the answer to a login.",
    );
    pub(super) const TAKEN: Self = Self::fixed(
        "409 Conflict",
        "Already answered",
        "This login has been answered. You can close this tab.",
    );
    pub(super) const SIGNED_IN: Self = Self::fixed(
        "200 OK",
        "Already signed in",
        "This login is complete. You can close this tab.",
    );
    pub(super) const WRONG_HOST: Self = Self::fixed(
        "421 Misdirected Request",
        "Nothing here",
        "This port only takes the answer to a login.",
    );
    pub(super) const TOO_LARGE: Self = Self::fixed(
        "431 Request Header Fields Too Large",
        "Too large",
        "This answer is too large to be one to a login.",
    );

    /// The login is done.
    pub(super) fn connected(name: &str) -> Self {
        Self {
            status: "200 OK",
            title: "Connected",
            text: format!("{name} is ready to use. You can close this tab.").into(),
        }
    }

    /// An answer that does not count; `code` is the server's own, of an error in it.
    pub(super) fn other_login(code: Option<&str>) -> Self {
        let said = code.map(|code| format!(" It says: {code}."));
        Self {
            status: "400 Bad Request",
            title: "Not this login",
            text: format!(
                "This answer does not belong to the login that is waiting.{} Go back to the tab of the newest login, or start it again.",
                said.unwrap_or_default()
            )
            .into(),
        }
    }

    /// Whether it says that a login went well.
    pub(super) fn is_success(&self) -> bool {
        self.status.starts_with("200")
    }

    /// The provider said no.
    pub(super) fn denied(reason: &str) -> Self {
        Self {
            status: "403 Forbidden",
            title: "Not connected",
            text: format!("{}. You can close this tab.", capital(reason)).into(),
        }
    }

    /// The provider said yes, and then it went wrong; `code` is the server's own.
    pub(super) fn failed(code: Option<&str>) -> Self {
        let said = code.map(|code| format!(" The server says: {code}."));
        Self {
            status: "502 Bad Gateway",
            title: "Not connected",
            text: format!(
                "The login could not be completed.{} The program that started it says why.",
                said.unwrap_or_default()
            )
            .into(),
        }
    }

    const fn fixed(status: &'static str, title: &'static str, text: &'static str) -> Self {
        Self {
            status,
            title,
            text: Cow::Borrowed(text),
        }
    }

    /// Returns the whole response. Nothing in it runs, loads, frames, or tells another site of the
    /// code in the address.
    pub(super) fn response(&self) -> Vec<u8> {
        let (title, text) = (self.title, escape(&self.text));
        let body = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n<main>\n<h1>{title}</h1>\n<p>{text}</p>\n</main>\n"
        );
        let style = STANDARD.encode(Sha256::digest(STYLE));
        let allow = if self.status.starts_with("405") {
            "allow: GET\r\n"
        } else {
            ""
        };
        format!(
            "HTTP/1.1 {}\r\n\
             content-type: text/html; charset=utf-8\r\n\
             content-length: {}\r\n\
             content-security-policy: default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
             cache-control: no-store\r\n\
             referrer-policy: no-referrer\r\n\
             x-content-type-options: nosniff\r\n\
             {allow}connection: close\r\n\r\n{body}",
            self.status,
            body.len(),
        )
        .into_bytes()
    }
}

const STYLE: &str = "
:root { color-scheme: light dark; --paper: #f6f6f4; --card: #fff; --ink: #1c1c1a; --soft: #5d5d58; --line: #e2e2dd }
@media (prefers-color-scheme: dark) { :root { --paper: #161615; --card: #1f1f1d; --ink: #f1f1ee; --soft: #a3a39c; --line: #33332f } }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { box-sizing: border-box; width: min(28rem, calc(100vw - 2rem)); padding: 2.5rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px }
h1 { margin: 0 0 .5rem; font-size: 1.375rem; line-height: 1.25; text-wrap: balance }
p { margin: 0; color: var(--soft); overflow-wrap: anywhere }
";

fn escape(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut escaped, c| {
            match c {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                c => escaped.push(c),
            }
            escaped
        })
}

fn capital(sentence: &str) -> String {
    let mut rest = sentence.chars();
    rest.next()
        .map(|first| first.to_uppercase().chain(rest).collect())
        .unwrap_or_default()
}
