//! What a refresh of an access token changes in the shared state.

use std::time::Duration;

use crate::account::{AccountId, AccountView};
use crate::jitter::{fraction, with_jitter};
use crate::limits;
use crate::reason::Standing;
use crate::state::SharedState;
use crate::state::account_stats::{AccountStats, RefreshRest, StandingMark};
use crate::time::Timestamp;

/// Returns the change after the server rejected the refresh token for good: the account needs a
/// login. It is void as soon as the record has a higher generation.
pub fn refresh_rejected(account: &AccountView, now: Timestamp) -> SharedState {
    change(
        &account.id,
        AccountStats {
            standing: Some(StandingMark {
                generation: account.generation,
                observed_at: now,
                standing: Standing::NeedsLogin,
            }),
            ..AccountStats::default()
        },
    )
}

/// Returns the change after a refresh failed for a passing reason: all processes rest, 5 s doubling
/// to 5 min with up to a tenth of jitter, and never less than the server stated.
pub fn refresh_postponed(
    state: &SharedState,
    id: &AccountId,
    retry_after: Option<Duration>,
    now: Timestamp,
    jitter: f64,
) -> SharedState {
    let refused_since = refused_since(state, id);
    rested(state, id, (retry_after, refused_since, false), now, jitter)
}

/// The same where the server was not reached and nothing was sent: other machines do not rest.
pub fn refresh_not_sent(
    state: &SharedState,
    id: &AccountId,
    now: Timestamp,
    jitter: f64,
) -> SharedState {
    let refused_since = refused_since(state, id);
    rested(state, id, (None, refused_since, true), now, jitter)
}

/// Returns the change after the server refused to renew the login by a name that need not mean its
/// end (`invalid_request`, `unauthorized_client`, …): all processes rest as after a passing
/// failure, and remember since when it refuses.
pub fn refresh_refused(
    state: &SharedState,
    id: &AccountId,
    now: Timestamp,
    jitter: f64,
) -> SharedState {
    let since = refused_since(state, id).unwrap_or(now);
    rested(state, id, (None, Some(since), false), now, jitter)
}

/// Returns since when the server has refused to renew the login, if the last it said was no new
/// token.
#[must_use]
pub fn refused_since(state: &SharedState, id: &AccountId) -> Option<Timestamp> {
    let known = state.stats(id);
    let rest = known
        .refresh_rest
        .filter(|rest| rest.generation >= known.generation)?;
    rest.refused_since
}

/// Tells whether one more such refusal means that the login has ended: a server that is out of
/// order for a moment, or a client that is being repaired, is not taken for its end.
#[must_use]
pub fn is_refused_for_good(state: &SharedState, id: &AccountId, now: Timestamp) -> bool {
    refused_since(state, id).is_some_and(|since| since + limits::REFUSALS_APART <= now)
}

fn rested(
    state: &SharedState,
    id: &AccountId,
    (retry_after, refused_since, near): (Option<Duration>, Option<Timestamp>, bool),
    now: Timestamp,
    jitter: f64,
) -> SharedState {
    let known = state.stats(id);
    let level = match known
        .refresh_rest
        .filter(|rest| rest.generation >= known.generation)
    {
        None => 0,
        Some(rest) if rest.until + limits::LADDER_MEMORY <= now => 0,
        // Failures of one rest are one failure.
        Some(rest) if rest.is_live(now) => rest.level,
        Some(rest) => rest.level.saturating_add(1),
    };
    let doubled = limits::REFRESH_REST_FIRST.saturating_mul(2_u32.saturating_pow(level.into()));
    let rest = doubled.min(limits::REFRESH_REST_LONGEST);
    let rest = rest + (rest / 10).mul_f64(fraction(jitter));
    let stated = retry_after.map(|span| with_jitter(span.min(limits::UNKNOWN_LONGEST), jitter));
    change(
        id,
        AccountStats {
            refresh_rest: Some(RefreshRest {
                generation: known.generation,
                until: now + rest.max(stated.unwrap_or_default()),
                observed_at: now,
                level,
                refused_since,
                near,
            }),
            ..AccountStats::default()
        },
    )
}

/// Tells whether a refresh may be tried now.
///
/// # Errors
/// When one has failed shortly before: the time of the next try.
pub fn refresh_allowed(
    state: &SharedState,
    id: &AccountId,
    now: Timestamp,
) -> Result<(), Timestamp> {
    let known = state.stats(id);
    match known.refresh_rest {
        Some(rest) if rest.generation >= known.generation && rest.is_live(now) => Err(rest.until),
        _ => Ok(()),
    }
}

/// Returns the change after a record was written with this generation: by a login, a refresh, or by
/// another process. It voids what was found out about older ones.
pub fn refreshed(id: &AccountId, generation: u64) -> SharedState {
    change(
        id,
        AccountStats {
            generation,
            ..AccountStats::default()
        },
    )
}

/// Returns what to merge when a record was rewritten with the same credential in it, say under
/// another label: what was found out about the credential stays true.
pub fn rewritten(state: &SharedState, id: &AccountId, generation: u64) -> SharedState {
    let known = state.stats(id);
    let still_true = |found_at: u64| found_at >= known.generation;
    change(
        id,
        AccountStats {
            generation,
            standing: known
                .standing
                .filter(|mark| still_true(mark.generation))
                .map(|mark| StandingMark { generation, ..mark }),
            refresh_rest: known
                .refresh_rest
                .filter(|rest| still_true(rest.generation))
                .map(|rest| RefreshRest { generation, ..rest }),
            ..AccountStats::default()
        },
    )
}

fn change(id: &AccountId, account: AccountStats) -> SharedState {
    let mut delta = SharedState::default();
    delta.accounts.insert(id.clone(), account);
    delta
}
