//! Which account serves next. The first line that fits decides:
//!
//! 1. The attempts are used up: `Exhausted`.
//! 2. The last reaction named an account, and no newer block stands in its way: it serves, by
//!    `Resend` or `Switched`.
//! 3. No account could serve, not even later: `NeedsLogin`, `OriginRefused`, `NoAccount`,
//!    `UnknownAccount`, or `Exhausted` where only tokens could not be refreshed.
//! 4. The account that the request keeps, or that its session is bound to, is free: `Bound`.
//! 5. Another one is free: the one of the lowest rank serves, by `Pinned`, `Strategy` or
//!    `Switched`; after a switch, arrivals `Wait` to be let in one by one.
//! 6. None is free. In this order: a login whose server refuses to renew it serves if nothing else is
//!    left, so that its try says so at once (`Strategy`); a doubtful block that is due is tested
//!    (`Probe`); the request waits as long as it may (`Wait`); an old block is tested (`Probe`); the
//!    request is held until the reset, if it asked for that (`Wait`); else `Exhausted`.

pub(crate) mod explain;
pub(crate) mod index;

use crate::account::{AccountId, AccountView};
use crate::limits;
use crate::pool::Pool;
use crate::pool::obstacle::Obstacle;
use crate::pool::ranks::Ranks;
use crate::pool::rendezvous::{Candidate, Candidates};
use crate::reason::{Reason, Standing};
use crate::request::Request;
use crate::state::SharedState;
use crate::state::block::KeptAnswer;
use crate::time::Timestamp;

/// Which account serves next, or why none does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// This account serves.
    Serve {
        /// The account.
        account: AccountId,
        /// Why this one.
        rule: Rule,
    },
    /// No account can serve now, but waiting is worth it. Then select again.
    Wait {
        /// When to select again.
        until: Timestamp,
        /// The account that is expected to serve.
        account: Option<AccountId>,
    },
    /// No account can serve now.
    Exhausted {
        /// When the soonest account can, where it is time that keeps it.
        retry_at: Option<Timestamp>,
        /// What keeps that account, else what keeps all.
        reason: Reason,
    },
    /// No account can serve until the user does something.
    NeedsLogin {
        /// The accounts that would serve.
        accounts: Vec<AccountId>,
        /// What is wrong with the first of them.
        reason: Standing,
    },
    /// The credentials of all accounts must not go where the request goes.
    OriginRefused,
    /// The pool has no account that may serve.
    NoAccount,
    /// The pin names no account.
    UnknownAccount,
}

/// Why an account was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The session is bound to it.
    Bound,
    /// The request names it.
    Pinned,
    /// The last reaction said so: after a wait, a back-off or a refresh.
    Resend,
    /// A new session, by the pool's strategy.
    Strategy,
    /// The session or the request moves here from an account that cannot serve it.
    Switched,
    /// No other account can serve, and the belief that this one cannot is old enough to be tested.
    /// Merge [`claim_probe`] at once, so that no other request does the same.
    Probe,
}

/// Chooses the account that serves next.
///
/// Without a binding that holds, every account is looked at; [`Indexes`](crate::Indexes) spare
/// that.
pub fn select(pool: &Pool<'_>, request: &Request) -> Selection {
    choose(pool, request, |_| None)
}

/// Chooses with the help of an index, which may name the best account that is free.
pub(crate) fn choose<'a>(
    pool: &Pool<'a>,
    request: &Request,
    indexed: impl FnOnce(&Pool<'a>) -> Option<&'a AccountView>,
) -> Selection {
    if request.attempts() > 0 && request.attempts() >= pool.attempts_allowed(request) {
        return exhausted(pool, request);
    }
    if let Some(account) = named_by_reaction(pool, request) {
        let rule = match request.has_served(&account.id) {
            true => Rule::Resend,
            false => Rule::Switched,
        };
        return serve(account, rule);
    }
    let bound = bound_account(pool, request);
    if let Some(account) = bound
        && is_free(pool, request, account)
    {
        return serve(account, Rule::Bound);
    }
    if let Some(best) = indexed(pool) {
        return admit(pool, request, bound, best);
    }
    let serving = pool.serving(request);
    if serving.is_empty() {
        return none_serves(pool, request);
    }
    let ranks = pool.ranks(request);
    match best(pool, request, &serving, &ranks) {
        Some(account) => admit(pool, request, bound, account),
        None => none_is_free(pool, request, bound, &serving, &ranks),
    }
}

/// Returns the account of the lowest rank that is free; among equals the session picks.
fn best<'a>(
    pool: &Pool<'_>,
    request: &Request,
    serving: &[&'a AccountView],
    ranks: &Ranks<'_>,
) -> Option<&'a AccountView> {
    let mut least = None;
    let mut equals: Vec<Candidate> = Vec::new();
    for (place, account) in serving.iter().enumerate() {
        if !is_free(pool, request, account) {
            continue;
        }
        let rank = ranks.of(account);
        if least.is_none_or(|least| rank < least) {
            least = Some(rank);
            equals.clear();
        }
        if least == Some(rank) {
            equals.push(Candidate::new(account.id.as_str(), place));
        }
    }
    let candidates: Candidates = equals.into_iter().collect();
    candidates
        .pick(ranks.session, &[])
        .map(|place| serving[place])
}

