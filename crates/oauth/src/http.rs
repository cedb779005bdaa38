//! The HTTP client that this crate is handed.

use std::{future::Future, pin::Pin, sync::Arc};

/// Sends one request.
///
/// The implementor does not follow redirects, caps body and time, refuses what is neither https nor
/// loopback, and keeps to the [`Reach`] and the [`LastLook`] that it finds among the extensions of a
/// request.
pub trait Http: Send + Sync {
    /// Sends `request` and reads the whole answer, of whatever status.
    fn send(&self, request: http::Request<Vec<u8>>) -> Sending<'_>;
}

/// A request under way.
pub type Sending<'a> =
    Pin<Box<dyn Future<Output = Result<http::Response<Vec<u8>>, HttpError>> + Send + 'a>>;

/// Which addresses a request may connect to; one without it may connect to any. It holds for what a
/// name resolves to at the moment of connecting, so that a name which resolves to another address
/// the next time does not help its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Any; an answer that can only come from this machine or its network says so
    /// ([`FromLocalNetwork`]).
    Observed,
    /// None of this machine or its network ([`HttpError::Local`]).
    PublicOnly,
}

/// Stands among the extensions of a request whose content may be used once: asked when the body is
/// about to leave, and where it says no, nothing is sent ([`HttpError::TooLate`]).
#[derive(Clone)]
pub struct LastLook(pub Arc<dyn Fn() -> bool + Send + Sync>);

/// Sends requests with a last look.
pub struct Watched<'a> {
    http: &'a dyn Http,
    look: LastLook,
}

impl<'a> Watched<'a> {
    /// Returns a client that asks before each request leaves.
    #[must_use]
    pub fn new(http: &'a dyn Http, look: LastLook) -> Self {
        Self { http, look }
    }
}

impl Http for Watched<'_> {
    fn send(&self, mut request: http::Request<Vec<u8>>) -> Sending<'_> {
        request.extensions_mut().insert(self.look.clone());
        self.http.send(request)
    }
}

/// Stands among the extensions of an answer that came from this machine or its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromLocalNetwork;

/// Sends requests with a bound on where they may connect to.
pub struct Bounded<'a> {
    http: &'a dyn Http,
    reach: Option<Reach>,
    except: Vec<String>,
}

impl<'a> Bounded<'a> {
    /// Returns a client whose requests have this reach; those to the hosts `except`, which the user
    /// has named, may connect anywhere.
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
        "the proxy {0} requires a user name and password (407), which were missing or wrong: set HTTPS_PROXY to http://name:password@host:port"
    )]
    ProxyLogin(String),
    /// The proxy does not connect to this host.
    #[error(
        "the proxy {proxy} does not allow connections to this host ({status}): ask its administrator to allow it, or leave it out with NO_PROXY"
    )]
    ProxyRefused {
        /// Its origin.
        proxy: String,
        /// What it answered.
        status: u16,
    },
    /// The proxy could not connect to this host.
    #[error(
        "the proxy {proxy} could not connect to this host ({status}): the host may be down, or unknown to the proxy"
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
    /// The host leads to this machine or its network, and the request may not go there; holds its
    /// origin. Nothing was sent.
    #[error("{0} resolves to an address of this machine or its local network")]
    Local(String),
    /// The [`LastLook`] said no. Nothing was sent.
    #[error("it took too long to reach the server, and others may use the token by now")]
    TooLate,
    /// The connection broke, or the answer was not HTTP.
    #[error("the connection broke")]
    Other,
}

impl HttpError {
    /// Whether nothing of the request was sent.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Connect
            | Self::NoRoots
            | Self::SocksProxy(_)
            | Self::NoProxy(_)
            | Self::ProxyLogin(_)
            | Self::ProxyRefused { .. }
            | Self::ProxyFailed { .. }
            | Self::Insecure(_)
            | Self::Local(_)
            | Self::TooLate => true,
            Self::Timeout | Self::Tls | Self::TooLarge | Self::Other => false,
        }
    }
}
