//! Counts of what happened: by the hour for today and yesterday, by the day for before, of each
//! account and model. Hours and days are those of UTC.
//!
//! Every process adds its own counts to one file (`stats.json` in the vault's folder). They hold
//! ids, names of models and numbers, and no decision is made from them: a file that is damaged, or
//! lost, costs a picture.

mod kept;
mod rows;
mod tally;

use std::collections::BTreeMap;

use provider_auth_policy::{AccountId, Timestamp, Usage};

use crate::store::Filter;

pub(crate) use kept::KeptStats;
pub(crate) use rows::Tallied;
pub use rows::{Counts, Key};
pub(crate) use tally::Tally;

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
pub(crate) type Samples = BTreeMap<AccountId, BTreeMap<String, Usage>>;
