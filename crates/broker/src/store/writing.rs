//! What of the shared state, of new tokens and of marks is on its way to the disk, and when it gets
//! there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use provider_auth_policy::{AccountId, SharedState, refreshed};
use provider_auth_vault::{Shared, Vault};
use tokio::runtime::Handle;

use super::Store;
use super::shared_views::Due;
use crate::error::BrokerError;
use crate::host::{blocking, finish};
use crate::limits;
use crate::notifier::EventKind;

impl Store {
    /// Notes and tells of accounts that were added together, each with its generation.
    pub(crate) async fn added(self: &Arc<Self>, vault: &Arc<Vault>, accounts: &[(AccountId, u64)]) {
        if accounts.is_empty() {
            return;
        }
        for (id, generation) in accounts {
            self.state.note(&refreshed(id, *generation));
        }
        // A request that waits for an account may have one now.
        self.notifier.wake_waiting();
        self.save_state(vault).await;
        for (id, _) in accounts {
            self.tell_account(EventKind::AccountAdded, id, None);
        }
    }

    /// Notes a change of the shared state and writes it.
    pub(crate) async fn note(self: &Arc<Self>, vault: &Arc<Vault>, change: &SharedState) {
        self.state.note(change);
        self.notifier.wake_waiting();
        self.save_state(vault).await;
    }

    /// Writes the shared state now; the history is left for later. A disk that does not take it
    /// stops no request: the change holds in this process and is written with the next one.
    pub(crate) async fn save_state(self: &Arc<Self>, vault: &Arc<Vault>) {
        let (store, disk, turn) = (self.clone(), vault.clone(), self.row_turn.clone());
        let has_rows = vault.has_rows();
        let save = async move {
            // Who waits for a store that hangs waits without a thread.
            let turn = match has_rows {
                true => Some(turn.lock_owned().await),
                false => None,
            };
            blocking(move || {
                store.save_shared(&disk, Shared::State, Due::Soon);
                drop(turn);
            })
            .await;
        };
        if has_rows {
            // What is not stored by then goes on in this process, and is stored behind the call.
            let _ = tokio::time::timeout(limits::STATE_STORED_WITHIN, save).await;
            self.flush_soon(&Handle::current());
        } else {
            save.await;
        }
        self.mark_soon(vault);
        self.count_soon(&Handle::current());
    }

    fn save_shared(&self, vault: &Vault, shared: Shared, due: Due) {
        let now = self.now();
        self.state.save(vault, &self.changes, (shared, due), now);
    }

    /// Writes the shared state now, for a caller who must know that it is on disk.
    pub(crate) async fn flush(self: &Arc<Self>, vault: &Arc<Vault>) -> Result<(), BrokerError> {
        let (store, disk) = (self.clone(), vault.clone());
        let flushed = blocking(move || {
            let now = store.now();
            store
                .state
                .flush(&disk, &store.changes, (Shared::State, Due::Soon), now)
        });
        let flushed = flushed.await;
        if vault.has_rows() {
            self.flush_soon(&Handle::current());
        }
        Ok(flushed?)
    }

    /// Writes what is unwritten, once for all changes until then: in a second what another process
    /// may need, later what none waits for.
    pub(crate) fn flush_soon(self: &Arc<Self>, runtime: &Handle) {
        if let Some(due) = self.state.due() {
            self.flush_when(due, runtime);
        } else {
            self.count_soon(runtime);
        }
    }

    /// The same, where it is known how soon.
    pub(crate) fn flush_when(self: &Arc<Self>, due: Due, runtime: &Handle) {
        self.count_soon(runtime);
        if self.flush_due[due as usize].swap(true, Ordering::AcqRel) {
            return;
        }
        let wait = match due {
            Due::Soon => limits::FLUSH_AFTER,
            // Spread, so that processes that began together do not write together.
            Due::Later => limits::FLUSH_COUNTS_AFTER.mul_f64(1.0 + 2.0 * self.jitter()),
        };
        let store = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep(wait).await;
            store.flush_due[due as usize].store(false, Ordering::Release);
            let Some(vault) = store.open_vault() else {
                return;
            };
            store.save_state(&vault).await;
            if due == Due::Later || store.state.has_news() {
                let (writer, vault) = (store.clone(), vault.clone());
                blocking(move || writer.save_shared(&vault, Shared::History, due)).await;
            }
            if vault.has_rows() {
                // Counts wait for their time, and what was not stored for the next try.
                store.flush_soon(&Handle::current());
            }
        });
    }

    /// Raises the marks against a vault that is put back, a little later, where a login is further
    /// than they say.
    pub(super) fn mark_soon(self: &Arc<Self>, vault: &Arc<Vault>) {
        if !vault.keeps_high_water() || !self.marks.plan(&self.accounts(), self.uptime()) {
            return;
        }
        let (store, vault) = (self.clone(), vault.clone());
        tokio::spawn(async move {
            tokio::time::sleep(limits::MARK_AFTER).await;
            blocking(move || store.mark_now(&vault)).await;
        });
    }

    fn mark_now(&self, vault: &Vault) {
        if vault.keeps_high_water() {
            self.marks.raise(vault, &self.accounts(), self.uptime());
        }
    }

    /// Writes what is unwritten, or tries to for this time; the process is about to end.
    /// Each record is written by itself: one whose write hangs costs the others nothing.
    pub(crate) fn close(self: &Arc<Self>, within: Duration) {
        let Some(vault) = self.open_vault() else {
            return;
        };
        let tokens = self.unsaved_ids().into_iter().map(|id| {
            let (store, vault) = (self.clone(), vault.clone());
            Box::new(move || {
                store.save_last(&vault, &id);
                // What others must know of it.
                store.save_shared(&vault, Shared::State, Due::Later);
                store.mark_now(&vault);
            }) as Box<dyn FnOnce() + Send>
        });
        let tokens: Vec<_> = tokens.collect();
        let (store, vault) = (self.clone(), vault.clone());
        let rest = Box::new(move || {
            store.save_shared(&vault, Shared::State, Due::Later);
            store.save_shared(&vault, Shared::History, Due::Later);
            if store.notifier.has_tally() {
                store.save_counts(&vault);
            }
            store.mark_now(&vault);
            store.index_now(&vault);
        });
        finish(within, tokens.into_iter().chain([rest as _]));
    }
}
