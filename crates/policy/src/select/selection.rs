//! What comes out of a selection, and by which rule.

use crate::account::{AccountId, AccountView};
use crate::reason::{Reason, Standing};
use crate::time::Timestamp;

/// Which account serves next, or why none does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// This account serves.
    Serve {
        /// The account.
        account: AccountId,
        /// Why this one.
        rule: Rule,
    },
    /// No account can serve now, but waiting is worth it. Then select again.
    Wait {
        /// When to select again.
        until: Timestamp,
        /// The account that is expected to serve.
        account: Option<AccountId>,
    },
    /// No account can serve now.
    Exhausted {
        /// When the soonest account can, where it is time that keeps it.
        retry_at: Option<Timestamp>,
        /// What keeps that account, else what keeps all.
        reason: Reason,
    },
    /// No account can serve until the user does something.
    NeedsLogin {
        /// The accounts that would serve.
        accounts: Vec<AccountId>,
        /// What is wrong with the first of them.
        reason: Standing,
    },
    /// The credentials of all accounts must not go where the request goes.
    OriginRefused,
    /// The pool has no account that may serve.
    NoAccount,
    /// The pin names no account.
    UnknownAccount,
}

/// Why an account was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The session is bound to it.
    Bound,
    /// The request names it.
    Pinned,
    /// The last reaction said so: after a wait, a back-off or a refresh.
    Resend,
    /// A new session, by the pool's strategy.
    Strategy,
    /// The session or the request moves here from an account that cannot serve it.
    Switched,
    /// No other account can serve, and the belief that this one cannot is old enough to be tested.
    /// Merge [`claim_probe`](crate::claim_probe()) at once, so that no other request does the same.
    Probe,
}

pub(crate) fn serve(account: &AccountView, rule: Rule) -> Selection {
    Selection::Serve {
        account: account.id.clone(),
        rule,
    }
}

impl Rule {
    /// Returns the public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Pinned => "pinned",
            Self::Resend => "resend",
            Self::Strategy => "strategy",
            Self::Switched => "switched",
            Self::Probe => "probe",
        }
    }
}
