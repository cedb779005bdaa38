//! The callback port, by real sockets on this machine.

use std::time::Duration;

use provider_auth_oauth::CallbackError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use url::Url;

use super::*;
use crate::login::deadline::LastAnswer;

pub(super) async fn server(redirect: Option<&str>) -> CallbackServer {
    let redirects: Vec<Url> = redirect.iter().map(|url| url.parse().unwrap()).collect();
    CallbackServer::bind(&redirects, LastAnswer::default())
        .await
        .unwrap()
}

pub(super) fn port(server: &CallbackServer) -> u16 {
    server.redirect_uri().port().unwrap()
}

/// Sends bytes and reads until the server closes.
pub(super) async fn raw(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

pub(super) async fn get(port: u16, target: &str) -> String {
    raw(
        port,
        format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").as_bytes(),
    )
    .await
}

pub(super) fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default()
}

/// Stands for `read_callback`: `yes…` is the right answer, `no…` the provider's refusal.
pub(super) fn accept(query: &str) -> Result<String, CallbackError> {
    match query {
        query if query.starts_with("yes") => Ok(query.to_owned()),
        query if query.starts_with("no") => Err(CallbackError::Denied {
            error: "access_denied".to_owned(),
            description: Some("<b>".to_owned()),
        }),
        _ => Err(CallbackError::WrongState),
    }
}

#[tokio::test]
async fn the_right_answer_ends_the_wait_and_the_page_names_the_account() {
    let mut server = server(None).await;
    assert_eq!(server.redirect_uri().path(), "/callback");
    let port = port(&server);
    let browser = tokio::spawn(async move { get(port, "/callback?yes&code=a%20b").await });
    assert_eq!(server.wait(accept).await, Ok("yes&code=a%20b".to_owned()));
    // The tokens are fetched now; who comes again meanwhile is told, at once.
    assert_eq!(status(&get(port, "/callback?yes&code=a%20b").await), 409);
    let began = Instant::now();
    server.close(Ok("Ada <ada@example.com>")).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1));
    let page = browser.await.unwrap();
    assert_eq!(status(&page), 200);
    assert!(
        page.contains("Ada &lt;ada@example.com&gt; is ready to use"),
        "{page}"
    );
    for header in [
        "cache-control: no-store",
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
    ] {
        assert!(page.contains(header), "{header}");
    }
    // For a moment: a page that is loaded again, and anything else, as before.
    let again = get(port, "/callback?yes&code=a%20b").await;
    assert_eq!(status(&again), 200);
    assert!(again.contains("Already signed in"), "{again}");
    assert_eq!(status(&get(port, "/favicon.ico").await), 404);
    linger::end(port).await;
    assert!(
        TcpStream::connect(("127.0.0.1", port)).await.is_err(),
        "the port is closed"
    );
}

#[tokio::test]
async fn another_login_gets_the_port_at_once() {
    let redirect = {
        let first = server(None).await;
        let redirect = first.redirect_uri().clone();
        first.close(Ok("acme")).await.unwrap();
        redirect
    };
    let mut second = server(Some(redirect.as_str())).await;
    let port = port(&second);
    let browser = tokio::spawn(async move { get(port, "/callback?yes").await });
    assert_eq!(second.wait(accept).await, Ok("yes".to_owned()));
    second.close(Err(Some("invalid_client"))).await.unwrap();
    let page = browser.await.unwrap();
    assert!(page.contains("The server says: invalid_client."), "{page}");
    assert!(
        TcpStream::connect(("127.0.0.1", port)).await.is_err(),
        "after a login that failed the port is closed"
    );
}

#[tokio::test]
async fn a_wrong_answer_leaves_the_login_open() {
    let mut server = server(None).await;
    let port = port(&server);
    let strangers = async {
        for target in ["/callback?code=abc&state=other", "/callback", "/callback?"] {
            let page = get(port, target).await;
            assert_eq!(status(&page), 400, "{target}");
            assert!(!page.contains("It says"), "{page}");
        }
        let page = get(port, "/callback?error=interaction_required").await;
        assert!(page.contains("It says: interaction_required."), "{page}");
        let page = get(port, "/callback?error=%3Cb%3Ecall+us").await;
        assert!(!page.contains("It says"), "{page}");
        get(port, "/callback?yes").await
    };
    let login = async {
        let answer = server.wait(accept).await;
        server.close(Err(None)).await.unwrap();
        answer
    };
    let (page, answer) = tokio::join!(strangers, login);
    assert_eq!(answer, Ok("yes".to_owned()));
    assert_eq!(status(&page), 502, "the exchange failed");
}

#[tokio::test]
async fn a_refusal_ends_the_login_and_is_shown_as_text() {
    let mut server = server(None).await;
    let port = port(&server);
    let (page, answer) = tokio::join!(get(port, "/callback?no"), server.wait(accept));
    assert!(
        matches!(answer, Err(CallbackError::Denied { .. })),
        "{answer:?}"
    );
    assert_eq!(status(&page), 403);
    assert!(
        page.contains("&lt;b&gt;") && !page.contains("<b>"),
        "{page}"
    );
    assert_eq!(status(&get(port, "/callback?yes").await), 409);
}

