//! The callback port, by real sockets on this machine.

use std::time::Duration;

use provider_auth_oauth::CallbackError;
use tokio::time::Instant;

use super::*;
use crate::login::deadline::LastAnswer;

async fn server(redirect: Option<&str>) -> CallbackServer {
    let redirects: Vec<Url> = redirect.iter().map(|url| url.parse().unwrap()).collect();
    CallbackServer::bind(&redirects, LastAnswer::default())
        .await
        .unwrap()
}

fn port(server: &CallbackServer) -> u16 {
    server.redirect_uri().port().unwrap()
}

/// Sends bytes and reads until the server closes.
async fn raw(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn get(port: u16, target: &str) -> String {
    raw(
        port,
        format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").as_bytes(),
    )
    .await
}

fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default()
}

/// Stands for `read_callback`: `yes…` is the right answer, `no…` the provider's refusal.
fn accept(query: &str) -> Result<String, CallbackError> {
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
async fn a_client_that_says_nothing_keeps_nobody_waiting() {
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
        _ = server.wait(accept) => panic!("nobody has called yet"),
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

#[tokio::test]
async fn localhost_is_served_on_every_address_that_it_has() {
    let server = server(Some("http://localhost/callback")).await;
    let port = port(&server);
    assert_eq!(
        server.redirect_uri().as_str(),
        format!("http://localhost:{port}/callback")
    );
    let request = format!("GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    assert_eq!(status(&raw(port, request.as_bytes()).await), 404);
    // A machine may have no IPv6.
    if TcpListener::bind("[::1]:0").await.is_ok() {
        assert!(TcpStream::connect(("::1", port)).await.is_ok());
    }
}

/// Somebody else's port.
async fn taken() -> (TcpListener, u16) {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = other.local_addr().unwrap().port();
    (other, port)
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (_other, port) = taken().await;
    for host in ["127.0.0.1", "localhost"] {
        let redirect = format!("http://{host}:{port}/callback").parse().unwrap();
        let error = CallbackServer::bind(&[redirect], LastAnswer::default())
            .await
            .err()
            .unwrap();
        assert_eq!(error.code(), "CALLBACK_PORT_BUSY");
        let who = match cfg!(target_os = "linux") {
            true => format!("(process {})", std::process::id()),
            false => "names it".to_owned(),
        };
        let said = error.to_string();
        assert!(
            said.contains(&format!("port {port} is in use")) && said.contains(&who),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_registered_fall_back_is_taken_when_the_port_is_busy() {
    let (_one, first) = taken().await;
    let (_two, second) = taken().await;
    let (three, third) = taken().await;
    drop(three);
    let uri = |port: u16| Url::parse(&format!("http://127.0.0.1:{port}/callback")).unwrap();
    let redirects = [uri(first), uri(second), uri(third)];
    let server = CallbackServer::bind(&redirects, LastAnswer::default())
        .await
        .unwrap();
    assert_eq!(server.redirect_uri(), &redirects[2]);
    let error = CallbackServer::bind(&redirects, LastAnswer::default())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(error, BrokerError::CallbackPortBusy { port, .. } if port == first),
        "{error}"
    );
}

#[tokio::test]
async fn the_other_loopback_is_served_where_there_is_one() {
    // A machine may have no IPv6.
    if TcpListener::bind("[::1]:0").await.is_err() {
        return;
    }
    let mut server = server(Some("http://[::1]/callback")).await;
    let port = port(&server);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    let browser = tokio::spawn(async move {
        let mut stream = TcpStream::connect(("::1", port)).await.unwrap();
        let request = format!("GET /callback?yes HTTP/1.1\r\nHost: [::1]:{port}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    });
    assert_eq!(server.wait(accept).await, Ok("yes".to_owned()));
    server.close(Ok("acme")).await.unwrap();
    assert_eq!(status(&browser.await.unwrap()), 200);
}

#[tokio::test]
async fn a_redirect_to_another_machine_is_not_listened_for() {
    for redirect in [
        "https://127.0.0.1:9/callback",
        "http://id.example/callback",
        "http://192.168.0.1:9/",
        "app:/callback",
    ] {
        let error = CallbackServer::bind(&[redirect.parse().unwrap()], LastAnswer::default())
            .await
            .err();
        assert!(
            matches!(error, Some(BrokerError::InvalidArgument(_))),
            "{redirect}: {error:?}"
        );
    }
}
