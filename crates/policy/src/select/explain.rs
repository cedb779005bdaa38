//! Why an account was chosen and each other one was not.
//!
//! Nothing here decides: it says in words what [`select`](crate::select()) saw in the same pool.

use std::collections::HashSet;

use crate::account::{AccountId, AccountView};
use crate::gather::Gather as _;
use crate::limits;
use crate::pool::Pool;
use crate::reason::{Reason, Standing};
use crate::request::Request;
use crate::rotation::Strategy;
use crate::select::bound_account;
use crate::select::none_free::kept_answer;
use crate::select::selection::Selection;
use crate::state::binding::Binding;
use crate::state::block::KeptAnswer;
use crate::time::Timestamp;

/// Why a selection came out as it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// When it was made.
    pub at: Timestamp,
    /// The strategy for requests that are not bound.
    pub strategy: Strategy,
    /// What came out.
    pub selection: Selection,
    /// The account that the request keeps or its session is bound to.
    pub bound_to: Option<AccountId>,
    /// When that binding ends: of a conversation, unless it is answered before.
    pub bound_until: Option<Timestamp>,
    /// Every account of the pool, in the order of their ids.
    pub accounts: Vec<TracedAccount>,
}

/// One account as a selection saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedAccount {
    /// The account.
    pub account: AccountId,
    /// Whether it could serve, and what stood in the way.
    pub chance: Chance,
    /// What a rest is charged to: `account`, a model, or a path; and the status of the response
    /// that says so.
    pub charged: Option<(String, Option<u16>)>,
    /// How much of its fullest quota window is used, in percent, where the provider says so.
    pub used_percent: Option<u16>,
}

/// Whether an account could serve a request, and what stood in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chance {
    /// Nothing.
    Eligible,
    /// So little of its quota is left that it serves after the others of its priority.
    LowQuota,
    /// A limit or a failure that it rests from.
    Resting {
        /// Until when.
        until: Timestamp,
        /// What happened.
        reason: Reason,
    },
    /// It cannot serve until the user does something.
    Stands(Standing),
    /// The user switched it off.
    Disabled,
    /// Its record could not be decrypted.
    Unreadable,
    /// The pool's mode asks for the other kind of account.
    OtherKind,
    /// Its credential must not go where the request goes.
    OriginRefused,
    /// The request names another account.
    NotPinned,
    /// What the request holds can be served by another account only.
    BoundElsewhere,
    /// The pool does not rotate, and another account is its first.
    NotFirst,
    /// The request was at it already.
    Tried,
    /// The request has changed accounts as often as it may.
    NoChangesLeft,
}

impl Chance {
    /// Returns the public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eligible => "eligible",
            Self::LowQuota => "low_quota",
            Self::Resting { .. } => "resting",
            Self::Stands(Standing::Serving) => "eligible",
            Self::Stands(Standing::NeedsLogin) => "needs_login",
            Self::Stands(Standing::NeedsVerification) => "needs_verification",
            Self::Stands(Standing::BlockedByProvider) => "blocked_by_provider",
            Self::Stands(Standing::RollbackSuspected) => "rollback_suspected",
            Self::Disabled => "disabled",
            Self::Unreadable => "unreadable",
            Self::OtherKind => "other_kind",
            Self::OriginRefused => "origin_refused",
            Self::NotPinned => "not_pinned",
            Self::BoundElsewhere => "bound_elsewhere",
            Self::NotFirst => "not_first",
            Self::Tried => "tried",
            Self::NoChangesLeft => "no_changes_left",
        }
    }
}

