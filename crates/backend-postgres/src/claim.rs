//! Who may spend what a record holds. The claim is the pending note: it is durable, and in the row,
//! before anything is sent.

use std::{fmt, sync::Arc, time::Duration};

use provider_auth_vault::RecordId;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::Type;

use crate::{
    backend::PostgresBackend,
    claims::{Granted, Nonce},
    error::{BackendError, Failure},
    keeper::{Keeper, Owed, give_back},
    limits,
    line::Line,
    row::{Held, Stored, number, wait},
    sql,
};

/// What a claim says of its holder, and what its holder knows.
#[derive(Clone, Debug, Default)]
pub struct Note {
    /// What others read of the holder: machine and process, at most 200 characters.
    pub holder: String,
    /// A random value that the holder also writes where only this machine sees it, under the lock
    /// that lets one process of it ask.
    pub cookie: Vec<u8>,
    /// The cookies found there: their writers are dead, since the lock is ours.
    pub dead: Vec<Vec<u8>>,
    /// Whether somebody needs a new token now. Only then is a claim taken over whose time is up.
    pub is_stale: bool,
}

/// The right to spend what a record holds. Where it is dropped without an outcome, it is given back
/// as one whose answer was lost.
#[must_use]
pub struct Claim {
    /// The record.
    pub id: RecordId,
    nonce: Nonce,
    keeper: Arc<Keeper>,
}

impl Claim {
    /// Whether this is the claim that a row shows: otherwise somebody has taken over.
    pub fn is(&self, held: &Held) -> bool {
        held.nonce == self.nonce
    }

