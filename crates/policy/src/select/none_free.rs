//! What comes out when no account is free: a wait, a probe, or the reason why no account serves.

use std::time::Duration;

use crate::account::{AccountId, AccountView};
use crate::limits;
use crate::pool::Pool;
use crate::pool::obstacle::Obstacle;
use crate::pool::ranks::Ranks;
use crate::reason::{Reason, Standing};
use crate::request::Request;
use crate::select::selection::{Rule, Selection, serve};
use crate::state::block::KeptAnswer;
use crate::time::Span;

/// Decides when every account is blocked or was tried: to wait, to probe, or to give up.
pub(crate) fn none_is_free(
    pool: &Pool<'_>,
    request: &Request,
    bound: Option<&AccountView>,
    serving: &[&AccountView],
    ranks: &Ranks<'_>,
) -> Selection {
    let named = request.next().map(|next| &next.account);
    let may_switch = request.attempts() == 0 || pool.may_switch(request);
    let obstructed: Vec<_> = serving
        .iter()
        .filter(|account| {
            named == Some(&account.id) || (may_switch && !request.has_served(&account.id))
        })
        .filter_map(|account| Some((*account, pool.obstacle(account, request)?)))
        .collect();
    // What the login server refuses is not waited for: the try says at once that it does.
    let (refused, obstructed): (Vec<_>, Vec<_>) = obstructed
        .into_iter()
        .partition(|(account, obstacle)| pool.is_refused(account, obstacle));
    if let ([(account, _), ..], []) = (&refused[..], &obstructed[..]) {
        return serve(account, Rule::Strategy);
    }
    // Only what time cures is waited for.
    let soonest = obstructed
        .iter()
        .filter(|(_, obstacle)| obstacle.passes())
        .min_by_key(|(account, obstacle)| (obstacle.until, &account.id));
    let wait = |until, account: &AccountView| Selection::Wait {
        until,
        account: Some(account.id.clone()),
    };
    let soonest_probe = |counts: fn(&Obstacle) -> bool| {
        obstructed
            .iter()
            .filter(|(_, obstacle)| counts(obstacle))
            .filter_map(|(account, obstacle)| Some((obstacle.probe_at?, *account)))
            .map(|(at, account)| (at.max(pool.now), account))
            .min_by_key(|(at, account)| (*at, ranks.in_full(account)))
    };
    // This request does not wait for what another request may have caused.
    let is_due = |obstacle: &Obstacle| {
        obstacle.doubtful && obstacle.probe_at.is_some_and(|at| at <= pool.now)
    };
    // Of several, the one where the conversation's prompt cache is warm.
    let warm = obstructed.iter().find(|(account, obstacle)| {
        is_due(obstacle) && bound.is_some_and(|bound| bound.id == account.id)
    });
    if let Some((account, _)) = warm {
        return serve(account, Rule::Probe);
    }
    if let Some((at, account)) = soonest_probe(|obstacle| obstacle.doubtful)
        && at <= pool.now
    {
        return serve(account, Rule::Probe);
    }
    if let Some((account, obstacle)) = soonest
        && pool.fits_wait(request, obstacle.until)
    {
        return wait(obstacle.until, account);
    }
    if let Some((at, account)) = soonest_probe(|h| h.doubtful && h.reason.is_limit())
        && pool.fits_wait(request, at)
    {
        return wait(at, account);
    }
    match soonest_probe(|_| true) {
        Some((at, account)) if at <= pool.now => serve(account, Rule::Probe),
        Some((at, account))
            if soonest.is_none_or(|(_, obstacle)| at < obstacle.until)
                && pool.fits_hold(request, at) =>
        {
            wait(at, account)
        }
        _ => match soonest {
            Some((account, obstacle)) if pool.fits_hold(request, obstacle.until) => {
                wait(obstacle.until, account)
            }
            _ => exhausted(pool, request),
        },
    }
}

pub(crate) fn exhausted(pool: &Pool<'_>, request: &Request) -> Selection {
    let soonest = soonest(pool, request);
    Selection::Exhausted {
        retry_at: pool.soonest(request),
        reason: soonest.map_or(Reason::Exhausted, |(obstacle, _)| obstacle.reason),
    }
}

/// Returns between which times [`none_is_free`] comes to the same, where nothing but the time changes.
pub(crate) fn holds_for(pool: &Pool<'_>, request: &Request) -> Span {
    let waits = [
        Some(Duration::ZERO),
        Some(pool.rotation.max_wait),
        pool.rotation
            .hold_until_reset
            .then_some(limits::LONGEST_HOLD),
    ];
    let serving = pool.serving(request).into_iter();
    let turns = serving
        .filter_map(|account| pool.obstacle(account, request))
        .flat_map(|obstacle| [Some(obstacle.until), obstacle.probe_at])
        .flatten()
        .flat_map(|at| waits.iter().flatten().map(move |wait| at - *wait));
    Span::between(turns, pool.now)
}

/// Says why no account can serve, not even later.
pub(crate) fn none_serves(pool: &Pool<'_>, request: &Request) -> Selection {
    if let Some(pin) = &request.pin
        && pool.roster.find(pin).is_none()
    {
        return Selection::UnknownAccount;
    }
    let members = pool.members(request);
    let Some(first) = members.first() else {
        let is_refused = |account: &AccountView| {
            let pinned = request.pin.as_deref().and_then(|pin| pool.roster.find(pin));
            pool.fits(account, request) && pinned.is_none_or(|pinned| pinned.id == account.id)
        };
        return match pool.roster.iter().any(is_refused) {
            true => Selection::OriginRefused,
            false => Selection::NoAccount,
        };
    };
    let reason = pool.standing(first);
    let unfit = members
        .iter()
        .filter(|account| pool.standing(account) != Standing::Serving);
    let accounts: Vec<AccountId> = unfit.map(|account| account.id.clone()).collect();
    if accounts.len() < members.len() {
        // Some do serve, but their tokens could not be refreshed for this request.
        return Selection::Exhausted {
            retry_at: members
                .iter()
                .filter_map(|account| pool.obstacle(account, request))
                .map(|obstacle| obstacle.until)
                .min(),
            reason: Reason::TokenExpired,
        };
    }
    Selection::NeedsLogin { accounts, reason }
}

/// Returns what keeps the account that can serve soonest: of what time cures, if there is any, else
/// of all.
fn soonest<'a>(pool: &Pool<'a>, request: &Request) -> Option<(Obstacle, &'a AccountView)> {
    let serving = pool.serving(request).into_iter();
    let obstructed =
        serving.filter_map(|account| Some((pool.obstacle(account, request)?, account)));
    obstructed.min_by_key(|(obstacle, _)| (!obstacle.passes(), obstacle.until))
}

/// Returns what the provider said of a request that no account can serve, where it would say the
/// same again.
pub fn kept_answer(pool: &Pool<'_>, request: &Request) -> Option<KeptAnswer> {
    let (obstacle, account) = soonest(pool, request)?;
    (obstacle.reason == Reason::NotEntitled).then(|| pool.answer(account, request))?
}
