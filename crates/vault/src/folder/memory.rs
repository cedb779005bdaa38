//! A store that is gone with its process: for the key source `memory`, and for tests that need no
//! disk.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::{Condvar, Mutex};

use crate::{
    VaultError,
    folder::store::{Durability, Held, NetworkFolders, Store},
    stamp::{Revision, Stamp},
};

/// Files in memory; each value is a world of its own.
#[derive(Default)]
pub struct Memory {
    files: Mutex<Files>,
    locks: Arc<Locks>,
}

#[derive(Default)]
struct Files {
    /// Content, and the change that put it there.
    content: BTreeMap<PathBuf, (Vec<u8>, u64)>,
    /// The last change in each folder.
    folders: HashMap<PathBuf, u64>,
    /// Changes so far; also the time of this world.
    changes: u64,
}

#[derive(Default)]
struct Locks {
    taken: Mutex<HashSet<PathBuf>>,
    freed: Condvar,
}

impl Files {
    fn put(&mut self, file: &Path, content: Vec<u8>) {
        let change = self.change(file);
        self.content.insert(file.to_owned(), (content, change));
    }

    fn take(&mut self, file: &Path) -> Option<Vec<u8>> {
        let (content, _) = self.content.remove(file)?;
        self.change(file);
        Some(content)
    }

    fn change(&mut self, file: &Path) -> u64 {
        self.changes += 1;
        if let Some(folder) = file.parent() {
            self.folders.insert(folder.to_owned(), self.changes);
        }
        self.changes
    }
}

impl Store for Memory {
    fn resolve(&self, folder: &Path, _: NetworkFolders) -> Result<Option<PathBuf>, VaultError> {
        Ok(Some(folder.to_owned()))
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn owner_only(&self, _: &Path) -> Result<(), VaultError> {
        Ok(())
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        let files = self.files.lock();
        let file = files
            .content
            .get(path)
            .map(|(content, change)| (content.len() as u64, *change));
        let folder = files.folders.get(path).map(|change| (0, *change));
        Ok(file.or(folder).map_or(Stamp::Absent, |(size, change)| {
            Stamp::Settled(Revision([u128::from(change), u128::from(size), 0, 0]))
        }))
    }

    fn read(&self, file: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(self
            .files
            .lock()
            .content
            .get(file)
            .map(|(content, _)| content.clone()))
    }

    fn replace(&self, file: &Path, content: &[u8], _: Durability) -> io::Result<()> {
        self.files.lock().put(file, content.to_vec());
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files.lock();
        let content = files.take(from).ok_or(ErrorKind::NotFound)?;
        files.put(to, content);
        Ok(())
    }

    fn remove(&self, file: &Path, _: Durability) -> io::Result<bool> {
        Ok(self.files.lock().take(file).is_some())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let files = self.files.lock();
        let inside = files
            .content
            .keys()
            .filter(|file| file.parent() == Some(folder));
        Ok(inside
            .filter_map(|file| Some(file.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn lock(&self, file: &Path) -> io::Result<Held> {
        let mut taken = self.locks.taken.lock();
        while !taken.insert(file.to_owned()) {
            self.locks.freed.wait(&mut taken);
        }
        Ok(self.held(file))
    }

    fn try_lock(&self, file: &Path) -> io::Result<Option<Held>> {
        Ok(self
            .locks
            .taken
            .lock()
            .insert(file.to_owned())
            .then(|| self.held(file)))
    }

    fn sweep(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn now(&self) -> u64 {
        self.files.lock().changes
    }
}

impl Memory {
    fn held(&self, file: &Path) -> Held {
        Box::new(Taken {
            locks: Arc::clone(&self.locks),
            file: file.to_owned(),
        })
    }
}

struct Taken {
    locks: Arc<Locks>,
    file: PathBuf,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.locks.taken.lock().remove(&self.file);
        self.locks.freed.notify_all();
    }
}
