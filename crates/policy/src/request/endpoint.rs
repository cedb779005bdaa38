//! The endpoint that a request goes to, as far as refusals of it are charged to that.

use crate::limits;

/// Returns the path of an endpoint without what differs from one call to the next: `/v1/files/*` of
/// `/v1/files/file-8Q2x`.
///
/// Ids of things may name a person's data, and are many. A version or a word stays; whatever has
/// more than a digit or two in it, or is long, does not.
pub(crate) fn of(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut endpoint = String::new();
    let parts = path.split('/').filter(|part| !part.is_empty());
    for part in parts.take(limits::PATH_PARTS) {
        endpoint.push('/');
        endpoint.push_str(if is_word(part) { part } else { "*" });
    }
    if endpoint.is_empty() {
        endpoint.push('/');
    }
    endpoint
}

fn is_word(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    part.len() <= limits::PATH_PART_LONGEST && digits <= 2 && part.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_keeps_its_words_and_loses_its_ids() {
        for (path, expect) in [
            ("/v1/models", "/v1/models"),
            ("/v1/models/", "/v1/models"),
            ("//v1//models?limit=1000", "/v1/models"),
            ("/v1/chat/completions#top", "/v1/chat/completions"),
            (
                "/v1beta/models/gemini-2.5-flash:generateContent",
                "/v1beta/models/*",
            ),
            ("/v1/files/file-8Q2x71", "/v1/files/*"),
            (
                "/v1/threads/thread_abcdefghijklmnopqrstuvwxyz/runs",
                "/v1/threads/*/runs",
            ),
            ("/users/ann@example.com", "/users/*"),
            ("/v1/%61", "/v1/*"),
            ("", "/"),
            ("/", "/"),
            ("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/h"),
        ] {
            assert_eq!(of(path), expect, "{path}");
        }
    }
}
