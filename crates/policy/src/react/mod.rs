//! What follows from the end of an attempt: what is learned, and what happens next.

pub(crate) mod answer;
pub(crate) mod credit;
pub(crate) mod finding;
pub(crate) mod judge;
pub(crate) mod reaction;
pub(crate) mod refused;

use std::time::Duration;

use crate::account::{AccountId, AccountView};
use crate::jitter::with_jitter;
use crate::keys::pool_key;
use crate::limits;
use crate::pool::Pool;
use crate::react::answer::{answer_to_keep, learned_from, settle_answer};
use crate::react::finding::{FailedAttempt, Finding, Step};
use crate::react::reaction::{Action, Reaction};
use crate::reason::Reason;
use crate::request::doubt::{ChargeTime, Doubt, Others, RefusalFingerprint};
use crate::request::{Next, Request};
use crate::response::Response;
use crate::response::classify::classify;
use crate::rotation::Strategy;
use crate::signals::Signals;
use crate::state::SharedState;
use crate::state::account_stats::{AccountStats, StandingMark};
use crate::state::pool_order::PoolOrder;
use crate::time::Timestamp;

/// Decides what follows from the end of an attempt with this account.
///
/// `jitter` is a random number from 0 to 1. The delay of a retry is already counted as waited.
pub fn react(
    pool: &Pool<'_>,
    request: &mut Request,
    account: &AccountId,
    signals: &Signals,
    response: &Response<'_>,
    jitter: f64,
) -> Reaction {
    react_beside(pool, request, (account, None), signals, response, jitter)
}

/// The same, where it may be known how many other accounts are free, of those that did not have the
/// request: up to [`limits::MAX_ATTEMPTS`].
pub(crate) fn react_beside(
    pool: &Pool<'_>,
    request: &mut Request,
    (account, free_others): (&AccountId, Option<u32>),
    signals: &Signals,
    response: &Response<'_>,
    jitter: f64,
) -> Reaction {
    let outcome = classify(signals, response, pool.now);
    let mut learned = learned_from(pool, signals, response);
    match outcome.reason {
        Reason::Ok => {
            learned.successes = 1;
            return settle_answer(pool, request, account, signals, response, learned);
        }
        Reason::ClientError => {}
        _ => learned.failures = 1,
    }
    let attempt = FailedAttempt {
        pool,
        account,
        free_others,
        view: pool.roster.get(account),
        jitter,
        status: response.status,
        answer: answer_to_keep(response),
    };
    let mut finding = attempt.judge(request, &outcome);
    if response.broke_off() {
        finding.step = Step::Deliver;
    }
    let fingerprint = RefusalFingerprint::by(&outcome, response.status);
    attempt.follow_up(request, finding, learned, fingerprint)
}

