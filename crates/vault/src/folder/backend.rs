//! The folder engine: one file per record, kernel locks on files of their own, whole replacement by
//! rename.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    Options, VaultError,
    backend::{
        Backend, Brought, Changes, Claimed, Document, Engine, Lock, Look, Need, Opens, Outcome,
        Pulse, Purpose, Quarantined, RecordGuard, SealMark,
    },
    error::io,
    folder::{
        change_log::{ChangeLog, Place},
        disk::Disk,
        lock_queue::LockQueue,
        paths::{self, Paths},
        quarantine,
        store::{Durability, Held, Store},
    },
    format::id::RecordId,
    send_by::SendBy,
    stamp::{Mark, Stamp},
};

/// Returns the engine that keeps vaults unless a caller chooses another one: in folders on the
/// local disk.
///
/// This is the one place that chooses; callers that open, create or look at a vault pass on what it
/// returns.
pub fn default_engine() -> Arc<dyn Engine> {
    Arc::new(Disk)
}

impl<S: Store + 'static> Engine for S {
    fn find(self: Arc<Self>, options: &Options) -> Result<Option<Arc<dyn Backend>>, VaultError> {
        let dir = self.resolve(&options.dir, options.network())?;
        Ok(dir.map(|dir| Arc::new(FolderBackend::new(self, dir)) as Arc<dyn Backend>))
    }

    fn prepare(self: Arc<Self>, options: &Options) -> Result<Arc<dyn Backend>, VaultError> {
        if self.resolve(&options.dir, options.network())?.is_none() {
            self.create_folder(&options.dir)
                .map_err(io("create", &options.dir))?;
        }
        let dir = self.resolve(&options.dir, options.network())?;
        let gone = || io("open", &options.dir)(std::io::ErrorKind::NotFound.into());
        let backend = FolderBackend::new(self, dir.ok_or_else(gone)?);
        for folder in [backend.paths.records(), backend.paths.locks()] {
            backend.create_folder(&folder)?;
        }
        Ok(Arc::new(backend))
    }
}

struct FolderBackend {
    paths: Paths,
    store: Arc<dyn Store>,
    queue: Arc<LockQueue>,
    changes: ChangeLog,
}

impl FolderBackend {
    fn new(store: Arc<dyn Store>, dir: PathBuf) -> Self {
        Self {
            paths: Paths::new(dir),
            queue: LockQueue::new(Arc::clone(&store)),
            changes: ChangeLog::default(),
            store,
        }
    }

    fn create_folder(&self, folder: &Path) -> Result<(), VaultError> {
        let created = self.store.create_folder(folder);
        created.map_err(io("create", folder))
    }

    fn read(&self, file: &Path) -> Result<Option<Vec<u8>>, VaultError> {
        self.store.read(file).map_err(io("read", file))
    }

