//! A pool at one moment: its accounts, which of them could serve, and when the others can.

pub(crate) mod account_state;
pub(crate) mod changes;
pub(crate) mod obstacle;
pub(crate) mod ranks;
pub(crate) mod rendezvous;
pub(crate) mod roster;
pub(crate) mod traffic;

use crate::account::{AccountId, AccountKind, AccountView};
use crate::limits;
use crate::pool::obstacle::{Obstacle, obstacle};
use crate::pool::roster::Roster;
use crate::pool::traffic::Traffic;
use crate::reason::Standing;
use crate::refresh::{refresh_allowed, refused_since};
use crate::request::Request;
use crate::rotation::{Mode, Rotation, Strategy};
use crate::state::SharedState;
use crate::state::block::{Block, KeptAnswer};
use crate::state::scope::{Scope, Target};
use crate::time::{Span, Timestamp};

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
    /// What was just learned of one account, in the place of what `state` says of it.
    pub news: Option<(&'a AccountId, &'a SharedState)>,
}

impl<'a> Pool<'a> {
    /// Returns what is known of an account.
    pub(crate) fn known_of(&self, id: &AccountId) -> &'a SharedState {
        match self.news {
            Some((account, learned)) if account == id => learned,
            _ => self.state,
        }
    }

    /// Tells whether the user lets the account serve this request.
    pub(crate) fn fits(&self, account: &AccountView, request: &Request) -> bool {
        let is_key = account.kind == AccountKind::Api;
        let kind_fits = match self.rotation.mode {
            Mode::Auto => true,
            Mode::Subscription => !is_key,
            Mode::Api => is_key,
        };
        // A request that pins an account has chosen its kind as well.
        account.enabled && account.readable && (kind_fits || request.pin.is_some())
    }

    /// Returns how the account stands towards a request now.
    pub(crate) fn standing(&self, account: &AccountView) -> Standing {
        let expired = account.expires_at.is_some_and(|at| at <= self.now);
        match self
            .known_of(&account.id)
            .standing(&account.id, account.generation)
        {
            // What is already in hand still serves; only the refresh token is not spent unasked.
            Standing::RollbackSuspected if !expired => Standing::Serving,
            Standing::Serving if account.is_lapsed(self.now) => Standing::NeedsLogin,
            standing => standing,
        }
    }

    /// Returns why the account cannot serve the request now, or `None` when it can.
    pub(crate) fn obstacle(&self, account: &AccountView, request: &Request) -> Option<Obstacle> {
        let known = self.known_of(&account.id);
        let blocks = known.blocks_for(&account.id, &account.provider, request.target());
        obstacle(known, account, blocks, self.now)
    }

    /// Tells whether what stands in the way of the account is that its login server refuses to
    /// renew it.
    pub(crate) fn is_refused(&self, account: &AccountView, obstacle: &Obstacle) -> bool {
        let known = self.known_of(&account.id);
        let rests_until = refresh_allowed(known, &account.id, self.now).err();
        rests_until == Some(obstacle.until) && refused_since(known, &account.id).is_some()
    }

    /// Returns the [obstacle](Self::obstacle), and between which times nothing but a change of the
    /// state changes how the account stands or ranks.
    pub(crate) fn outlook(
        &self,
        account: &AccountView,
        target: Target<'_>,
    ) -> (Option<Obstacle>, Span) {
        let state = self.known_of(&account.id);
        let known = state.stats(&account.id);
        let blocks = state.blocks_for(&account.id, &account.provider, target);
        let obstacle = obstacle(state, account, blocks.clone(), self.now);
        let blocks = blocks.map(|(_, block)| (block.ends_at(), block.observed_at));
        let rest = known.refresh_rest;
        let rest = rest.map(|rest| (rest.ends_at(), rest.observed_at));
        let turns = blocks
            .chain(rest)
            // A belief from the future is void until its time comes near.
            .flat_map(|(until, observed_at)| [until, observed_at - limits::CLOCK_JUMP])
            .chain(known.usage.values().map(|usage| usage.reset_at))
            .chain(account.expires_at);
        (obstacle, Span::between(turns, self.now))
    }

    /// Tells whether the request may go from one account to another.
    pub(crate) fn may_switch(&self, request: &Request) -> bool {
        self.rotation.rotate
            && request.pin.is_none()
            && request.affinity().is_none()
            && request.switches() < limits::MAX_SWITCHES
    }

    /// Tells whether a wait until then fits what the request may still spend.
    pub(crate) fn fits_wait(&self, request: &Request, until: Timestamp) -> bool {
        let left = self.rotation.max_wait.saturating_sub(request.time_waited());
        self.now.until(until) <= left
    }

    /// Tells whether the request asked to be held, and may be until then.
    pub(crate) fn fits_hold(&self, request: &Request, until: Timestamp) -> bool {
        let left = limits::LONGEST_HOLD.saturating_sub(request.time_waited());
        self.rotation.hold_until_reset && self.now.until(until) <= left
    }

    /// Tells whether the account can take the request now and was not handed it before.
    pub(crate) fn is_free(&self, request: &Request, account: &AccountView) -> bool {
        !request.has_served(&account.id)
            && (request.attempts() == 0 || self.may_switch(request))
            && self.obstacle(account, request).is_none()
    }

    /// Returns how many attempts the request may make in all.
    pub(crate) fn attempts_allowed(&self, request: &Request) -> u32 {
        self.attempts_allowed_of(request, None)
    }

    /// Returns the same, where it may be known how many accounts are free of those that did not
    /// have the request.
    pub(crate) fn attempts_allowed_of(&self, request: &Request, free_others: Option<u32>) -> u32 {
        if let Some(most) = self.rotation.max_attempts {
            return most.max(1);
        }
        let eligible = match free_others {
            Some(others) => {
                let had = request.tried_accounts().filter(|id| request.has_served(id));
                let had = had.filter_map(|id| self.roster.get(id));
                others + had.filter(|account| self.fits(account, request)).count() as u32
            }
            None => self
                .roster
                .iter()
                .filter(|account| self.fits(account, request))
                .filter(|account| {
                    request.has_served(&account.id)
                        || (self.standing(account) == Standing::Serving
                            && self.obstacle(account, request).is_none())
                })
                .take(limits::MAX_ATTEMPTS as usize)
                .count() as u32,
        };
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

    /// Returns the accounts that the request may be about: the pinned one, the one that it keeps,
    /// the one of a pool that does not rotate, or all.
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
                    .filter(|account| {
                        request
                            .affinity()
                            .is_none_or(|affinity| account.id == *affinity)
                    })
                    .collect()
            }
            None => fitting
                .min_by_key(|account| (account.tier(), account.seniority()))
                .into_iter()
                .collect(),
        }
    }

    /// Returns the login that serves for all of the pool's, where they do not stand in for one
    /// another.
    fn first_login(&self, request: &Request) -> Option<&'a AccountId> {
        let logins = self.roster.iter().filter(|account| {
            account.kind != AccountKind::Api
                && self.fits(account, request)
                && !request.origin_refused.contains(&account.id)
        });
        logins
            .min_by_key(|account| (account.tier(), account.seniority()))
            .map(|account| &account.id)
    }

    /// Returns what the provider said of this request at this account, where it would say the same
    /// again.
    pub(crate) fn answer(&self, account: &AccountView, request: &Request) -> Option<KeptAnswer> {
        let mut blocks = self
            .known_of(&account.id)
            .blocks_for(&account.id, &account.provider, request.target())
            .filter(|(_, block)| block.live_until(self.now).is_some());
        blocks.find_map(|(_, block)| block.answer.clone())
    }

    /// Returns the block that keeps the account longest from serving the request.
    pub(crate) fn cause(
        &self,
        account: &AccountView,
        request: &Request,
    ) -> Option<(&'a Scope, &'a Block)> {
        let blocks =
            self.known_of(&account.id)
                .blocks_for(&account.id, &account.provider, request.target());
        blocks
            .filter_map(|(scope, block)| Some((block.live_until(self.now)?, scope, block)))
            .max_by_key(|(until, ..)| *until)
            .map(|(_, scope, block)| (scope, block))
    }

    /// Returns the soonest time at which any account can serve the request, of those that time
    /// alone keeps from it.
    pub(crate) fn soonest(&self, request: &Request) -> Option<Timestamp> {
        self.serving(request)
            .into_iter()
            .filter_map(|account| match self.obstacle(account, request) {
                None => Some(self.now),
                Some(obstacle) => obstacle.passes().then_some(obstacle.until),
            })
            .min()
    }

    /// Tells whether answers to this request bind it to an account.
    pub(crate) fn binds(&self, request: &Request) -> bool {
        request.session.is_some() || self.rotation.strategy == Strategy::Sticky
    }
}
