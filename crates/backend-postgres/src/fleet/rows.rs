//! The shared state's rows as this process heard of them, and how one is merged.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use provider_auth_vault::{Mark, Row, RowChanges, RowMerge, StateRows, Telling, VaultError};

use super::{Fleet, error::vault_error, limits};
use crate::Versioned;

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

    /// Takes rows in, and tells of them.
    pub(super) fn take_in(&self, rows: Vec<(String, Row)>) {
        if rows.is_empty() {
            return;
        }
        let mut known = self.known.lock();
        let change = self.changes() + 1;
        known.extend(rows.into_iter().map(|(key, row)| (key, (change, row))));
        self.changes.store(change, Ordering::Release);
    }
}

impl Fleet {
    /// Fetches rows of the state that changed; they are shown once the records are that were there
    /// when they were written.
    pub(super) fn fetch_rows(
        &self,
        told: &[(String, u64)],
    ) -> Result<Vec<(String, Row)>, VaultError> {
        let unknown = self.rows.unknown(told);
        let mut rows = Vec::with_capacity(unknown.len());
        for keys in unknown.chunks(limits::FETCHED_AT_ONCE) {
            let fetched = self.remote.state(keys).map_err(vault_error)?;
            rows.extend(fetched.into_iter().map(|(key, entry)| (key, row(&entry))));
        }
        Ok(rows)
    }
}

impl StateRows for Fleet {
    fn changed(&self, since: Option<Mark>) -> RowChanges {
        let known = self.rows.known.lock();
        let mark = Mark(self.rows.changes());
        let later = known
            .iter()
            .filter(|(_, (change, _))| since.is_none_or(|since| *change > since.0));
        RowChanges {
            rows: later
                .map(|(key, (_, row))| (key.clone(), row.clone()))
                .collect(),
            mark,
        }
    }

    fn merge(
        &self,
        key: &str,
        telling: Telling,
        merge: &mut RowMerge<'_>,
    ) -> Result<(), VaultError> {
        // Nobody waits for a store that is known to be away: what is merged is kept and merged later.
        if self.remote.is_direct().is_none() {
            let retry_at = self.remote.now() + limits::TRY_AGAIN.as_millis() as u64;
            return Err(VaultError::StoreUnavailable { retry_at });
        }
        let telling = match telling {
            Telling::Now => crate::Telling::Now,
            Telling::Later => crate::Telling::Later,
        };
        let mut written = None;
        let merged = self.remote.merge(key, telling, &mut |there, version| {
            let sealed = merge(there.map(row).as_ref(), version)?;
            written = Some(Row {
                version,
                sealed: sealed.clone(),
            });
            Some(sealed)
        });
        merged.map_err(vault_error)?;
        self.rows.take_in(
            written
                .map(|row| (key.to_owned(), row))
                .into_iter()
                .collect(),
        );
        Ok(())
    }
}

fn row(entry: &Versioned) -> Row {
    Row {
        version: entry.version,
        sealed: entry.bytes.clone(),
    }
}
