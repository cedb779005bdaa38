//! Reads the head of a request to the callback port. Pure.

use url::{Position, Url};

use super::page::Page;

/// The one request that is served.
#[derive(Clone)]
pub(super) struct Expected {
    /// Values of `host` that name this port.
    hosts: Vec<String>,
    path: String,
}

impl Expected {
    pub(super) fn of(redirect: &Url) -> Self {
        let authority = &redirect[Position::BeforeHost..Position::AfterPort];
        let mut hosts = vec![authority.to_owned()];
        if redirect.port().is_none() {
            hosts.push(format!("{authority}:80"));
        }
        Self {
            hosts,
            path: redirect.path().to_owned(),
        }
    }
}

/// What a head comes to.
pub(super) enum Head {
    /// More must be read.
    Incomplete,
    /// The browser comes back with this query.
    Callback(String),
    /// It may be the answer to a login, and comes in a form or to a place where it does not count:
    /// why.
    Missed(String, Page),
    /// Anything else.
    Refused(Page),
}

/// Reads what has come so far.
///
/// `host` is checked because a page of any site can point a name of its own to 127.0.0.1 and ask
/// this port as its own origin (DNS rebinding).
pub(super) fn read(bytes: &[u8], expected: &Expected) -> Head {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) => return Head::Incomplete,
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Head::Refused(Page::TOO_LARGE),
        Err(_) => return Head::Refused(Page::NO_REQUEST),
    }
    let mut hosts = request
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("host"));
    let host_is_right = matches!((hosts.next(), hosts.next()), (Some(host), None)
        if expected.hosts.iter().any(|right| host.value.eq_ignore_ascii_case(right.as_bytes())));
    let (path, query) = request
        .path
        .map(|path| path.split_once('?').unwrap_or((path, "")))
        .unwrap_or_default();
    match request.method {
        _ if !host_is_right => Head::Refused(Page::WRONG_HOST),
        _ if path != expected.path && is_answer(query) => Head::Missed(
            format!(
                "What came last did not count: it came to another path than {}, where this login waits",
                expected.path
            ),
            Page::NOT_FOUND,
        ),
        _ if path != expected.path => Head::Refused(Page::NOT_FOUND),
        Some("GET") => Head::Callback(query.to_owned()),
        Some("POST") => Head::Missed(
            "What came last did not count: the server sent its answer as a form post, and only an answer in the address is taken; \
             set params.authorize.response_mode to \"query\""
                .to_owned(),
            Page::WRONG_METHOD,
        ),
        _ => Head::Refused(Page::WRONG_METHOD),
    }
}

/// Whether a query looks like the answer to a login.
fn is_answer(query: &str) -> bool {
    let mut pairs = query.split('&');
    pairs.any(|pair| pair.starts_with("code=") || pair.starts_with("error="))
}
