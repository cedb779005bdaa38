//! What a failed attempt means: what is learned of the account, and where the request would best
//! go.
//!
//! - Throttled, rate limited, quota exhausted: a block until the stated time, else by a ladder.
//!   Goes to the same account after a short wait, else to another.
//! - Out of credit: a block by a ladder. Goes to another account.
//! - Token expired: a refresh first, on the same account. Refused again, the endpoint or the login
//!   is charged, and the request goes to another account.
//! - Forbidden: a refresh first, if the token is old. Then it goes to another account, and when
//!   that one serves it, a block is charged.
//! - Needs login, needs verification: the account is out until the user acts. Goes to another.
//! - Blocked by the provider: the same, but the response goes to the caller.
//! - Not entitled: a block of the model. Goes to another account.
//! - Overloaded, server error: no charge. Goes to the same account after a back-off, then to
//!   another, once.
//! - Network: no charge. Goes to the same account after a back-off.
//! - Client error: no charge. The response goes to the caller.
//!
//! Budgets are not looked at here: see [`react`](crate::react()).

use std::time::Duration;

use crate::account::AccountView;
use crate::jitter::{fraction, with_jitter};
use crate::limits;
use crate::react::finding::{FailedAttempt, Finding, Step};
use crate::reason::{Reason, Source};
use crate::request::Request;
use crate::request::doubt::{Charge, ChargeTime, Others, SecondOpinion};
use crate::response::outcome::{Outcome, RetryHint};
use crate::signals::Reach;
use crate::state::block::{Block, rung};
use crate::state::scope::Scope;

