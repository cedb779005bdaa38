//! A pool at one moment: who is in it, who could serve, when the others can, and in which order.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::account::{AccountId, AccountKind, AccountView, Roster};
use crate::block::{Block, KeptAnswer, Scope};
use crate::hindrance::{Hindrance, hindrance};
use crate::limits;
use crate::lots::Lot;
use crate::reason::{Reason, Standing};
use crate::refresh::{refresh_allowed, refused_since};
use crate::request::{Aim, Request, pool_key};
use crate::rotation::{Mode, Rotation, Strategy};
use crate::state::{SharedState, Usage};
use crate::time::Timestamp;
use crate::traffic::Traffic;

/// Everything that a decision about a pool is made from.
#[derive(Debug, Clone, Copy)]
pub struct Pool<'a> {
    /// The pool's accounts.
    pub roster: &'a Roster,
    /// What all processes share.
    pub state: &'a SharedState,
    /// What this process has under way.
    pub traffic: &'a Traffic,
    /// How the pool is told to rotate.
    pub rotation: &'a Rotation,
    /// The time.
    pub now: Timestamp,
}

/// How an account stands, in one public word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStateName {
    /// It serves.
    Ready,
    /// It rests from a limit that ends soon.
    Cooling,
    /// Its quota is spent.
    Exhausted,
    /// The user must log in again.
    NeedsLogin,
    /// The user must verify something at the provider.
    NeedsVerification,
    /// The provider closed it.
    BlockedByProvider,
    /// It has no money left.
    OutOfCredit,
    /// Its record is older than one that was seen before.
    RollbackSuspected,
    /// The user switched it off.
    Disabled,
    /// Its record could not be decrypted.
    Unreadable,
}

impl AccountStateName {
    /// Returns the public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Cooling => "cooling",
            Self::Exhausted => "exhausted",
            Self::NeedsLogin => "needs_login",
            Self::NeedsVerification => "needs_verification",
            Self::BlockedByProvider => "blocked_by_provider",
            Self::OutOfCredit => "out_of_credit",
            Self::RollbackSuspected => "rollback_suspected",
            Self::Disabled => "disabled",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Returns how an account stands as a whole; a block of one model does not count.
pub fn account_state(
    account: &AccountView,
    state: &SharedState,
    now: Timestamp,
) -> AccountStateName {
    if !account.readable {
        return AccountStateName::Unreadable;
    }
    if !account.enabled {
        return AccountStateName::Disabled;
    }
    match state.standing(&account.id, account.generation) {
        Standing::RollbackSuspected => return AccountStateName::RollbackSuspected,
        Standing::NeedsVerification => return AccountStateName::NeedsVerification,
        Standing::BlockedByProvider => return AccountStateName::BlockedByProvider,
        Standing::NeedsLogin => return AccountStateName::NeedsLogin,
        Standing::Serving if is_lapsed(account, now) => return AccountStateName::NeedsLogin,
        Standing::Serving => {}
    }
    match hindrance(state, account, Aim::default(), now).map(|hindrance| hindrance.reason) {
        None => AccountStateName::Ready,
        Some(Reason::OutOfCredit) => AccountStateName::OutOfCredit,
        Some(Reason::QuotaExhausted) => AccountStateName::Exhausted,
        Some(_) => AccountStateName::Cooling,
    }
}

/// Returns the pool's accounts in the order in which they would serve a new session: those that can
/// now, those that can later, those that cannot.
pub fn serving_order(pool: &Pool<'_>) -> Vec<AccountId> {
    let Some(any) = pool.roster.iter().next() else {
        return Vec::new();
    };
    let request = Request::new(
        any.provider.clone(),
        any.namespace.clone(),
        None,
        None,
        None,
    );
    let ranks = pool.ranks(&request);
    let mut accounts: Vec<&AccountView> = pool.roster.iter().collect();
    accounts.sort_by_cached_key(|account| {
        let fit = pool.fits(account, &request) && pool.standing(account) == Standing::Serving;
        let until = pool.hindrance(account, &request).map(|h| h.until);
        (!fit, until, ranks.in_full(account))
    });
    accounts
        .into_iter()
        .map(|account| account.id.clone())
        .collect()
}

impl<'a> Pool<'a> {
    /// Tells whether the user lets the account serve this request.
    pub(crate) fn fits(&self, account: &AccountView, request: &Request) -> bool {
        let is_key = account.kind == AccountKind::Api;
        let kind_fits = match self.rotation.mode {
            Mode::Auto => true,
            Mode::Subscription => !is_key,
            Mode::Api => is_key,
        };
        // Who pins an account has chosen its kind as well.
        account.enabled && account.readable && (kind_fits || request.pin.is_some())
    }

