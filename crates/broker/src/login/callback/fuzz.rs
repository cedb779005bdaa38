//! Altered requests to the callback port: nothing finishes a login but its own answer, and no page
//! is kept or runs.

use provider_auth_fuzz::Target;
use provider_auth_oauth::{LoginSecrets, Pasted, Server, read_callback};
use url::Url;
use url::form_urlencoded;

use super::head::{self, Expected, Head};
use super::page::Page;
use super::*;

const WORDS: &[&str] = &[
    "GET ",
    "POST ",
    "/callback",
    "?",
    "&",
    "=",
    "#",
    "code=",
    "state=",
    "iss=",
    "error=",
    "error_description=",
    "%00",
    "%3Cscript%3E",
    " HTTP/1.1\r\n",
    "\r\n",
    "Host: ",
    "127.0.0.1:1455",
    "localhost:1455",
    "evil.example",
    "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
];

#[test]
fn no_request_finishes_a_login_but_its_own_answer() {
    let redirect = Url::parse("http://127.0.0.1:1455/callback").unwrap();
    let (expected, server) = (Expected::of(&redirect), Server::default());
    // Its state is AQEB…
    let secrets = LoginSecrets::new(&mut |bytes| bytes.fill(1));
    let target = Target::new("callback", WORDS);
    let finishes = |seed: &&Vec<u8>| match head::read(seed, &expected) {
        Head::Callback(query) => read_callback(&query, &secrets, &server).is_ok(),
        _ => false,
    };
    assert_eq!(target.seeds().iter().filter(finishes).count(), 2);
    target.run(|input| {
        let pasted = String::from_utf8_lossy(input);
        let read = Pasted::of(&pasted);
        if let (Ok(_), Some((_, query))) = (read.read(&secrets, &server), read.address()) {
            assert_state(query, &secrets);
        }
        // What came in two pieces is read as what came in one.
        let half = &input[..input.len() / 2];
        match (head::read(half, &expected), head::read(input, &expected)) {
            (Head::Callback(early), Head::Callback(late)) => assert_eq!(early, late),
            (Head::Callback(_), _) => panic!("a callback is none once more has come"),
            (Head::Refused(_) | Head::Missed(..), Head::Callback(_)) => {
                panic!("a refused request is a callback")
            }
            _ => {}
        }
        match head::read(input, &expected) {
            Head::Incomplete => "incomplete".to_owned(),
            Head::Refused(page) | Head::Missed(_, page) => checked(&page),
            Head::Callback(query) => {
                assert!(
                    input.starts_with(b"GET /callback")
                        || pasted.trim_start().starts_with("GET /callback")
                );
                match read_callback(&query, &secrets, &server) {
                    Ok(_) => {
                        assert_state(&query, &secrets);
                        checked(&Page::connected("acme"))
                    }
                    Err(denied @ CallbackError::Denied { .. }) => {
                        assert_state(&query, &secrets);
                        checked(&Page::denied(&denied.to_string()))
                    }
                    Err(error) => format!("{error:?}"),
                }
            }
        }
    });
}

/// The state of the login is in the query, once.
fn assert_state(query: &str, secrets: &LoginSecrets) {
    let states: Vec<String> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "state")
        .map(|(_, value)| value.into_owned())
        .collect();
    assert_eq!(states, [secrets.state.as_str()]);
}

/// Checks what holds for every page, and returns its status.
fn checked(page: &Page) -> String {
    let response = String::from_utf8(page.response()).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let headers: Vec<&str> = head.split("\r\n").collect();
    for header in [
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
    ] {
        assert!(headers.contains(&header), "{head}");
    }
    assert!(head.contains("content-security-policy: default-src 'none';"));
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    let plain = String::from_utf8(Page::connected("acme").response()).unwrap();
    let tags = |text: &str| text.matches('<').count();
    assert_eq!(tags(&response), tags(&plain), "{body}");
    headers[0].to_owned()
}
