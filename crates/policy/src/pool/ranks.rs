//! In which order accounts serve.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use crate::account::{AccountId, AccountView};
use crate::keys::pool_key;
use crate::limits;
use crate::pool::Pool;
use crate::pool::rendezvous::Candidate;
use crate::reason::Standing;
use crate::request::Request;
use crate::rotation::{Mode, Strategy};
use crate::state::account_stats::Usage;

impl<'a> Pool<'a> {
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
            (place.unwrap_or(usize::MAX), account.seniority())
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

    /// Returns the quota window of the account that governs: the fullest one.
    fn governing(&self, account: &AccountView) -> Option<&'a Usage> {
        let windows = self.known_of(&account.id).stats(&account.id).usage.values();
        windows
            .filter(|usage| usage.holds(self.now))
            .max_by_key(|usage| (usage.used_percent, usage.reset_at))
    }

    /// Returns how much of the account's quota is used, where the provider says so.
    pub(crate) fn used_percent(&self, account: &AccountView) -> Option<u16> {
        self.governing(account).map(|usage| usage.used_percent)
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
        let until = pool.obstacle(account, &request).map(|h| h.until);
        (!fit, until, ranks.in_full(account))
    });
    accounts
        .into_iter()
        .map(|account| account.id.clone())
        .collect()
}

/// Places of accounts in a pool's order.
pub(crate) type Places = HashMap<AccountId, u64>;

/// Ranks accounts for a new session; the least rank serves.
pub(crate) struct Ranks<'a> {
    pub(crate) pool: Pool<'a>,
    pub(crate) session: u64,
    /// Whether the request belongs to a conversation, so that it may go to any of equals, and
    /// always to the same one.
    pub(crate) has_session: bool,
    pub(crate) places: Cow<'a, Places>,
}

/// Tier, priority, quota class, two numbers of the strategy, and when the account was added where
/// no session is to be spread. Among equals the session picks.
pub(crate) type Rank = (u8, i64, u8, [u64; 3]);

impl Ranks<'_> {
    pub(crate) fn of(&self, account: &AccountView) -> Rank {
        let pool = &self.pool;
        let tier = match pool.rotation.mode {
            Mode::Auto => account.tier(),
            Mode::Subscription | Mode::Api => 0,
        };
        let in_flight = u64::from(pool.traffic.in_flight(&account.id));
        let (quota_class, reset) = quota(pool, account);
        let place = self.places.get(&account.id).copied().unwrap_or(u64::MAX);
        let (priority, quota_class, [first, second]) = match pool.rotation.strategy {
            // Requests that nothing holds together stay on one account, busy or not, for the sake
            // of its prompt cache.
            Strategy::Sticky if !self.has_session => (account.priority, quota_class, [reset, 0]),
            Strategy::Sticky | Strategy::EarliestReset => {
                (account.priority, quota_class, [reset, in_flight])
            }
            Strategy::Balanced => (account.priority, quota_class, [in_flight, reset]),
            Strategy::RoundRobin => {
                let turn = pool.traffic.turn(&account.id);
                (account.priority, quota_class, [turn, place])
            }
            // The order is the user's, and then that of the limits that were met: nothing outranks
            // it.
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
        let weight = Candidate::new(account.id.as_str(), 0).weight(self.session);
        (self.of(account), Reverse(weight), account.id.clone())
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
