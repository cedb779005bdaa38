use std::io::Write;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Serves one connection with `answer` and returns what came back for a GET, and what the server
/// read.
async fn served(answer: Vec<u8>) -> (Result<http::Response<Vec<u8>>, HttpError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        // The client may hang up in the middle of it.
        let _ = stream.write_all(&answer).await;
        String::from_utf8(head).unwrap()
    };
    let client = HttpClient::new(None, limits::ANSWER_LIMIT);
    tokio::join!(get(&client, &url), server)
}

async fn get(client: &HttpClient, url: &str) -> Result<http::Response<Vec<u8>>, HttpError> {
    client
        .send(http::Request::get(url).body(Vec::new()).unwrap())
        .await
}

#[tokio::test]
async fn an_answer_comes_back_whole_and_we_say_who_we_are() {
    let (answer, head) =
        served(b"HTTP/1.1 429 x\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}".to_vec()).await;
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.body().as_slice()),
        (429, &b"{}"[..])
    );
    assert_eq!(answer.headers()["retry-after"], "7");
    assert!(
        head.contains(concat!(
            "user-agent: provider-auth/",
            env!("CARGO_PKG_VERSION")
        )),
        "{head}"
    );
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let (answer, _) = served(
        b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec(),
    )
    .await;
    assert_eq!(answer.unwrap().status(), 307);
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_to_its_end() {
    let stated = format!(
        "HTTP/1.1 200 x\r\ncontent-length: {}\r\n\r\n",
        limits::ANSWER_LIMIT + 1
    );
    assert_eq!(
        served(stated.into_bytes()).await.0.unwrap_err(),
        HttpError::TooLarge
    );

    let mut endless = b"HTTP/1.1 200 x\r\nconnection: close\r\n\r\n".to_vec();
    endless.resize(endless.len() + limits::ANSWER_LIMIT + 1, b' ');
    assert_eq!(served(endless).await.0.unwrap_err(), HttpError::TooLarge);

    let mut full = format!(
        "HTTP/1.1 200 x\r\ncontent-length: {}\r\n\r\n",
        limits::ANSWER_LIMIT
    )
    .into_bytes();
    full.resize(full.len() + limits::ANSWER_LIMIT, b' ');
    assert_eq!(
        served(full).await.0.unwrap().body().len(),
        limits::ANSWER_LIMIT
    );
}

#[tokio::test]
async fn each_kind_of_trouble_is_told_apart() {
    let client = HttpClient::new(None, limits::ANSWER_LIMIT);
    assert_eq!(
        get(&client, "http://id.example:81/token?code=S3CRET")
            .await
            .unwrap_err(),
        HttpError::Insecure("http://id.example:81".to_owned())
    );

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/", free.local_addr().unwrap());
    drop(free);
    assert_eq!(get(&client, &nobody).await.unwrap_err(), HttpError::Connect);

    assert_eq!(
        served(b"SSH-2.0-x\r\n\r\n".to_vec()).await.0.unwrap_err(),
        HttpError::Other
    );
    let broken = served(b"HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\n{}".to_vec()).await;
    assert_eq!(broken.0.unwrap_err(), HttpError::Other);

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", plain.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 this port speaks no TLS\r\n\r\n")
            .await
            .unwrap();
        let _ = stream.read_u8().await;
    };
    let (answer, ()) = tokio::join!(get(&client, &url), server);
    assert_eq!(answer.unwrap_err(), HttpError::Tls);
}

#[test]
fn extra_certificates_that_cannot_be_read_are_left_out() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    assert!(certificates(file.path()).is_empty());
    file.write_all(b"-----BEGIN CERTIFICATE-----\nAAECAw==\n-----END CERTIFICATE-----\n")
        .unwrap();
    assert_eq!(certificates(file.path())[0].as_ref(), [0, 1, 2, 3]);
    file.write_all(b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n")
        .unwrap();
    assert!(certificates(file.path()).is_empty());
    assert!(certificates(Path::new("/nowhere/ca.pem")).is_empty());
}

/// A client for which every name leads to these addresses.
fn leading_to(addresses: &'static [&'static str]) -> HttpClient {
    HttpClient {
        look_up: Arc::new(move |_| {
            let found = addresses.iter().map(|address| address.parse().unwrap());
            let found = found.collect();
            Box::pin(async move { Ok(found) })
        }),
        ..HttpClient::new(None, limits::ANSWER_LIMIT)
    }
}