/// Explains a selection that [`select`](crate::select()) made of the same pool and request.
pub fn explain(pool: &Pool<'_>, request: &Request, selection: &Selection) -> Trace {
    let members: HashSet<&AccountId> = pool.members(request).iter().map(|a| &a.id).gather();
    let mut accounts: Vec<TracedAccount> = pool
        .roster
        .iter()
        .map(|account| TracedAccount {
            account: account.id.clone(),
            chance: chance(pool, request, account, &members),
            charged: pool
                .cause(account, request)
                .map(|(scope, block)| (scope.to_string(), block.status)),
            used_percent: pool.used_percent(account),
        })
        .collect();
    accounts.sort_by(|a, b| a.account.cmp(&b.account));
    for prospect in &mut accounts {
        let serves =
            matches!(selection, Selection::Serve { account, .. } if *account == prospect.account);
        if serves && prospect.chance == Chance::LowQuota {
            prospect.chance = Chance::Eligible;
        }
    }
    let bound = bound_account(pool, request);
    let binding = pool.state.live_binding(request.binding_key(), pool.now);
    Trace {
        at: pool.now,
        strategy: pool.rotation.strategy,
        selection: selection.clone(),
        bound_to: bound.map(|account| account.id.clone()),
        bound_until: binding
            .filter(|_| bound.is_some() && request.affinity().is_none())
            .map(Binding::ends_at),
        accounts,
    }
}

/// How the accounts of a pool stand that refuses a request.
#[derive(Debug, Clone)]
pub struct Standings {
    /// How many are kept by what, in public words.
    pub counts: Vec<(&'static str, usize)>,
    /// The accounts, in the order of their ids; of a large pool, those that can serve soonest.
    pub accounts: Vec<TracedAccount>,
    /// What the provider said of such a request, where it would say the same again.
    pub answer: Option<KeptAnswer>,
}

/// Says how the accounts stand for a request that none of them serves.
pub(crate) fn standings(pool: &Pool<'_>, request: &Request, selection: &Selection) -> Standings {
    let mut accounts = explain(pool, request, selection).accounts;
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    for traced in &accounts {
        let word = match traced.chance {
            Chance::Resting { reason, .. } => reason.as_str(),
            chance => chance.as_str(),
        };
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    if accounts.len() > limits::ACCOUNTS_TOLD {
        accounts.sort_by_key(|traced| match traced.chance {
            Chance::Resting { until, .. } => (false, until),
            _ => (true, pool.now),
        });
        accounts.truncate(limits::ACCOUNTS_TOLD);
        accounts.sort_by(|a, b| a.account.cmp(&b.account));
    }
    Standings {
        counts,
        accounts,
        answer: kept_answer(pool, request),
    }
}

fn chance(
    pool: &Pool<'_>,
    request: &Request,
    account: &AccountView,
    members: &HashSet<&AccountId>,
) -> Chance {
    if !account.readable {
        return Chance::Unreadable;
    }
    if !account.enabled {
        return Chance::Disabled;
    }
    if !pool.fits(account, request) {
        return Chance::OtherKind;
    }
    if request.origin_refused.contains(&account.id) {
        return Chance::OriginRefused;
    }
    if !members.contains(&account.id) {
        return match (&request.pin, request.affinity()) {
            (Some(_), _) => Chance::NotPinned,
            (None, Some(_)) if pool.rotation.rotate => Chance::BoundElsewhere,
            _ => Chance::NotFirst,
        };
    }
    match pool.standing(account) {
        Standing::Serving => {}
        standing => return Chance::Stands(standing),
    }
    if let Some(obstacle) = pool.obstacle(account, request) {
        return Chance::Resting {
            until: obstacle.until,
            reason: obstacle.reason,
        };
    }
    let goes_on = request
        .next()
        .is_some_and(|next| next.account == account.id);
    if !goes_on && (request.has_served(&account.id) || !request.admits(&account.id)) {
        return Chance::Tried;
    }
    if !goes_on && request.attempts() > 0 && !pool.may_switch(request) {
        return Chance::NoChangesLeft;
    }
    let is_low = pool
        .used_percent(account)
        .is_some_and(|percent| percent >= limits::USE_LAST);
    // The order of a pool that is filled one by one is the user's, whatever is left.
    match is_low && pool.rotation.strategy != Strategy::FillFirst {
        true => Chance::LowQuota,
        false => Chance::Eligible,
    }
}
