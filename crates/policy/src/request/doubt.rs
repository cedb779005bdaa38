//! Refusals that may be the request's own fault: what they mean for the account is charged once another account has served
//! the request, and to no account when another one answers the same.

use crate::account::AccountId;
use crate::reason::{Reason, Standing};
use crate::response::outcome::Outcome;
use crate::state::SharedState;
use crate::state::account_stats::{AccountState, Refusal, StandingMark};
use crate::state::block::Block;
use crate::state::scope::Scope;
use crate::time::Timestamp;

/// What a refusal said, as far as two of them can be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    status: Option<u16>,
    reason: Reason,
    code: Option<String>,
}

impl Said {
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

/// What is to be found out before a refusal is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) whom: Whom,
    pub(crate) charged: Charged,
    /// What is charged once another account has served the request.
    pub(crate) proven: Charge,
    /// What is charged when no other account can be asked.
    pub(crate) alone: Charge,
}

/// Who is asked whether the request is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// One other account: when it answers the same, the request is at fault.
    One,
    /// All that there are: several accounts may well be at fault alone.
    All,
}

/// When an account is charged that another one may yet clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charged {
    /// Now, and taken back when another account answers the same: so that other requests keep away meanwhile.
    AtOnce,
    /// Once another account has served the request.
    Later,
}

/// A refusal of one account that may be the request's fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) account: AccountId,
    pub(crate) generation: u64,
    pub(crate) said: Said,
    pub(crate) at: Timestamp,
    pub(crate) charged: Charged,
    pub(crate) charge: Charge,
}

/// What is charged to an account that another one has proven wrong.
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
        if self.charged == Charged::Later {
            return;
        }
        let serves = StandingMark {
            generation: self.generation,
            observed_at: now,
            standing: Standing::Serving,
        };
        let known = AccountState {
            standing: self.charge.standing.map(|_| serves),
            trusted_at: now,
            ..AccountState::default()
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
        let known = AccountState {
            refused: refusal,
            standing: standing.map(|standing| StandingMark {
                generation: self.generation,
                observed_at: self.at,
                standing,
            }),
            ..AccountState::default()
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