    fn place(&self) -> Place<'_> {
        Place {
            store: &*self.store,
            paths: &self.paths,
        }
    }

    fn replace(
        &self,
        file: &Path,
        content: &[u8],
        durability: Durability,
    ) -> Result<(), VaultError> {
        let replaced = self.store.replace(file, content, durability);
        replaced.map_err(io("write", file))
    }

    fn remove(&self, file: &Path, durability: Durability) -> Result<bool, VaultError> {
        let removed = self.store.remove(file, durability);
        removed.map_err(io("remove", file))
    }

    fn list(&self, folder: &Path) -> Result<Vec<String>, VaultError> {
        self.store.list(folder).map_err(io("list", folder))
    }

    /// Removes files of a folder by name; tells whether there was any.
    fn remove_from(
        &self,
        folder: &Path,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<bool, VaultError> {
        let mut found = false;
        for name in self.list(folder)?.iter().filter(|name| is_wanted(name)) {
            found |= self.remove(&folder.join(name), Durability::Durable)?;
        }
        Ok(found)
    }

    /// Returns the ids that files in the folder of records are called by, before this ending.
    fn ids_ending(&self, ending: &str) -> Result<Vec<RecordId>, VaultError> {
        let names = self.list(&self.paths.records())?;
        let id = |name: &String| name.strip_suffix(ending)?.parse().ok();
        let mut ids: Vec<RecordId> = names.iter().filter_map(id).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

impl Backend for FolderBackend {
    fn dir(&self) -> &Path {
        self.paths.dir()
    }

    fn host_disk(&self) -> &dyn Store {
        &*self.store
    }

    fn record_name(&self, id: RecordId) -> String {
        self.paths.record(id).display().to_string()
    }

    fn document_name(&self, document: Document) -> String {
        self.paths.document(document).display().to_string()
    }

    fn now(&self) -> u64 {
        self.store.now()
    }

    fn sweep(&self) {
        let dir = self.paths.dir().to_owned();
        for folder in [dir, self.paths.records(), self.paths.cache()] {
            if let Err(error) = self.store.sweep(&folder) {
                crate::line!(
                    DEBUG,
                    folder = folder,
                    error = error,
                    "leftovers could not be swept"
                );
            }
        }
    }

    fn lock(&self, lock: Lock, timeout: Duration) -> Result<Held, VaultError> {
        let file = self.paths.lock(lock);
        let held = self.queue.wait(&file, timeout).map_err(io("lock", &file))?;
        held.ok_or_else(|| VaultError::Busy {
            lock: file.display().to_string(),
            waited: timeout,
            holder: None,
        })
    }

    fn try_lock(&self, lock: Lock) -> Result<Option<Held>, VaultError> {
        let file = self.paths.lock(lock);
        self.store.try_lock(&file).map_err(io("lock", file))
    }

    fn pulse(&self) -> Pulse {
        self.changes.pulse(self.place())
    }

    fn changes(&self, since: Option<Mark>) -> Result<Changes, VaultError> {
        let (named, mark) = self.changes.since(since.unwrap_or(Mark(0)), self.place());
        Ok(Changes {
            records: named.filter(|_| since.is_some()),
            mark,
        })
    }

    fn ids(&self) -> Result<Vec<RecordId>, VaultError> {
        self.ids_ending(paths::RECORD)
    }

    fn has_records(&self) -> Result<bool, VaultError> {
        let names = self.list(&self.paths.records())?;
        Ok(names.iter().any(|name| name.ends_with(paths::RECORD)))
    }

    fn records_stamp(&self) -> Result<Stamp, VaultError> {
        let records = self.paths.records();
        self.store.stamp(&records).map_err(io("read", records))
    }

    fn look(&self, id: RecordId, known: Option<Stamp>) -> Result<Look, VaultError> {
        let file = self.paths.record(id);
        if let Some(known) = known
            && known == self.store.stamp(&file).map_err(io("read", &file))?
        {
            return Ok(Look::AsKnown);
        }
        let found = self.store.read_stamped(&file).map_err(io("read", file))?;
        Ok(found.map_or(Look::Absent, |(stamp, bytes)| Look::Found(stamp, bytes)))
    }

    fn create_record(&self, id: RecordId, sealed: &[u8]) -> Result<Brought, VaultError> {
        self.replace(&self.paths.record(id), sealed, Durability::Durable)?;
        Ok(Brought::Yes)
    }

    fn claim(
        &self,
        guard: &RecordGuard,
        _known: u64,
        _need: Need,
        note: &[u8],
    ) -> Result<Claimed, VaultError> {
        self.replace(&self.paths.note(guard.id()), note, Durability::Durable)?;
        Ok(Claimed::Yes(SendBy::FOR_EVER))
    }

    fn bring(
        &self,
        guard: &RecordGuard,
        _from: u64,
        _purpose: Purpose,
        sealed: &[u8],
    ) -> Result<Brought, VaultError> {
        self.replace(&self.paths.record(guard.id()), sealed, Durability::Durable)?;
        Ok(Brought::Yes)
    }

    fn release(&self, guard: &RecordGuard, outcome: Outcome) -> Result<(), VaultError> {
        match outcome {
            Outcome::Unsent | Outcome::Known => self
                .remove(&self.paths.note(guard.id()), Durability::Lossy)
                .map(drop),
            Outcome::Unknown => Ok(()),
        }
    }

    fn remove_record(
        &self,
        guard: &RecordGuard,
        _mark: &mut SealMark<'_>,
    ) -> Result<bool, VaultError> {
        let id = guard.id().to_string();
        // The holder of the lock is the only writer of this record.
        let is_leftover = |name: &str| name.starts_with(&id) && name.ends_with(".tmp");
        let is_aside = |name: &str| quarantine::is_of(name, guard.id());
        self.remove_from(&self.paths.records(), is_leftover)?;
        let was_aside = self.remove_from(&self.paths.quarantine(), is_aside)?;
        let was_there = self.remove(&self.paths.record(guard.id()), Durability::Durable)?;
        self.release(guard, Outcome::Known)?;
        Ok(was_there || was_aside)
    }

    fn set_record_aside(
        &self,
        guard: &RecordGuard,
        generation: u64,
        _: &Opens<'_>,
    ) -> Result<(), VaultError> {
        let folder = self.paths.quarantine();
        self.create_folder(&folder)?;
        let name = quarantine::record_name(&Quarantined {
            id: guard.id(),
            generation,
            at: self.now(),
        });
        let record = self.paths.record(guard.id());
        let moved = self.store.rename(&record, &folder.join(name));
        moved.map_err(io("set aside", record))
    }

    fn quarantined(&self) -> Result<Vec<Quarantined>, VaultError> {
        let names = self.list(&self.paths.quarantine())?;
        let parsed = names.iter().filter_map(|name| quarantine::parse(name));
        let mut records: Vec<_> = parsed.collect();
        records.sort_unstable_by_key(|record| (record.at, record.id));
        Ok(records)
    }

    fn read_note(&self, id: RecordId) -> Result<Option<Vec<u8>>, VaultError> {
        self.read(&self.paths.note(id))
    }

    fn abandoned(&self) -> Result<Vec<RecordId>, VaultError> {
        // The kernel frees the lock of a dead process, so a free lock proves that death.
        let is_free = |id: &RecordId| matches!(self.try_lock(Lock::Record(*id)), Ok(Some(_)));
        let noted = self.ids_ending(paths::NOTE)?;
        Ok(noted.into_iter().filter(is_free).collect())
    }

    fn read_document(&self, document: Document) -> Result<Option<Vec<u8>>, VaultError> {
        self.read(&self.paths.document(document))
    }

    fn write_document(&self, document: Document, content: &[u8]) -> Result<(), VaultError> {
        let durability = match document {
            Document::Header | Document::HeaderBackup | Document::Moved => Durability::Durable,
            Document::State
            | Document::News
            | Document::History
            | Document::Stats
            | Document::Index => Durability::Lossy,
            Document::Cache(_) => {
                self.create_folder(&self.paths.cache())?;
                Durability::Lossy
            }
        };
        self.replace(&self.paths.document(document), content, durability)
    }

    fn remove_document(&self, document: Document) -> Result<bool, VaultError> {
        self.remove(&self.paths.document(document), Durability::Durable)
    }

    fn set_header_aside(&self, header: &[u8]) -> Result<(), VaultError> {
        let folder = self.paths.quarantine();
        let aside = folder.join(quarantine::header_name(self.now()));
        self.create_folder(&folder)?;
        self.replace(&aside, header, Durability::Durable)
    }

    fn remove_headers_aside(&self) -> Result<(), VaultError> {
        self.remove_from(&self.paths.quarantine(), quarantine::is_header)
            .map(drop)
    }
}
