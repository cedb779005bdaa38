//! How long what a claim was had for may be sent.

use std::time::Duration;

use crate::clock;

/// Until when what was claimed may be sent: a claim that can be taken over is over one day, and what
/// is sent after that is sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendBy(Option<Duration>);

impl SendBy {
    /// A claim that lasts as long as its holder.
    pub const FOR_EVER: Self = Self(None);

    /// Some time from now, also where this machine sleeps meanwhile. Take it before the claim.
    pub fn within(time: Duration) -> Self {
        Self(Some(clock::since_boot() + time))
    }

    /// Tells whether it is too late.
    pub fn has_passed(self) -> bool {
        self.0.is_some_and(|by| clock::since_boot() > by)
    }
}
