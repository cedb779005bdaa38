//! One failed attempt and what it comes to: the finding, and the step that is best next.

use std::time::Duration;

use crate::account::{AccountId, AccountView};
use crate::jitter::with_jitter;
use crate::pool::Pool;
use crate::reason::{Reason, Source, Standing};
use crate::request::Request;
use crate::request::doubt::{Charge, SecondOpinion};
use crate::state::account_stats::{AccountStats, Refusal};
use crate::state::block::{Block, KeptAnswer, rung};
use crate::state::scope::Scope;
use crate::time::Timestamp;

/// One failed attempt, and what it is judged by.
pub(crate) struct FailedAttempt<'a> {
    pub(crate) pool: &'a Pool<'a>,
    pub(crate) account: &'a AccountId,
    /// How many others are free, of those that did not have the request, where an index tells.
    pub(crate) free_others: Option<u32>,
    /// `None` when the account was removed meanwhile.
    pub(crate) view: Option<&'a AccountView>,
    pub(crate) jitter: f64,
    /// Status of the response.
    pub(crate) status: Option<u16>,
    /// The response, if it is small enough to be kept.
    pub(crate) answer: Option<KeptAnswer>,
}

/// Where a request would best go next, before budgets are looked at.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// Nowhere: no other attempt could end differently.
    Deliver,
    /// To the same account with a newer token.
    Refresh,
    /// To the same account after a delay that no block asks for.
    BackOff(Duration),
    /// To the same account after its block, which is short.
    WaitForCooldown,
    /// To another account.
    SwitchAccount,
    /// To another account, but only once: the accounts are not at fault.
    SwitchOnce,
}

/// What a failed attempt comes to.
#[derive(Clone)]
pub(crate) struct Finding {
    pub(crate) reason: Reason,
    pub(crate) block: Option<(Scope, Block)>,
    pub(crate) standing: Option<Standing>,
    pub(crate) refusal: Option<Refusal>,
    /// Set when the request itself may be at fault: what is charged later, or not.
    pub(crate) second_opinion: Option<SecondOpinion>,
    pub(crate) step: Step,
}

impl Finding {
    /// Adds what is charged.
    pub(crate) fn with(self, charge: Charge) -> Self {
        Self {
            block: charge.block.or(self.block),
            standing: charge.standing.or(self.standing),
            refusal: charge.refusal.or(self.refusal),
            ..self
        }
    }
}

impl FailedAttempt<'_> {
    pub(crate) fn whole(&self) -> Scope {
        Scope::Account(self.account.clone())
    }

    pub(crate) fn stats(&self) -> &AccountStats {
        self.pool.state.stats(self.account)
    }

    pub(crate) fn generation(&self, request: &Request) -> u64 {
        let sent = request.tried(self.account).map(|tried| tried.generation);
        sent.or(self.view.map(|view| view.generation))
            .unwrap_or_default()
    }

    pub(crate) fn no_charge(&self, reason: Reason, step: Step) -> Finding {
        Finding {
            reason,
            block: None,
            standing: None,
            refusal: None,
            second_opinion: None,
            step,
        }
    }

    pub(crate) fn unusable(&self, reason: Reason, step: Step) -> Finding {
        let standing = match reason {
            Reason::NeedsVerification => Standing::NeedsVerification,
            Reason::BlockedByProvider => Standing::BlockedByProvider,
            _ => Standing::NeedsLogin,
        };
        Finding {
            standing: Some(standing),
            ..self.no_charge(reason, step)
        }
    }

    pub(super) fn blocked(&self, scope: Scope, block: Block, step: Step) -> Finding {
        let reason = block.reason;
        Finding {
            block: Some((scope, block)),
            ..self.no_charge(reason, step)
        }
    }

    /// Returns the next rest of a scope that states no time.
    pub(crate) fn rest_on(&self, scope: &Scope, reason: Reason, ladder: &[Duration]) -> Block {
        let now = self.pool.now;
        let known = self.pool.state.blocks.get(scope);
        let level = known.map_or(0, |block| block.next_level(reason, now));
        let until = now + with_jitter(rung(ladder, level), self.jitter);
        Block {
            level,
            ..self.until(until, reason, Source::Ladder)
        }
    }

    pub(super) fn until(&self, until: Timestamp, reason: Reason, source: Source) -> Block {
        Block {
            status: self.status,
            ..Block::new(until, reason, source, self.pool.now)
        }
    }
}
