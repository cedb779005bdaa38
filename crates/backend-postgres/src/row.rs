//! A record's row, as bytes and numbers.

use std::error::Error;

use provider_auth_vault::RecordId;
use tokio_postgres::{
    Row,
    types::{FromSql, Type, accepts},
};
use uuid::Uuid;

use crate::error::Failure;

/// A record as it lies in the database: sealed, under a nonce of its own, so that equal bytes are the
/// same writing. The numbers beside the bytes are for SQL only; what
/// is true of the record is what its own header says.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Counts the writes of this record, from 1.
    pub generation: u64,
    /// Which data key sealed it.
    pub epoch: u32,
    /// Whether it is the mark of a removed record.
    pub gone: bool,
    /// The header and the ciphertext.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Sealed")
            .field("generation", &self.generation)
            .field("epoch", &self.epoch)
            .field("gone", &self.gone)
            .field("length", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// A record, and who holds the claim on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub id: RecordId,
    /// What was stored.
    pub sealed: Sealed,
    /// By which transaction.
    pub changed: u64,
    /// Whether what it holds may have been spent by an exchange whose answer nobody has: one that
    /// got none, or one whose claim was taken over.
    pub no_outcome: bool,
    /// The claim on it, which may be over.
    pub held: Option<Held>,
}

/// A claim, as all can see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which claim: see [`Claim::is`](crate::Claim::is).
    pub nonce: Vec<u8>,
    /// The holder's machine.
    pub host: Uuid,
    /// What the holder calls itself.
    pub holder: String,
    /// Since when, in ms since the Unix epoch by the database's clock.
    pub since: u64,
    /// Until when, likewise.
    pub until: u64,
    /// Whether its session was found closed.
    pub suspected: bool,
}

impl Stored {
    /// Reads the columns of `stored!` from the one numbered `from` on; `None` where there is no
    /// record.
    pub(crate) fn read(row: &Row, from: usize) -> Result<Option<Self>, Failure> {
        let Some(id) = row.try_get::<_, Option<&str>>(from)? else {
            return Ok(None);
        };
        // No host of ours gives such a name, so there is no account that it stands for.
        let Ok(id) = id.parse::<RecordId>() else {
            return Ok(None);
        };
        let column = |at: usize| from + at;
        let nonce: Option<Vec<u8>> = row.try_get(column(6))?;
        let held = nonce.map(|nonce| -> Result<Held, Failure> {
            Ok(Held {
                nonce,
                host: row.try_get::<_, Option<_>>(column(7))?.unwrap_or_default(),
                holder: row.try_get::<_, Option<_>>(column(8))?.unwrap_or_default(),
                since: ms(row, column(9))?,
                until: ms(row, column(10))?,
                suspected: row.try_get(column(11))?,
            })
        });
        Ok(Some(Self {
            id,
            sealed: Sealed {
                // A number that none of ours is fits no bytes: that record alone is damaged.
                generation: u64::try_from(row.try_get::<_, i64>(column(1))?).unwrap_or(0),
                epoch: u32::try_from(row.try_get::<_, i64>(column(2))?).unwrap_or(u32::MAX),
                gone: row.try_get(column(4))?,
                bytes: row.try_get(column(3))?,
            },
            changed: row.try_get::<_, Transaction>(column(12))?.0,
            no_outcome: row.try_get(column(5))?,
            held: held.transpose()?,
        }))
    }
}

/// The number of a transaction, cut to what fits into a `bigint` too, whatever somebody made of it.
pub(crate) struct Transaction(pub(crate) u64);

impl<'a> FromSql<'a> for Transaction {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(u64::from_be_bytes(bytes.try_into()?) & u64::MAX >> 1))
    }

    accepts!(XID8);
}

fn ms(row: &Row, column: usize) -> Result<u64, Failure> {
    let at: Option<i64> = row.try_get(column)?;
    Ok(at.and_then(|at| u64::try_from(at).ok()).unwrap_or(0))
}

/// A number of ours as the database has it. None is that large.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A wait in ms, as the database takes it.
pub(crate) fn wait(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