    /// Returns how the account stands towards a request now.
    pub(crate) fn standing(&self, account: &AccountView) -> Standing {
        let expired = account.expires_at.is_some_and(|at| at <= self.now);
        match self.state.standing(&account.id, account.generation) {
            // What is already in hand still serves; only the refresh token is not spent unasked.
            Standing::RollbackSuspected if !expired => Standing::Serving,
            Standing::Serving if is_lapsed(account, self.now) => Standing::NeedsLogin,
            standing => standing,
        }
    }

    /// Returns why the account cannot serve the request now, or `None` when it can.
    pub(crate) fn hindrance(&self, account: &AccountView, request: &Request) -> Option<Hindrance> {
        hindrance(self.state, account, request.aim(), self.now)
    }

    /// Tells whether what hinders the account is that its login server refuses to renew it.
    pub(crate) fn is_refused(&self, account: &AccountView, hindrance: &Hindrance) -> bool {
        let rests_until = refresh_allowed(self.state, &account.id, self.now).err();
        rests_until == Some(hindrance.until) && refused_since(self.state, &account.id).is_some()
    }

    /// Returns when time alone will next change how the account stands or ranks.
    pub(crate) fn next_change(&self, account: &AccountView, aim: Aim<'_>) -> Option<Timestamp> {
        let known = self.state.counters(&account.id);
        let blocks = self
            .state
            .touched(&account.id, &account.provider, aim)
            .map(|(_, block)| (block.ends_at(), block.observed_at));
        let rest = known.refresh_rest;
        let rest = rest.map(|rest| (rest.ends_at(), rest.observed_at));
        blocks
            .chain(rest)
            // A belief from the future is void until its time comes near.
            .flat_map(|(until, observed_at)| [until, observed_at - limits::CLOCK_JUMP])
            .chain(known.usage.values().map(|usage| usage.reset_at))
            .chain(account.expires_at)
            .filter(|at| *at > self.now)
            .min()
    }

    /// Tells whether the request may go from one account to another.
    pub(crate) fn may_move(&self, request: &Request) -> bool {
        self.rotation.rotate
            && request.pin.is_none()
            && request.keeper().is_none()
            && request.hops() < limits::MAX_HOPS
    }

    /// Returns the quota window of the account that governs: the fullest one.
    fn governing(&self, account: &AccountView) -> Option<&'a Usage> {
        let windows = self.state.counters(&account.id).usage.values();
        windows
            .filter(|usage| usage.holds(self.now))
            .max_by_key(|usage| (usage.used_percent, usage.reset_at))
    }

    /// Returns how much of the account's quota is used, where the provider says so.
    pub(crate) fn used_percent(&self, account: &AccountView) -> Option<u16> {
        self.governing(account).map(|usage| usage.used_percent)
    }

    /// Returns how many attempts the request may make in all.
    pub(crate) fn attempts_allowed(&self, request: &Request) -> u32 {
        if let Some(most) = self.rotation.max_attempts {
            return most.max(1);
        }
        let eligible = self
            .roster
            .iter()
            .filter(|account| self.fits(account, request))
            .filter(|account| {
                request.has_served(&account.id)
                    || (self.standing(account) == Standing::Serving
                        && self.hindrance(account, request).is_none())
            })
            .take(limits::MAX_ATTEMPTS as usize)
            .count() as u32;
        (limits::ATTEMPTS_PER_ACCOUNT * eligible + limits::SPARE_ATTEMPTS).min(limits::MAX_ATTEMPTS)
    }

