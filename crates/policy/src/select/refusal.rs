//! A refusal that is remembered: an exhausted pool of many accounts is looked through once, and not
//! for each request that comes.

use std::sync::Arc;
use std::time::Duration;

use crate::pool::Pool;
use crate::request::Request;
use crate::select::explain::Standings;
use crate::select::none_free::holds_for;
use crate::select::selection::Selection;
use crate::time::Span;

/// What came out last when no account could serve a request that had tried none: it comes out again
/// until an account changes, or the time comes.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) selection: Selection,
    span: Span,
    /// What the request may spend.
    max_wait: Duration,
    hold_until_reset: bool,
    pub(super) standings: Option<Arc<Standings>>,
}

impl Refusal {
    pub(super) fn new(pool: &Pool<'_>, request: &Request, selection: Selection) -> Self {
        Self {
            selection,
            span: holds_for(pool, request),
            max_wait: pool.rotation.max_wait,
            hold_until_reset: pool.rotation.hold_until_reset,
            standings: None,
        }
    }

    pub(super) fn holds(&self, pool: &Pool<'_>, request: &Request) -> bool {
        request.is_untried()
            && self.span.holds(pool.now)
            && self.max_wait == pool.rotation.max_wait
            && self.hold_until_reset == pool.rotation.hold_until_reset
    }
}
