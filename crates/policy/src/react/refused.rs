//! A token or a key that was not accepted: whether it is dead, or has no right to one endpoint.

use crate::account::{AccountKind, AccountView};
use crate::keys::hash;
use crate::limits;
use crate::react::finding::{FailedAttempt, Finding, Step};
use crate::reason::{Reason, Standing};
use crate::request::Request;
use crate::request::doubt::{Charge, ChargeTime, Others, SecondOpinion};
use crate::response::outcome::Outcome;
use crate::state::account_stats::Refusal;
use crate::state::block::Block;
use crate::state::scope::Scope;

impl FailedAttempt<'_> {
    /// A token was not accepted.
    pub(crate) fn token_refused(&self, request: &mut Request, outcome: &Outcome) -> Finding {
        let Some(view) = self.view else {
            return self.no_charge(Reason::TokenExpired, Step::SwitchAccount);
        };
        let tried = request.try_mut(self.account);
        let generation = tried.generation;
        if view.generation > generation {
            return self.no_charge(Reason::TokenExpired, Step::Refresh);
        }
        let is_lasting = view.kind == AccountKind::Api || !view.refreshable;
        if !is_lasting && !tried.refreshed {
            tried.refreshed = true;
            return self.no_charge(Reason::TokenExpired, Step::Refresh);
        }
        match (is_lasting, outcome.named) {
            (true, true) => self.unusable(Reason::NeedsLogin, Step::SwitchAccount),
            (true, false) => self.key_refused(request, generation),
            (false, named) => self.fresh_token_refused(request, view, generation, named),
        }
    }

    /// A key was refused by no code that says that it is dead: it may lack the right to this
    /// endpoint alone.
    fn key_refused(&self, request: &Request, generation: u64) -> Finding {
        let refusal = self.refusal(request, generation);
        if self.is_refused_elsewhere(&refusal) {
            return Finding {
                refusal: Some(refusal),
                ..self.unusable(Reason::NeedsLogin, Step::SwitchAccount)
            };
        }
        let rest = Charge {
            block: Some(self.endpoint_refuses(request)),
            ..Charge::default()
        };
        Finding {
            refusal: Some(refusal),
            second_opinion: Some(SecondOpinion {
                others: Others::All,
                charged: ChargeTime::Later,
                confirmed: rest.clone(),
                unconfirmed: rest,
            }),
            ..self.no_charge(Reason::TokenExpired, Step::SwitchAccount)
        }
    }

    /// A token was refused that had just been obtained.
    ///
    /// Whether the login is dead, or has no right to this endpoint, shows at another account.
    /// Without one, a login that no code calls dead is judged as a key is.
    fn fresh_token_refused(
        &self,
        request: &Request,
        view: &AccountView,
        generation: u64,
        named: bool,
    ) -> Finding {
        let refusal = self.refusal(request, generation);
        let now = self.pool.now;
        // Many requests may meet the refusal of one token: only another token's counts as a second.
        let is_second = self.suspected().is_some_and(|first| {
            first.generation < generation && now <= first.at + limits::REFUSED_TWICE_WITHIN
        });
        let dead = |is_dead: bool| is_dead.then_some(Standing::NeedsLogin);
        let whole = Charge {
            block: (!is_second).then(|| self.refused_block(self.whole())),
            standing: dead(is_second),
            refusal: Some(refusal),
        };
        let elsewhere = self.is_refused_elsewhere(&refusal);
        let endpoint = Charge {
            block: (!elsewhere).then(|| self.endpoint_refuses(request)),
            standing: dead(elsewhere),
            refusal: Some(refusal),
        };
        let (confirmed, unconfirmed) = match (named, view.unattended) {
            (true, _) => (whole.clone(), whole),
            (false, true) => (endpoint.clone(), endpoint),
            (false, false) => (whole, endpoint),
        };
        Finding {
            second_opinion: Some(SecondOpinion {
                others: Others::All,
                charged: ChargeTime::AtOnce,
                confirmed,
                unconfirmed,
            }),
            ..self.no_charge(Reason::TokenExpired, Step::SwitchAccount)
        }
    }

    fn endpoint_refuses(&self, request: &Request) -> (Scope, Block) {
        let scope = match request.path() {
            Some(path) => Scope::Path(self.account.clone(), path.to_owned()),
            None => self.whole(),
        };
        let (scope, block) = self.refused_block(scope);
        let block = Block {
            doubtful: true,
            ..block
        };
        (scope, block)
    }

    fn refused_block(&self, scope: Scope) -> (Scope, Block) {
        let block = self.rest_on(&scope, Reason::TokenExpired, limits::REFUSED_LADDER);
        (scope, block)
    }

    fn refusal(&self, request: &Request, generation: u64) -> Refusal {
        Refusal {
            generation,
            at: self.pool.now,
            path: request.path().map(|path| hash(&[path])),
        }
    }

    /// Returns the last refusal since which the account has answered nothing.
    fn suspected(&self) -> Option<Refusal> {
        let known = self.stats();
        known.refused.filter(|first| first.at > known.trusted_at)
    }

    /// Tells whether another endpoint has refused the same, and none has answered since.
    fn is_refused_elsewhere(&self, refusal: &Refusal) -> bool {
        let is_key = |view: &AccountView| view.kind == AccountKind::Api || !view.refreshable;
        self.suspected().is_some_and(|first| {
            let of_same = match self.view.is_some_and(is_key) {
                true => first.generation == refusal.generation,
                false => first.generation <= refusal.generation,
            };
            let paths = first.path.zip(refusal.path);
            of_same && paths.is_some_and(|(first, second)| first != second)
        })
    }
}
