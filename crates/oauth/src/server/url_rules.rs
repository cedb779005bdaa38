//! Which URLs are safe for a secret, and which issuers are the same.

use url::{Host, Url};

use crate::OauthError;

/// Whether `url` is https, or http to this very machine: elsewhere a secret could be read on its
/// way.
#[must_use]
pub fn is_https_or_loopback(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    }
}

/// Whether `url` names this very machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns the endpoint, or says that it is not known or not safe.
pub(crate) fn endpoint<'a>(
    url: Option<&'a Url>,
    which: &'static str,
) -> Result<&'a Url, OauthError> {
    let url = url.ok_or(OauthError::MissingEndpoint { which })?;
    require_secure(url)?;
    Ok(url)
}

/// Refuses a URL that is neither https nor loopback.
pub(crate) fn require_secure(url: &Url) -> Result<(), OauthError> {
    if is_https_or_loopback(url) {
        return Ok(());
    }
    Err(OauthError::InsecureEndpoint {
        url: format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()),
    })
}

/// Whether two issuers are the same: equal but for one slash at the end, which people leave out and
/// `Url` puts in.
pub(crate) fn same_issuer(one: &str, other: &str) -> bool {
    fn bare(issuer: &str) -> String {
        let whole = Url::parse(issuer).map_or_else(|_| issuer.to_owned(), String::from);
        whole.strip_suffix('/').map(str::to_owned).unwrap_or(whole)
    }
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_are_safe() {
        for (url, safe) in [
            ("https://id.example/token", true),
            ("http://127.0.0.1:8080/token", true),
            ("http://127.8.9.1/token", true),
            ("http://[::1]:8080/token", true),
            ("http://localhost/token", true),
            // Not every resolver keeps names below `localhost` on this machine (RFC 6761 §6.3 only
            // asks for it).
            ("http://app.localhost/token", false),
            ("http://id.example/token", false),
            ("http://127.0.0.1.example/token", false),
            ("http://localhost.example/token", false),
            ("http://0.0.0.0/token", false),
            ("http://192.168.0.1/token", false),
            ("ftp://localhost/token", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(is_https_or_loopback(&url.parse().unwrap()), safe, "{url}");
        }
    }

    #[test]
    fn an_issuer_may_lack_its_last_slash_and_nothing_else() {
        for (one, other, same) in [
            ("https://id.example", "https://id.example/", true),
            ("https://id.example:443/", "https://id.example", true),
            ("https://id.example/a", "https://id.example/a/", true),
            ("https://id.example/a", "https://id.example/b", false),
            ("https://id.example", "http://id.example", false),
            ("https://id.example", "https://id.example.evil", false),
        ] {
            assert_eq!(same_issuer(one, other), same, "{one} {other}");
        }
    }
}