async fn reaching(
    client: &HttpClient,
    url: &str,
    reach: Reach,
) -> Result<http::Response<Vec<u8>>, HttpError> {
    let mut request = http::Request::get(url).body(Vec::new()).unwrap();
    request.extensions_mut().insert(reach);
    client.send(request).await
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("https://login.example:{port}/token");
    let local = || HttpError::Local(format!("https://login.example:{port}"));
    for client in [
        leading_to(&["127.0.0.1"]),
        leading_to(&["::ffff:127.0.0.1", "10.0.0.1"]),
    ] {
        let error = reaching(&client, &url, Reach::PublicOnly)
            .await
            .unwrap_err();
        assert_eq!(error, local());
    }
    // What was refused has not come here: the first connection is that of the request that may
    // come.
    let client = leading_to(&["127.0.0.1"]);
    let noted = reaching(&client, &url, Reach::Observed);
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let first = stream.read_u8().await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 no TLS here\r\n\r\n").await;
        first
    };
    let (answer, first) = tokio::join!(noted, server);
    // A TLS handshake begins so.
    assert_eq!((answer.unwrap_err(), first), (HttpError::Tls, 0x16));
}

#[tokio::test]
async fn an_address_of_this_machine_or_its_network_is_refused_by_its_looks() {
    let client = HttpClient::new(None, limits::ANSWER_LIMIT);
    for url in [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://100.64.0.1/",
        "https://[64:ff9b::1]/",
        "https://[::ffff:0:0]/",
        "https://localhost/",
        "https://localhost./",
        "https://app.localhost/",
        "http://127.0.0.1:1/",
    ] {
        let error = reaching(&client, url, Reach::PublicOnly).await.unwrap_err();
        assert!(matches!(error, HttpError::Local(_)), "{url}: {error}");
    }
}

/// Asks a server on this machine that answers as `mcp.example`, with a certificate that is made for
/// this test and trusted in it.
#[cfg(target_os = "linux")]
async fn answered_by_mcp_example() -> http::Response<Vec<u8>> {
    use std::io::Read;

    use rustls::pki_types::PrivateKeyDer;

    let pem = include_bytes!("mcp.example.pem");
    let key = PrivateKeyDer::from_pem_slice(pem).unwrap();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.unwrap(), key)
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://mcp.example:{}/",
        listener.local_addr().unwrap().port()
    );
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut tls = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut tls = rustls::Stream::new(&mut tls, &mut stream);
        let mut head = [0; 1024];
        let _ = tls.read(&mut head).unwrap();
        tls.write_all(b"HTTP/1.1 401 x\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    });
    let mut roots = tempfile::NamedTempFile::new().unwrap();
    roots.write_all(pem).unwrap();
    let client = HttpClient {
        extra_roots: Some(roots.path().to_owned()),
        ..leading_to(&["127.0.0.1"])
    };
    let answer = reaching(&client, &url, Reach::Observed).await.unwrap();
    server.join().unwrap();
    answer
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_answer_that_comes_from_this_machine_says_so() {
    let answer = answered_by_mcp_example().await;
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.extensions().get(), Some(&FromLocalNetwork));
}

/// Sends a body that may leave as often as `looks` say, in turn, and returns what came of it and what
/// the server read.
async fn sent_under(looks: &'static [bool]) -> (Result<u16, HttpError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"TOKEN") && stream.read_buf(&mut read).await.unwrap() > 0 {}
        let _ = stream
            .write_all(b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n")
            .await;
        String::from_utf8(read).unwrap()
    };
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let look = LastLook(Arc::new(move || {
        looks[asked.fetch_add(1, Ordering::Relaxed)]
    }));
    let request = http::Request::post(&url)
        .extension(look)
        .body(b"refresh_token=TOKEN".to_vec())
        .unwrap();
    let client = HttpClient::new(None, limits::ANSWER_LIMIT);
    let send = async {
        let answer = client.send(request).await;
        drop(client);
        answer.map(|answer| answer.status().as_u16())
    };
    tokio::join!(send, server)
}

#[tokio::test]
async fn a_body_leaves_whole_while_it_may() {
    let (answer, read) = sent_under(&[true, true]).await;
    assert_eq!(answer, Ok(200));
    assert!(read.contains("content-length: 19\r\n"), "{read}");
    assert!(!read.contains("transfer-encoding"), "{read}");
    assert!(read.ends_with("\r\n\r\nrefresh_token=TOKEN"), "{read}");
}

#[tokio::test]
async fn a_body_that_took_too_long_to_connect_does_not_leave() {
    let (answer, read) = sent_under(&[true, false]).await;
    assert_eq!(answer, Err(HttpError::TooLate));
    assert!(!read.contains("TOKEN"), "{read}");
}