    /// Returns the accounts that can serve the request, now or after a wait.
    pub(crate) fn serving(&self, request: &Request) -> Vec<&'a AccountView> {
        let mut accounts = self.members(request);
        accounts.retain(|account| {
            self.standing(account) == Standing::Serving && request.admits(&account.id)
        });
        accounts
    }

    /// Returns the accounts that the request may be about: the pinned one, the one that it keeps, the
    /// one of a pool that does not rotate, or all.
    pub(crate) fn members(&self, request: &Request) -> Vec<&'a AccountView> {
        let fitting = self.roster.iter().filter(|account| {
            self.fits(account, request) && !request.origin_refused.contains(&account.id)
        });
        match &request.pin {
            Some(pin) => {
                let pinned = self.roster.find(pin).map(|account| &account.id);
                fitting
                    .filter(|account| pinned == Some(&account.id))
                    .collect()
            }
            None if self.rotation.rotate => {
                let first = (!self.rotation.pool_logins)
                    .then(|| self.first_login(request))
                    .flatten();
                let serves = |account: &&AccountView| {
                    account.kind == AccountKind::Api
                        || self.rotation.pool_logins
                        || first == Some(&account.id)
                };
                fitting
                    .filter(serves)
                    .filter(|account| request.keeper().is_none_or(|keeper| account.id == *keeper))
                    .collect()
            }
            None => fitting
                .min_by_key(|account| (tier(account), seniority(account)))
                .into_iter()
                .collect(),
        }
    }

    /// Returns the login that serves for all of the pool's, where they do not stand in for one another.
    fn first_login(&self, request: &Request) -> Option<&'a AccountId> {
        let logins = self.roster.iter().filter(|account| {
            account.kind != AccountKind::Api
                && self.fits(account, request)
                && !request.origin_refused.contains(&account.id)
        });
        logins
            .min_by_key(|account| (tier(account), seniority(account)))
            .map(|account| &account.id)
    }

    /// Returns what the provider said of this request at this account, where it would say the same again.
    pub(crate) fn answer(&self, account: &AccountView, request: &Request) -> Option<KeptAnswer> {
        let mut blocks = self
            .state
            .touched(&account.id, &account.provider, request.aim())
            .filter(|(_, block)| block.live_until(self.now).is_some());
        blocks.find_map(|(_, block)| block.answer.clone())
    }

    /// Returns the block that keeps the account longest from serving the request.
    pub(crate) fn cause(
        &self,
        account: &AccountView,
        request: &Request,
    ) -> Option<(Scope, &'a Block)> {
        let blocks = self
            .state
            .touched(&account.id, &account.provider, request.aim());
        let (key, block) = blocks
            .filter_map(|(key, block)| Some((block.live_until(self.now)?, key, block)))
            .max_by_key(|(until, ..)| *until)
            .map(|(_, key, block)| (key, block))?;
        let scopes = [
            Some(Scope::Account(account.id.clone())),
            Some(Scope::Egress(account.provider.clone())),
            request
                .model
                .clone()
                .map(|model| Scope::Model(account.id.clone(), model)),
            request
                .model
                .clone()
                .map(|model| Scope::ProviderModel(account.provider.clone(), model)),
            request
                .path()
                .map(|path| Scope::Path(account.id.clone(), path.to_owned())),
        ];
        let scope = scopes
            .into_iter()
            .flatten()
            .find(|scope| scope.key() == *key)?;
        Some((scope, block))
    }

    /// Returns the soonest time at which any account can serve the request, of those that time alone keeps from it.
    pub(crate) fn soonest(&self, request: &Request) -> Option<Timestamp> {
        self.serving(request)
            .into_iter()
            .filter_map(|account| match self.hindrance(account, request) {
                None => Some(self.now),
                Some(hindrance) => hindrance.passes().then_some(hindrance.until),
            })
            .min()
    }

    /// Tells whether answers to this request bind it to an account.
    pub(crate) fn binds(&self, request: &Request) -> bool {
        request.session.is_some() || self.rotation.strategy == Strategy::Sticky
    }

    /// Returns the pool's order: as it was left, then those that are new by seniority.
    pub(crate) fn order(&self, provider: &str, namespace: &str) -> Vec<&'a AccountId> {
        let key = pool_key(provider, namespace);
        let known: &[AccountId] = self.state.pools.get(&key).map_or(&[], |pool| &pool.order);
        let places: HashMap<&AccountId, usize> = known
            .iter()
            .enumerate()
            .map(|(place, id)| (id, place))
            .collect();
        let mut accounts: Vec<&AccountView> = self.roster.iter().collect();
        accounts.sort_by_cached_key(|account| {
            let place = places.get(&account.id).copied();
            (place.unwrap_or(usize::MAX), seniority(account))
        });
        accounts.into_iter().map(|account| &account.id).collect()
    }

    /// Returns the places in the pool's order, for strategies that have one.
    pub(crate) fn places(&self, provider: &str, namespace: &str) -> Places {
        match self.rotation.strategy {
            Strategy::FillFirst | Strategy::RoundRobin => (0..)
                .zip(self.order(provider, namespace))
                .map(|(place, id)| (id.clone(), place))
                .collect(),
            Strategy::Sticky | Strategy::EarliestReset | Strategy::Balanced => Places::new(),
        }
    }

    /// Returns what ranks accounts for a request that is not bound.
    pub(crate) fn ranks(&self, request: &Request) -> Ranks<'a> {
        Ranks {
            pool: *self,
            session: request.session_hash(),
            has_session: request.session.is_some(),
            places: Cow::Owned(self.places(&request.provider, &request.namespace)),
        }
    }
}

