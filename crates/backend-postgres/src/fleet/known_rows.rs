//! The shared state's rows as this process heard of them.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use provider_auth_vault::{Mark, Row, RowChanges};

/// The rows, each with the number of the change that brought it here.
#[derive(Default)]
pub(super) struct Rows {
    known: Mutex<BTreeMap<String, (u64, Row)>>,
    changes: AtomicU64,
}

impl Rows {
    /// How often something changed: what the hot path asks.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Which of these are not here in this version.
    pub(super) fn unknown<'k>(&self, told: &'k [(String, u64)]) -> Vec<&'k str> {
        let known = self.known.lock();
        let is_new = |(key, version): &&(String, u64)| {
            known
                .get(key)
                .is_none_or(|(_, row)| row.version != *version)
        };
        told.iter()
            .filter(is_new)
            .map(|(key, _)| key.as_str())
            .collect()
    }

    /// Takes in what was asked for when [`Rows::changes`] was `asked_at`, and tells of it. What this
    /// process has written since is newer, whatever its version: after a failover that goes back.
    pub(super) fn take_in(&self, rows: Vec<(String, Row)>, asked_at: u64) {
        let mut known = self.known.lock();
        let change = self.changes() + 1;
        let mut has_news = false;
        for (key, row) in rows {
            let is_older = known.get(&key).is_some_and(|(at, _)| *at > asked_at);
            if !is_older {
                known.insert(key, (change, row));
                has_news = true;
            }
        }
        if has_news {
            self.changes.store(change, Ordering::Release);
        }
    }

    /// The rows that changed since a mark; without one, all.
    pub(super) fn since(&self, mark: Option<Mark>) -> RowChanges {
        let known = self.known.lock();
        let next = Mark(self.changes());
        let later = known
            .iter()
            .filter(|(_, (change, _))| mark.is_none_or(|mark| *change > mark.0));
        RowChanges {
            rows: later
                .map(|(key, (_, row))| (key.clone(), row.clone()))
                .collect(),
            mark: next,
        }
    }
}
