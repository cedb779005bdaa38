//! The port itself: its addresses, and who has it already.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::tests::{accept, port, raw, server, status};
use super::*;
use crate::login::deadline::LastAnswer;

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
