//! Which account serves a session, and which account owns what no other can serve.

use serde::{Deserialize, Serialize};

use crate::account::AccountId;
use crate::limits;
use crate::time::Timestamp;

/// Which account serves a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Binding {
    /// When it last answered.
    pub used_at: Timestamp,
    /// When its prompt cache is believed to be cold.
    pub until: Timestamp,
    /// The account.
    pub account: AccountId,
}

impl Binding {
    pub(crate) fn lives(&self, now: Timestamp) -> bool {
        now < self.ends_at() && self.used_at <= now + limits::CLOCK_JUMP
    }

    /// Returns when it ends, unless it is used before.
    pub(crate) fn ends_at(&self) -> Timestamp {
        self.until.min(self.used_at + limits::BINDING_LIFE)
    }

    pub(crate) fn is_remembered(&self, now: Timestamp) -> bool {
        now < self.used_at + limits::BINDING_MEMORY && self.used_at <= now + limits::CLOCK_JUMP
    }
}

/// Which account an item or a conversation belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// When it last answered.
    pub used_at: Timestamp,
    /// The account.
    pub account: AccountId,
}

impl Owner {
    pub(crate) fn is_remembered(&self, now: Timestamp) -> bool {
        now < self.used_at + limits::OWNER_MEMORY && self.used_at <= now + limits::CLOCK_JUMP
    }
}
