//! The shared state's rows: fetched, and merged one by one.

use provider_auth_vault::{Mark, Row, RowChanges, RowMerge, StateRows, Telling, VaultError};

use super::{error::vault_error, limits, process::Fleet};
use crate::Versioned;

impl Fleet {
    /// Fetches rows of the state that changed, but for these, which are here; says whether some are
    /// later than what was told. They are shown once the records are that were there when they were
    /// written.
    pub(super) fn fetch_rows(
        &self,
        told: &[(String, u64)],
        here: Vec<(String, Versioned)>,
    ) -> Result<(Vec<(String, Row)>, bool), VaultError> {
        let mut unknown = self.rows.unknown(told);
        let here = here.into_iter();
        let here: Vec<_> = here
            .filter(|(key, _)| unknown.contains(&key.as_str()))
            .collect();
        unknown.retain(|key| !here.iter().any(|(there, _)| there == key));
        let is_later = !unknown.is_empty();
        let mut rows = Vec::with_capacity(unknown.len() + here.len());
        rows.extend(here.into_iter().map(|(key, entry)| (key, row(&entry))));
        for keys in unknown.chunks(limits::FETCHED_AT_ONCE) {
            let fetched = self.remote.state(keys).map_err(vault_error)?;
            rows.extend(fetched.into_iter().map(|(key, entry)| (key, row(&entry))));
        }
        Ok((rows, is_later))
    }
}

impl StateRows for Fleet {
    fn changed(&self, since: Option<Mark>) -> RowChanges {
        self.rows.since(since)
    }

    fn merge(
        &self,
        key: &str,
        telling: Telling,
        merge: &mut RowMerge<'_>,
    ) -> Result<(), VaultError> {
        // No call waits for a store that is known to be away: the broker keeps the change and merges it later.
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
        let written = written.map(|row| (key.to_owned(), row));
        self.rows.take_in(Vec::from_iter(written), u64::MAX);
        Ok(())
    }
}

fn row(entry: &Versioned) -> Row {
    Row {
        version: entry.version,
        sealed: entry.bytes.clone(),
    }
}
