//! Counts of what happened: by the hour for today and yesterday, by the day for before, of each
//! account and model. Hours and days are those of UTC.
//!
//! Every process adds its own counts to one file (`stats.json` in the vault's folder). They hold
//! ids, names of models and numbers, and no decision is made from them: a file that is damaged, or
//! lost, costs a picture.

mod kept;
mod tally;

use std::collections::BTreeMap;

use provider_auth_policy::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::store::Filter;

pub(crate) use kept::KeptStats;
pub(crate) use tally::{Tallied, Tally};

/// Whether what happens is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Counting {
    /// It is, and added to the file.
    #[default]
    On,
    /// Not by this process.
    Off,
    /// Not at all: the user's file says so, and what was counted is removed.
    Removed,
}

/// Whose counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Provider of the pool.
    pub provider: String,
    /// Namespace of the pool.
    pub namespace: String,
    /// The account; `None` for what concerns none, and for what is beyond the bound on rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The model that requests asked for, where they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// What is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Requests whose first attempt went to the account.
    #[serde(skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// Headers handed out: requests, and their further attempts.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts: u64,
    /// Attempts that were answered with 2xx.
    #[serde(skip_serializing_if = "is_zero")]
    pub served: u64,
    /// Attempts that ended otherwise, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, u64>,
    /// Requests that left the account for another one, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub switched: BTreeMap<String, u64>,
    /// Requests that no account could serve.
    #[serde(skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Tokens renewed.
    #[serde(skip_serializing_if = "is_zero")]
    pub refreshed: u64,
    /// Renewals that failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub refresh_failed: u64,
    /// How long requests waited for an account to be free, in ms.
    #[serde(skip_serializing_if = "is_zero")]
    pub waited_ms: u64,
    /// How long limits let the account rest, in ms, counted when they were met.
    #[serde(skip_serializing_if = "is_zero")]
    pub rested_ms: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        let add_each = |sums: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>| {
            for (name, more) in more {
                add(sums.entry(name.clone()).or_default(), *more);
            }
        };
        add(&mut self.requests, other.requests);
        add(&mut self.attempts, other.attempts);
        add(&mut self.served, other.served);
        add_each(&mut self.failed, &other.failed);
        add_each(&mut self.switched, &other.switched);
        add(&mut self.refused, other.refused);
        add(&mut self.refreshed, other.refreshed);
        add(&mut self.refresh_failed, other.refresh_failed);
        add(&mut self.waited_ms, other.waited_ms);
        add(&mut self.rested_ms, other.rested_ms);
    }
}

/// Counts of one hour or one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsRow {
    /// When it begins.
    pub at: Timestamp,
    /// How long it is: 1 or 24.
    pub hours: u8,
    /// Whose they are.
    pub key: Key,
    /// The counts.
    pub counts: Counts,
}

/// The highest use of a quota window that was seen within an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaSample {
    /// The account.
    pub account: String,
    /// Provider and namespace of its pool.
    pub pool: (String, String),
    /// The window.
    pub window: String,
    /// When the hour begins.
    pub at: Timestamp,
    /// Percent of the window.
    pub used_percent: u16,
    /// When the window resets.
    pub reset_at: Timestamp,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Whether it still is.
    pub enabled: bool,
    /// Oldest first.
    pub counts: Vec<StatsRow>,
    /// Of each account and window, oldest first.
    pub quota: Vec<QuotaSample>,
}

/// Which counts are asked for.
#[derive(Clone, Debug, Default)]
pub struct StatsFilter {
    /// Which pools.
    pub pools: Filter,
    /// Hours and days that end after this.
    pub since: Timestamp,
}

/// Use of the quota of one account: windows, and within them hours.
pub(crate) type Samples = BTreeMap<AccountId, BTreeMap<String, provider_auth_policy::Usage>>;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
