//! Refusals that may be the request's own fault. The account is charged once another account has
//! served the request; when another one refuses it in the same way, no account is charged.

use crate::account::AccountId;
use crate::reason::{Reason, Standing};
use crate::response::outcome::Outcome;
use crate::state::SharedState;
use crate::state::account_stats::{AccountStats, Refusal, StandingMark};
use crate::state::block::Block;
use crate::state::scope::Scope;
use crate::time::Timestamp;

/// What a refusal said: two with the same fingerprint count as the same refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusalFingerprint {
    status: Option<u16>,
    reason: Reason,
    code: Option<String>,
}

impl RefusalFingerprint {
    pub(crate) fn by(outcome: &Outcome, status: Option<u16>) -> Self {
        Self {
            status,
            reason: outcome.reason,
            code: outcome.code.clone(),
        }
    }
}

/// What a refusal means for the account, once it is known to be the account's.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) block: Option<(Scope, Block)>,
    pub(crate) standing: Option<Standing>,
    pub(crate) refusal: Option<Refusal>,
}

/// What another account must say before a refusal is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecondOpinion {
    pub(crate) others: Others,
    pub(crate) charged: ChargeTime,
    /// What is charged once another account has served the request.
    pub(crate) confirmed: Charge,
    /// What is charged when no other account can be asked.
    pub(crate) unconfirmed: Charge,
}

/// Which other accounts try the request, to tell whether it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// One other account: when it answers the same, the request is at fault.
    One,
    /// All of them: several accounts may be at fault, each by itself.
    All,
}

/// When the account that refused is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChargeTime {
    /// Now, and taken back when another account answers the same: so that other requests keep away
    /// meanwhile.
    AtOnce,
    /// Once another account has served the request.
    Later,
}

/// A refusal of one account that may be the request's fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) account: AccountId,
    pub(crate) generation: u64,
    pub(crate) fingerprint: RefusalFingerprint,
    pub(crate) at: Timestamp,
    pub(crate) charged: ChargeTime,
    pub(crate) charge: Charge,
}

/// What an account is charged after another one has served the request that it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateCharge {
    /// The account.
    pub account: AccountId,
    /// What it rests from.
    pub cooldown: Option<(Scope, Block)>,
    /// How it stands from now on.
    pub standing: Option<Standing>,
}

impl Doubt {
    /// Takes back what was charged at once: the account is not at fault.
    pub(crate) fn take_back(&self, now: Timestamp, delta: &mut SharedState) {
        if self.charged == ChargeTime::Later {
            return;
        }
        let serves = StandingMark {
            generation: self.generation,
            observed_at: now,
            standing: Standing::Serving,
        };
        let known = AccountStats {
            standing: self.charge.standing.map(|_| serves),
            trusted_at: now,
            ..AccountStats::default()
        };
        let mut change = SharedState::default();
        change.accounts.insert(self.account.clone(), known);
        if let Some((scope, _)) = &self.charge.block {
            change.blocks.insert(scope.clone(), Block::clear(now));
        }
        delta.merge(&change);
    }

    /// Charges the account after all.
    pub(crate) fn settle(self, delta: &mut SharedState) -> LateCharge {
        let Charge {
            block,
            standing,
            refusal,
        } = self.charge;
        let known = AccountStats {
            refused: refusal,
            standing: standing.map(|standing| StandingMark {
                generation: self.generation,
                observed_at: self.at,
                standing,
            }),
            ..AccountStats::default()
        };
        let mut change = SharedState::default();
        change.accounts.insert(self.account.clone(), known);
        if let Some((scope, block)) = &block {
            change.blocks.insert(scope.clone(), block.clone());
        }
        delta.merge(&change);
        LateCharge {
            account: self.account,
            cooldown: block,
            standing,
        }
    }
}
