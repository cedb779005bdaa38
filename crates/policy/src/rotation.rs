//! How a pool is told to rotate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Which kinds of account serve.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Logins first, and then API keys.
    #[default]
    Auto,
    /// Logins only.
    Subscription,
    /// API keys only.
    Api,
}

/// How a new session finds its account. A session that has one keeps it, whatever the strategy.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Requests without a session keep one account too.
    #[default]
    Sticky,
    /// The account whose quota resets first.
    EarliestReset,
    /// The account with the fewest requests in flight.
    Balanced,
    /// The account that has rested longest.
    RoundRobin,
    /// The first of the pool's order, until it meets a limit and moves to the back.
    FillFirst,
}

impl Strategy {
    /// Returns the public name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sticky => "sticky",
            Self::EarliestReset => "earliest-reset",
            Self::Balanced => "balanced",
            Self::RoundRobin => "round-robin",
            Self::FillFirst => "fill-first",
        }
    }
}

/// How a pool is told to rotate. The default is that of the public contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Which kinds of account serve.
    pub mode: Mode,
    /// How a new session finds its account.
    pub strategy: Strategy,
    /// False: only the first account of the pool serves, and nothing moves to another.
    pub rotate: bool,
    /// False: of the pool's logins only the first serves; its API keys stand in for one another and
    /// for that login.
    pub pool_logins: bool,
    /// Attempts of one request; `None` is min(2 · eligible + 2, 8).
    pub max_attempts: Option<u32>,
    /// Time that one request may spend waiting.
    pub max_wait: Duration,
    /// Wait for the soonest reset, at most 6 h, instead of failing.
    pub hold_until_reset: bool,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            strategy: Strategy::default(),
            rotate: true,
            pool_logins: true,
            max_attempts: None,
            max_wait: limits::MAX_WAIT,
            hold_until_reset: false,
        }
    }
}
