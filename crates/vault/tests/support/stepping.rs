//! The real disk, in steps: before each one the test has its say, and may let it fail.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use provider_auth_vault::{Disk, Durability, Held, NetworkFolders, Stamp, Store, VaultError};

/// What is about to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing changes: a read, a list, a lock.
    Look,
    /// A temporary file is opened, empty.
    Open,
    /// It is written. A process that is killed here has written half of it.
    Write,
    /// It is flushed.
    Flush,
    /// A file moves to its place.
    Rename,
    /// The folder is flushed: all is done, but the caller was not told.
    FlushFolder,
    /// A file is removed.
    Remove,
}

type Say = dyn Fn(Step) -> Result<(), Failure> + Send + Sync;

/// How a step fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    /// The process is dead: it cleans nothing up.
    Killed,
    /// The system says no.
    System(i32),
}

/// See the module.
pub(crate) struct Stepping {
    say: Box<Say>,
}

impl Stepping {
    pub(crate) fn new(say: impl Fn(Step) -> Result<(), Failure> + Send + Sync + 'static) -> Self {
        Self { say: Box::new(say) }
    }

    fn step(&self, step: Step) -> io::Result<()> {
        (self.say)(step).map_err(error)
    }
}

fn error(failure: Failure) -> io::Error {
    match failure {
        Failure::Killed => io::Error::other("killed"),
        Failure::System(code) => io::Error::from_raw_os_error(code),
    }
}

impl Store for Stepping {
    fn resolve(
        &self,
        folder: &Path,
        network: NetworkFolders,
    ) -> Result<Option<PathBuf>, VaultError> {
        Disk.resolve(folder, network)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        Disk.create_folder(folder)
    }

    fn owner_only(&self, file: &Path) -> Result<(), VaultError> {
        Disk.owner_only(file)
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        self.step(Step::Look)?;
        Disk.stamp(path)
    }

    fn read(&self, file: &Path) -> io::Result<Option<Vec<u8>>> {
        self.step(Step::Look)?;
        Disk.read(file)
    }

    fn replace(&self, file: &Path, content: &[u8], _: Durability) -> io::Result<()> {
        // As `Disk` does it; that it does so is seen in `processes.rs`, where real processes are
        // killed.
        let temporary = PathBuf::from(format!("{}.1-1.tmp", file.display()));
        let cleaned = |failure: Failure| {
            if let Failure::System(_) = failure {
                fs::remove_file(&temporary).or_else(|error| match error.kind() {
                    io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })?;
            }
            Err(error(failure))
        };
        self.step(Step::Open)?;
        Disk.replace(&temporary, b"", Durability::Lossy)?;
        let mut opened = fs::OpenOptions::new().write(true).open(&temporary)?;
        if let Err(failure) = (self.say)(Step::Write) {
            opened.write_all(&content[..content.len() / 2])?;
            return cleaned(failure);
        }
        opened.write_all(content)?;
        for step in [Step::Flush, Step::Rename] {
            if let Err(failure) = (self.say)(step) {
                return cleaned(failure);
            }
        }
        fs::rename(&temporary, file)?;
        self.step(Step::FlushFolder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Step::Rename)?;
        Disk.rename(from, to)?;
        self.step(Step::FlushFolder)
    }

    fn remove(&self, file: &Path, durability: Durability) -> io::Result<bool> {
        self.step(Step::Remove)?;
        let was_there = Disk.remove(file, durability)?;
        self.step(Step::FlushFolder)?;
        Ok(was_there)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.step(Step::Look)?;
        Disk.list(folder)
    }

    fn lock(&self, file: &Path) -> io::Result<Held> {
        self.step(Step::Look)?;
        Disk.lock(file)
    }

    fn try_lock(&self, file: &Path) -> io::Result<Option<Held>> {
        self.step(Step::Look)?;
        Disk.try_lock(file)
    }

    fn sweep(&self, folder: &Path) -> io::Result<()> {
        Disk.sweep(folder)
    }

    fn now(&self) -> u64 {
        Disk.now()
    }
}
