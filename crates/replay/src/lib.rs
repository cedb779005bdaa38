//! Replays a provider's behaviour against the rotation policy under a virtual clock.
//!
//! A [`Scenario`] says which accounts there are, how their quota windows fill and empty, when requests
//! come and what goes wrong. [`play()`] plays it with the real `provider-auth-policy`, or with a model of
//! what others do, and returns a [`Tally`]. The same scenario gives the same tally every time: there is
//! no clock, no network, and all chance comes from the scenario's seed.

mod chart;
mod ours;
mod peers;
mod play;
mod player;
mod random;
mod report;
mod rotator;
mod scenario;
mod tally;
mod upstream;

pub use chart::chart;
pub use play::play;
pub use player::Player;
pub use report::{page, report, table};
pub use scenario::{
    Account, Arrivals, ClockJump, Fault, FaultKind, Says, Scenario, UnreadableScenario, Window,
};
pub use tally::{Attempt, Tally};
