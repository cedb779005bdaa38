//! Reading and writing records: the cache that one `stat` checks, writes under a lock, damage set aside.

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    Held, Record, RecordGuard, RecordId, Vault, VaultError,
    crypto::key::random,
    error::io,
    folder::quarantine,
    folder::store::{Durability, Stamp},
    format::record::{self, RecordHeader, Unopened},
    limits,
    vault::hold,
};

impl Vault {
    /// Returns a stamp of all records: while it stays equal, none was added, replaced or removed.
    ///
    /// Take it before reading. It costs one `stat`; where that fails it equals no other, so that reading shows the error.
    pub fn stamp(&self) -> Stamp {
        self.store
            .stamp(&self.paths.records())
            .unwrap_or(Stamp::Unsettled)
    }

    /// Returns the ids of all records, oldest first.
    pub fn ids(&self) -> Result<Vec<RecordId>, VaultError> {
        self.ids_ending(".rec")
    }

    /// Returns a record as it is on disk now; `None` only when there is none.
    ///
    /// A damaged record is read again under its lock and then set aside, alone. If the lock is taken, that is left to its
    /// holder.
    pub fn read(&self, id: &RecordId) -> Result<Option<Arc<Record>>, VaultError> {
        match self.read_cached(id) {
            Err(VaultError::Corrupt { .. }) => match self.try_lock(id)? {
                Some(guard) => self.reread(&guard),
                None => Err(VaultError::Corrupt { id: *id }),
            },
            found => found,
        }
    }

    /// Returns the guarded record from the disk, past the cache; a damaged one is set aside.
    pub fn reread(&self, guard: &RecordGuard) -> Result<Option<Arc<Record>>, VaultError> {
        self.cache.lock().remove(&guard.id);
        let found = self.read_cached(&guard.id);
        if let Err(VaultError::Corrupt { id }) = found {
            self.set_aside(id)?;
        }
        found
    }

    /// Adds a record; returns its id and its generation, which is 1.
    pub fn create(&self, kind: u8, plaintext: &[u8]) -> Result<(RecordId, u64), VaultError> {
        // Until it is written nobody can lock it; this keeps a rotation from dropping the key meanwhile.
        let _held = hold(
            &self.room,
            &self.paths.vault_lock(),
            limits::VAULT_LOCK_WAIT,
        )?;
        let id = RecordId::from_parts(self.store.now(), random(&*self.entropy));
        self.write(id, kind, 1, plaintext)?;
        Ok((id, 1))
    }

