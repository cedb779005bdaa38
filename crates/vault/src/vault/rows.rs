//! The shared state in rows, where the backend keeps it so: each sealed like a record, under a key of
//! its own. Without the key one sees of a row its version, and its length in steps of
//! [`PADDING`](crate::limits::PADDING).
//!
//! A row that does not open in its place, at its version, counts as absent: it costs cooldowns, which
//! the next answers bring back, and no login. Whoever writes it next overwrites it.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::{
    Vault, VaultError,
    crypto::key::random,
    format::{
        record::{self, RecordError, RecordHeader},
        row,
    },
    stamp::Mark,
    state_rows::{Row, StateRows, Telling},
    vault::key_ring::KeyRing,
};

/// The kind of its record; those of other records are their owner's to give.
const KIND: u8 = 0;

/// Tells one writing of a row from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowStamp {
    /// Counts the writes, from 1. After a failover it may have gone back.
    pub version: u64,
    /// A hash of its bytes.
    hash: [u8; 32],
}

impl RowStamp {
    fn of(row: &Row) -> Self {
        Self {
            version: row.version,
            hash: Sha256::digest(&row.sealed).into(),
        }
    }
}

/// A row of the shared state.
#[derive(Debug)]
pub struct StateRow {
    /// Under what the backend has it.
    pub key: String,
    /// Which writing it is.
    pub stamp: RowStamp,
    /// Its name and its content; `None` where it does not open.
    pub opened: Option<(String, Vec<u8>)>,
}

/// The rows that may have changed.
#[derive(Debug)]
pub struct ChangedRows {
    /// Those that the caller does not know.
    pub rows: Vec<StateRow>,
    /// What to ask with the next time.
    pub mark: Mark,
}

impl Vault {
    /// Whether the shared state is kept in rows, and not in files.
    pub fn has_rows(&self) -> bool {
        self.rows().is_some()
    }

    fn rows(&self) -> Option<&dyn StateRows> {
        // Known when it is built: an addon carries no code for an engine that it does not have.
        if cfg!(feature = "rows") {
            self.backend.state_rows()
        } else {
            None
        }
    }

    /// Returns the key of a row, which says nothing of its name. It stays when the data key changes.
    pub fn row_key(&self, name: &str) -> String {
        row::row_id(self.cached_keys().names_key(), name).to_string()
    }

    /// Returns the rows that may have changed since a mark of this vault and that `is_known` does not
    /// know; without a mark, all of those. None where the state is not kept in rows. Never waits for
    /// another machine.
    pub fn changed_rows(
        &self,
        since: Option<Mark>,
        is_known: impl Fn(&str, RowStamp) -> bool,
    ) -> ChangedRows {
        let Some(rows) = self.rows() else {
            return ChangedRows {
                rows: Vec::new(),
                mark: Mark(0),
            };
        };
        let told = rows.changed(since);
        let mut keys = self.cached_keys();
        let unknown = told.rows.into_iter().filter_map(|(key, row)| {
            let stamp = RowStamp::of(&row);
            (!is_known(&key, stamp)).then(|| StateRow {
                opened: self.open_row(&mut keys, &key, &row),
                stamp,
                key,
            })
        });
        ChangedRows {
            rows: unknown.collect(),
            mark: told.mark,
        }
    }

    /// Puts what `merge` makes of a row in its place, and returns which writing that is; `None` where
    /// it left the row as it is, or the state is not kept in rows.
    ///
    /// `merge` gets the row as it is, and is called again where another machine has written
    /// meanwhile.
    pub fn merge_row(
        &self,
        name: &str,
        telling: Telling,
        merge: &mut dyn FnMut(Option<StateRow>) -> Option<Vec<u8>>,
    ) -> Result<Option<RowStamp>, VaultError> {
        let Some(rows) = self.rows() else {
            return Ok(None);
        };
        let mut keys = self.current_keys()?;
        let key = row::row_id(keys.names_key(), name).to_string();
        let mut written = None;
        rows.merge(&key, telling, &mut |row, version| {
            let seen = row.map(|row| StateRow {
                key: key.clone(),
                stamp: RowStamp::of(row),
                opened: self.open_row(&mut keys, &key, row),
            });
            let content = merge(seen);
            let sealed = content.map(|it| self.seal_row(&keys, name, version, &it));
            written = sealed
                .clone()
                .map(|sealed| RowStamp::of(&Row { version, sealed }));
            sealed
        })?;
        Ok(written)
    }

    /// Brings every row under the present data key; one that does not open is left.
    pub(super) fn reseal_rows(&self) -> Result<(), VaultError> {
        let Some(rows) = self.rows() else {
            return Ok(());
        };
        let mut keys = self.current_keys()?;
        let (epoch, _) = keys.state_key();
        let is_old =
            |row: &Row| RecordHeader::parse(&row.sealed).is_ok_and(|header| header.epoch != epoch);
        let told = rows.changed(None).rows;
        for (key, _) in told.iter().filter(|(_, row)| is_old(row)) {
            rows.merge(key, Telling::Later, &mut |row, version| {
                let row = row.filter(|row| is_old(row))?;
                let (name, content) = self.open_row(&mut keys, key, row)?;
                Some(self.seal_row(&keys, &name, version, &content))
            })?;
        }
        Ok(())
    }

    fn seal_row(&self, keys: &KeyRing, name: &str, version: u64, content: &[u8]) -> Vec<u8> {
        let (epoch, key) = keys.state_key();
        let header = RecordHeader {
            kind: KIND,
            epoch,
            generation: version,
            vault: self.id,
            id: row::row_id(keys.names_key(), name),
            nonce: random(&*self.entropy),
            length: 0,
        };
        record::seal(key, header, &row::encode(name, content))
    }

    /// Returns name and content of a row. One that was written under a data key that came after ours
    /// brings the keys up to date.
    fn open_row(&self, keys: &mut Arc<KeyRing>, key: &str, row: &Row) -> Option<(String, Vec<u8>)> {
        let id = key.parse().ok()?;
        let open = |keys: &KeyRing| {
            record::open(|epoch| keys.state_key_of(epoch), &self.id, id, &row.sealed)
        };
        let mut opened = open(keys);
        if matches!(opened, Err(RecordError::Newer)) {
            *keys = self.current_keys().ok()?;
            opened = open(keys);
        }
        let record = opened.ok()?;
        let (name, content) = row::decode(record.plaintext())?;
        let is_in_place =
            record.generation == row.version && row::row_id(keys.names_key(), name) == id;
        is_in_place.then(|| (name.to_owned(), content.to_vec()))
    }
}
