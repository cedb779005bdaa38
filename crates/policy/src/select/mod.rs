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
//! 6. None is free. In this order: a login whose server refuses to renew it serves if nothing else
//!    is left, so that its try says so at once (`Strategy`); a doubtful block that is due is tested
//!    (`Probe`); the request waits as long as it may (`Wait`); an old block is tested (`Probe`);
//!    the request is held until the reset, if it asked for that (`Wait`); else `Exhausted`.

pub(crate) mod explain;
pub(crate) mod index;
pub(crate) mod none_free;
pub(crate) mod refusal;
pub(crate) mod selection;

use crate::account::{AccountId, AccountView};
use crate::pool::Pool;
use crate::pool::ranks::Ranks;
use crate::pool::rendezvous::{Candidate, Candidates};
use crate::reason::Standing;
use crate::request::Request;
use crate::select::none_free::{exhausted, none_is_free, none_serves};
use crate::select::selection::{Rule, Selection, serve};
use crate::state::SharedState;

/// Chooses the account that serves next.
///
/// Without a binding that holds, every account is looked at; [`Indexes`](crate::Indexes) spare
/// that.
pub fn select(pool: &Pool<'_>, request: &Request) -> Selection {
    choose(pool, request, |_| Indexed::Unknown)
}

/// What an index knows.
pub(crate) enum Indexed<'a> {
    /// The best account that is free.
    Best(&'a AccountView),
    /// That none is, and what comes of it.
    Refused(Selection),
    Unknown,
}

/// Chooses with the help of an index.
pub(crate) fn choose<'a>(
    pool: &Pool<'a>,
    request: &Request,
    indexed: impl FnOnce(&Pool<'a>) -> Indexed<'a>,
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
        && pool.is_free(request, account)
    {
        return serve(account, Rule::Bound);
    }
    match indexed(pool) {
        Indexed::Best(best) => return admit(pool, request, bound, best),
        Indexed::Refused(selection) => return selection,
        Indexed::Unknown => {}
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
        if !pool.is_free(request, account) {
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
    match admitted.filter(|at| pool.fits_wait(request, *at)) {
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
