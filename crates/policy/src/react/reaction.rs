//! What follows from the end of an attempt.

use std::time::Duration;

use crate::reason::Reason;
use crate::request::doubt::LateCharge;
use crate::state::SharedState;
use crate::state::block::Block;
use crate::state::scope::Scope;
use crate::time::Timestamp;

/// What the caller does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Hands the response, or the failure, to its own caller.
    Deliver,
    /// Selects again after the delay.
    Retry,
}

/// What follows from the end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// What the caller does now.
    pub action: Action,
    /// How long it waits first.
    pub delay: Duration,
    /// Why the attempt ended as it did.
    pub reason: Reason,
    /// When this account may serve this request's model again.
    pub cooldown_until: Option<Timestamp>,
    /// With [`Action::Deliver`] because no account can serve: when the soonest account can.
    pub retry_at: Option<Timestamp>,
    /// What was learned, to be merged into the shared state.
    pub delta: SharedState,
    /// True when other processes must learn it at once.
    pub durable: bool,
    /// The block that was set.
    pub cooldown: Option<(Scope, Block)>,
    /// True when the delay is spent waiting for an account to become free.
    pub waits: bool,
    /// True when what stood in the way of others is over.
    pub freed: bool,
    /// What other accounts are charged for that refused this very request.
    pub late_charges: Vec<LateCharge>,
}
