//! What is known of one account: counters, how it stands, what it rests from, how much of its quota
//! is used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits;
use crate::reason::Standing;
use crate::state::unknown;
use crate::state::unknown::merge_unknown;
use crate::time::Timestamp;

/// What is known of one account.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountStats {
    /// Attempts that were answered.
    pub successes: u64,
    /// Attempts that were not, for which the account or the service is to blame.
    pub failures: u64,
    /// Status of the last response.
    pub last_status: Option<u16>,
    /// When that was.
    pub last_at: Timestamp,
    /// Highest generation of the record that was ever seen.
    pub generation: u64,
    /// Why it does not serve, if it does not.
    pub standing: Option<StandingMark>,
    /// The last fresh token, or the last key, that was refused by no code that says that it is
    /// dead.
    pub refused: Option<Refusal>,
    /// Rest after a refresh that failed.
    pub refresh_rest: Option<RefreshRest>,
    /// When it last answered, or a person said to try it again: refusals from before count no more.
    pub trusted_at: Timestamp,
    /// Use of its quota, by window.
    #[serde(deserialize_with = "unknown::readable")]
    pub usage: BTreeMap<String, Usage>,
    /// Fields of a newer version, kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl AccountStats {
    pub(crate) fn merge(&mut self, delta: &Self) {
        self.successes = self.successes.saturating_add(delta.successes);
        self.failures = self.failures.saturating_add(delta.failures);
        (self.last_at, self.last_status) =
            (self.last_at, self.last_status).max((delta.last_at, delta.last_status));
        self.generation = self.generation.max(delta.generation);
        self.standing = self.standing.max(delta.standing);
        self.refused = self.refused.max(delta.refused);
        self.trusted_at = self.trusted_at.max(delta.trusted_at);
        self.refresh_rest = self.refresh_rest.max(delta.refresh_rest);
        for (window, usage) in &delta.usage {
            match self.usage.get_mut(window) {
                Some(known) => *known = (*known).max(*usage),
                None => {
                    self.usage.insert(window.clone(), *usage);
                }
            }
        }
        merge_unknown(&mut self.other, &delta.other);
    }

    /// Tells whether all it says is how attempts ended, and how much is used.
    pub(crate) fn only_counts(&self) -> bool {
        self.generation == 0 && !self.is_urgent() && self.other.is_empty()
    }

    /// Tells whether another process would decide otherwise at once if it knew.
    pub(crate) fn is_urgent(&self) -> bool {
        let is_told = self.successes == 0 && self.trusted_at != Timestamp::default();
        self.standing.is_some() || self.refused.is_some() || self.refresh_rest.is_some() || is_told
    }

    /// Drops what is no business of other machines.
    pub(crate) fn forget_near(&mut self) {
        self.refresh_rest = self.refresh_rest.filter(|rest| !rest.near);
    }

    pub(crate) fn has_counts(&self) -> bool {
        self.successes > 0 || self.failures > 0 || !self.usage.is_empty() || !self.other.is_empty()
    }

    pub(crate) fn forget_counts(&mut self) {
        *self = Self {
            generation: self.generation,
            standing: self.standing,
            refused: self.refused,
            refresh_rest: self.refresh_rest,
            trusted_at: self.trusted_at,
            ..Self::default()
        };
    }
}

/// A standing, and the generation of the record it holds for: a new login voids it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StandingMark {
    /// Generation of the record.
    pub generation: u64,
    /// When it was found out.
    pub observed_at: Timestamp,
    /// How the account stands.
    pub standing: Standing,
}

/// A token that was refused although it was fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refusal {
    /// Generation of the record that the token came from.
    pub generation: u64,
    /// When it was refused.
    pub at: Timestamp,
    /// A hash of the endpoint that refused it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<u64>,
}

/// A rest after a refresh that failed for a passing reason; the next generation voids it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RefreshRest {
    /// Highest generation known when it began.
    pub generation: u64,
    /// When the next try is due.
    pub until: Timestamp,
    /// When the failure was seen.
    pub observed_at: Timestamp,
    /// Rung of the back-off, from zero.
    pub level: u8,
    /// Since when the server has refused to renew this record, by a name that need not mean its
    /// end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_since: Option<Timestamp>,
    /// Whether this machine did not reach the server: others may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub near: bool,
}

impl RefreshRest {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        now < self.ends_at() && self.observed_at <= now + limits::CLOCK_JUMP
    }

    pub(crate) fn ends_at(&self) -> Timestamp {
        let longest = self.observed_at + limits::UNKNOWN_LONGEST + limits::JITTER_LONGEST;
        self.until.min(longest)
    }
}

/// How much of one quota window is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Usage {
    /// When it was seen.
    pub observed_at: Timestamp,
    /// Percent of the window, rounded down.
    pub used_percent: u16,
    /// When the window resets.
    pub reset_at: Timestamp,
}

impl Usage {
    /// Tells whether the window has not been reset since.
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.reset_at > now
    }
}
