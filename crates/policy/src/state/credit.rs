//! What a plain answer teaches, to be merged in place.

use crate::account::AccountId;
use crate::state::account_stats::AccountStats;
use crate::state::binding::Binding;

/// What a plain answer teaches: the same as the change that [`react`](crate::react()) makes of it.
#[derive(Debug)]
pub struct Credit<'a> {
    pub(crate) account: &'a AccountId,
    pub(crate) learned: AccountStats,
    /// With its key.
    pub(crate) binding: Option<(&'a str, Binding)>,
}
