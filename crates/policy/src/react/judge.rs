//! What a failed attempt means: what is learned of the account, and where the request would best go.
//!
//! Budgets are not looked at here: see [`react`](crate::react()).

use std::time::Duration;

use crate::account::AccountView;
use crate::jitter::{fraction, put_off};
use crate::limits;
use crate::react::finding::{Case, Finding, Step};
use crate::reason::{Reason, Source};
use crate::request::Request;
use crate::request::doubt::{Ask, Charge, Charged, Whom};
use crate::response::outcome::{Again, Outcome};
use crate::signals::Reach;
use crate::state::block::{Block, rung};
use crate::state::scope::Scope;

impl Case<'_> {
    /// Judges the attempt, and marks in the request what may be done only once.
    pub(crate) fn judge(&self, request: &mut Request, outcome: &Outcome) -> Finding {
        let reason = outcome.reason;
        match reason {
            Reason::Throttled | Reason::RateLimited | Reason::QuotaExhausted => {
                self.limited(request, outcome)
            }
            Reason::OutOfCredit => self.unpaid(outcome),
            Reason::TokenExpired => self.refused(request, outcome),
            // Only a login that asks for more scopes helps, and until then the account serves everything else.
            Reason::Forbidden if outcome.reach == Some(Reach::Request) => {
                self.only(reason, Step::Deliver)
            }
            Reason::Forbidden => self.forbidden(request),
            Reason::NeedsLogin | Reason::NeedsVerification => self.stands(reason, Step::Hop),
            // Going on with another account would be to escape a ban.
            Reason::BlockedByProvider => self.stands(reason, Step::Deliver),
            Reason::NotEntitled => self.not_entitled(request, outcome),
            Reason::Overloaded | Reason::ServerError => self.failing(request, outcome),
            Reason::Network => {
                match self.tries(request) < limits::TRIES && outcome.again != Again::Unwanted {
                    true => self.only(reason, Step::BackOff(self.back_off(request))),
                    // Name, TLS and proxy errors follow a request to every account.
                    false => self.only(reason, Step::Deliver),
                }
            }
            Reason::ClientError | Reason::Ok | Reason::Exhausted | Reason::AccountBound => {
                self.only(reason, Step::Deliver)
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
            return self.silent(request, scope, outcome.reason, ladder);
        };
        let now = self.pool.now;
        let span = stated.span.max(limits::SHORTEST_REST);
        let until = now + put_off(span, self.jitter);
        let mut finding = self.blocked(
            scope,
            self.until(until, outcome.reason, stated.source),
            Step::Hop,
        );
        let may_sit_out = outcome.reason == Reason::Throttled
            && outcome.again != Again::Unwanted
            && stated.span <= limits::SHORT_WAIT;
        let tried = request.try_mut(self.account);
        if may_sit_out && tried.waits < limits::SHORT_WAITS {
            tried.waits += 1;
            finding.step = Step::SitOut;
        }
        finding
    }

    /// There is too little money, for anything or for this request.
    fn unpaid(&self, outcome: &Outcome) -> Finding {
        let whole = self.whole();
        let block = match outcome.status {
            Some(402) => Block {
                doubtful: !outcome.named,
                ..self.rest_on(&whole, Reason::OutOfCredit, limits::PAYMENT_LADDER)
            },
            _ => self.rest_on(&whole, Reason::OutOfCredit, limits::CREDIT_LADDER),
        };
        self.blocked(whole, block, Step::Hop)
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
            return self.only(Reason::Forbidden, Step::Refresh);
        }
        // An item of another account, or one that is gone: that says nothing of the account.
        if request.item().is_some() {
            return self.only(Reason::Forbidden, Step::Deliver);
        }
        let until = now + put_off(limits::FORBIDDEN_REST, self.jitter);
        let block = Block {
            doubtful: true,
            ..self.until(until, Reason::Forbidden, Source::Ladder)
        };
        let proven = Charge {
            block: Some((self.whole(), block)),
            ..Charge::default()
        };
        // No other account can tell whose fault it is: a rest would only keep good requests away.
        let alone = Charge::default();
        Finding {
            ask: Some(Ask {
                whom: Whom::One,
                charged: Charged::Later,
                proven,
                alone,
            }),
            ..self.only(Reason::Forbidden, Step::Hop)
        }
    }

    fn not_entitled(&self, request: &Request, outcome: &Outcome) -> Finding {
        let now = self.pool.now;
        let scope = match (outcome.reach, &request.model) {
            (Some(Reach::Account), _) => Some(self.whole()),
            (_, Some(model)) => Some(Scope::Model(self.account.clone(), model.clone())),
            // Which model it was, nobody knows: the account may well serve others.
            (_, None) => None,
        };
        match scope.zip(outcome.rest) {
            Some((scope, rest)) => {
                let was_served = request
                    .served_key()
                    .is_some_and(|key| self.pool.state.served.contains_key(&key));
                let span = match scope {
                    Scope::Model(..) if !was_served => rest.span.min(limits::NEVER_SERVED_REST),
                    _ => rest.span,
                };
                let until = now + put_off(span, self.jitter);
                let block = Block {
                    answer: self.answer.clone(),
                    ..self.until(until, outcome.reason, rest.source)
                };
                self.blocked(scope, block, Step::Hop)
            }
            None => self.only(outcome.reason, Step::Hop),
        }
    }

    /// The service has too much to do, or failed.
    fn failing(&self, request: &Request, outcome: &Outcome) -> Finding {
        let delay = self.back_off(request);
        let stated = outcome.rest.map_or(Duration::ZERO, |rest| rest.span);
        let once = outcome.again == Again::Unnamed && self.tries(request) > 1;
        let step = if outcome.again == Again::Unwanted || once {
            Step::Deliver
        } else if self.tries(request) < limits::TRIES && stated <= limits::BACKOFF_LONGEST {
            Step::BackOff(delay.max(stated))
        } else {
            Step::HopOnce
        };
        self.only(outcome.reason, step)
    }

    fn scope(&self, request: &Request, reach: Reach) -> Scope {
        let provider = request.provider.clone();
        match (reach, request.model.clone()) {
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

    /// A limit that states no time. That one request meets it again and again is one piece of evidence: it may be too large
    /// for the account, which serves others.
    fn silent(
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
                    now + put_off(rung(ladder, known.level), self.jitter),
                    reason,
                    Source::Ladder,
                )
            },
            None => self.rest_on(&scope, reason, ladder),
        };
        self.blocked(scope, block, Step::Hop)
    }
}
