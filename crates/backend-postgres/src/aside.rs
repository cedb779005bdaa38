//! Damaged records. A host may not delete a row, so a copy of the bytes says that they are damaged:
//! over exactly these a good record may be put back, whatever generation they claim.

use provider_auth_vault::RecordId;
use tokio_postgres::types::Type;

use crate::{
    backend::PostgresBackend,
    error::{BackendError, Failure},
    row::number,
};

/// A damaged record whose bytes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aside {
    /// The record.
    pub id: RecordId,
    /// The generation that its row claimed.
    pub generation: u64,
    /// When it was set aside, in ms since the Unix epoch by the database's clock.
    pub at: u64,
}

impl PostgresBackend {
    /// Keeps the bytes of a damaged record if they are still in its row, lets them be overwritten, and
    /// tells all hosts: one of them may have a good copy. Doing it twice keeps them once.
    pub fn set_aside(
        &self,
        id: RecordId,
        generation: u64,
        sealed: &[u8],
    ) -> Result<(), BackendError> {
        const SET_ASIDE: &str = "with kept as (
               insert into pa.aside (vault, id, generation, sealed)
               select vault, id, generation, sealed from pa.record
               where vault = $1 and id = $2 and generation = $3 and sealed = $5
               on conflict do nothing returning generation),
             told as (
               update pa.record r set changed = pg_current_xact_id() from kept
               where r.vault = $1 and r.id = $2 and r.generation = kept.generation returning r.id, r.generation)
             select pg_notify($4, 'r ' || id || ' ' || generation) from told";
        self.ask(async |line| {
            let generation = number(generation);
            let asked = [
                (&generation as _, Type::INT8),
                (&line.channel() as _, Type::TEXT),
                (&sealed as _, Type::BYTEA),
            ];
            line.about(id, SET_ASIDE, &asked).await.map(drop)
        })
    }

    /// Returns the records that were set aside, oldest first.
    pub fn aside(&self) -> Result<Vec<Aside>, BackendError> {
        const ASIDE: &str =
            "select id, generation, pa.ms(at) from pa.aside where vault = $1 order by at";
        self.ask(async |line| {
            let rows = line.rows(ASIDE, &[(&line.vault, Type::UUID)]).await?;
            let read = |row: &tokio_postgres::Row| -> Result<Option<Aside>, Failure> {
                let (id, generation, at): (&str, i64, i64) =
                    (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                Ok(id.parse().ok().map(|id| Aside {
                    id,
                    generation: u64::try_from(generation).unwrap_or(0),
                    at: u64::try_from(at).unwrap_or(0),
                }))
            };
            rows.iter()
                .filter_map(|row| read(row).transpose())
                .collect()
        })
    }
}