impl FailedAttempt<'_> {
    /// Judges the attempt, and marks in the request what may be done only once.
    pub(crate) fn judge(&self, request: &mut Request, outcome: &Outcome) -> Finding {
        let reason = outcome.reason;
        match reason {
            Reason::Throttled | Reason::RateLimited | Reason::QuotaExhausted => {
                self.limited(request, outcome)
            }
            Reason::OutOfCredit => self.out_of_credit(outcome),
            Reason::TokenExpired => self.token_refused(request, outcome),
            // Only a login that asks for more scopes helps, and until then the account serves
            // everything else.
            Reason::Forbidden if outcome.reach == Some(Reach::Request) => {
                self.no_charge(reason, Step::Deliver)
            }
            Reason::Forbidden => self.forbidden(request),
            Reason::NeedsLogin | Reason::NeedsVerification => {
                self.unusable(reason, Step::SwitchAccount)
            }
            // Going on with another account would be to escape a ban.
            Reason::BlockedByProvider => self.unusable(reason, Step::Deliver),
            Reason::NotEntitled => self.not_entitled(request, outcome),
            Reason::Overloaded | Reason::ServerError => self.failing(request, outcome),
            Reason::Network => {
                match self.tries(request) < limits::TRIES
                    && outcome.retry_hint != RetryHint::Unwanted
                {
                    true => self.no_charge(reason, Step::BackOff(self.back_off(request))),
                    // Name, TLS and proxy errors follow a request to every account.
                    false => self.no_charge(reason, Step::Deliver),
                }
            }
            Reason::ClientError | Reason::Ok | Reason::Exhausted | Reason::AccountBound => {
                self.no_charge(reason, Step::Deliver)
            }
        }
    }

    fn limited(&self, request: &mut Request, outcome: &Outcome) -> Finding {
        let scope = self.scope(request, outcome.reach.unwrap_or(Reach::Model));
        let Some(stated) = outcome.rest else {
            let ladder = match outcome.reason {
                Reason::QuotaExhausted => limits::QUOTA_LADDER,
                _ => limits::RATE_LADDER,
            };
            return self.limit_without_time(request, scope, outcome.reason, ladder);
        };
        let now = self.pool.now;
        let span = stated.span.max(limits::SHORTEST_REST);
        let until = now + with_jitter(span, self.jitter);
        let mut finding = self.blocked(
            scope,
            self.until(until, outcome.reason, stated.source),
            Step::SwitchAccount,
        );
        let may_wait = outcome.reason == Reason::Throttled
            && outcome.retry_hint != RetryHint::Unwanted
            && stated.span <= limits::SHORT_WAIT;
        let tried = request.try_mut(self.account);
        if may_wait && tried.waits < limits::SHORT_WAITS {
            tried.waits += 1;
            finding.step = Step::WaitForCooldown;
        }
        finding
    }

    /// There is too little money, for anything or for this request.
    fn out_of_credit(&self, outcome: &Outcome) -> Finding {
        let whole = self.whole();
        let block = match outcome.status {
            Some(402) => Block {
                doubtful: !outcome.named,
                ..self.rest_on(&whole, Reason::OutOfCredit, limits::PAYMENT_LADDER)
            },
            _ => self.rest_on(&whole, Reason::OutOfCredit, limits::CREDIT_LADDER),
        };
        self.blocked(whole, block, Step::SwitchAccount)
    }

    /// A 403 that says nothing we know.
    fn forbidden(&self, request: &mut Request) -> Finding {
        let now = self.pool.now;
        let tried = request.try_mut(self.account);
        let is_old = |view: &AccountView| {
            view.refreshable
                && view
                    .obtained_at
                    .is_none_or(|at| at + limits::FORBIDDEN_TOKEN_AGE < now)
        };
        if !tried.refreshed && self.view.is_some_and(is_old) {
            tried.refreshed = true;
            return self.no_charge(Reason::Forbidden, Step::Refresh);
        }
        // An item of another account, or one that is gone: that says nothing of the account.
        if request.item().is_some() {
            return self.no_charge(Reason::Forbidden, Step::Deliver);
        }
        let until = now + with_jitter(limits::FORBIDDEN_REST, self.jitter);
        let block = Block {
            doubtful: true,
            ..self.until(until, Reason::Forbidden, Source::Ladder)
        };
        let confirmed = Charge {
            block: Some((self.whole(), block)),
            ..Charge::default()
        };
        // No other account can tell whose fault it is: a rest would only keep good requests away.
        let unconfirmed = Charge::default();
        Finding {
            second_opinion: Some(SecondOpinion {
                others: Others::One,
                charged: ChargeTime::Later,
                confirmed,
                unconfirmed,
            }),
            ..self.no_charge(Reason::Forbidden, Step::SwitchAccount)
        }
    }

    fn not_entitled(&self, request: &Request, outcome: &Outcome) -> Finding {
        let now = self.pool.now;
        let scope = match (outcome.reach, request.model.as_deref()) {
            (Some(Reach::Account), _) => Some(self.whole()),
            (_, Some(model)) => Some(Scope::Model(self.account.clone(), model.to_owned())),
            // The request names no model: the account may well serve others.
            (_, None) => None,
        };
        match scope.zip(outcome.rest) {
            Some((scope, rest)) => {
                let was_served = request
                    .served_key()
                    .is_some_and(|key| self.pool.state.served.contains_key(key));
                let span = match scope {
                    Scope::Model(..) if !was_served => rest.span.min(limits::NEVER_SERVED_REST),
                    _ => rest.span,
                };
                let until = now + with_jitter(span, self.jitter);
                let block = Block {
                    answer: self.answer.clone(),
                    ..self.until(until, outcome.reason, rest.source)
                };
                self.blocked(scope, block, Step::SwitchAccount)
            }
            None => self.no_charge(outcome.reason, Step::SwitchAccount),
        }
    }

    /// The service has too much to do, or failed.
    fn failing(&self, request: &Request, outcome: &Outcome) -> Finding {
        let delay = self.back_off(request);
        let stated = outcome.rest.map_or(Duration::ZERO, |rest| rest.span);
        let once = outcome.retry_hint == RetryHint::Unnamed && self.tries(request) > 1;
        let step = if outcome.retry_hint == RetryHint::Unwanted || once {
            Step::Deliver
        } else if self.tries(request) < limits::TRIES && stated <= limits::BACKOFF_LONGEST {
            Step::BackOff(delay.max(stated))
        } else {
            Step::SwitchOnce
        };
        self.no_charge(outcome.reason, step)
    }

    fn scope(&self, request: &Request, reach: Reach) -> Scope {
        let provider = request.provider.clone();
        match (reach, request.model.as_deref().map(str::to_owned)) {
            (Reach::Model, Some(model)) => Scope::Model(self.account.clone(), model),
            (Reach::ProviderModel, Some(model)) => Scope::ProviderModel(provider, model),
            (Reach::Egress, _) => Scope::Egress(provider),
            (Reach::Request | Reach::Account, _) | (Reach::Model | Reach::ProviderModel, None) => {
                self.whole()
            }
        }
    }

    pub(crate) fn tries(&self, request: &Request) -> u32 {
        request
            .tried(self.account)
            .map_or(1, |tried| tried.attempts)
    }

    /// Full jitter: anything from nothing to 0.5 s, doubling with each try, at most 8 s.
    fn back_off(&self, request: &Request) -> Duration {
        let doublings = self.tries(request).saturating_sub(1).min(16);
        let most = limits::BACKOFF_FIRST * 2_u32.pow(doublings);
        most.min(limits::BACKOFF_LONGEST)
            .mul_f64(fraction(self.jitter))
    }

    /// A limit that states no time. That one request meets it again and again is one piece of
    /// evidence: it may be too large for the account, which serves others.
    fn limit_without_time(
        &self,
        request: &Request,
        scope: Scope,
        reason: Reason,
        ladder: &[Duration],
    ) -> Finding {
        let now = self.pool.now;
        let known = self.pool.state.blocks.get(&scope);
        let again = known
            .filter(|known| self.tries(request) > 1 && known.reason == reason && !known.is_clear());
        let block = match again {
            Some(known) => Block {
                level: known.level,
                ..self.until(
                    now + with_jitter(rung(ladder, known.level), self.jitter),
                    reason,
                    Source::Ladder,
                )
            },
            None => self.rest_on(&scope, reason, ladder),
        };
        self.blocked(scope, block, Step::SwitchAccount)
    }
}
