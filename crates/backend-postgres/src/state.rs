//! The shared state as sealed rows, each merged by itself.

use tokio_postgres::types::Type;

use crate::{
    backend::PostgresBackend,
    error::{BackendError, Failure},
    row::number,
};

/// Sealed bytes, and how often they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// Counts the writes, from 1.
    pub version: u64,
    /// What was written.
    pub bytes: Vec<u8>,
}

/// When the others learn of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// At once, by a notification, which takes a lock of the whole server: blocks and standings.
    Now,
    /// With their next poll: counters.
    Later,
}

/// Gets what is there and the version to seal; returns what to write, or `None` to leave it.
pub type Merge<'a> = dyn FnMut(Option<&Versioned>, u64) -> Option<Vec<u8>> + 'a;

const READ: &str =
    "select key, version, sealed from pa.state where vault = $1 and key = any($2) and key <> '+'";

/// `$3` version as read, `$4` sealed, `$5` whether others are told, `$6` channel.
const WRITE: &str = "with done as (
       insert into pa.state as s (vault, key, version, sealed) values ($1, $2, $3 + 1, $4)
       on conflict (vault, key) do update set version = s.version + 1, sealed = excluded.sealed, changed = pg_current_xact_id()
       where s.version = $3 returning s.key, s.version)
     select case when $5 then pg_notify($6, 's ' || key || ' ' || version)::text end from done";

impl PostgresBackend {
    /// Returns entries of the shared state; those that are not there are left out.
    pub fn state(&self, keys: &[&str]) -> Result<Vec<(String, Versioned)>, BackendError> {
        self.ask(async |line| {
            let rows = line
                .rows(
                    READ,
                    &[(&line.vault, Type::UUID), (&keys, Type::TEXT_ARRAY)],
                )
                .await?;
            let read = |row: &tokio_postgres::Row| -> Result<_, Failure> {
                let version: i64 = row.try_get(1)?;
                let entry = Versioned {
                    version: u64::try_from(version).unwrap_or(0),
                    bytes: row.try_get(2)?,
                };
                Ok((row.try_get(0)?, entry))
            };
            rows.iter().map(read).collect()
        })
    }

    /// Merges one entry of the shared state; `merge` is called again where somebody else wrote
    /// meanwhile.
    ///
    /// The server reads the key: it must name nothing, and is at most 200 characters.
    pub fn merge(
        &self,
        key: &str,
        telling: Telling,
        merge: &mut Merge<'_>,
    ) -> Result<(), BackendError> {
        loop {
            let there = self.state(&[key])?.pop().map(|(_, entry)| entry);
            let version = there.as_ref().map_or(0, |entry| entry.version);
            let Some(sealed) = merge(there.as_ref(), version + 1) else {
                return Ok(());
            };
            let written = self.ask(async |line| {
                let parameters = [
                    (&line.vault as _, Type::UUID),
                    (&key as _, Type::TEXT),
                    (&number(version) as _, Type::INT8),
                    (&sealed as _, Type::BYTEA),
                    (&(telling == Telling::Now) as _, Type::BOOL),
                    (&line.channel() as _, Type::TEXT),
                ];
                Ok::<_, Failure>(!line.rows(WRITE, &parameters).await?.is_empty())
            })?;
            // Where an answer was lost, what we wrote is there.
            let is_there = || {
                Ok(self
                    .state(&[key])?
                    .pop()
                    .is_some_and(|(_, entry)| entry.bytes == sealed))
            };
            if written || is_there()? {
                return Ok(());
            }
        }
    }
}
