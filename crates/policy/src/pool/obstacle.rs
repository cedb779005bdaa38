//! What stands in the way of a request at one account, and until when.

use crate::account::{AccountView, Freshness, freshness};
use crate::reason::Reason;
use crate::refresh::refresh_allowed;
use crate::state::SharedState;
use crate::state::block::Block;
use crate::state::scope::Scope;
use crate::time::Timestamp;

/// Why an account cannot serve a request now, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub(crate) until: Timestamp,
    pub(crate) reason: Reason,
    /// When a real request may test it.
    pub(crate) probe_at: Option<Timestamp>,
    /// Whether nothing stands in the way but doubtful beliefs.
    pub(crate) doubtful: bool,
    /// Whether it is that the token cannot be renewed yet.
    pub(crate) renewal: bool,
}

impl Obstacle {
    /// Tells whether it is over when its time is.
    pub(crate) const fn passes(&self) -> bool {
        self.reason.passes() || self.renewal
    }
}

/// Returns the rest after a renewal that failed, of an account that has no token to serve with
/// meanwhile.
pub fn renewal_rest(
    state: &SharedState,
    account: &AccountView,
    now: Timestamp,
) -> Option<Timestamp> {
    let stale = freshness(account.expires_at, account.obtained_at, now);
    let has_none = account.refreshable && stale == Freshness::Stale { expired: true };
    let rest = has_none.then(|| refresh_allowed(state, &account.id, now));
    rest?.err()
}

/// Returns the obstacle that lasts longest, of these blocks and a renewal that failed.
pub(crate) fn obstacle<'a>(
    state: &SharedState,
    account: &AccountView,
    blocks: impl Iterator<Item = (&'a Scope, &'a Block)>,
    now: Timestamp,
) -> Option<Obstacle> {
    let mut longest: Option<Obstacle> = None;
    for (_, block) in blocks {
        let Some(until) = block.live_until(now) else {
            continue;
        };
        // All that stands in the way must be worth a probe.
        let probe_at = match longest {
            Some(known) => known.probe_at.zip(block.probe_at()).map(|(a, b)| a.max(b)),
            None => block.probe_at(),
        };
        let reason = match longest {
            Some(known) if known.until >= until => known.reason,
            _ => block.reason,
        };
        let until = longest.map_or(until, |known| known.until.max(until));
        let doubtful = block.doubtful && longest.is_none_or(|known| known.doubtful);
        longest = Some(Obstacle {
            until,
            reason,
            probe_at,
            doubtful,
            renewal: false,
        });
    }
    if let Some(until) = renewal_rest(state, account, now) {
        let rest = Obstacle {
            until,
            reason: Reason::TokenExpired,
            probe_at: None,
            doubtful: false,
            renewal: true,
        };
        // Without a token there is nothing to probe with.
        longest = match longest {
            Some(known) if known.until >= until => Some(Obstacle {
                probe_at: None,
                doubtful: false,
                ..known
            }),
            _ => Some(rest),
        };
    }
    longest
}