impl FailedAttempt<'_> {
    /// Says what comes next, and what is charged now, later or never.
    fn follow_up(
        &self,
        request: &mut Request,
        mut finding: Finding,
        learned: AccountStats,
        fingerprint: RefusalFingerprint,
    ) -> Reaction {
        let Some(opinion) = finding.second_opinion.take() else {
            return self.charge(request, finding, learned);
        };
        let same = request
            .doubts()
            .iter()
            .any(|doubt| doubt.account != *self.account && doubt.fingerprint == fingerprint);
        if same && opinion.others == Others::One {
            finding.step = Step::Deliver;
        }
        let first = match opinion.charged {
            ChargeTime::AtOnce => finding.clone().with(opinion.confirmed.clone()),
            ChargeTime::Later => finding.clone(),
        };
        let reaction = self.charge(request, first, learned.clone());
        if reaction.action == Action::Retry {
            let doubt = Doubt {
                account: self.account.clone(),
                generation: self.generation(request),
                fingerprint,
                at: self.pool.now,
                charged: opinion.charged,
                charge: opinion.confirmed,
            };
            request.doubts_mut().push(doubt);
            return reaction;
        }
        finding.step = Step::Deliver;
        if same {
            let mut reaction = self.charge(request, finding, learned);
            let settled = request
                .doubts_mut()
                .extract_if(.., |doubt| doubt.fingerprint == fingerprint);
            for doubt in settled {
                doubt.take_back(self.pool.now, &mut reaction.delta);
                reaction.durable |= doubt.charged == ChargeTime::AtOnce;
            }
            return reaction;
        }
        // No account is left to ask.
        self.charge(request, finding.with(opinion.unconfirmed), learned)
    }

    /// Charges what was found, applies budgets to the step, and writes down what comes next.
    fn charge(
        &self,
        request: &mut Request,
        finding: Finding,
        mut learned: AccountStats,
    ) -> Reaction {
        let now = self.pool.now;
        learned.refused = finding.refusal;
        learned.standing = finding.standing.map(|standing| StandingMark {
            generation: self.generation(request),
            observed_at: now,
            standing,
        });
        let mut delta = SharedState::default();
        delta.accounts.insert(self.account.clone(), learned);
        if let Some((scope, block)) = &finding.block {
            delta.blocks.insert(scope.clone(), block.clone());
            if finding.reason.is_limit() && !scope.spans_accounts() {
                self.move_to_back(request, &mut delta);
            }
        }
        // What is charged to this account alone leaves the others as they are known.
        let spans_accounts = finding
            .block
            .as_ref()
            .is_some_and(|(scope, _)| scope.spans_accounts());
        let mut learned = match self.view.filter(|_| !spans_accounts) {
            Some(view) => self.pool.state.of_account(view, request.target()),
            None => self.pool.state.of_accounts(),
        };
        learned.merge(&delta);
        let after = match self.view.is_some() && !spans_accounts {
            true => Pool {
                news: Some((self.account, &learned)),
                ..*self.pool
            },
            false => Pool {
                state: &learned,
                ..*self.pool
            },
        };
        let mut reaction = Reaction {
            action: Action::Deliver,
            delay: Duration::ZERO,
            reason: finding.reason,
            cooldown_until: self
                .view
                .filter(|_| finding.block.is_some())
                .and_then(|view| after.obstacle(view, request))
                .map(|obstacle| obstacle.until),
            retry_at: None,
            durable: finding.block.is_some() || finding.standing.is_some(),
            delta,
            cooldown: finding.block,
            waits: false,
            freed: false,
            late_charges: Vec::new(),
        };
        // Of the others nothing was learned, unless it is of all.
        let free_others = self.free_others.filter(|_| !spans_accounts);
        let allowed = after.attempts_allowed_of(request, free_others);
        let took = request.attempts() < allowed
            && self.take_step((&after, free_others), request, finding.step, &mut reaction);
        if took {
            reaction.action = Action::Retry;
        } else if finding.reason.is_limit() {
            reaction.retry_at = after.soonest(request);
            if self.is_kept_from_others(&after, request) {
                reaction.reason = Reason::AccountBound;
            }
        }
        reaction
    }

    /// Tells whether another account could serve, were it not for an item that this one made.
    fn is_kept_from_others(&self, after: &Pool<'_>, request: &Request) -> bool {
        let free = request.clone().without_item();
        request.affinity().is_some()
            && after
                .serving(&free)
                .iter()
                .any(|account| after.is_free(&free, account))
    }

    /// Takes the step if the budgets allow it, or the next best one; `after` knows what was
    /// learned.
    fn take_step(
        &self,
        (after, free_others): (&Pool<'_>, Option<u32>),
        request: &mut Request,
        step: Step,
        reaction: &mut Reaction,
    ) -> bool {
        let switch = |request: &mut Request, reaction: &mut Reaction| {
            self.switch_account((after, free_others), request, reaction)
        };
        let now = after.now;
        match step {
            Step::Deliver => false,
            Step::Refresh => {
                request.set_next(Next {
                    account: self.account.clone(),
                    decided_at: now,
                    after_refresh: Some(self.generation(request)),
                });
                true
            }
            Step::BackOff(delay) if after.fits_wait(request, now + delay) => {
                reaction.delay = delay;
                self.wait_for(request, self.account, delay, now);
                true
            }
            Step::BackOff(_) if reaction.reason == Reason::Network => false,
            Step::WaitForCooldown if self.is_short(after, request, reaction.cooldown_until) => {
                reaction.delay = now.until(reaction.cooldown_until.unwrap_or(now));
                reaction.waits = true;
                self.wait_for(request, self.account, reaction.delay, now);
                true
            }
            Step::BackOff(_) | Step::SwitchOnce => {
                let may_switch = request.overload_switches() < limits::MAX_OVERLOAD_SWITCHES;
                let switches = may_switch && switch(request, reaction);
                if switches {
                    request.count_overload_switch();
                }
                switches
            }
            Step::WaitForCooldown | Step::SwitchAccount => switch(request, reaction),
        }
    }

    /// Tells whether the account's rest, a stronger block included, is short enough to wait for.
    fn is_short(&self, after: &Pool<'_>, request: &Request, until: Option<Timestamp>) -> bool {
        until.is_some_and(|until| {
            after.now.until(until) <= with_jitter(limits::SHORT_WAIT, 1.0)
                && after.fits_wait(request, until)
        })
    }

    /// Goes to an account that is free, else waits for the soonest that will be.
    fn switch_account(
        &self,
        (after, free_others): (&Pool<'_>, Option<u32>),
        request: &mut Request,
        reaction: &mut Reaction,
    ) -> bool {
        let may_switch = after.may_switch(request);
        if may_switch && free_others.is_some_and(|others| others > 0) {
            return true;
        }
        let serving = after.serving(request);
        let is_free = |account: &&AccountView| after.is_free(request, account);
        if free_others.is_none() && serving.iter().any(is_free) {
            return true;
        }
        let soonest = serving
            .iter()
            .filter(|account| match account.id == *self.account {
                true => reaction.reason.is_limit(),
                // An account that may be right about this request says the same after a rest.
                false => may_switch && !request.doubts().iter().any(|d| d.account == account.id),
            })
            .filter_map(|account| Some((after.obstacle(account, request)?, &account.id)))
            // Time does not bring money back.
            .filter(|(obstacle, _)| obstacle.reason != Reason::OutOfCredit)
            .filter(|(obstacle, _)| {
                after.fits_wait(request, obstacle.until)
                    || (obstacle.reason.is_limit() && after.fits_hold(request, obstacle.until))
            })
            .min_by_key(|(obstacle, id)| (obstacle.until, *id));
        let Some((obstacle, id)) = soonest else {
            return false;
        };
        reaction.delay = after.now.until(obstacle.until);
        reaction.waits = true;
        self.wait_for(request, id, reaction.delay, after.now);
        true
    }

    fn wait_for(&self, request: &mut Request, id: &AccountId, delay: Duration, now: Timestamp) {
        request.add_wait(delay);
        request.set_next(Next {
            account: id.clone(),
            decided_at: now,
            after_refresh: None,
        });
    }

    /// An account that met a limit goes to the back of the pool's order.
    fn move_to_back(&self, request: &Request, delta: &mut SharedState) {
        let strategy = self.pool.rotation.strategy;
        if !matches!(strategy, Strategy::FillFirst | Strategy::RoundRobin) {
            return;
        }
        let mut order: Vec<AccountId> = self
            .pool
            .order(&request.provider, &request.namespace)
            .into_iter()
            .cloned()
            .collect();
        order.retain(|id| id != self.account);
        order.push(self.account.clone());
        let pool = PoolOrder {
            moved_at: self.pool.now,
            order,
            ..PoolOrder::default()
        };
        let key = pool_key(&request.provider, &request.namespace);
        delta.pools.insert(key, pool);
    }
}
