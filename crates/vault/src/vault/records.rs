//! Reading and writing records: the cache of what was opened, writes under a lock, damage set
//! aside.

use std::{sync::Arc, time::Duration};

use crate::{
    Held, Quarantined, Record, RecordGuard, RecordId, Vault, VaultError,
    backend::{Brought, Lock, Look, Outcome, Purpose},
    crypto::key::random,
    format::record::{self, RecordError, RecordHeader},
    limits,
    stamp::Stamp,
};

/// What a look at one record found.
#[derive(Debug)]
pub enum Seen {
    /// It is what the caller knows.
    AsKnown,
    /// It is not there.
    Absent,
    /// The record, and a stamp that is never newer than it.
    Found(Stamp, Arc<Record>),
}

impl Seen {
    fn record(self) -> Option<Arc<Record>> {
        match self {
            Self::Found(_, record) => Some(record),
            Self::AsKnown | Self::Absent => None,
        }
    }
}

impl Vault {
    /// Returns a stamp of all records: while it stays equal, also for another process, none was added,
    /// replaced or removed.
    ///
    /// Take it before reading. Where that fails it equals no other, so that reading shows the error.
    pub fn stamp(&self) -> Stamp {
        self.backend.records_stamp().unwrap_or(Stamp::Unsettled)
    }

    /// Returns the ids of all records, oldest first.
    pub fn ids(&self) -> Result<Vec<RecordId>, VaultError> {
        self.backend.ids()
    }

    /// Returns a record as it is now; `None` only when it does not exist.
    ///
    /// A damaged record is read again under its lock and then set aside, alone. If the lock is
    /// taken, that is left to its holder.
    pub fn read(&self, id: &RecordId) -> Result<Option<Arc<Record>>, VaultError> {
        Ok(self.read_unless(id, None)?.record())
    }

    /// Like [`Vault::read`], unless the record still is as `known` tells.
    pub fn read_unless(&self, id: &RecordId, known: Option<Stamp>) -> Result<Seen, VaultError> {
        match self.read_cached(id, known) {
            Err(VaultError::Corrupt { .. }) => match self.try_lock(id)? {
                Some(guard) => self.reread_stamped(&guard),
                None => Err(VaultError::Corrupt { id: *id }),
            },
            seen => seen,
        }
    }

    /// Returns the guarded record, past the cache; a damaged one is set aside.
    pub fn reread(&self, guard: &RecordGuard) -> Result<Option<Arc<Record>>, VaultError> {
        Ok(self.reread_stamped(guard)?.record())
    }

    fn reread_stamped(&self, guard: &RecordGuard) -> Result<Seen, VaultError> {
        self.cache.lock().remove(&guard.id());
        let seen = self.read_cached(&guard.id(), None);
        if let Err(VaultError::Corrupt { .. }) = seen {
            self.set_aside(guard)?;
            // Where others use the vault too, somebody may have had a good copy.
            if let Ok(good @ Seen::Found(..)) = self.read_cached(&guard.id(), None) {
                return Ok(good);
            }
        }
        seen
    }

    /// Adds a record; returns its id and its generation, which is 1.
    ///
    /// [`VaultError::Overtaken`] where another machine has added a record since
    /// [`Vault::lock_records`] was called: decide again.
    pub fn create(&self, kind: u8, plaintext: &[u8]) -> Result<(RecordId, u64), VaultError> {
        // A record cannot be locked before it is written; this lock keeps a rotation from dropping
        // the key meanwhile.
        let _held = self.lock_vault()?;
        let id = RecordId::from_parts(self.backend.now(), random(&*self.entropy));
        loop {
            let sealed = self.sealed(id, kind, 1, plaintext)?;
            match self.backend.create_record(id, &sealed)? {
                Brought::Yes => return Ok((id, 1)),
                Brought::Moved => return Err(VaultError::Overtaken),
                Brought::Rekeyed => {}
            }
        }
    }

    /// Adds a record that comes from another vault, under the id and generation that it has there;
    /// false, and nothing is written, when there is a record of that id.
    pub fn adopt(
        &self,
        guard: &RecordGuard,
        kind: u8,
        generation: u64,
        plaintext: &[u8],
    ) -> Result<bool, VaultError> {
        if self.reread(guard)?.is_some() {
            return Ok(false);
        }
        // As in `create`: a rotation that has listed the records already does not know of this one.
        let _held = self.lock_vault()?;
        // No record is ever refreshed that often: such a number is damage.
        let generation = if generation < limits::GENERATION_CEILING {
            generation.max(1)
        } else {
            1
        };
        let brought = self.bring_as(guard, kind, (0, generation), Purpose::Other, plaintext)?;
        Ok(brought)
    }

