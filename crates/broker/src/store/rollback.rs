//! Notices a vault that was put back to an older state, also where the shared state was put back
//! with it.
//!
//! How far each login was is kept in two more places: in this process, for as long as it runs, and
//! in the keychain, where the vault's key is there. The keychain is read once, when the vault
//! opens, and written behind what is asked of us: some seconds after a login was renewed, once for
//! all, and at the end of the process. A copy that is noticed counts as everywhere else: its access
//! token serves, its refresh token is not spent unasked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_policy::{AccountId, refreshed};
use provider_auth_vault::limits::{HIGH_WATER_RECORDS, HIGH_WATER_TIMEOUT};
use provider_auth_vault::{HighWater, Vault, line};

use super::accounts::{Accounts, record_id};
use super::entry::Entry;
use super::shared_state::StateCache;
use crate::limits;

/// What this process knows of the marks in the keychain.
#[derive(Default)]
pub(super) struct HighWaterMarks {
    kept: Mutex<HighWater>,
    is_planned: AtomicBool,
    /// Until when the keychain is left alone after it did not take them, in time since the process
    /// began.
    resting_until: Mutex<Duration>,
}

impl HighWaterMarks {
    /// Takes over what the keychain says; before any account is read.
    pub(super) fn adopt(&self, kept: HighWater) {
        *self.kept.lock() = kept;
    }

    /// Notes of each account that was further than it is now that it was: by the marks, or in this
    /// process; `before` are the generations that were here of what was just read.
    pub(super) fn notice(
        &self,
        before: &[(AccountId, u64)],
        accounts: &Accounts,
        state: &StateCache,
    ) {
        let kept = self.kept.lock().clone();
        let seen_here = before
            .iter()
            .filter_map(|(id, generation)| Some((accounts.get(id)?, *generation)));
        let marked = accounts.entries().filter(|_| !kept.is_empty());
        let marked = marked.filter_map(|entry| {
            let id = record_id(&entry.view.id).ok()?;
            Some((entry, kept.of(&id)))
        });
        for (entry, highest) in seen_here.chain(marked) {
            if entry.view.generation >= highest {
                continue;
            }
            let id = &entry.view.id;
            if state.read(|state| state.stats(id).generation) < highest {
                line!(
                    WARN,
                    account = id,
                    "its record is older than one that was seen before"
                );
                state.note(&refreshed(id, highest));
            }
        }
    }

    /// Whether a login is further than the keychain says, and the marks are to be raised in
    /// [`limits::MARK_AFTER`]; one call is told so, and calls [`raise`](Self::raise) then.
    pub(super) fn plan(&self, accounts: &Accounts, uptime: Duration) -> bool {
        self.due(accounts).is_some()
            && uptime >= *self.resting_until.lock()
            && !self.is_planned.swap(true, Ordering::AcqRel)
    }

    /// Raises the marks in the keychain. A keychain that refuses them is left alone for a while; no
    /// call fails for it.
    pub(super) fn raise(&self, vault: &Vault, accounts: &Accounts, uptime: Duration) {
        self.is_planned.store(false, Ordering::Release);
        let Some(due) = self.due(accounts) else {
            return;
        };
        match vault.raise_high_water(&due, HIGH_WATER_TIMEOUT) {
            Ok(Some(kept)) => *self.kept.lock() = kept,
            // Another process is at it.
            Ok(None) => {}
            Err(error) => {
                line!(
                    DEBUG,
                    error = error,
                    "the keychain does not take how far the records are"
                );
                *self.resting_until.lock() = uptime + limits::MARK_AGAIN;
            }
        }
    }

    /// The marks with those of the logins raised that are further; `None` when all are high enough.
    /// An API key is as good in an old copy.
    fn due(&self, accounts: &Accounts) -> Option<HighWater> {
        let is_login = |entry: &&Arc<Entry>| entry.credential.lasting().is_none();
        let mut logins: Vec<_> = accounts.entries().filter(is_login).collect();
        // As many as there is room for: those that were renewed last.
        logins.sort_unstable_by_key(|entry| entry.credential.obtained_at());
        let excess = logins.len().saturating_sub(HIGH_WATER_RECORDS);
        let mut marks = self.kept.lock().clone();
        let mut is_due = false;
        for entry in &logins[excess..] {
            if let Ok(id) = record_id(&entry.view.id) {
                is_due |= marks.raise(&id, entry.view.generation);
            }
        }
        is_due.then_some(marks)
    }
}
