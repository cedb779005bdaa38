//! What decides about accounts: the interface that the policy and the models of others share.

use std::time::Duration;

use provider_auth_policy::Timestamp;

use crate::upstream::{Answer, Call};

/// What a request does next.
#[derive(Debug)]
pub(crate) enum Move {
    /// It goes to this account, by its place in the user's list.
    Send(usize),
    /// It waits, and asks again.
    Wait(Duration),
    /// It is refused without asking the provider.
    Refuse,
}

/// What follows from an answer.
#[derive(Debug)]
pub(crate) enum After {
    /// It goes to whoever asked.
    Deliver,
    /// The request asks again after this.
    Again(Duration),
}

/// Decides which account serves. `now` is this machine's clock, which may be set.
pub(crate) trait Rotator {
    fn next(&mut self, call: &Call, now: Timestamp) -> Move;
    fn heard(&mut self, call: &Call, account: usize, answer: &Answer, now: Timestamp) -> After;

    /// Returns how many blocks were set where none stood before, if it keeps such.
    fn blocks_set(&self) -> Option<u32> {
        None
    }
}