    /// Replaces the content of the guarded record, durably, whatever it is by now, and returns its
    /// new generation. What is made of the old content goes by [`Vault::bring`].
    pub fn replace(&self, guard: &RecordGuard, plaintext: &[u8]) -> Result<u64, VaultError> {
        self.replace_above(guard, plaintext, 0)
    }

    /// Like [`Vault::replace`], with a generation above `seen`: a record of a restored copy, which
    /// counts from an older number, becomes the newest again.
    pub fn replace_above(
        &self,
        guard: &RecordGuard,
        plaintext: &[u8],
        seen: u64,
    ) -> Result<u64, VaultError> {
        self.replace_as(guard, plaintext, Purpose::Other, seen)
    }

    fn replace_as(
        &self,
        guard: &RecordGuard,
        plaintext: &[u8],
        purpose: Purpose,
        seen: u64,
    ) -> Result<u64, VaultError> {
        // No record is ever refreshed that often: such a number is damage.
        let seen = if seen < limits::GENERATION_CEILING {
            seen
        } else {
            0
        };
        loop {
            let current = self.present(guard)?;
            let generation = current.generation.max(seen) + 1;
            let step = (current.generation, generation);
            if self.bring_as(guard, current.kind, step, purpose, plaintext)? {
                return Ok(generation);
            }
        }
    }

    /// Replaces the content that the guarded record had at generation `from`, durably, and returns
    /// the new generation; `None`, and nothing is written, when it has moved on.
    pub fn bring(
        &self,
        guard: &RecordGuard,
        from: u64,
        purpose: Purpose,
        plaintext: &[u8],
    ) -> Result<Option<u64>, VaultError> {
        let current = self.present(guard)?;
        if current.generation != from {
            return Ok(None);
        }
        let brought = self.bring_as(guard, current.kind, (from, from + 1), purpose, plaintext)?;
        Ok(brought.then_some(from + 1))
    }

    /// Puts a new secret in the place of the guarded record's: [`Vault::replace_above`], and then
    /// the note of a refresh under way goes, since it speaks of a token that is history now.
    pub fn overwrite(
        &self,
        guard: &RecordGuard,
        plaintext: &[u8],
        seen: u64,
    ) -> Result<u64, VaultError> {
        let generation = self.replace_as(guard, plaintext, Purpose::Tokens, seen)?;
        self.release(guard, Outcome::Known)?;
        Ok(generation)
    }

    fn present(&self, guard: &RecordGuard) -> Result<Arc<Record>, VaultError> {
        let present = self.reread(guard)?;
        present.ok_or(VaultError::Absent { id: guard.id() })
    }

    /// Puts content in the place of one generation of the guarded record, as another; false where it
    /// has moved on.
    pub(super) fn bring_as(
        &self,
        guard: &RecordGuard,
        kind: u8,
        (from, generation): (u64, u64),
        purpose: Purpose,
        plaintext: &[u8],
    ) -> Result<bool, VaultError> {
        loop {
            let sealed = self.sealed(guard.id(), kind, generation, plaintext)?;
            match self.backend.bring(guard, from, purpose, &sealed)? {
                Brought::Yes => return Ok(true),
                Brought::Moved => return Ok(false),
                Brought::Rekeyed => {}
            }
        }
    }

    /// Returns new tokens of the guarded record that a process brought which is gone, and for which
    /// the record has moved on since.
    pub fn left(&self, guard: &RecordGuard) -> Result<Option<Record>, VaultError> {
        let Some(file) = self.backend.left(guard)? else {
            return Ok(None);
        };
        let keys = self.current_keys()?;
        let opened = record::open(|epoch| keys.record_key(epoch), &self.id, guard.id(), &file);
        // Somebody else's, or under a key that is gone.
        opened
            .map(Some)
            .map_err(|_| VaultError::Corrupt { id: guard.id() })
    }

    /// Removes the guarded record, its pending note, and what is left of it elsewhere; false when
    /// there was nothing.
    pub fn remove(&self, guard: RecordGuard) -> Result<bool, VaultError> {
        // It names the owner of the account.
        self.forget_index()?;
        let mut mark = |generation| self.sealed(guard.id(), record::GONE, generation, &[]);
        let was_there = self.backend.remove_record(&guard, &mut mark)?;
        self.cache.lock().remove(&guard.id());
        Ok(was_there)
    }

    /// Returns the records that were set aside, oldest first; none where that cannot be read.
    pub fn quarantine(&self) -> Vec<Quarantined> {
        self.backend.quarantined().unwrap_or_default()
    }

    /// Waits for the right to decide which records there are: hold it from the check that no such
    /// record exists to the write that adds it.
    pub fn lock_records(&self) -> Result<Held, VaultError> {
        self.backend.lock(Lock::Records, limits::VAULT_LOCK_TIMEOUT)
    }

