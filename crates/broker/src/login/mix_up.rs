//! Against a login server that has the user sign in at another one, to get at that one's code (RFC
//! 9700 §4.4).
//!
//! Each issuer that registers a client for us has an address of its own to come back to. An honest
//! server knows none of another's for a client of its own, and an answer that comes to one does not
//! count at another. What no address can tell, the prompt says: which host gets the code. `iss` of
//! an answer (RFC 9207) is checked beside it, in the oauth crate.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use provider_auth_oauth::{CallbackError, Pasted, is_loopback};
use sha2::{Digest, Sha256};
use url::Url;

use crate::limits::REDIRECT_PATH_BYTES;

/// Where logins at this issuer come back to, on a port that is still open.
pub(super) fn redirect_of(issuer: &Url) -> Url {
    let name = issuer.as_str().trim_end_matches('/');
    let digest = Sha256::digest(name);
    let own = URL_SAFE_NO_PAD.encode(&digest[..REDIRECT_PATH_BYTES]);
    let address = format!("http://127.0.0.1/callback/{own}");
    address.parse().expect("an address of ASCII letters")
}

/// Refuses a pasted address that is not the one that this login comes back to. On a page of the web
/// the user may have been sent on; on this machine no server answers, so the address that the
/// browser ends on is the very one.
pub(super) fn check_pasted(pasted: &Pasted, redirect: &Url) -> Result<(), CallbackError> {
    let Some((address, _)) = pasted.address() else {
        return Ok(());
    };
    let after_scheme = address.split_once("://").map_or(address, |(_, rest)| rest);
    match after_scheme.find('/') {
        Some(start) if is_loopback(redirect) && after_scheme[start..] != *redirect.path() => {
            Err(CallbackError::WrongIssuer)
        }
        _ => Ok(()),
    }
}

/// Says who has the user sign in where, and who gets the code if that is another host. `page` and
/// endpoints were named by a server: `mcp`, or the issuer.
pub(super) fn whereabouts(mcp: Option<&Url>, page: &Url, token_endpoint: Option<&Url>) -> String {
    let apart = token_endpoint.and_then(|endpoint| apart(page, endpoint));
    match (mcp, apart) {
        (Some(mcp), Some((page, other))) => format!(
            "The MCP server {mcp} has you sign in at {page}. The code of this login goes to another host, {other}: go on only if \
             you know that the two belong together. "
        ),
        (Some(mcp), None) => format!("The MCP server {mcp} has you sign in at {}. ", host(page)),
        (None, Some((page, other))) => {
            format!("You sign in at {page}; the code of this login goes to {other}. ")
        }
        (None, None) => String::new(),
    }
}

/// Two hosts of a login as a sentence names them, if the code of a sign-in at `page` goes to
/// another than that: with their ports only where nothing else tells them apart.
fn apart(page: &Url, token_endpoint: &Url) -> Option<(String, String)> {
    let (one, other) = (host(page), host(token_endpoint));
    if one != other {
        return Some((one, other));
    }
    let with_port = |url: &Url| match url.port_or_known_default() {
        Some(port) => format!("{}:{port}", host(url)),
        None => host(url),
    };
    let (one, other) = (with_port(page), with_port(token_endpoint));
    (one != other).then_some((one, other))
}

/// The host of an address, as a sentence names it.
fn host(url: &Url) -> String {
    url.host_str().unwrap_or("an unknown host").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn an_issuer_has_one_address_and_does_not_share_it() {
        let own = redirect_of(&url("https://id.example"));
        assert_eq!(own.host_str(), Some("127.0.0.1"));
        assert_eq!(
            (own.scheme(), own.port(), own.query()),
            ("http", None, None)
        );
        assert!(
            own.path().starts_with("/callback/") && own.path().len() == 32,
            "{own}"
        );
        assert_eq!(redirect_of(&url("https://id.example/")), own);
        assert_eq!(redirect_of(&url("https://ID.example:443")), own);
        for other in [
            "https://id.example/tenant",
            "https://id.example:8443",
            "https://id.example.evil",
            "http://id.example",
            "https://evil.example",
        ] {
            assert_ne!(redirect_of(&url(other)), own, "{other}");
        }
    }

    #[test]
    fn a_pasted_address_is_that_of_the_login() {
        let own = "http://127.0.0.1:8976/callback/own";
        for (text, redirect, expect) in [
            (
                "http://127.0.0.1:8976/callback/own?code=a&state=b",
                own,
                true,
            ),
            ("  127.0.0.1:8976/callback/own?code=a&state=b#x ", own, true),
            (
                "http://box.example:1/callback/own?code=a&state=b",
                own,
                true,
            ),
            ("?code=a&state=b", own, true),
            ("code=a&state=b", own, true),
            ("code#state", own, true),
            (
                "http://127.0.0.1:8976/callback/other?code=a&state=b",
                own,
                false,
            ),
            ("http://127.0.0.1:8976/callback?code=a&state=b", own, false),
            (
                "http://127.0.0.1:8976/callback/own/?code=a&state=b",
                own,
                false,
            ),
            ("127.0.0.1:8976/callback/other?code=a&state=b", own, false),
            ("http://127.0.0.1:8976/?code=a&state=b", own, false),
            (
                "<http://127.0.0.1:8976/callback/other?code=a&state=b>",
                own,
                false,
            ),
            (
                "http://127.0.0.1:8976/callback/other#code=a&state=b",
                own,
                false,
            ),
            (
                "http%3A%2F%2F127.0.0.1%3A8976%2Fcallback%2Fother%3Fcode%3Da%26state%3Db",
                own,
                false,
            ),
            (
                "https://page.example/shown?code=a",
                "https://page.example/callback",
                true,
            ),
        ] {
            let found = check_pasted(&Pasted::of(text), &url(redirect));
            assert_eq!(found.is_ok(), expect, "{text}");
        }
    }

    #[test]
    fn hosts_are_told_apart_by_their_ports_only_where_they_must() {
        for (page, token, expect) in [
            ("https://id.example/a", "https://id.example/t", None),
            ("https://id.example/a", "https://id.example:443/t", None),
            (
                "https://id.example/a",
                "https://evil.example:8443/t",
                Some(("id.example", "evil.example")),
            ),
            (
                "http://127.0.0.1:1/a",
                "http://127.0.0.1:2/t",
                Some(("127.0.0.1:1", "127.0.0.1:2")),
            ),
            (
                "https://id.example/a",
                "https://id.example:8443/t",
                Some(("id.example:443", "id.example:8443")),
            ),
        ] {
            let found = apart(&url(page), &url(token));
            let expect = expect.map(|(one, other)| (one.to_owned(), other.to_owned()));
            assert_eq!(found, expect, "{page} {token}");
        }
    }
}
