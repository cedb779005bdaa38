//! The HTTP client that this crate is handed.

use std::{future::Future, pin::Pin};

/// Sends one request.
///
/// The implementor does not follow redirects, caps body and time, and refuses what is neither https nor loopback.
pub trait Http: Send + Sync {
    /// Sends `request` and reads the whole answer, of whatever status.
    fn send(&self, request: http::Request<Vec<u8>>) -> Sending<'_>;
}

/// A request under way.
pub type Sending<'a> =
    Pin<Box<dyn Future<Output = Result<http::Response<Vec<u8>>, HttpError>> + Send + 'a>>;

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
    /// The body is larger than any honest answer.
    #[error("the answer is too large")]
    TooLarge,
    /// The URL is neither https nor http on loopback; holds its origin.
    #[error("{0} is neither https nor http on this machine")]
    Insecure(String),
    /// The connection broke, or the answer was not HTTP.
    #[error("the connection broke")]
    Other,
}
