//! What a response means, as [`classify`](super::classify::classify) finds it.

use crate::reason::Reason;
use crate::response::wait::StatedWait;
use crate::signals::Reach;

/// What a response means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) reason: Reason,
    /// What it is about, where the response says so.
    pub(crate) reach: Option<Reach>,
    /// How long to stay away, where the response says so.
    pub(crate) rest: Option<StatedWait>,
    /// What the server says about sending the same again.
    pub(crate) retry_hint: RetryHint,
    pub(crate) status: Option<u16>,
    /// The code that the body gives, known or not.
    pub(crate) code: Option<String>,
    /// Whether a known code gives the reason.
    pub(crate) named: bool,
}

/// What the server says about sending the same again (`x-should-retry`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryHint {
    Absent,
    Wanted,
    Unwanted,
    /// Nothing, of a failure that it calls an answer and gives no known code: to be tried once
    /// more.
    Unnamed,
}
