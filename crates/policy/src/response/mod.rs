//! How an attempt ended, as the caller saw it.

pub(crate) mod classify;
pub(crate) mod duration;
pub(crate) mod google_rpc;
pub(crate) mod outcome;
pub(crate) mod quota;
pub(crate) mod ratelimit;
pub(crate) mod request_fault;
pub(crate) mod wait;

use std::fmt;

use serde_json::Value;

use crate::limits;

/// How an attempt ended.
#[derive(Clone, Copy)]
pub struct Response<'a> {
    /// HTTP status; `None` when no response came.
    pub status: Option<u16>,
    /// Looks up a response header by its lower-case name;
    /// [`OBSERVED_HEADERS`](crate::OBSERVED_HEADERS) suffice.
    pub headers: &'a dyn Fn(&str) -> Option<&'a str>,
    /// Body of a status of 400 and above. Of a good status, the error that came in its place: the
    /// data of an event, a body that is only an error, or nothing where a stream ended before it
    /// began.
    pub body: Option<&'a str>,
    /// Set when no response came, or it broke off.
    pub failure: Option<Failure>,
}

/// How a response failed to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection, or it broke before the first byte.
    Network,
    /// No answer in time, on a connection that was open: the work may be under way.
    Timeout,
    /// The stream broke after its first output, or ended there with the error in `body`: what was
    /// handed out cannot be replayed.
    Stream,
}

impl<'a> Response<'a> {
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        (self.headers)(name)
    }

    /// Tells whether its status is a 2xx.
    pub(crate) fn is_good(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }

    /// Tells whether part of the answer was handed out already.
    pub(crate) fn broke_off(&self) -> bool {
        self.failure == Some(Failure::Stream)
    }

    /// Returns the body as JSON, if it is that.
    pub(crate) fn json(&self) -> Option<Value> {
        let body = self.body?;
        (body.len() <= limits::BODY_BYTES)
            .then(|| serde_json::from_str(body).ok())
            .flatten()
    }
}

/// Headers and body may carry what the user wrote: neither is shown.
impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
