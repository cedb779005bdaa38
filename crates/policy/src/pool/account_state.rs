//! How an account stands, in one public word.

use serde::{Deserialize, Serialize};

use crate::account::AccountView;
use crate::pool::obstacle::hindrance;
use crate::reason::{Reason, Standing};
use crate::state::SharedState;
use crate::state::scope::Target;
use crate::time::Timestamp;

/// How an account stands, in one public word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStateName {
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

impl AccountStateName {
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
pub fn account_state(
    account: &AccountView,
    state: &SharedState,
    now: Timestamp,
) -> AccountStateName {
    if !account.readable {
        return AccountStateName::Unreadable;
    }
    if !account.enabled {
        return AccountStateName::Disabled;
    }
    match state.standing(&account.id, account.generation) {
        Standing::RollbackSuspected => return AccountStateName::RollbackSuspected,
        Standing::NeedsVerification => return AccountStateName::NeedsVerification,
        Standing::BlockedByProvider => return AccountStateName::BlockedByProvider,
        Standing::NeedsLogin => return AccountStateName::NeedsLogin,
        Standing::Serving if account.is_lapsed(now) => return AccountStateName::NeedsLogin,
        Standing::Serving => {}
    }
    match hindrance(state, account, Target::default(), now).map(|hindrance| hindrance.reason) {
        None => AccountStateName::Ready,
        Some(Reason::OutOfCredit) => AccountStateName::OutOfCredit,
        Some(Reason::QuotaExhausted) => AccountStateName::Exhausted,
        Some(_) => AccountStateName::Cooling,
    }
}
