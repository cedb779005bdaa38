//! Where credentials may go: https, or http to this very machine.

use std::fmt;
use std::sync::Arc;

use provider_auth_oauth::is_https_or_loopback;
use serde::{Deserialize, Serialize};
use url::Url;

/// An origin that may receive credentials: `scheme://host[:port]`.
///
/// The scheme is https, or http to this machine; the host is lower-case and a default port is left
/// out, so that equal origins are equal texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(Arc<str>);

impl Origin {
    /// Reads an origin as people write it; a lone slash at the end is fine.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let url = safe_url(text)?;
        if url.host_str().is_some_and(|host| host.contains('*')) {
            return Err(BadUrl::Pattern);
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(BadUrl::NotBare);
        }
        Self::of(&url).ok_or(BadUrl::Insecure)
    }

    /// The origin of a URL; `None` when credentials may not go there at all.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        is_https_or_loopback(url).then(|| Self(url.origin().ascii_serialization().into()))
    }

    /// The origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Origin {
    type Error = BadUrl;

    fn try_from(text: String) -> Result<Self, BadUrl> {
        Self::parse(&text)
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.as_str().to_owned()
    }
}

/// Why a text is not a URL that credentials may go to. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadUrl {
    /// It does not parse, or has no host.
    #[error("expected an absolute URL such as https://example.com")]
    NotAUrl,
    /// Neither https nor http to this machine.
    #[error("expected https (http is for 127.0.0.1, [::1] and localhost only)")]
    Insecure,
    /// A user name or password in front of the host.
    #[error("expected no user name or password in a URL")]
    UserInfo,
    /// A host with an asterisk, which would match nothing.
    #[error("expected one host; a pattern is not understood, so name each origin")]
    Pattern,
    /// More than scheme, host and port.
    #[error("expected an origin, scheme://host[:port], without path, query or fragment")]
    NotBare,
}

/// Reads an absolute URL that credentials may go to.
pub(super) fn safe_url(text: &str) -> Result<Url, BadUrl> {
    let url = Url::parse(text).map_err(|_| BadUrl::NotAUrl)?;
    if !url.has_host() {
        return Err(BadUrl::NotAUrl);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadUrl::UserInfo);
    }
    if is_https_or_loopback(&url) {
        Ok(url)
    } else {
        Err(BadUrl::Insecure)
    }
}

/// Reads the address of an MCP server, without its query: that names no other server, and may hold
/// a secret.
pub(crate) fn mcp_server(text: &str) -> Result<Url, BadUrl> {
    let mut url = safe_url(text)?;
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, BadUrl>) {
        assert_eq!(
            Origin::parse(text).map(|origin| origin.0),
            expect.map(Arc::from),
            "{text}"
        );
    }

    #[test]
    fn equal_origins_are_equal_texts() {
        check("https://api.acme.com", Ok("https://api.acme.com"));
        check("HTTPS://API.Acme.com:443/", Ok("https://api.acme.com"));
        check("https://api.acme.com:8443", Ok("https://api.acme.com:8443"));
        check("http://localhost:80", Ok("http://localhost"));
        check(
            "https://bücher.example",
            Ok("https://xn--bcher-kva.example"),
        );
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        check("http://127.0.0.1:4000", Ok("http://127.0.0.1:4000"));
        check("http://127.8.9.1:4000", Ok("http://127.8.9.1:4000"));
        check("http://[::1]:4000", Ok("http://[::1]:4000"));
        check("http://2130706433:1", Ok("http://127.0.0.1:1"));
        check("http://api.acme.com", Err(BadUrl::Insecure));
        check("http://localhost.acme.com", Err(BadUrl::Insecure));
        check("http://127.0.0.1.acme.com", Err(BadUrl::Insecure));
        check("http://0.0.0.0:80", Err(BadUrl::Insecure));
        check("http://192.168.0.1", Err(BadUrl::Insecure));
        check("ws://localhost", Err(BadUrl::Insecure));
        check("ftp://acme.com", Err(BadUrl::Insecure));
    }

    #[test]
    fn anything_but_an_origin_is_refused() {
        check("", Err(BadUrl::NotAUrl));
        check("api.acme.com", Err(BadUrl::NotAUrl));
        check("/v1", Err(BadUrl::NotAUrl));
        check("data:text/plain,x", Err(BadUrl::NotAUrl));
        check("https://", Err(BadUrl::NotAUrl));
        check("https://*", Err(BadUrl::Pattern));
        check("https://*.acme.com", Err(BadUrl::Pattern));
        check("https://api.acme.com/v1", Err(BadUrl::NotBare));
        check("https://api.acme.com/?a=1", Err(BadUrl::NotBare));
        check("https://api.acme.com#x", Err(BadUrl::NotBare));
        check("https://api.acme.com@evil.example", Err(BadUrl::UserInfo));
        check("https://:pw@evil.example", Err(BadUrl::UserInfo));
    }

    #[test]
    fn a_url_that_credentials_may_not_go_to_has_no_origin() {
        let of = |text: &str| Origin::of(&Url::parse(text).unwrap()).map(|origin| origin.0);
        assert_eq!(
            of("https://api.acme.com/v1/chat?x=1").as_deref(),
            Some("https://api.acme.com")
        );
        assert_eq!(of("http://api.acme.com/v1"), None);
        assert_eq!(of("file:///etc/passwd"), None);
        assert_eq!(of("blob:https://api.acme.com/x"), None);
    }

    #[test]
    fn an_origin_read_back_from_a_record_is_checked_again() {
        let origin: Origin = serde_json::from_str("\"https://api.acme.com\"").unwrap();
        assert_eq!(
            serde_json::to_string(&origin).unwrap(),
            "\"https://api.acme.com\""
        );
        assert!(serde_json::from_str::<Origin>("\"http://api.acme.com\"").is_err());
    }
}
