//! Refusals of a request, and not of the account that sends it: by challenge, by what the body
//! names, by its form.

use serde_json::Value;

use crate::response::Response;
use crate::signals::Signals;

/// Tells whether the token serves, but not for this (RFC 6750 §3.1).
pub(crate) fn lacks_scope(response: &Response<'_>) -> bool {
    let challenge = response.header("www-authenticate").unwrap_or_default();
    challenge.split([' ', '\t', ',']).any(|part| {
        matches!(
            part,
            r#"error="insufficient_scope""# | "error=insufficient_scope"
        )
    })
}

/// Tells whether the status is about the form of the request, so that no code says it better: too
/// large, of no known type.
pub(crate) const fn blames_form(status: u16) -> bool {
    matches!(status, 405 | 406 | 411..=417 | 422 | 431)
}

/// Tells whether the status says that the request is wrong: a code of a limit does not change that.
/// A 404 is some providers' word for a plan without allowance.
pub(crate) const fn blames_request(status: u16) -> bool {
    matches!(status, 400 | 410 | 421 | 451) || blames_form(status)
}

/// Tells whether a 403 says that it refuses something in the request.
pub(crate) fn names_input(signals: &Signals, body: Option<&Value>) -> bool {
    let mut paths = signals.input_paths.iter();
    let stands = |path: &str| body.is_some_and(|body| body.pointer(path).is_some_and(says));
    paths.any(|path| stands(path))
}

fn says(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// Tells whether the answer is a page for people: it comes from something before the API, which
/// knows no accounts.
pub(crate) fn is_page(response: &Response<'_>) -> bool {
    let begins = |text: &str, with: &str| {
        text.get(..with.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(with))
    };
    let kind = response.header("content-type").unwrap_or_default();
    if begins(kind.trim_start(), "text/html") || begins(kind.trim_start(), "application/xhtml") {
        return true;
    }
    let body = response.body.unwrap_or_default();
    let body = body.trim_start_matches('\u{feff}').trim_start();
    ["<!doctype html", "<html", "<head", "<body", "<!--"]
        .iter()
        .any(|with| begins(body, with))
}
