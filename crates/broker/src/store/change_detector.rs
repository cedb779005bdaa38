//! Tells whether the vault is as it was when it was last compared with what is in memory.

use parking_lot::Mutex;
use provider_auth_policy::Timestamp;
use provider_auth_vault::{Vault, Watch};

use crate::limits;

/// The last comparison, and a watch over what happened since.
#[derive(Default)]
pub(super) struct ChangeDetector {
    since: Mutex<Since>,
}

#[derive(Default)]
struct Since {
    /// `None` until the first look, and then `Some(None)` where nothing can be watched.
    watch: Option<Option<Watch>>,
    /// When memory and disk were found equal; void after a change.
    equal_at: Option<Timestamp>,
}

impl ChangeDetector {
    /// Tells whether memory still equals the disk: compares them unless the watch heard of nothing
    /// since they did.
    pub(super) fn is_unchanged(
        &self,
        vault: &Vault,
        now: Timestamp,
        compare: impl FnOnce() -> bool,
    ) -> bool {
        let mut since = self.since.lock();
        // Asked before the comparison, so that a change in between is heard of the next time.
        let is_quiet = since
            .watch
            .get_or_insert_with(|| vault.watch())
            .as_mut()
            .is_some_and(Watch::is_quiet);
        let is_recent = since
            .equal_at
            .is_some_and(|at| at <= now && now < at + limits::COMPARE_AGAIN);
        if is_quiet && is_recent {
            return true;
        }
        let is_equal = compare();
        since.equal_at = is_equal.then_some(now);
        is_equal
    }
}
