//! The HTTP client that this crate is handed.

use std::{future::Future, pin::Pin};

/// Sends one request.
///
/// The implementor does not follow redirects, caps body and time, refuses what is neither https nor loopback, and keeps to
/// the [`Reach`] that it finds among the extensions of a request.
pub trait Http: Send + Sync {
    /// Sends `request` and reads the whole answer, of whatever status.
    fn send(&self, request: http::Request<Vec<u8>>) -> Sending<'_>;
}

/// A request under way.
pub type Sending<'a> =
    Pin<Box<dyn Future<Output = Result<http::Response<Vec<u8>>, HttpError>> + Send + 'a>>;

/// How far a request may reach; one that says nothing may reach anything. It holds for where a name leads at the moment of
/// connecting, so that a name that leads elsewhere the next time does not help its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere; an answer that can only come from this machine or its network says so ([`FromNearby`]).
    Noted,
    /// Not to this machine or its network ([`HttpError::Local`]).
    Elsewhere,
}

/// Stands among the extensions of an answer that came from this machine or its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromNearby;

/// Sends requests no farther than they may reach.
pub struct Bounded<'a> {
    http: &'a dyn Http,
    reach: Option<Reach>,
    except: Vec<String>,
}

impl<'a> Bounded<'a> {
    /// Returns a client whose requests may reach so far; those to the hosts `except`, which the user has named, anything.
    #[must_use]
    pub fn new(http: &'a dyn Http, reach: Option<Reach>, except: Vec<String>) -> Self {
        Self {
            http,
            reach,
            except,
        }
    }
}

impl Http for Bounded<'_> {
    fn send(&self, mut request: http::Request<Vec<u8>>) -> Sending<'_> {
        let host = request.uri().host().unwrap_or_default();
        let is_bound = !self
            .except
            .iter()
            .any(|name| name.eq_ignore_ascii_case(host));
        if let Some(reach) = self.reach.filter(|_| is_bound) {
            request.extensions_mut().insert(reach);
        }
        self.http.send(request)
    }
}

/// Why no answer came. Reads as the end of a sentence and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The server was too slow.
    #[error("no answer in time")]
    Timeout,
    /// The server could not be reached: name, route, proxy or port.
    #[error("no connection")]
    Connect,
    /// The server's certificate is not trusted, or the handshake went wrong.
    #[error("no secure connection: the certificate is not trusted, or TLS could not be agreed")]
    Tls,
    /// This machine has no certificates, so that none of a server could be checked.
    #[error(
        "this machine has no certificates to know any server by: install the package ca-certificates, or set SSL_CERT_FILE or NODE_EXTRA_CA_CERTS to a PEM file of them"
    )]
    NoRoots,
    /// The proxy speaks SOCKS; holds its origin. Nothing was sent.
    #[error(
        "{0} is a SOCKS proxy, which logins cannot use: set HTTPS_PROXY to an HTTP proxy, or leave this host out with NO_PROXY"
    )]
    SocksProxy(String),
    /// The proxy cannot be reached; holds its origin.
    #[error(
        "the proxy {0} cannot be reached: correct HTTPS_PROXY, or leave this host out with NO_PROXY"
    )]
    NoProxy(String),
    /// The proxy wants to know who asks, or does not take what it is told; holds its origin.
    #[error(
        "the proxy {0} wants a user name and password (407), and none or others were given: set HTTPS_PROXY to http://name:password@host:port"
    )]
    ProxyLogin(String),
    /// The proxy does not connect to this host.
    #[error(
        "the proxy {proxy} refuses the way to this host ({status}): have whoever runs it allow the host, or leave it out with NO_PROXY"
    )]
    ProxyRefused {
        /// Its origin.
        proxy: String,
        /// What it answered.
        status: u16,
    },
    /// The proxy could not connect to this host.
    #[error(
        "the proxy {proxy} found no way to this host ({status}): it may be down, or unknown there"
    )]
    ProxyFailed {
        /// Its origin.
        proxy: String,
        /// What it answered: 5xx.
        status: u16,
    },
    /// The body is larger than any honest answer.
    #[error("the answer is too large")]
    TooLarge,
    /// The URL is neither https nor http on loopback; holds its origin.
    #[error("{0} is neither https nor http on this machine")]
    Insecure(String),
    /// The host leads to this machine or its network, and the request may not go there; holds its origin. Nothing was sent.
    #[error("{0} leads to an address of this machine or its network")]
    Local(String),
    /// The connection broke, or the answer was not HTTP.
    #[error("the connection broke")]
    Other,
}
