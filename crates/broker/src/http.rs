//! The HTTP client for authorization servers and lists of models: `reqwest` with rustls.
//!
//! It follows no redirect, keeps no connection, tries nothing twice: a refresh token may be good for one use only.
//! Proxies are those of the system (`HTTPS_PROXY`, `NO_PROXY`, …); what goes to this machine takes none.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use provider_auth_oauth::{Http, HttpError, Sending, is_https_or_loopback, is_loopback};
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;
use url::Url;

use crate::limits;

/// Sends requests. Costs nothing until the first one.
pub(crate) struct HttpClient {
    extra_roots: Option<PathBuf>,
    /// Bytes of an answer.
    limit: usize,
    clients: OnceLock<Option<Clients>>,
}

struct Clients {
    remote: reqwest::Client,
    loopback: reqwest::Client,
}

impl HttpClient {
    /// Returns a client that trusts what the system trusts and the certificates of a PEM file (`NODE_EXTRA_CA_CERTS`).
    ///
    /// A file that cannot be read is logged and left out, as Node does. An answer of more than `limit` bytes is refused.
    pub(crate) fn new(extra_roots: Option<PathBuf>, limit: usize) -> Self {
        Self {
            extra_roots,
            limit,
            clients: OnceLock::new(),
        }
    }

    async fn exchange(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, HttpError> {
        let url = Url::parse(&request.uri().to_string()).map_err(|_| HttpError::Other)?;
        if !is_https_or_loopback(&url) {
            return Err(HttpError::Insecure(url.origin().ascii_serialization()));
        }
        let clients = self
            .clients
            .get_or_init(|| Clients::build(self.extra_roots.as_deref()).ok());
        let clients = clients.as_ref().ok_or(HttpError::Tls)?;
        let client = if is_loopback(&url) {
            &clients.loopback
        } else {
            &clients.remote
        };
        let request = reqwest::Request::try_from(request).map_err(|_| HttpError::Other)?;
        let mut response = client.execute(request).await.map_err(reason)?;

        let limit = self.limit;
        if response
            .content_length()
            .is_some_and(|length| length > limit as u64)
        {
            return Err(HttpError::TooLarge);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reason)? {
            if body.len() + chunk.len() > limit {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = http::Response::new(body);
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

impl Http for HttpClient {
    fn send(&self, request: http::Request<Vec<u8>>) -> Sending<'_> {
        Box::pin(self.exchange(request))
    }
}

impl Clients {
    fn build(extra_roots: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let tls = tls(extra_roots)?;
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(concat!("provider-auth/", env!("CARGO_PKG_VERSION")))
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .pool_max_idle_per_host(0)
                .connect_timeout(limits::CONNECT_PATIENCE)
                .timeout(limits::REQUEST_PATIENCE)
        };
        Ok(Self {
            remote: builder().build()?,
            loopback: builder().no_proxy().build()?,
        })
    }
}

fn tls(extra_roots: Option<&Path>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let roots = extra_roots.map(certificates).unwrap_or_default();
    let config = match Verifier::new_with_extra_roots(roots, provider) {
        Ok(verifier) => config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier)),
        // A machine without certificates, as a bare container, still logs in at a server on this machine.
        Err(error) => {
            tracing::warn!(%error, "the system's certificates cannot be used: no https server is trusted");
            config.with_root_certificates(RootCertStore::empty())
        }
    };
    Ok(config.with_no_client_auth())
}

fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    found.unwrap_or_else(|error| {
        tracing::warn!(file = %file.display(), %error, "the extra certificates cannot be used");
        Vec::new()
    })
}

/// Says why no answer came, without the URL, which may hold a secret.
fn reason(error: reqwest::Error) -> HttpError {
    if error.is_timeout() {
        HttpError::Timeout
    } else if is_tls(&error) {
        HttpError::Tls
    } else if error.is_connect() {
        HttpError::Connect
    } else {
        HttpError::Other
    }
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    // An I/O error does not name as its source what it wraps, and may wrap another one.
    let wrapped = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>()
        || wrapped.is_some_and(|inner| is_tls(inner))
        || error.source().is_some_and(is_tls)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Serves one connection with `answer` and returns what came back for a GET, and what the server read.
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
            served(b"HTTP/1.1 429 x\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}".to_vec())
                .await;
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
            b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
                .to_vec(),
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
}
