//! What a person takes back: the belief that an account rests, or that its key is dead.

use std::time::Duration;

use crate::account::{AccountKind, AccountView};
use crate::reason::Standing;
use crate::state::SharedState;
use crate::state::account_stats::{AccountStats, StandingMark};
use crate::state::block::Block;
use crate::time::Timestamp;

/// Returns the change that clears every live block of these accounts and the belief that a key, or
/// a login that takes no person, is dead; and how many beliefs those are.
///
/// The next request to any of them is a probe.
pub fn clear<'a>(
    state: &SharedState,
    accounts: impl IntoIterator<Item = &'a AccountView> + Clone,
    now: Timestamp,
) -> (SharedState, usize) {
    let mut delta = SharedState::default();
    for account in accounts.clone() {
        for (scope, block) in state.cooldowns(account, now) {
            let at = now.max(block.observed_at + Duration::from_millis(1));
            delta.blocks.insert(scope.clone(), Block::clear(at));
        }
    }
    let mut count = delta.blocks.len();
    for account in accounts {
        let trust = trusted(state, account, now);
        let changes = |known: &AccountStats| known.standing.is_some();
        count += usize::from(trust.accounts.values().any(changes));
        delta.merge(&trust);
    }
    (delta, count)
}

/// Returns the change that takes back the belief that a key, or a login that takes no person, is
/// dead: nothing, if it is not believed. Of a login that a person made, the login server has the
/// last word.
pub fn trusted(state: &SharedState, account: &AccountView, now: Timestamp) -> SharedState {
    let mut delta = SharedState::default();
    if account.kind != AccountKind::Api && !account.unattended {
        return delta;
    }
    let known = state.stats(&account.id);
    let mark = known.standing.filter(|mark| {
        mark.standing == Standing::NeedsLogin && mark.generation >= account.generation
    });
    let suspected = known
        .refused
        .filter(|refusal| refusal.at > known.trusted_at);
    let believed_at = mark.map(|mark| mark.observed_at);
    let suspected_at = suspected.map(|refusal| refusal.at);
    if let Some(since) = believed_at.max(suspected_at) {
        let at = now.max(since + Duration::from_millis(1));
        let trusted = AccountStats {
            standing: mark.map(|mark| StandingMark {
                observed_at: at,
                standing: Standing::Serving,
                ..mark
            }),
            trusted_at: at,
            ..AccountStats::default()
        };
        delta.accounts.insert(account.id.clone(), trusted);
    }
    delta
}
