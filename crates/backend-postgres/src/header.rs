//! The vault's header: which vault this is, and how its key is wrapped.

use std::time::Duration;

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::{
    backend::PostgresBackend,
    error::{BackendError, Failure},
    row::number,
};

/// A header, and how often it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// The vault's id.
    pub vault: Uuid,
    /// Counts the writes, from 1.
    pub version: u64,
    /// The data key that new records are sealed with.
    pub epoch: u32,
    /// The header itself.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Header")
            .field("vault", &self.vault)
            .field("version", &self.version)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// What became of swapping the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// The new one is stored, durably.
    Stored,
    /// Somebody else was first, and this is there.
    Moved(Header),
}

impl PostgresBackend {
    /// Returns the header.
    pub fn header(&self) -> Result<Header, BackendError> {
        self.header_within(self.keeper.options.times.call)
    }

    /// Like [`header`](Self::header), and waits no longer than this.
    pub(crate) fn header_within(&self, time: Duration) -> Result<Header, BackendError> {
        let asked = self.keeper.ask(time, async |line| {
            const HEADER: &str = "select version, epoch, header from pa.vault where id = $1";
            let rows = line.rows(HEADER, &[(&line.vault, Type::UUID)]).await?;
            let row = rows
                .first()
                .ok_or_else(|| Failure::refused("this role may not see the vault any more"))?;
            let (version, epoch): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            Ok(Header {
                vault: line.vault,
                version: u64::try_from(version).unwrap_or(0),
                epoch: u32::try_from(epoch).unwrap_or(0),
                bytes: row.try_get(2)?,
            })
        });
        self.wait_for(asked)
    }

    /// Puts a header in the place of its version `from`. From here on records sealed for another
    /// epoch are not taken. Only an administrator's role may.
    pub fn swap_header(
        &self,
        from: u64,
        epoch: u32,
        header: &[u8],
    ) -> Result<Swapped, BackendError> {
        const SWAP: &str = "update pa.vault set header = $3, epoch = $4, version = version + 1
             where id = $1 and version = $2 returning version";
        let swapped = self.ask(async |line| {
            let rows = line
                .rows(
                    SWAP,
                    &[
                        (&line.vault, Type::UUID),
                        (&number(from), Type::INT8),
                        (&header, Type::BYTEA),
                        (&i64::from(epoch), Type::INT8),
                    ],
                )
                .await?;
            Ok::<_, Failure>(!rows.is_empty())
        })?;
        if swapped {
            return Ok(Swapped::Stored);
        }
        let there = self.header()?;
        // It did, the first time: the answer was lost with a line.
        let is_ours = there.version == from + 1 && there.bytes == header && there.epoch == epoch;
        Ok(if is_ours {
            Swapped::Stored
        } else {
            Swapped::Moved(there)
        })
    }
}
