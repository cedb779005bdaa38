//! What is wrong with a proxy, in words of its own. The HTTP client only tells that it could not
//! connect, so the proxy is asked once more for the way, and its answer is read.

use http::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use provider_auth_oauth::HttpError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use crate::limits;

/// The proxies of the system, as the HTTP client takes them.
pub(super) struct Proxies(Matcher);

impl Proxies {
    pub(super) fn system() -> Self {
        Self(Matcher::from_system())
    }

    /// The proxy on the way to a URL.
    pub(super) fn of(&self, url: &Url) -> Option<Proxy> {
        let target = url.as_str().parse().ok()?;
        self.0.intercept(&target).map(Proxy)
    }
}

/// One proxy.
pub(super) struct Proxy(Intercept);

impl Proxy {
    /// Its origin, without the name and password for it.
    fn origin(&self) -> String {
        let uri = self.0.uri();
        let scheme = uri.scheme_str().unwrap_or("http");
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        format!("{scheme}://{authority}")
    }

    /// Refuses one that speaks another protocol than HTTP.
    pub(super) fn check(&self) -> Result<(), HttpError> {
        match self.0.uri().scheme_str() {
            Some(scheme) if scheme.starts_with("socks") => {
                Err(HttpError::SocksProxy(self.origin()))
            }
            _ => Ok(()),
        }
    }

    /// Asks the proxy for the way to the host of `url`, and says what it answers; `None` where it
    /// opens the way, or where nothing is to be understood.
    pub(super) async fn trouble(&self, url: &Url) -> Option<HttpError> {
        let uri = self.0.uri();
        if uri.scheme_str() != Some("http") {
            return None;
        }
        let asking = self.ask(url, (uri.host()?, uri.port_u16().unwrap_or(80)));
        let status = match timeout(limits::CONNECT_TIMEOUT, asking).await {
            Ok(Some(status)) => status?,
            // Too slow, or not there.
            Ok(None) | Err(_) => return Some(HttpError::NoProxy(self.origin())),
        };
        let proxy = self.origin();
        match status {
            407 => Some(HttpError::ProxyLogin(proxy)),
            400..=499 => Some(HttpError::ProxyRefused { proxy, status }),
            500..=599 => Some(HttpError::ProxyFailed { proxy, status }),
            _ => None,
        }
    }

    /// The status of the proxy's answer, if it is one; nothing where it cannot be connected to.
    async fn ask(&self, url: &Url, proxy: (&str, u16)) -> Option<Option<u16>> {
        let mut stream = TcpStream::connect(proxy).await.ok()?;
        let host = url.host_str().unwrap_or_default();
        let target = format!("{host}:{}", url.port_or_known_default().unwrap_or(443));
        let credentials = self.0.basic_auth().map(HeaderValue::as_bytes);
        let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(credentials) = credentials {
            head.extend([b"Proxy-Authorization: ", credentials, b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        let answer = async {
            stream.write_all(&head).await.ok()?;
            let mut answer = Vec::new();
            let mut limited = stream.take(limits::PROXY_HEAD_LIMIT);
            loop {
                let mut headers = [httparse::EMPTY_HEADER; 64];
                let mut response = httparse::Response::new(&mut headers);
                let parsed = response.parse(&answer);
                if let (Ok(_), Some(code)) = (parsed, response.code) {
                    return Some(code);
                }
                if parsed.is_err() || limited.read_buf(&mut answer).await.ok()? == 0 {
                    return None;
                }
            }
        };
        Some(answer.await)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn proxies(proxy: &str) -> Proxies {
        Proxies(Matcher::builder().all(proxy.to_owned()).build())
    }

    fn target() -> Url {
        "https://id.acme.example/token?code=S3CRET".parse().unwrap()
    }

    #[test]
    fn a_socks_proxy_is_told_without_its_password() {
        for scheme in ["socks4", "socks4a", "socks5", "socks5h"] {
            let proxy = proxies(&format!("{scheme}://ann:S3CRET@10.0.0.1:1080"));
            let proxy = proxy.of(&target()).unwrap();
            let told = HttpError::SocksProxy(format!("{scheme}://10.0.0.1:1080"));
            assert_eq!(proxy.check(), Err(told));
        }
        let http = proxies("http://10.0.0.1:3128");
        assert_eq!(http.of(&target()).unwrap().check(), Ok(()));
    }

    #[tokio::test]
    async fn what_a_proxy_answers_is_told_apart() {
        let refused = |status| move |proxy| HttpError::ProxyRefused { proxy, status };
        let failed = |status| move |proxy| HttpError::ProxyFailed { proxy, status };
        type Told = Box<dyn Fn(String) -> HttpError>;
        let cases: Vec<(&str, Option<Told>)> = vec![
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
                Some(Box::new(HttpError::ProxyLogin)),
            ),
            (
                "HTTP/1.0 403 Forbidden\r\n\r\n<html>",
                Some(Box::new(refused(403))),
            ),
            ("HTTP/1.1 405 No\r\n\r\n", Some(Box::new(refused(405)))),
            (
                "HTTP/1.1 502 Bad Gateway\r\n\r\n",
                Some(Box::new(failed(502))),
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", None),
            ("SSH-2.0-x\r\n", None),
            ("", None),
        ];
        for (answer, told) in cases {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let proxy = proxies(&format!("http://ann:S3CRET@{address}"));
            let proxy = proxy.of(&target()).unwrap();
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    asked.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                String::from_utf8(asked).unwrap()
            };
            let url = target();
            let (found, asked) = tokio::join!(proxy.trouble(&url), server);
            assert_eq!(
                found,
                told.map(|told| told(format!("http://{address}"))),
                "{answer}"
            );
            assert!(
                asked.starts_with("CONNECT id.acme.example:443 HTTP/1.1\r\n"),
                "{asked}"
            );
            assert!(asked.contains("Proxy-Authorization: Basic "));
            assert!(!asked.contains("S3CRET"), "no more than the host is told");
        }
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let proxy = proxies(&format!("http://{address}"));
        let found = proxy.of(&target()).unwrap().trouble(&target()).await;
        assert_eq!(found, Some(HttpError::NoProxy(format!("http://{address}"))));
    }
}
