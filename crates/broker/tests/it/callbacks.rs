//! A browser login, by the requests that come to its port.

use std::time::Duration;

use provider_auth_broker::{LoginOptions, Method};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use url::Url;

use crate::server::Answer;
use crate::world::{Process, World, config};

/// A login under way, and where its browser comes back to.
struct Page {
    number: u64,
    port: u16,
    state: String,
}

async fn opened(process: &Process) -> Page {
    let options = LoginOptions {
        provider: "acme".to_owned(),
        method: Some(Method::Browser),
        ..LoginOptions::default()
    };
    let prompt = process.start_login(options).await.unwrap();
    let page = Url::parse(&prompt.url).unwrap();
    let parameter = |wanted: &str| {
        let mut pairs = page.query_pairs();
        pairs
            .find(|(name, _)| name == wanted)
            .unwrap()
            .1
            .into_owned()
    };
    let redirect = Url::parse(&parameter("redirect_uri")).unwrap();
    Page {
        number: prompt.login,
        port: redirect.port().unwrap(),
        state: parameter("state"),
    }
}

/// Sends what a browser would, and returns status and page.
async fn get(port: u16, query: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET /callback?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

#[tokio::test]
async fn only_the_one_right_answer_ends_the_login() {
    let world = World::new();
    let discovery = json!({
        "issuer": "https://id.acme.example",
        "authorization_endpoint": "https://id.acme.example/authorize",
        "token_endpoint": "https://id.acme.example/token",
        "authorization_response_iss_parameter_supported": true,
    });
    world
        .server
        .script([Answer::Status(200, &[], discovery.to_string().into_bytes())]);
    let process = world.process_with(config(json!({ "issuer": "https://id.acme.example" })));
    let Page {
        number,
        port,
        state,
    } = opened(&process).await;
    // It never asks, and the login does not wait for it.
    let _slow = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let iss = "iss=https%3A%2F%2Fid.acme.example";
    for (case, query) in [
        ("no state", format!("code=code-of-ann&{iss}")),
        ("an empty state", format!("code=code-of-ann&state=&{iss}")),
        (
            "another state",
            format!("code=code-of-ann&state=x{state}&{iss}"),
        ),
        (
            "two states",
            format!("code=code-of-ann&state={state}&state={state}&{iss}"),
        ),
        (
            "another state that denies",
            format!("error=access_denied&state=x&{iss}"),
        ),
        ("no issuer", format!("code=code-of-ann&state={state}")),
        (
            "another issuer",
            format!("code=code-of-ann&state={state}&iss=https%3A%2F%2Fevil.example"),
        ),
        ("no code", format!("state={state}&{iss}")),
    ] {
        assert_eq!(get(port, &query).await.0, 400, "{case}");
    }
    // Discovery, and nothing since.
    assert_eq!(world.server.requests(), 1);

    world.server.hold();
    let right = format!("code=code-of-ann&state={state}&{iss}");
    let browser = tokio::spawn({
        let right = right.clone();
        async move { get(port, &right).await }
    });
    world.server.arrived(2).await;
    assert_eq!(get(port, &right).await.0, 409, "a replay");
    let began = Instant::now();
    world.server.release();
    let account = process.finish_login(number, None).await.unwrap();
    let (status, page) = browser.await.unwrap();
    assert_eq!(status, 200);
    assert!(page.contains("ann@acme.example is ready to use"), "{page}");
    // For a moment the port says so to a browser that comes again.
    let (status, page) = get(port, &right).await;
    assert_eq!(status, 200);
    assert!(page.contains("Already signed in"), "{page}");
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(account.label, "ann@acme.example");
    assert_eq!(world.server.requests(), 2);
}

#[tokio::test]
async fn a_login_comes_back_to_the_registered_port_that_is_free() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = |listener: &std::net::TcpListener| {
        format!("http://{}/callback", listener.local_addr().unwrap())
    };
    let process = world.process_with(config(json!({
        "redirectUri": uri(&taken),
        "fallbackRedirectUris": [uri(&free)],
    })));
    let expected = free.local_addr().unwrap().port();
    drop(free);
    let page = opened(&process).await;
    assert_eq!(page.port, expected);
    let query = format!("code=code-of-ann&state={}", page.state);
    assert_eq!(get(page.port, &query).await.0, 200);
    process.finish_login(page.number, None).await.unwrap();
    assert!(
        world
            .server
            .last("redirect_uri")
            .ends_with(&format!(":{expected}/callback"))
    );
}

/// What a browser brings that does not count is what a login that times out tells.
#[tokio::test]
async fn a_login_that_times_out_says_what_came_last_and_why_it_did_not_count() {
    let cases = [
        (
            "GET /callback?error=access_denied",
            "this answer has no state parameter, so it cannot be matched to this login (it held the error access_denied)",
        ),
        (
            "GET /callback?code=a&state=other",
            "this answer belongs to another login",
        ),
        (
            "GET /callback/?code=a&state=other",
            "it came to another path than /callback",
        ),
        ("POST /callback", "as a form post"),
        ("GET /favicon.ico", "No answer came to http://127.0.0.1:"),
    ];
    let mut logins = tokio::task::JoinSet::new();
    for (request, why) in cases {
        logins.spawn(async move {
            let world = World::new();
            let process = world.process();
            let options = LoginOptions {
                provider: "acme".to_owned(),
                method: Some(Method::Browser),
                timeout: Some(Duration::from_secs(2)),
                ..LoginOptions::default()
            };
            let prompt = process.start_login(options).await.unwrap();
            let page = Url::parse(&prompt.url).unwrap();
            let redirect = page
                .query_pairs()
                .find(|(name, _)| name == "redirect_uri")
                .unwrap()
                .1;
            let port = Url::parse(&redirect).unwrap().port().unwrap();
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let head = format!("{request} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            let error = process.finish_login(prompt.login, None).await.unwrap_err();
            assert_eq!(error.code(), "LOGIN_TIMEOUT");
            assert!(error.to_string().contains(why), "{error}");
        });
    }
    logins.join_all().await;
}