    /// Waits for the right to write a record, however long that takes.
    pub fn lock(&self, id: &RecordId) -> Result<RecordGuard, VaultError> {
        self.lock_within(id, Duration::MAX)
    }

    /// Takes the right to write a record if it is free.
    pub fn try_lock(&self, id: &RecordId) -> Result<Option<RecordGuard>, VaultError> {
        let lock = self.backend.try_lock(Lock::Record(*id))?;
        Ok(lock.map(|lock| RecordGuard::new(*id, lock)))
    }

    /// Waits for the right to write a record, in turn with other processes; after `timeout` it is
    /// [`VaultError::Busy`], with the process that is refreshing the record where that is known.
    pub fn lock_within(&self, id: &RecordId, timeout: Duration) -> Result<RecordGuard, VaultError> {
        match self.backend.lock(Lock::Record(*id), timeout) {
            Ok(lock) => Ok(RecordGuard::new(*id, lock)),
            Err(VaultError::Busy { lock, waited, .. }) => Err(VaultError::Busy {
                lock,
                waited,
                holder: self.pending(id).ok().flatten().map(|pending| pending.pid),
            }),
            Err(error) => Err(error),
        }
    }

    fn read_cached(&self, id: &RecordId, known: Option<Stamp>) -> Result<Seen, VaultError> {
        loop {
            let cached = self.cache.lock().get(id).cloned();
            let stamp = known.or_else(|| cached.as_ref().map(|(stamp, _)| *stamp));
            // Before the read: a key that is gone by then has no record left.
            let keys = self.cached_keys();
            let (stamp, file) = match (self.backend.look(*id, stamp)?, cached) {
                (Look::AsKnown, Some((stamp, record))) if known.is_none() => {
                    return Ok(Seen::Found(stamp, record));
                }
                (Look::AsKnown, _) => return Ok(Seen::AsKnown),
                (Look::Absent, _) => {
                    self.cache.lock().remove(id);
                    return Ok(Seen::Absent);
                }
                (Look::Found(stamp, file), _) => (stamp, file),
            };
            let opened = record::open(|epoch| keys.record_key(epoch), &self.id, *id, &file);
            if opened.is_ok() {
                self.backend.proven(*id, &file);
            }
            match opened {
                Ok(record) if record.kind == record::GONE => {
                    self.cache.lock().remove(id);
                    return Ok(Seen::Absent);
                }
                Ok(record) => {
                    let record = Arc::new(record);
                    let mut cache = self.cache.lock();
                    // Who needs many keeps what it makes of them. One goes for one: its page of memory is used again.
                    if cache.len() >= limits::OPENED_RECORDS && !cache.contains_key(id) {
                        let one = cache.keys().next().copied();
                        one.and_then(|one| cache.remove(&one));
                    }
                    cache.insert(*id, (stamp, Arc::clone(&record)));
                    drop(cache);
                    return Ok(Seen::Found(stamp, record));
                }
                // Written under a key that came after ours: look at the header, and then again.
                Err(RecordError::Newer) if self.current_keys()?.current().0 != keys.current().0 => {
                }
                Err(RecordError::Newer) => {
                    return Err(VaultError::NewerFormat {
                        name: self.backend.record_name(*id),
                    });
                }
                Err(RecordError::Damaged) => return Err(VaultError::Corrupt { id: *id }),
            }
        }
    }

    /// Returns the bytes of a record under the key of the header as it is now. The caller holds the
    /// record's lock, or [`Lock::Vault`], until they are written.
    pub(super) fn sealed(
        &self,
        id: RecordId,
        kind: u8,
        generation: u64,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let keys = self.current_keys()?;
        let (epoch, key) = keys.current();
        let header = RecordHeader {
            kind,
            epoch,
            generation,
            vault: self.id,
            id,
            nonce: random(&*self.entropy),
            length: 0,
        };
        Ok(record::seal(key, header, plaintext))
    }

    /// Moves a damaged record aside; the others serve on.
    fn set_aside(&self, guard: &RecordGuard) -> Result<(), VaultError> {
        let id = guard.id();
        let file = self.backend.read_record(id)?.unwrap_or_default();
        let generation = RecordHeader::parse(&file).map_or(0, |header| header.generation);
        let keys = self.current_keys().unwrap_or_else(|_| self.cached_keys());
        let opens = |sealed: &[u8]| {
            record::open(|epoch| keys.record_key(epoch), &self.id, id, sealed).is_ok()
        };
        self.backend.set_record_aside(guard, generation, &opens)?;
        crate::line!(
            WARN,
            id = id,
            generation = generation,
            "a damaged record was set aside"
        );
        Ok(())
    }
}
