//! The order of a pool, for strategies that have one.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::account::AccountId;
use crate::state::unknown::merge_unknown;
use crate::time::Timestamp;

/// The order of a pool, for strategies that have one.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolOrder {
    /// When it was last changed.
    pub moved_at: Timestamp,
    /// First to serve first; accounts that are not named come after.
    pub order: Vec<AccountId>,
    /// Fields of a newer version, kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl PoolOrder {
    pub(crate) fn merge(&mut self, delta: &Self) {
        match delta.age().cmp(&self.age()) {
            Ordering::Greater => *self = delta.clone(),
            Ordering::Equal => merge_unknown(&mut self.other, &delta.other),
            Ordering::Less => {}
        }
    }

    fn age(&self) -> (Timestamp, &[AccountId]) {
        (self.moved_at, &self.order)
    }
}
