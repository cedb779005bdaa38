//! Brings what this process counts into the file of counts, and reads it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use provider_auth_policy::AccountId;
use provider_auth_vault::{RecordId, Vault, VaultError, line};
use tokio::runtime::Handle;

use super::Store;
use crate::config::Counting;
use crate::error::BrokerError;
use crate::host::blocking;
use crate::limits;
use crate::stats::{KeptStats, Samples, Stats, StatsFilter, Tallied};

impl Store {
    /// Writes what was counted, once for all counts until then. No request waits for it.
    pub(crate) fn count_soon(self: &Arc<Self>, runtime: &Handle) {
        if self.counts_due.load(Ordering::Relaxed) || !self.notifier.has_tally() {
            return;
        }
        if self.counts_due.swap(true, Ordering::AcqRel) {
            return;
        }
        // Spread, so that processes that began together do not write together.
        let wait = limits::FLUSH_COUNTS_AFTER.mul_f64(1.0 + 2.0 * self.jitter());
        let store = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep(wait).await;
            store.counts_due.store(false, Ordering::Release);
            if let Some(vault) = store.open_vault() {
                blocking(move || store.save_counts(&vault)).await;
            }
        });
    }

    /// Writes what was counted, and removes what was counted of accounts that are gone. A failure
    /// is logged, once, and the counts are written with the next ones.
    pub(crate) fn save_counts(&self, vault: &Vault) {
        match self.settings().counting {
            Counting::On => {}
            Counting::Off => return,
            Counting::Removed => {
                let _ = vault.remove_stats();
                return;
            }
        }
        match self.add_counts(vault) {
            Ok(()) => self.counts_unwritable.store(false, Ordering::Relaxed),
            Err(error) => {
                if !self.counts_unwritable.swap(true, Ordering::Relaxed) {
                    line!(
                        WARN,
                        error = error,
                        "the counts could not be written; it is tried again with later ones"
                    );
                }
            }
        }
    }

    fn add_counts(&self, vault: &Vault) -> Result<(), VaultError> {
        let (tallied, now) = (self.notifier.take_tally(), self.now());
        let samples = self.samples_of(&tallied);
        let written = vault.change_stats(|read| {
            let is_there = !matches!(read, Ok(None));
            if !is_there && tallied.is_empty() {
                return Ok(None);
            }
            let mut kept = readable(read)?;
            // First: what a clock that was set back saw in the future.
            kept.sweep(now);
            kept.add(&tallied, now);
            kept.sample(&samples);
            kept.sweep(now);
            self.forget_removed(&mut kept, vault)?;
            Ok(Some(kept.bounded_json()))
        });
        if written.is_err() {
            self.notifier.put_back_tally(&tallied);
        }
        written
    }

    /// How much of their quota the accounts have used that were counted.
    fn samples_of(&self, tallied: &Tallied) -> Samples {
        let ids = tallied.keys().filter_map(|key| key.account.as_deref());
        let ids: BTreeSet<&str> = ids.collect();
        self.state.read(|state| {
            let used = ids.into_iter().filter_map(|id| {
                let id = AccountId::from(id);
                let usage = &state.accounts.get(&id)?.usage;
                (!usage.is_empty()).then(|| (id, usage.clone()))
            });
            used.collect()
        })
    }

    /// An account that this process does not know may be one that another process has just added.
    fn forget_removed(&self, kept: &mut KeptStats, vault: &Vault) -> Result<(), VaultError> {
        let accounts = self.accounts();
        if kept.all_of(|id| accounts.get(&AccountId::from(id)).is_some()) {
            return Ok(());
        }
        let ids: BTreeSet<RecordId> = vault.ids()?.into_iter().collect();
        kept.forget(|id| id.parse().is_ok_and(|id: RecordId| !ids.contains(&id)));
        Ok(())
    }

    /// What was counted, by this process and all others.
    pub(crate) fn stats(&self, vault: &Vault, filter: &StatsFilter) -> Result<Stats, BrokerError> {
        self.save_counts(vault);
        if self.settings().counting != Counting::On {
            return Ok(Stats::default());
        }
        let mut kept = readable(vault.read_stats())?;
        kept.sweep(self.now());
        let accounts = self.accounts();
        Ok(kept.shown(filter, |id| {
            let view = &accounts.get(&AccountId::from(id))?.view;
            Some((view.provider.to_string(), view.namespace.to_string()))
        }))
    }
}

/// The file's content; one that is damaged, or too long to be read, begins afresh.
fn readable(read: Result<Option<Vec<u8>>, VaultError>) -> Result<KeptStats, VaultError> {
    let kept = match read {
        Err(error) if error.is_too_long() => None,
        read => match read? {
            None => return Ok(KeptStats::default()),
            Some(bytes) => KeptStats::read(&bytes),
        },
    };
    Ok(kept.unwrap_or_else(|| {
        line!(WARN, "the file of counts is damaged; they begin afresh");
        KeptStats::default()
    }))
}
