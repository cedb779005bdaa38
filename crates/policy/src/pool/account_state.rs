//! How an account stands, in one public word.

use serde::{Deserialize, Serialize};

use crate::account::AccountView;
use crate::pool::obstacle::obstacle;
use crate::reason::{Reason, Standing};
use crate::state::SharedState;
use crate::state::scope::Target;
use crate::time::Timestamp;

/// How an account stands, in one public word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
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

impl AccountState {
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
pub fn account_state(account: &AccountView, state: &SharedState, now: Timestamp) -> AccountState {
    if !account.readable {
        return AccountState::Unreadable;
    }
    if !account.enabled {
        return AccountState::Disabled;
    }
    match state.standing(&account.id, account.generation) {
        Standing::RollbackSuspected => return AccountState::RollbackSuspected,
        Standing::NeedsVerification => return AccountState::NeedsVerification,
        Standing::BlockedByProvider => return AccountState::BlockedByProvider,
        Standing::NeedsLogin => return AccountState::NeedsLogin,
        Standing::Serving if account.is_lapsed(now) => return AccountState::NeedsLogin,
        Standing::Serving => {}
    }
    let blocks = state.blocks_for(&account.id, &account.provider, Target::default());
    match obstacle(state, account, blocks, now).map(|obstacle| obstacle.reason) {
        None => AccountState::Ready,
        Some(Reason::OutOfCredit) => AccountState::OutOfCredit,
        Some(Reason::QuotaExhausted) => AccountState::Exhausted,
        Some(_) => AccountState::Cooling,
    }
}