/// Sends the request to the account, or lets it wait where a switch lets arrivals in one by one.
fn admit(
    pool: &Pool<'_>,
    request: &Request,
    bound: Option<&AccountView>,
    account: &AccountView,
) -> Selection {
    if request.pin.is_some() {
        return serve(account, Rule::Pinned);
    }
    let moves = request.attempts() > 0 || bound.is_some_and(|b| b.id != account.id);
    let admitted = pool.traffic.admits_at(&account.id, pool.now);
    match admitted.filter(|at| fits_wait(pool, request, *at)) {
        Some(until) => Selection::Wait {
            until,
            account: Some(account.id.clone()),
        },
        None if moves => serve(account, Rule::Switched),
        None => serve(account, Rule::Strategy),
    }
}

/// Returns the change that claims a probe of this account for one request in the whole fleet.
pub fn claim_probe(pool: &Pool<'_>, request: &Request, account: &AccountId) -> SharedState {
    let mut delta = SharedState::default();
    for (key, block) in pool
        .state
        .blocks_for(account, &request.provider, request.target())
    {
        if block.live_until(pool.now).is_some() {
            let mut claimed = block.clone();
            claimed.probes = claimed.probes.saturating_add(1);
            claimed.probed_at = pool.now;
            delta.blocks.insert(key.clone(), claimed);
        }
    }
    delta
}

/// Tells whether a wait until then fits what the request may still spend.
pub(crate) fn fits_wait(pool: &Pool<'_>, request: &Request, until: Timestamp) -> bool {
    let left = pool.rotation.max_wait.saturating_sub(request.time_waited());
    pool.now.until(until) <= left
}

/// Tells whether the request asked to be held, and may be until then.
pub(crate) fn fits_hold(pool: &Pool<'_>, request: &Request, until: Timestamp) -> bool {
    let left = limits::LONGEST_HOLD.saturating_sub(request.time_waited());
    pool.rotation.hold_until_reset && pool.now.until(until) <= left
}

/// Tells whether the account can take the request now and was not handed it before.
pub(crate) fn is_free(pool: &Pool<'_>, request: &Request, account: &AccountView) -> bool {
    !request.has_served(&account.id)
        && (request.attempts() == 0 || pool.may_switch(request))
        && pool.obstacle(account, request).is_none()
}

fn serve(account: &AccountView, rule: Rule) -> Selection {
    Selection::Serve {
        account: account.id.clone(),
        rule,
    }
}

/// Returns the account that the last reaction named, unless something new stands in its way.
fn named_by_reaction<'a>(pool: &Pool<'a>, request: &Request) -> Option<&'a AccountView> {
    let next = request.next()?;
    let account = pool.roster.get(&next.account)?;
    let serves = pool.fits(account, request)
        && request.admits(&account.id)
        && pool.standing(account) == Standing::Serving;
    let mut blocks = pool
        .state
        .blocks_for(&account.id, &account.provider, request.target());
    let newly_blocked = blocks.any(|(_, block)| {
        block.live_until(pool.now).is_some() && block.observed_at > next.decided_at
    });
    (serves && !newly_blocked).then_some(account)
}

/// Returns the account that the request keeps or its session is bound to, if it is still one that
/// may serve.
pub(crate) fn bound_account<'a>(pool: &Pool<'a>, request: &Request) -> Option<&'a AccountView> {
    if request.pin.is_some() || !pool.rotation.rotate {
        return None;
    }
    let id = match request.affinity() {
        Some(affinity) => affinity,
        None if !pool.binds(request) => return None,
        None => pool.state.binding(request.binding_key(), pool.now)?,
    };
    let account = pool.roster.get(id)?;
    // A session may be bound to a login from when those of the pool stood in for one another.
    let is_member = || pool.members(request).iter().any(|member| member.id == *id);
    let serves = pool.fits(account, request)
        && (pool.rotation.pool_logins || is_member())
        && request.admits(id)
        && pool.standing(account) == Standing::Serving;
    serves.then_some(account)
}

/// Decides when every account is blocked or was tried: to wait, to probe, or to give up.
fn none_is_free(
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
        && fits_wait(pool, request, obstacle.until)
    {
        return wait(obstacle.until, account);
    }
    if let Some((at, account)) = soonest_probe(|h| h.doubtful && h.reason.is_limit())
        && fits_wait(pool, request, at)
    {
        return wait(at, account);
    }
    match soonest_probe(|_| true) {
        Some((at, account)) if at <= pool.now => serve(account, Rule::Probe),
        Some((at, account))
            if soonest.is_none_or(|(_, obstacle)| at < obstacle.until)
                && fits_hold(pool, request, at) =>
        {
            wait(at, account)
        }
        _ => match soonest {
            Some((account, obstacle)) if fits_hold(pool, request, obstacle.until) => {
                wait(obstacle.until, account)
            }
            _ => exhausted(pool, request),
        },
    }
}

fn exhausted(pool: &Pool<'_>, request: &Request) -> Selection {
    let soonest = soonest(pool, request);
    Selection::Exhausted {
        retry_at: pool.soonest(request),
        reason: soonest.map_or(Reason::Exhausted, |(obstacle, _)| obstacle.reason),
    }
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

/// Says why no account can serve, not even later.
fn none_serves(pool: &Pool<'_>, request: &Request) -> Selection {
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
