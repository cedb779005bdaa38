//! Where a request goes: to the URL that it was asked for, at the origin that serves the account,
//! and with no key in it.

use std::borrow::Cow;

use url::{Url, form_urlencoded};

use crate::config::{Origin, Provider};
use crate::store::entry::Entry;

/// The URL to call in place of `asked`, which is at `origin`; `None` when that is right as it is.
pub(crate) fn of(
    entry: &Entry,
    provider: &Provider,
    origin: &Origin,
    asked: &str,
) -> Option<String> {
    let keyless = without_keys(asked, provider.key_parameters);
    let own = own_address(entry, provider, origin, keyless.as_deref().unwrap_or(asked));
    own.or(keyless)
}

/// Whether there is a key in the URL.
pub(super) fn has_key(url: &str, key_parameters: &[&str]) -> bool {
    without_keys(url, key_parameters).is_some()
}

/// The URL on the origin where the provider serves this very account; `None` when that is where the
/// request goes anyway.
fn own_address(entry: &Entry, provider: &Provider, origin: &Origin, asked: &str) -> Option<String> {
    let api = entry.credential.audience.api.as_ref()?;
    if api == origin || !entry.may_go(provider, api) {
        return None;
    }
    let mut url = Url::parse(api.as_str()).ok()?;
    let wanted = Url::parse(asked).ok()?;
    url.set_path(wanted.path());
    url.set_query(wanted.query());
    Some(url.into())
}

/// The URL without these parameters of its query and otherwise letter for letter; `None` when it
/// has none of them.
fn without_keys(url: &str, names: &[&str]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let (before, fragment) = match url.find('#') {
        Some(at) => url.split_at(at),
        None => (url, ""),
    };
    let (address, query) = before.split_once('?')?;
    let is_key = |part: &&str| {
        let name = form_urlencoded::parse(part.as_bytes()).next();
        name.is_some_and(|(name, _): (Cow<'_, str>, _)| names.contains(&&*name))
    };
    let kept: Vec<&str> = query.split('&').filter(|part| !is_key(part)).collect();
    if kept.len() == query.split('&').count() {
        return None;
    }
    let query = match kept.is_empty() {
        true => String::new(),
        false => format!("?{}", kept.join("&")),
    };
    Some(format!("{address}{query}{fragment}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_out_of_the_query_and_nothing_else_changes() {
        let table = [
            ("https://a/b", None),
            ("https://a/b?alt=sse", None),
            ("https://a/b?monkey=1&keys=2&x=key", None),
            ("https://a/b#?key=k", None),
            ("https://a/b?key=k", Some("https://a/b")),
            ("https://a/b?key=", Some("https://a/b")),
            ("https://a/b?key", Some("https://a/b")),
            ("https://a/b?key=k&alt=sse", Some("https://a/b?alt=sse")),
            ("https://a/b?alt=sse&key=k#f", Some("https://a/b?alt=sse#f")),
            (
                "https://a/b?x=%C3%BC+y&%6Bey=k&key=l&&z",
                Some("https://a/b?x=%C3%BC+y&&z"),
            ),
        ];
        for (url, expected) in table {
            assert_eq!(without_keys(url, &["key"]).as_deref(), expected, "{url}");
        }
        assert_eq!(without_keys("https://a/b?key=k", &[]), None);
    }
}
