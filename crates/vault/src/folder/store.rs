//! What the folder engine needs of a disk, and nothing more. Another kind of disk, or one that
//! fails on purpose, is one new file.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{VaultError, folder::listener::Watch, stamp::Stamp};

/// The few things that are done with files.
///
/// *Absent* means exactly that the file is not there: any other trouble is an error, never "empty".
pub trait Store: Send + Sync {
    /// Returns the true path of a vault's folder after checking that no other user can write there;
    /// `None` when absent.
    fn resolve(
        &self,
        folder: &Path,
        network: NetworkFolders,
    ) -> Result<Option<PathBuf>, VaultError>;

    /// Creates a folder that only its owner can enter, and the folders above it; an existing one
    /// stays as it is.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Checks that only its owner can read a file that holds a key, if it is there.
    fn owner_only(&self, file: &Path) -> Result<(), VaultError>;

    /// Returns a stamp that changes with the content of a file, or with the entries of a folder.
    fn stamp(&self, path: &Path) -> io::Result<Stamp>;

    /// Returns a file's content; `None` when absent.
    fn read(&self, file: &Path) -> io::Result<Option<Vec<u8>>>;

    /// Returns a file's content with its stamp, which is never newer.
    fn read_stamped(&self, file: &Path) -> io::Result<Option<(Stamp, Vec<u8>)>> {
        let stamp = self.stamp(file)?;
        Ok(self.read(file)?.map(|content| (stamp, content)))
    }

    /// Puts new content in a file's place: at every moment a reader finds the old or the new,
    /// whole.
    fn replace(&self, file: &Path, content: &[u8], durability: Durability) -> io::Result<()>;

    /// Moves a file to another folder, durably.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; false when there was none.
    fn remove(&self, file: &Path, durability: Durability) -> io::Result<bool>;

    /// Returns the names in a folder; none when the folder is absent.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Waits for the lock that this file stands for; dropping the result frees it, and so does the
    /// end of the process.
    fn lock(&self, file: &Path) -> io::Result<Held>;

    /// Takes the lock if it is free.
    fn try_lock(&self, file: &Path) -> io::Result<Option<Held>>;

    /// Removes what crashed writers left in a folder.
    fn sweep(&self, folder: &Path) -> io::Result<()>;

    /// Watches for changes; `None` where one may be heard of late or not at all.
    fn watch(&self, _watched: &Watched<'_>) -> Option<Watch> {
        None
    }

    /// Returns the time by which this store stamps its files, in ms since the Unix epoch.
    fn now(&self) -> u64;
}

/// What a watch is set over.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    /// The folder of records.
    pub records: &'a Path,
    /// The file of the shared state.
    pub state: &'a Path,
    /// The file of its news, in the same folder.
    pub news: &'a Path,
    /// The file of the history, in the same folder.
    pub history: &'a Path,
}

/// A lock that is held until this is dropped.
pub type Held = Box<dyn Send + Sync>;

/// Whether a change survives a power cut that follows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// File and folder are flushed before the call returns.
    Durable,
    /// Whole, but after a power cut perhaps still the old one.
    Lossy,
}

/// Whether a vault may live on a network file system, where locks and renames may not hold what
/// they promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFolders {
    /// A folder on one is [`VaultError::Unsafe`].
    Refused,
    /// The owner knows better.
    Allowed,
}