#[tokio::test]
async fn a_refused_user_sees_the_page_although_the_login_is_over() {
    let mut server = server(None).await;
    let port = port(&server);
    let browser = tokio::spawn(async move { get(port, "/callback?no").await });
    assert!(server.wait(accept).await.is_err());
    drop(server);
    assert_eq!(status(&browser.await.unwrap()), 403);
}

#[tokio::test]
async fn only_the_one_path_of_the_one_host_is_served() {
    let server = server(None).await;
    let port = port(&server);
    let right = format!("Host: 127.0.0.1:{port}\r\n");
    let long = "x".repeat(limits::CALLBACK_HEAD_LIMIT);
    for (request, expect) in [
        (format!("GET / HTTP/1.1\r\n{right}\r\n"), 404),
        (format!("GET /callback/ HTTP/1.1\r\n{right}\r\n"), 404),
        (
            format!("GET http://127.0.0.1:{port}/callback?yes HTTP/1.1\r\n{right}\r\n"),
            404,
        ),
        (format!("GET /favicon.ico HTTP/1.1\r\n{right}\r\n"), 404),
        (
            format!("POST /callback?yes HTTP/1.1\r\n{right}content-length: 3\r\n\r\nyes"),
            405,
        ),
        (format!("HEAD /callback?yes HTTP/1.1\r\n{right}\r\n"), 405),
        (
            "GET /callback?yes HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
            421,
        ),
        (
            format!("GET /callback?yes HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"),
            421,
        ),
        (
            format!("GET /callback?yes HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"),
            421,
        ),
        (
            format!("GET /callback?yes HTTP/1.1\r\n{right}Host: evil.example\r\n\r\n"),
            421,
        ),
        ("GET /callback?yes HTTP/1.1\r\n\r\n".to_owned(), 421),
        ("SSH-2.0-x\r\n\r\n".to_owned(), 400),
        ("GET /callback?yes HTTP/1.1\r\n\0\r\n\r\n".to_owned(), 400),
        (format!("GET /callback?{long} HTTP/1.1\r\n{right}\r\n"), 431),
        (
            format!(
                "GET /callback?yes HTTP/1.1\r\n{right}{}\r\n",
                "a: b\r\n".repeat(80)
            ),
            431,
        ),
    ] {
        let answer = raw(port, request.as_bytes()).await;
        assert_eq!(status(&answer), expect, "{request}");
        assert_eq!(answer.contains("allow: GET\r\n"), expect == 405);
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_makes_no_other_wait() {
    let mut server = server(None).await;
    let port = port(&server);
    let mut idle = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut slow = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    slow.write_all(b"GET /callback?yes HTTP/1.1\r\nHost:")
        .await
        .unwrap();
    let browser = tokio::spawn(async move { get(port, "/callback?yes").await });
    let began = Instant::now();
    server.wait(accept).await.unwrap();
    server.close(Ok("acme")).await.unwrap();
    assert_eq!(status(&browser.await.unwrap()), 200);
    assert!(began.elapsed() < Duration::from_secs(1));
    let mut nothing = Vec::new();
    let _ = idle.read_to_end(&mut nothing).await;
    let _ = slow.read_to_end(&mut nothing).await;
    assert!(nothing.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_closed_in_five_seconds() {
    let server = server(None).await;
    let mut slow = TcpStream::connect(("127.0.0.1", port(&server)))
        .await
        .unwrap();
    slow.write_all(b"GET /callback?yes HTTP/1.1\r\nHost:")
        .await
        .unwrap();
    let began = Instant::now();
    assert_eq!(slow.read(&mut [0; 1]).await.unwrap_or_default(), 0);
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_secs(4) && waited <= Duration::from_secs(6),
        "{waited:?}"
    );
}

#[tokio::test]
async fn a_wait_that_was_dropped_can_be_taken_up_again() {
    let mut server = server(None).await;
    let port = port(&server);
    let browser = tokio::spawn(async move { get(port, "/callback?yes").await });
    tokio::select! {
        biased;
        _ = server.wait(accept) => panic!("no client has called yet"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(server.wait(accept).await, Ok("yes".to_owned()));
    server.close(Ok("acme")).await.unwrap();
    assert_eq!(status(&browser.await.unwrap()), 200);
}

#[tokio::test]
async fn a_login_that_ended_otherwise_closes_the_port() {
    let pasted = server(None).await;
    let busy = port(&pasted);
    pasted.close(Err(None)).await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", busy)).await.is_err());

    let CallbackServer { redirect, task, .. } = server(None).await;
    let busy = redirect.port().unwrap();
    task.await.unwrap();
    assert!(TcpStream::connect(("127.0.0.1", busy)).await.is_err());
}

#[tokio::test]
async fn the_redirect_uri_is_taken_to_the_letter() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let redirect = format!("http://127.0.0.1:{free}/auth/callback");
    let mut server = server(Some(&redirect)).await;
    assert_eq!(server.redirect_uri().as_str(), redirect);
    assert_eq!(status(&get(free, "/callback?yes").await), 404);
    let browser = tokio::spawn(async move { get(free, "/auth/callback?yes").await });
    assert_eq!(server.wait(accept).await, Ok("yes".to_owned()));
    server.close(Ok("acme")).await.unwrap();
    assert_eq!(status(&browser.await.unwrap()), 200);
}
