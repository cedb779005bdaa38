//! What follows from an answer, and which refusals are kept to be repeated.

use std::time::Duration;

use crate::account::AccountId;
use crate::affinity;
use crate::gather::Gather as _;
use crate::limits;
use crate::pool::Pool;
use crate::react::reaction::{Action, Reaction};
use crate::reason::Reason;
use crate::request::Request;
use crate::request::doubt::ChargeTime;
use crate::response::Response;
use crate::response::quota::usage;
use crate::signals::Signals;
use crate::state::SharedState;
use crate::state::account_stats::AccountStats;
use crate::state::binding::Binding;
use crate::state::block::{Block, KeptAnswer};
use crate::time::Timestamp;

/// Returns the refusal as it is kept, for later requests that would meet the same.
pub(crate) fn answer_to_keep(response: &Response<'_>) -> Option<KeptAnswer> {
    let status = response.status.filter(|status| *status >= 400)?;
    let body = response.body?;
    (body.len() <= limits::KEPT_ANSWER_BYTES).then(|| KeptAnswer {
        status,
        content_type: response
            .header("content-type")
            .unwrap_or("application/json")
            .to_owned(),
        body: body.to_owned(),
    })
}

/// Settles an answer: it binds the session, and clears what stood in the way when it was asked for.
pub(crate) fn settle_answer(
    pool: &Pool<'_>,
    request: &mut Request,
    account: &AccountId,
    signals: &Signals,
    response: &Response<'_>,
    mut learned: AccountStats,
) -> Reaction {
    let is_good = response.is_good();
    if is_good {
        learned.trusted_at = pool.now;
    }
    let mut delta = SharedState::default();
    delta.accounts.insert(account.clone(), learned);
    let asked_at = request.tried(account).map(|tried| tried.served_at);
    let mut freed = false;
    for (key, block) in pool
        .state
        .blocks_for(account, &request.provider, request.target())
    {
        if block.is_clear() {
            continue;
        }
        // A probe may go out in the very millisecond in which the belief was formed.
        let tested_at = block.observed_at.max(block.probed_at);
        let tests = |at| at > block.observed_at || (block.probes > 0 && at >= tested_at);
        let news = match asked_at.is_some_and(tests) {
            true => Block::clear(pool.now.max(block.observed_at + Duration::from_millis(1))),
            // An answer to a question from before the block does not end it.
            false => Block {
                answered_at: Some(pool.now),
                ..block.clone()
            },
        };
        freed |= news.is_clear();
        delta.blocks.insert(key.clone(), news);
    }
    if is_good {
        let binding = binding_after(pool, request, account, signals);
        let key = || request.binding_key().to_owned();
        delta
            .bindings
            .extend(binding.map(|binding| (key(), binding)));
        delta.merge(&affinity::owners_after(request, account, pool.now));
        let served = served_news(pool, request).map(str::to_owned);
        delta.served.extend(served.map(|key| (key, pool.now)));
    }
    // The request is good: the account that refused it is at fault.
    let doubts = std::mem::take(request.doubts_mut());
    let late_charges = match is_good {
        true => doubts
            .into_iter()
            .filter(|doubt| doubt.charged == ChargeTime::Later && doubt.account != *account)
            .map(|doubt| doubt.settle(&mut delta))
            .collect(),
        false => Vec::new(),
    };
    Reaction {
        action: Action::Deliver,
        delay: Duration::ZERO,
        reason: Reason::Ok,
        cooldown_until: None,
        retry_at: None,
        delta,
        // An answer is settled without I/O; the news can wait for the next write.
        durable: false,
        cooldown: None,
        waits: false,
        freed,
        late_charges,
    }
}

/// Returns what each answer says of its account.
pub(crate) fn learned_from(
    pool: &Pool<'_>,
    signals: &Signals,
    response: &Response<'_>,
) -> AccountStats {
    AccountStats {
        last_status: response.status,
        last_at: pool.now,
        usage: usage(signals, response, pool.now)
            .map(|(window, usage)| (window.to_owned(), usage))
            .gather(),
        ..AccountStats::default()
    }
}

/// Returns the key under which a good answer notes that its model was served, where that is due.
pub(crate) fn served_news<'a>(pool: &Pool<'_>, request: &'a Request) -> Option<&'a str> {
    let key = request.served_key()?;
    let known = pool.state.served.get(key);
    let is_news = known.is_none_or(|at| *at + limits::SERVED_NOTE <= pool.now);
    is_news.then_some(key)
}

/// Returns how a good answer binds what comes next to the account.
pub(crate) fn binding_after(
    pool: &Pool<'_>,
    request: &Request,
    account: &AccountId,
    signals: &Signals,
) -> Option<Binding> {
    if !pool.binds(request) {
        return None;
    }
    let until = bound_until(pool, request, account, signals)?;
    Some(Binding {
        used_at: pool.now,
        until,
        account: account.clone(),
    })
}

/// Until when an answer binds what comes next to the account; `None` where another binding holds.
///
/// A conversation is bound for as long as its prompt cache lives, anew with each answer. Requests
/// without one are bound by a switch alone, from then on; otherwise only the account that served
/// them last is noted.
fn bound_until(
    pool: &Pool<'_>,
    request: &Request,
    account: &AccountId,
    signals: &Signals,
) -> Option<Timestamp> {
    if request.session.is_some() {
        let asked_for = request.cache_life.unwrap_or_default();
        let life = signals
            .binding_life
            .max(asked_for.min(limits::BINDING_LIFE));
        return Some(pool.now + life);
    }
    let known = pool.state.live_binding(request.binding_key(), pool.now);
    let left = pool.state.bindings.get(request.binding_key());
    let cannot_serve = |id: &AccountId| {
        let view = pool.roster.get(id);
        view.is_some_and(|view| pool.obstacle(view, request).is_some())
    };
    let was_tried = request.tried_accounts().any(|id| id != account);
    let was_left = left.is_some_and(|left| left.account != *account && cannot_serve(&left.account));
    match known {
        Some(known) if known.account == *account => Some(known.until),
        _ if was_tried || was_left => Some(pool.now + limits::SWITCH_LIFE),
        Some(_) => None,
        None => Some(pool.now),
    }
}
