//! How a record is replaced, put back and added: by one conditional statement each, and with no
//! regard to claims.

use provider_auth_vault::RecordId;
use tokio_postgres::types::Type;

use crate::{
    backend::PostgresBackend,
    changes::Changes,
    claim::Look,
    error::{BackendError, Failure},
    hearing::Mark,
    line::Line,
    row::{Sealed, Stored, number},
    sql,
};

/// What a record is replaced for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has new tokens. This ends whatever claim there is, and always goes in.
    Tokens,
    /// A label, an order, a standing, a removal: the generation is one higher, and a claim stays.
    /// Waits while the database has only just come back.
    Edit,
    /// The same generation under a newer data key. A claim stays.
    Reseal,
}

/// What became of bringing a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// It is stored, durably.
    Stored,
    /// Another generation is there, or none (`None`). Newer: read it and decide. Older: put back.
    Moved(Option<Stored>),
    /// The vault has another data key now: seal it anew.
    Rekeyed {
        /// That key's epoch.
        epoch: u32,
    },
}

/// What became of adding a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is stored, durably.
    Stored,
    /// `decide` wanted none.
    Declined,
    /// The vault has another data key now: seal it anew.
    Rekeyed {
        /// That key's epoch.
        epoch: u32,
    },
}

impl PostgresBackend {
    /// Puts a record in the place of its generation `from`. It needs no claim: what is newer wins.
    pub fn bring(
        &self,
        id: RecordId,
        from: u64,
        record: &Sealed,
        change: Change,
    ) -> Result<Brought, BackendError> {
        let (from, is_token, settle) =
            (number(from), change == Change::Tokens, self.keeper.settle());
        let fits = match change {
            Change::Reseal => number(record.generation) == from,
            Change::Tokens | Change::Edit => number(record.generation) > from,
        };
        if !fits {
            return Err(BackendError::Refused {
                why: "a record is replaced by a later generation".into(),
            });
        }
        let brought = self.ask(async |line| {
            let rows = line
                .about(
                    id,
                    sql::BRING,
                    &[
                        (&from, Type::INT8),
                        (&number(record.generation), Type::INT8),
                        (&i64::from(record.epoch), Type::INT8),
                        (&record.bytes, Type::BYTEA),
                        (&record.gone, Type::BOOL),
                        (&is_token, Type::BOOL),
                        (&settle, Type::INT8),
                        (&line.channel(), Type::TEXT),
                    ],
                )
                .await?;
            if !rows.is_empty() {
                return Ok(Brought::Stored);
            }
            let look = Look::at(line, id).await?;
            let is_waiting = look
                .stored
                .as_ref()
                .is_some_and(|stored| number(stored.sealed.generation) == from);
            match look.settled_at(settle) {
                Some(later) if is_waiting && !is_token && look.epoch == record.epoch => {
                    Err(Failure::Later(later))
                }
                _ => Ok(outcome(look, record)),
            }
        })?;
        if is_token && brought == Brought::Stored {
            self.keeper.forget(id, None);
        }
        Ok(brought)
    }

    /// Puts back what this host knew and the database has lost: over any lower generation, over what
    /// was [set aside](Self::set_aside), and where nothing is.
    pub fn put_back(&self, id: RecordId, record: &Sealed) -> Result<Brought, BackendError> {
        self.ask(async |line| {
            let rows = line
                .about(
                    id,
                    sql::PUT_BACK,
                    &[
                        (&number(record.generation), Type::INT8),
                        (&i64::from(record.epoch), Type::INT8),
                        (&record.bytes, Type::BYTEA),
                        (&record.gone, Type::BOOL),
                        (&line.channel(), Type::TEXT),
                    ],
                )
                .await?;
            if !rows.is_empty() {
                return Ok(Brought::Stored);
            }
            Ok(outcome(Look::at(line, id).await?, record))
        })
    }

    /// Adds what `decide` returns, having been told what changed since a mark, while no other host adds
    /// a record: where somebody did, it is asked again. It may read from this backend.
    pub fn add(
        &self,
        since: Mark,
        decide: &mut dyn FnMut(&Changes) -> Option<(RecordId, Sealed)>,
    ) -> Result<Added, BackendError> {
        loop {
            let turn = self.turn()?;
            let changes = self.changes(since)?;
            let Some((id, record)) = decide(&changes) else {
                return Ok(Added::Declined);
            };
            match self.add_in_turn(turn, id, &record)? {
                Brought::Stored => return Ok(Added::Stored),
                Brought::Rekeyed { epoch } => return Ok(Added::Rekeyed { epoch }),
                Brought::Moved(_) => (),
            }
        }
    }
}

impl PostgresBackend {
    /// Returns whose turn it is to add a record: each addition moves it by one.
    pub(crate) fn turn(&self) -> Result<i64, BackendError> {
        self.ask(async |line| {
            let rows = line.rows(sql::TURN, &[(&line.vault, Type::UUID)]).await?;
            Ok::<i64, Failure>(rows.first().ok_or(Failure::Down)?.try_get(0)?)
        })
    }

    /// Adds a record if no other call has added one since that turn.
    pub(crate) fn add_in_turn(
        &self,
        turn: i64,
        id: RecordId,
        record: &Sealed,
    ) -> Result<Brought, BackendError> {
        self.ask(async |line| try_add(line, turn, id, record).await)
    }
}

async fn try_add(
    line: &Line,
    turn: i64,
    id: RecordId,
    record: &Sealed,
) -> Result<Brought, Failure> {
    let rows = line
        .rows(
            sql::ADD,
            &[
                (&line.vault, Type::UUID),
                (&turn, Type::INT8),
                (&id.to_string(), Type::TEXT),
                (&number(record.generation), Type::INT8),
                (&i64::from(record.epoch), Type::INT8),
                (&record.bytes, Type::BYTEA),
                (&line.channel(), Type::TEXT),
            ],
        )
        .await?;
    if !rows.is_empty() {
        return Ok(Brought::Stored);
    }
    Ok(outcome(Look::at(line, id).await?, record))
}

/// What it means that a statement changed no row.
fn outcome(look: Look, record: &Sealed) -> Brought {
    match look.stored {
        // It did, the first time: the answer was lost with a line.
        Some(stored) if stored.sealed == *record => Brought::Stored,
        _ if look.epoch != record.epoch => Brought::Rekeyed { epoch: look.epoch },
        stored => Brought::Moved(stored),
    }
}
