//! What a store that is away leaves: an access token ends by itself; what has no end serves for a
//! while only, since others may have removed it.

use std::sync::atomic::{AtomicU64, Ordering};

use provider_auth_policy::Timestamp;
use provider_auth_vault::{StoreState, VaultError};

use crate::error::BrokerError;
use crate::limits;
use crate::store::Store;
use crate::store::entry::Entry;

/// How the store stood at the last look: one a second, since each makes texts.
#[derive(Default)]
pub(super) struct CutOff {
    /// The second of the look.
    looked: AtomicU64,
    /// Since when it is away, in ms since the Unix epoch; 0 while it is there.
    since: AtomicU64,
}

impl CutOff {
    /// Why this account may not serve any more while the store is away.
    pub(super) fn refusal(
        &self,
        store: &Store,
        entry: &Entry,
        now: Timestamp,
    ) -> Option<BrokerError> {
        if entry.view.expires_at.is_some() {
            return None;
        }
        let since = self.since(store, now)?;
        (since.until(now) > store.settings().offline).then(|| {
            let retry_at = (now + limits::STORE_AGAIN).as_millis();
            VaultError::StoreUnavailable { retry_at }.into()
        })
    }

    fn since(&self, store: &Store, now: Timestamp) -> Option<Timestamp> {
        let second = now.as_millis() / 1000;
        // No request writes what all read, but for one a second.
        if self.looked.load(Ordering::Relaxed) != second {
            self.looked.store(second, Ordering::Relaxed);
            let status = store.open_vault().and_then(|vault| vault.store_status());
            let away = status.filter(|status| status.state == StoreState::Offline);
            let since = away.map_or(0, |status| status.since);
            self.since.store(since, Ordering::Relaxed);
        }
        match self.since.load(Ordering::Relaxed) {
            0 => None,
            since => Some(Timestamp::from_millis(since)),
        }
    }
}
