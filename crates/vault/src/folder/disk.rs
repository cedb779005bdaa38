//! The real disk: durable replacement, kernel locks, and refusal of folders that others can write.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    VaultError,
    error::{IS_A_LINK, io},
    folder::{
        listener::Watch,
        store::{Durability, Held, NetworkFolders, Store, Watched},
        watch,
    },
    limits, platform,
    stamp::Stamp,
};

/// The local disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Store for Disk {
    fn resolve(
        &self,
        folder: &Path,
        network: NetworkFolders,
    ) -> Result<Option<PathBuf>, VaultError> {
        let folder = match fs::canonicalize(folder) {
            Ok(folder) => folder,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("open", folder)(error)),
        };
        if network == NetworkFolders::Refused && platform::is_network_folder(&folder) {
            let why = "it is on a network file system, where locks may not hold; give a local `dir`, or allow it with `allowNetworkFs` or PROVIDER_AUTH_ALLOW_NETWORK_FS=1";
            return Err(VaultError::Unsafe { path: folder, why });
        }
        own_folder(&folder)?;
        for inner in ["rec", "lock", "quarantine", "cache"] {
            own_folder(&folder.join(inner))?;
        }
        Ok(Some(folder))
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        platform::create_private_folder(folder)
    }

    fn owner_only(&self, file: &Path) -> Result<(), VaultError> {
        match fs::symlink_metadata(file) {
            Ok(metadata) => match platform::key_file_fault(&metadata) {
                Some(why) => Err(VaultError::Unsafe {
                    path: file.to_owned(),
                    why,
                }),
                None => Ok(()),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io("open", file)(error)),
        }
    }

    fn stamp(&self, path: &Path) -> io::Result<Stamp> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(stamp_of(&metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Stamp::Absent),
            Err(error) => Err(error),
        }
    }

    fn read(&self, file: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(self.read_stamped(file)?.map(|(_, content)| content))
    }

    fn read_stamped(&self, file: &Path) -> io::Result<Option<(Stamp, Vec<u8>)>> {
        let opened = match platform::without_links(OpenOptions::new().read(true)).open(file) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = opened.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidData, "not a file"));
        }
        if metadata.len() > limits::LONGEST_FILE {
            return Err(io::Error::new(
                ErrorKind::FileTooLarge,
                "longer than any file of a vault",
            ));
        }
        if platform::tighten(&opened, &metadata)? {
            crate::line!(
                WARN,
                file = file,
                "others could read this file; its mode is now 0600"
            );
        }
        // A file of a vault is replaced and never grows, so that its end needs no looking for; some
        // systems give no length for what they make up.
        let longest = match metadata.len() {
            0 => limits::LONGEST_FILE,
            length => length,
        };
        let mut content = Vec::with_capacity(metadata.len() as usize);
        opened.take(longest).read_to_end(&mut content)?;
        Ok(Some((stamp_of(&metadata), content)))
    }

    fn replace(&self, file: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
        let temporary = Temporary::create(file)?;
        (&temporary.file).write_all(content)?;
        if durability == Durability::Durable {
            // An error here is final: a second fsync would report success without having written
            // (fsyncgate).
            temporary.file.sync_all()?;
        }
        temporary.into_place(file)?;
        flush_folder(file, durability)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        platform::retrying(|| fs::rename(from, to))?;
        flush_folder(to, Durability::Durable)?;
        flush_folder(from, Durability::Durable)
    }

    fn remove(&self, file: &Path, durability: Durability) -> io::Result<bool> {
        match platform::retrying(|| fs::remove_file(file)) {
            Ok(()) => flush_folder(file, durability).map(|()| true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // A vault gives no name that is not Unicode.
        entries
            .filter_map(|entry| {
                entry
                    .map(|entry| entry.file_name().into_string().ok())
                    .transpose()
            })
            .collect()
    }

    fn lock(&self, file: &Path) -> io::Result<Held> {
        let file = lock_file(file)?;
        loop {
            match file.lock() {
                Ok(()) => return Ok(Box::new(file)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn try_lock(&self, file: &Path) -> io::Result<Option<Held>> {
        let file = lock_file(file)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn sweep(&self, folder: &Path) -> io::Result<()> {
        for name in self.list(folder)? {
            let Some(pid) = Temporary::maker(&name) else {
                continue;
            };
            let path = folder.join(&name);
            let Ok(modified_at) =
                fs::symlink_metadata(&path).and_then(|metadata| metadata.modified())
            else {
                continue;
            };
            let age = clock().duration_since(modified_at).unwrap_or_default();
            if Temporary::is_stale(age, pid) {
                self.remove(&path, Durability::Lossy)?;
            }
        }
        Ok(())
    }

    fn watch(&self, watched: &Watched<'_>) -> Option<Watch> {
        watch::watch(watched)
    }

    fn now(&self) -> u64 {
        since_epoch(clock()).as_millis() as u64
    }
}

fn stamp_of(metadata: &fs::Metadata) -> Stamp {
    let state = platform::file_state(metadata);
    let settled_at = state.modified_at.max(state.changed_at) + limits::SETTLING.as_nanos() as i128;
    if since_epoch(clock()).as_nanos() as i128 > settled_at {
        Stamp::Settled(state.revision())
    } else {
        Stamp::Fresh(state.revision())
    }
}

/// The one look at the clock: it is compared with file times, which the same clock made, and names
/// set-aside files.
#[expect(
    clippy::disallowed_methods,
    reason = "file times come from this very clock; no rule of the product hangs on it"
)]
pub(super) fn clock() -> SystemTime {
    SystemTime::now()
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Refuses a folder that is a link, another user's, or writable by others; absent is fine.
fn own_folder(folder: &Path) -> Result<(), VaultError> {
    let why = match fs::symlink_metadata(folder) {
        Ok(metadata) if metadata.is_symlink() => Some(IS_A_LINK),
        Ok(metadata) if !metadata.is_dir() => {
            Some("it is not a folder; give another `dir`, or move it away")
        }
        Ok(metadata) => platform::folder_fault(&metadata),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(io("open", folder)(error)),
    };
    why.map_or(Ok(()), |why| {
        Err(VaultError::Unsafe {
            path: folder.to_owned(),
            why,
        })
    })
}

/// Opens the file that a lock stands for; it is empty, and never removed or renamed.
fn lock_file(file: &Path) -> io::Result<File> {
    let created = platform::private(
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false),
    )
    .open(file);
    match created {
        // On a read-only disk a lock that is there can still be held against readers of the same
        // host.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            platform::without_links(OpenOptions::new().read(true))
                .open(file)
                .map_err(|_| error)
        }
        opened => opened,
    }
}

fn flush_folder(file: &Path, durability: Durability) -> io::Result<()> {
    match (durability, file.parent()) {
        (Durability::Durable, Some(folder)) => platform::flush_folder(folder),
        _ => Ok(()),
    }
}

/// A file on its way into another's place; removed again if it does not get there.
pub(super) struct Temporary {
    path: PathBuf,
    file: File,
    arrived: bool,
}

impl Temporary {
    /// Creates `<name>.<pid>-<count>.tmp` beside the file it will replace.
    pub(super) fn create(beside: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let pid = std::process::id();
        // Another PID namespace may have left the same name behind: the next count is free.
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let mut name = beside.file_name().unwrap_or_default().to_os_string();
            name.push(format!(".{pid}-{count}.tmp"));
            let path = beside.with_file_name(name);
            match platform::private(OpenOptions::new().write(true).create_new(true)).open(&path) {
                Ok(file) => {
                    return Ok(Self {
                        path,
                        file,
                        arrived: false,
                    });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the process that made a temporary file, from its name.
    pub(super) fn maker(name: &str) -> Option<u32> {
        let (_, maker) = name.strip_suffix(".tmp")?.rsplit_once('.')?;
        maker.split_once('-')?.0.parse().ok()
    }

    /// Tells whether one of this age is left over from a process that crashed.
    pub(super) fn is_stale(age: Duration, pid: u32) -> bool {
        age > limits::STALE_AFTER || (age > limits::DEAD_AFTER && !platform::is_alive(pid))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it through to the disk.
    pub(super) fn fill(&self, content: &[u8]) -> io::Result<()> {
        (&self.file).write_all(content)?;
        self.file.sync_all()
    }

    fn into_place(mut self, file: &Path) -> io::Result<()> {
        platform::retrying(|| fs::rename(&self.path, file))?;
        self.arrived = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.arrived {
            // Best effort: a leftover is swept by the next open.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_name_tells_its_maker() {
        assert_eq!(Temporary::maker("01J.rec.4711-3.tmp"), Some(4711));
        for other in ["01J.rec", "state.json", "x.tmp", "notes.a-b.tmp", ".tmp"] {
            assert_eq!(Temporary::maker(other), None, "{other}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_the_place_of_a_file_is_an_error_and_not_a_wait() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("state.json");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let refused = Disk.read(&pipe).unwrap_err();
        assert_eq!(refused.to_string(), "not a file");
    }

    #[test]
    fn a_stamp_that_is_too_new_equals_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        assert_eq!(Disk.stamp(&file).unwrap(), Stamp::Absent);
        Disk.replace(&file, b"one", Durability::Lossy).unwrap();
        let fresh = Disk.stamp(&file).unwrap();
        assert_ne!(fresh, fresh.clone());
        assert!(fresh.is_same_revision(&Disk.stamp(&file).unwrap()));
        Disk.replace(&file, b"two, longer", Durability::Lossy)
            .unwrap();
        assert!(!fresh.is_same_revision(&Disk.stamp(&file).unwrap()));
    }
}
