//! Notices a vault that was put back to an older state, also where the shared state was put back with it.
//!
//! How far each login was is kept in two more places: in this process, for as long as it runs, and in the keychain, where the
//! vault's key is there. The keychain is read once, when the vault opens, and written behind what is asked of us: some seconds
//! after a login was renewed, once for all, and at the end of the process. A copy that is noticed counts as everywhere else:
//! its access token serves, its refresh token is not spent unasked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_policy::refreshed;
use provider_auth_vault::limits::{HIGH_WATER_DEADLINE, HIGH_WATER_RECORDS};
use provider_auth_vault::{HighWater, Vault};

use crate::accounts::{Accounts, Entry, record_id};
use crate::broker::{Broker, blocking};
use crate::limits;

/// What this process knows of the marks in the keychain.
#[derive(Default)]
pub(crate) struct Marks {
    kept: Mutex<HighWater>,
    is_planned: AtomicBool,
    /// Until when the keychain is left alone after it did not take them, in time since the process began.
    resting_until: Mutex<Duration>,
}

impl Broker {
    /// Takes over what the keychain says; before anybody reads an account.
    pub(crate) fn adopt_marks(&self, kept: HighWater) {
        *self.marks.kept.lock() = kept;
    }

    /// Notes of each account that was further than it is now that it was; `before` are the accounts as they were.
    pub(crate) fn notice_rollback(&self, before: &Accounts) {
        let accounts = self.accounts();
        for entry in accounts.entries() {
            let id = &entry.view.id;
            let seen_here = before.get(id).map_or(0, |entry| entry.view.generation);
            let highest = seen_here.max(self.mark_of(entry));
            let known = self.ledger.read(|state| state.stats(id).generation);
            if entry.view.generation < highest && known < highest {
                tracing::warn!(account = %id, "its record is older than one that was seen before");
                self.ledger.note(&refreshed(id, highest));
            }
        }
    }

    fn mark_of(&self, entry: &Entry) -> u64 {
        let kept = self.marks.kept.lock();
        match record_id(&entry.view.id) {
            Ok(id) if !kept.is_empty() => kept.of(&id),
            _ => 0,
        }
    }

    /// Raises the marks in the keychain a little later, where a login is further than they say.
    pub(crate) fn mark_soon(self: &Arc<Self>, vault: &Arc<Vault>) {
        if !vault.keeps_high_water() || self.due_marks().is_none() {
            return;
        }
        let is_resting = self.uptime() < *self.marks.resting_until.lock();
        if is_resting || self.marks.is_planned.swap(true, Ordering::AcqRel) {
            return;
        }
        let (broker, vault) = (self.clone(), vault.clone());
        tokio::spawn(async move {
            tokio::time::sleep(limits::MARK_AFTER).await;
            broker.marks.is_planned.store(false, Ordering::Release);
            blocking(move || broker.mark_now(&vault)).await;
        });
    }

    /// Raises the marks in the keychain; one that does not take them costs a warning less, later, and nothing now.
    pub(crate) fn mark_now(&self, vault: &Vault) {
        if !vault.keeps_high_water() {
            return;
        }
        let Some(due) = self.due_marks() else {
            return;
        };
        match vault.raise_high_water(&due, HIGH_WATER_DEADLINE) {
            Ok(Some(kept)) => *self.marks.kept.lock() = kept,
            // Another process is at it.
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "the keychain does not take how far the records are");
                *self.marks.resting_until.lock() = self.uptime() + limits::MARK_AGAIN;
            }
        }
    }

    /// The marks with those of the logins raised that are further; `None` when none is. Keys are as good in an old copy.
    fn due_marks(&self) -> Option<HighWater> {
        let accounts = self.accounts();
        let is_login = |entry: &&Arc<Entry>| entry.credential.lasting().is_none();
        let mut logins: Vec<_> = accounts.entries().filter(is_login).collect();
        // As many as there is room for: those that were renewed last.
        logins.sort_unstable_by_key(|entry| entry.credential.obtained_at());
        let excess = logins.len().saturating_sub(HIGH_WATER_RECORDS);
        let mut marks = self.marks.kept.lock().clone();
        let mut is_due = false;
        for entry in &logins[excess..] {
            if let Ok(id) = record_id(&entry.view.id) {
                is_due |= marks.raise(&id, entry.view.generation);
            }
        }
        is_due.then_some(marks)
    }
}