    /// Adds a record that comes from another vault, under the id and generation that it has there; false, and nothing is
    /// written, when there is a record of that id.
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
        let _held = hold(
            &self.room,
            &self.paths.vault_lock(),
            limits::VAULT_LOCK_WAIT,
        )?;
        // A number that no count of refreshes reaches is not believed.
        let generation = if generation < limits::GENERATIONS {
            generation.max(1)
        } else {
            1
        };
        self.write(guard.id, kind, generation, plaintext)?;
        Ok(true)
    }

    /// Replaces the content of the guarded record, durably, and returns its new generation.
    pub fn replace(&self, guard: &RecordGuard, plaintext: &[u8]) -> Result<u64, VaultError> {
        self.replace_above(guard, plaintext, 0)
    }

    /// Like [`Vault::replace`], with a generation above `seen`: a record of a restored copy, which counts from an older
    /// number, becomes the newest again.
    pub fn replace_above(
        &self,
        guard: &RecordGuard,
        plaintext: &[u8],
        seen: u64,
    ) -> Result<u64, VaultError> {
        let current = self
            .reread(guard)?
            .ok_or(VaultError::Absent { id: guard.id })?;
        // A number that no count of refreshes reaches is not believed.
        let seen = if seen < limits::GENERATIONS { seen } else { 0 };
        let generation = current.generation.max(seen) + 1;
        self.write(guard.id, current.kind, generation, plaintext)?;
        Ok(generation)
    }

    /// Removes the guarded record, its pending note, and what is left of it elsewhere; false when there was nothing.
    pub fn remove(&self, guard: RecordGuard) -> Result<bool, VaultError> {
        let had_remains = self.remove_remains(&guard)?;
        let record = self.paths.record(guard.id);
        let was_there = self
            .store
            .remove(&record, Durability::Durable)
            .map_err(io("remove", &record))?;
        self.clear_pending(&guard)?;
        self.cache.lock().remove(&guard.id);
        Ok(was_there || had_remains)
    }

    /// Removes what a writer that was killed left of a record, and copies of it that were set aside. Tells whether there was
    /// such a copy.
    fn remove_remains(&self, guard: &RecordGuard) -> Result<bool, VaultError> {
        let id = guard.id.to_string();
        // The holder of the lock is the only writer of this record.
        let is_leftover = |name: &String| name.starts_with(&id) && name.ends_with(".tmp");
        let is_aside = |name: &String| quarantine::is_of(name, guard.id);
        self.remove_from(&self.paths.records(), is_leftover)?;
        self.remove_from(&self.paths.quarantine(), is_aside)
    }

    /// Removes files of a folder by name; tells whether there was any.
    pub(crate) fn remove_from(
        &self,
        folder: &Path,
        is_wanted: impl Fn(&String) -> bool,
    ) -> Result<bool, VaultError> {
        let names = self.store.list(folder).map_err(io("list", folder))?;
        let mut found = false;
        for name in names.iter().filter(|name| is_wanted(name)) {
            let path = folder.join(name);
            found |= self
                .store
                .remove(&path, Durability::Durable)
                .map_err(io("remove", path))?;
        }
        Ok(found)
    }

    /// Waits for the right to decide which records there are: whoever adds one only if a like one is not there holds it
    /// from the look to the write.
    pub fn lock_records(&self) -> Result<Held, VaultError> {
        hold(
            &self.room,
            &self.paths.records_lock(),
            limits::VAULT_LOCK_WAIT,
        )
    }

    /// Waits for the right to write a record, however long that takes.
    pub fn lock(&self, id: &RecordId) -> Result<RecordGuard, VaultError> {
        let path = self.paths.record_lock(*id);
        let held = self.store.lock(&path).map_err(io("lock", path))?;
        Ok(RecordGuard {
            id: *id,
            _held: held,
        })
    }

    /// Takes the right to write a record if nobody has it.
    pub fn try_lock(&self, id: &RecordId) -> Result<Option<RecordGuard>, VaultError> {
        let path = self.paths.record_lock(*id);
        let held = self.store.try_lock(&path).map_err(io("lock", path))?;
        Ok(held.map(|held| RecordGuard {
            id: *id,
            _held: held,
        }))
    }

    /// Waits for the right to write a record, in turn with other processes, at most for `limit`; then it is
    /// [`VaultError::Busy`], with the process that is refreshing it where that is known.
    pub fn lock_within(&self, id: &RecordId, limit: Duration) -> Result<RecordGuard, VaultError> {
        match hold(&self.room, &self.paths.record_lock(*id), limit) {
            Ok(held) => Ok(RecordGuard {
                id: *id,
                _held: held,
            }),
            Err(VaultError::Busy { path, .. }) => {
                let holder = self.pending(id).ok().flatten().map(|pending| pending.pid);
                Err(VaultError::Busy { path, holder })
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn ids_ending(&self, ending: &str) -> Result<Vec<RecordId>, VaultError> {
        let folder = self.paths.records();
        let names = self.store.list(&folder).map_err(io("list", folder))?;
        let mut ids: Vec<RecordId> = names
            .iter()
            .filter_map(|name| name.strip_suffix(ending)?.parse().ok())
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    fn read_cached(&self, id: &RecordId) -> Result<Option<Arc<Record>>, VaultError> {
        let path = self.paths.record(*id);
        loop {
            // Before the read, so that a write in between makes the stamp old, never the content.
            let stamp = self.store.stamp(&path).map_err(io("read", &path))?;
            if let Some((seen, record)) = self.cache.lock().get(id)
                && *seen == stamp
            {
                return Ok(Some(Arc::clone(record)));
            }
            // Before the read too: a key that is gone by then has no record left.
            let keys = self.known_keys();
            let Some(file) = self.store.read(&path).map_err(io("read", &path))? else {
                self.cache.lock().remove(id);
                return Ok(None);
            };
            match record::open(|epoch| keys.record_key(epoch), &self.id, *id, &file) {
                Ok(record) => {
                    let record = Arc::new(record);
                    self.cache.lock().insert(*id, (stamp, Arc::clone(&record)));
                    return Ok(Some(record));
                }
                // Written under a key that came after ours: look at the header, and then again.
                Err(Unopened::Newer) if self.fresh_keys()?.current().0 != keys.current().0 => {}
                Err(Unopened::Newer) => return Err(VaultError::NewerFormat { path }),
                Err(Unopened::Damaged) => return Err(VaultError::Corrupt { id: *id }),
            }
        }
    }

    /// Seals a record under the key of the header as it is now. The caller holds the record's lock, or `vault.lock`.
    pub(crate) fn write(
        &self,
        id: RecordId,
        kind: u8,
        generation: u64,
        plaintext: &[u8],
    ) -> Result<(), VaultError> {
        let file = self.sealed(id, kind, generation, plaintext)?;
        let path = self.paths.record(id);
        self.store
            .replace(&path, &file, Durability::Durable)
            .map_err(io("write", path))
    }

    /// Returns the file of a record under the present key.
    pub(crate) fn sealed(
        &self,
        id: RecordId,
        kind: u8,
        generation: u64,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let keys = self.fresh_keys()?;
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
    fn set_aside(&self, id: RecordId) -> Result<(), VaultError> {
        let (path, folder) = (self.paths.record(id), self.paths.quarantine());
        let file = self
            .store
            .read(&path)
            .map_err(io("read", &path))?
            .unwrap_or_default();
        let generation = RecordHeader::parse(&file).map_or(0, |header| header.generation);
        self.store
            .create_folder(&folder)
            .map_err(io("create", &folder))?;
        let aside = folder.join(quarantine::name(id, generation, self.store.now()));
        self.store
            .rename(&path, &aside)
            .map_err(io("set aside", &path))?;
        tracing::warn!(%id, generation, "a damaged record was set aside");
        Ok(())
    }
}