/// Places of accounts in a pool's order.
pub(crate) type Places = HashMap<AccountId, u64>;

/// Ranks accounts for a new session; the least rank serves.
pub(crate) struct Ranks<'a> {
    pub(crate) pool: Pool<'a>,
    pub(crate) session: u64,
    /// Whether the request belongs to a conversation, so that it may go to any of equals, and always to the same one.
    pub(crate) has_session: bool,
    pub(crate) places: Cow<'a, Places>,
}

/// Tier, priority, quota class, two numbers of the strategy, and when the account was added where no session is to be
/// spread. Lots are drawn among equals.
pub(crate) type Rank = (u8, i64, u8, [u64; 3]);

impl Ranks<'_> {
    pub(crate) fn of(&self, account: &AccountView) -> Rank {
        let pool = &self.pool;
        let tier = match pool.rotation.mode {
            Mode::Auto => tier(account),
            Mode::Subscription | Mode::Api => 0,
        };
        let in_flight = u64::from(pool.traffic.in_flight(&account.id));
        let (quota_class, reset) = quota(pool, account);
        let place = self.places.get(&account.id).copied().unwrap_or(u64::MAX);
        let (priority, quota_class, [first, second]) = match pool.rotation.strategy {
            // Requests that nothing holds together stay on one account, busy or not, for the sake of its prompt cache.
            Strategy::Sticky if !self.has_session => (account.priority, quota_class, [reset, 0]),
            Strategy::Sticky | Strategy::EarliestReset => {
                (account.priority, quota_class, [reset, in_flight])
            }
            Strategy::Balanced => (account.priority, quota_class, [in_flight, reset]),
            Strategy::RoundRobin => {
                let turn = pool.traffic.turn(&account.id);
                (account.priority, quota_class, [turn, place])
            }
            // The order is the user's, and then that of the limits that were met: nothing outranks it.
            Strategy::FillFirst => (0, 0, [place, 0]),
        };
        let added = match self.has_session {
            true => 0,
            false => account.created_at.as_millis(),
        };
        (tier, priority, quota_class, [first, second, added])
    }

    /// Returns the rank and what decides among equals, so that no two are the same.
    pub(crate) fn in_full(&self, account: &AccountView) -> (Rank, Reverse<u64>, AccountId) {
        let height = Lot::new(account.id.as_str(), 0).height(self.session);
        (self.of(account), Reverse(height), account.id.clone())
    }
}

/// Judges by quota use: plenty, little or nothing left, and when the window that governs resets.
fn quota(pool: &Pool<'_>, account: &AccountView) -> (u8, u64) {
    match pool.governing(account) {
        None => (0, u64::MAX),
        Some(usage) => {
            let class = match usage.used_percent {
                limits::USE_LAST.. => 2,
                limits::USE_LATE.. => 1,
                _ => 0,
            };
            (class, usage.reset_at.as_millis())
        }
    }
}

/// Logins serve before API keys, which are paid for by the request.
fn tier(account: &AccountView) -> u8 {
    u8::from(account.kind == AccountKind::Api)
}

fn seniority(account: &AccountView) -> (i64, Timestamp, AccountId) {
    (account.priority, account.created_at, account.id.clone())
}

/// Tells whether the token has ended and no other can be had without the user.
fn is_lapsed(account: &AccountView, now: Timestamp) -> bool {
    !account.refreshable && account.expires_at.is_some_and(|at| at <= now)
}