    /// What is to be given back; `None` where the claim is over.
    fn end(&self, outcome: Outcome) -> Option<Owed> {
        let is_held = self.keeper.forget(self.id, Some(&self.nonce));
        is_held.then(|| owed(self.id, self.nonce, outcome))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(owed) = self.end(Outcome::NoAnswer) {
            self.keeper.owe(owed);
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Claim")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What became of asking for a claim.
#[derive(Debug)]
pub enum Claimed {
    /// It is ours, and this is the record as of then. `no_outcome` says that its token may have been
    /// spent before.
    Ours(Claim, Stored),
    /// The record is newer than what was known: adopt it.
    Moved(Stored),
    /// The record is older than what was known, or not there: put back what was known.
    Behind(Option<Stored>),
    /// Somebody else holds it.
    Held(Held),
}

/// How an exchange ended that brought no new record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was sent.
    Unsent,
    /// The server answered.
    Answered,
    /// It was sent, and no answer came: the next claim tries early.
    NoAnswer,
}

fn owed(id: RecordId, nonce: Nonce, outcome: Outcome) -> Owed {
    let no_outcome = match outcome {
        Outcome::Unsent => None,
        Outcome::Answered => Some(false),
        Outcome::NoAnswer => Some(true),
    };
    Owed {
        id,
        nonce,
        no_outcome,
    }
}

enum Tried {
    Done(Claimed),
    /// The claim has ended between two looks.
    Again,
}

impl PostgresBackend {
    /// Asks for the right to spend what a record of generation `known` holds, and waits for it as
    /// long as `patience` says. It is durable before this returns, and lasts
    /// [`Times::hold`](crate::Times::hold): take the time *before* this call, on a clock that counts
    /// sleep, and send nothing later than that allows.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] also while the database has only just come back: nothing is
    /// claimed until the hosts have put back what it may have lost.
    pub fn claim(
        &self,
        id: RecordId,
        known: u64,
        note: &Note,
        patience: Duration,
    ) -> Result<Claimed, BackendError> {
        let keeper = &self.keeper;
        let mut nonce = Nonce::default();
        getrandom::fill(&mut nonce).map_err(|_| BackendError::Refused {
            why: "this machine has no entropy".into(),
        })?;
        keeper.holds(id, nonce);
        let claimed = self.wait_for(async {
            let until = Instant::now() + patience;
            loop {
                let heard = keeper.hearing.bell.notified();
                let tried = keeper
                    .ask(keeper.options.times.call, async |line| {
                        self.try_claim(line, id, known, note, &nonce).await
                    })
                    .await?;
                match tried {
                    Tried::Again => (),
                    Tried::Done(Claimed::Held(held)) if Instant::now() >= until => {
                        return Ok(Claimed::Held(held));
                    }
                    Tried::Done(Claimed::Held(_)) => {
                        let rest = until.saturating_duration_since(Instant::now());
                        // A claim that is given back is not told of: each telling takes a lock of the whole server.
                        let _ = timeout(rest.min(limits::CLAIM_PAUSE), heard).await;
                    }
                    Tried::Done(claimed) => return Ok(claimed),
                }
            }
        });
        if !matches!(claimed, Ok(Claimed::Ours(..))) {
            keeper.forget(id, Some(&nonce));
        }
        // It may have been had, and only the answer was lost.
        if claimed.is_err() {
            keeper.owe(owed(id, nonce, Outcome::Unsent));
        }
        claimed
    }

    async fn try_claim(
        &self,
        line: &Line,
        id: RecordId,
        known: u64,
        note: &Note,
        nonce: &Nonce,
    ) -> Result<Tried, Failure> {
        let (options, asked_at) = (&self.keeper.options, Instant::now());
        let (generation, times) = (number(known), options.times);
        let may_take_over = note.is_stale && self.keeper.is_well();
        let rows = line
            .about(
                id,
                sql::CLAIM,
                &[
                    (&generation, Type::INT8),
                    (&nonce.as_slice(), Type::BYTEA),
                    (&options.host, Type::UUID),
                    (&note.cookie, Type::BYTEA),
                    (&note.holder, Type::TEXT),
                    (&line.session, Type::INT8),
                    (&wait(times.hold), Type::INT8),
                    (&self.keeper.settle(), Type::INT8),
                    (&note.dead, Type::BYTEA_ARRAY),
                    (&wait(times.suspect), Type::INT8),
                    (&may_take_over, Type::BOOL),
                ],
            )
            .await?;
        if let Some(row) = rows.first() {
            let stored = Stored::read(row, 0)?.ok_or(Failure::Down)?;
            let granted = Granted {
                generation,
                cookie: note.cookie.clone(),
                holder: note.holder.clone(),
                until: asked_at + times.hold,
            };
            self.keeper.granted(id, nonce, granted);
            return Ok(Tried::Done(Claimed::Ours(
                Claim {
                    id,
                    nonce: *nonce,
                    keeper: self.keeper.clone(),
                },
                stored,
            )));
        }
        let look = Look::at(line, id).await?;
        let settled_at = look.settled_at(self.keeper.settle());
        let Some(stored) = look.stored else {
            return Ok(Tried::Done(Claimed::Behind(None)));
        };
        if stored.sealed.generation > known
            || (stored.sealed.generation == known && stored.sealed.gone)
        {
            return Ok(Tried::Done(Claimed::Moved(stored)));
        }
        if stored.sealed.generation < known {
            return Ok(Tried::Done(Claimed::Behind(Some(stored))));
        }
        if let Some(later) = settled_at {
            return Err(Failure::Later(later));
        }
        let Some(held) = stored.held else {
            return Ok(Tried::Again);
        };
        line.about(id, sql::SUSPECT, &[]).await?;
        Ok(Tried::Done(Claimed::Held(held)))
    }

    /// Gives a claim back. Where it was taken over, or ended with a new record, this changes nothing.
    ///
    /// # Errors
    /// After [`BackendError::Unavailable`] it is given back as soon as the database answers.
    pub fn release(&self, claim: Claim, outcome: Outcome) -> Result<(), BackendError> {
        let Some(owed) = claim.end(outcome) else {
            return Ok(());
        };
        let given = self.ask(async |line| give_back(line, &owed).await);
        if given.is_err() {
            self.keeper.owe(owed);
        }
        given
    }
}

/// A record's row, and how its vault stands.
pub(crate) struct Look {
    pub(crate) epoch: u32,
    /// Since when the vault is on this start of the server, and what time it is, by its clock in ms.
    since: i64,
    now: i64,
    pub(crate) stored: Option<Stored>,
}

impl Look {
    pub(crate) async fn at(line: &Line, id: RecordId) -> Result<Self, Failure> {
        let rows = line.about(id, sql::LOOK, &[]).await?;
        let row = rows
            .first()
            .ok_or_else(|| Failure::refused("this role may not see the vault any more"))?;
        Ok(Self {
            epoch: u32::try_from(row.try_get::<_, i64>(0)?).unwrap_or(u32::MAX),
            since: row.try_get(1)?,
            now: row.try_get(2)?,
            stored: Stored::read(row, 3)?,
        })
    }

    /// When hosts will have put back what a restart lost, if that is not over.
    pub(crate) fn settled_at(&self, settle: i64) -> Option<u64> {
        let at = self.since.saturating_add(settle);
        (at > self.now).then(|| u64::try_from(at).unwrap_or(0))
    }
}
