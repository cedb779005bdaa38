//! Which policies are played: this product's own, and models of what others do.

use std::time::Duration;

use provider_auth_policy::{Strategy, Timestamp};

use crate::ours::Ours;
use crate::peers::{EveryLimit, Hybrid, Rest};
use crate::rotator::Rotator;
use crate::scenario::Scenario;

/// A policy that is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Player {
    /// The policy of this product, by one of its strategies.
    Ours(Strategy),
    /// A model: rotates on every 429.
    EveryLimit,
    /// A model: the hybrid score.
    Hybrid,
    /// A model: every 429 rests its account for 30 s.
    Fixed30,
}

impl Player {
    /// All of them, ours first.
    pub const ALL: [Self; 8] = [
        Self::Ours(Strategy::Sticky),
        Self::Ours(Strategy::EarliestReset),
        Self::Ours(Strategy::Balanced),
        Self::Ours(Strategy::FillFirst),
        Self::Ours(Strategy::RoundRobin),
        Self::EveryLimit,
        Self::Hybrid,
        Self::Fixed30,
    ];

    /// Returns its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours(Strategy::Sticky) => "sticky",
            Self::Ours(Strategy::EarliestReset) => "earliest-reset",
            Self::Ours(Strategy::Balanced) => "balanced",
            Self::Ours(Strategy::FillFirst) => "fill-first",
            Self::Ours(Strategy::RoundRobin) => "round-robin",
            Self::EveryLimit => "rotate on every 429",
            Self::Hybrid => "hybrid score",
            Self::Fixed30 => "fixed 30 s",
        }
    }

    /// Tells whether it is a model of what others do.
    pub const fn is_model(self) -> bool {
        !matches!(self, Self::Ours(_))
    }

    /// Returns what decides, at the start of a scenario.
    pub(crate) fn rotator(self, scenario: &Scenario, start: Timestamp) -> Box<dyn Rotator> {
        let count = scenario.accounts.len();
        match self {
            Self::Ours(strategy) => Box::new(Ours::new(scenario, strategy)),
            Self::EveryLimit => Box::new(EveryLimit::new(count, Rest::AsStated)),
            Self::Hybrid => Box::new(Hybrid::new(count, start)),
            Self::Fixed30 => {
                let rest = Rest::Fixed(Duration::from_secs(30));
                Box::new(EveryLimit::new(count, rest))
            }
        }
    }
}
