//! What a store for many machines says of itself.

use std::time::Duration;

/// How a store for many machines stands, as this process knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStatus {
    /// Which engine: `postgres`.
    pub kind: &'static str,
    /// Servers, database and vault, without user and password.
    pub place: String,
    /// How changes by others are learned of.
    pub state: StoreState,
    /// Since when it is so, in ms since the Unix epoch.
    pub since: u64,
    /// Whether the server sees the end of this process; `None` where that is not known.
    pub direct: Option<bool>,
    /// The version of the tables.
    pub schema: u32,
    /// How many hosts were there within a day; `None` where that is not known.
    pub hosts: Option<u32>,
    /// How many records wait here to be stored.
    pub outbox: u32,
    /// For how long hosts may still be putting back what the store lost while it was away.
    pub settles_in: Option<Duration>,
    /// By how many ms the store's clock is ahead of this machine's.
    pub clock_offset: i64,
}

/// How changes by others are learned of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// Within a second.
    Listening,
    /// Within a few seconds.
    Polling,
    /// Not at all: the store does not answer.
    Offline,
}
