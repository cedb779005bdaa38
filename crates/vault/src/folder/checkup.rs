//! A look at a vault's folder for a doctor: what a person should know of its files, locks and disk,
//! whether the vault opens or not.
//! Nothing of it is changed unless that is asked for.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    FreeSpace, Privacy,
    backend::Lock,
    folder::{
        disk::{Disk, Temporary, clock},
        lock_queue::LockQueue,
        paths::{NOTE, Paths},
        store::Store as _,
    },
    format::id::RecordId,
    platform,
    vault::notes::Pending,
};

/// What is to be known of a vault's folder.
#[derive(Debug)]
pub struct FolderFacts {
    /// Its true path.
    pub dir: PathBuf,
    /// Whether it is on a network file system.
    pub is_network: bool,
    /// Files and folders that other users can get at.
    pub loose: Vec<LooseFile>,
    /// What crashed writers left, and nothing needs.
    pub leftovers: Vec<PathBuf>,
    /// Notes of refreshes.
    pub notes: Vec<NoteFacts>,
    /// Locks that were held for as long as this looked.
    pub held: Vec<HeldLock>,
    /// What came of writing a file there and of locking it.
    pub trial: io::Result<Trial>,
}

/// A file or folder that other users can get at.
#[derive(Debug)]
pub struct LooseFile {
    /// Where it is.
    pub path: PathBuf,
    /// Who can.
    pub privacy: Privacy,
    /// Why the vault does not open with it, if it does not.
    pub fault: Option<&'static str>,
}

/// The note of a refresh.
#[derive(Debug)]
pub struct NoteFacts {
    /// The record that is being renewed.
    pub id: RecordId,
    /// When the refresh began, in ms since the Unix epoch; `None` of a note that cannot be read.
    pub started_at: Option<u64>,
    /// Whether the process that wrote it is gone.
    pub is_abandoned: bool,
}

/// A lock that somebody holds.
#[derive(Debug)]
pub struct HeldLock {
    /// The name of its file.
    pub name: String,
    /// The process, where the system tells.
    pub pid: Option<u32>,
}

/// What came of a file that was written, locked twice and removed.
#[derive(Debug)]
pub struct Trial {
    /// Whether the second lock had to wait for the first.
    pub locks_exclude: bool,
    /// By how much the file's time is ahead of this machine's clock, in ms.
    pub ahead_ms: i64,
}

/// Looks at a folder; `None` where there is none. Waits up to `patience` for locks that are held
/// for moments only.
pub fn look_at_folder(dir: &Path, patience: Duration) -> io::Result<Option<FolderFacts>> {
    let dir = match fs::canonicalize(dir) {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let paths = Paths::new(dir.clone());
    let files = files_of(&paths)?;
    Ok(Some(FolderFacts {
        is_network: platform::is_network_folder(&dir),
        loose: files.iter().filter_map(loose).collect(),
        leftovers: files.into_iter().filter(|file| is_leftover(file)).collect(),
        notes: notes(&paths)?,
        held: held(&paths, patience)?,
        trial: try_out(&dir),
        dir,
    }))
}

/// The room on the disk of a folder, or of the nearest one above it that is there; `None` where the
/// system does not tell.
#[must_use]
pub fn free_space(folder: &Path) -> Option<FreeSpace> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    platform::free_space(there)
}

/// Takes the rights of other users to a file or folder of this user away.
pub fn tighten(path: &Path) -> io::Result<()> {
    platform::tighten_path(path)
}

/// Removes what a crashed writer left, if it is that.
pub fn remove_leftover(file: &Path) -> io::Result<()> {
    if !is_leftover(file) {
        return Ok(());
    }
    fs::remove_file(file)
}

/// The folder, those in it, and their files.
fn files_of(paths: &Paths) -> io::Result<Vec<PathBuf>> {
    let inner = [
        paths.records(),
        paths.locks(),
        paths.quarantine(),
        paths.cache(),
    ];
    let mut files = vec![paths.dir().to_owned()];
    for folder in [paths.dir().to_owned()].iter().chain(&inner) {
        let names = Disk.list(folder)?;
        files.extend(names.into_iter().map(|name| folder.join(name)));
    }
    Ok(files)
}

fn loose(path: &PathBuf) -> Option<LooseFile> {
    let metadata = fs::symlink_metadata(path).ok()?;
    if metadata.is_symlink() {
        return None;
    }
    let fault = if metadata.is_dir() {
        platform::folder_fault(&metadata)
    } else {
        None
    };
    match platform::privacy(&metadata) {
        Privacy::Own => None,
        privacy => Some(LooseFile {
            path: path.clone(),
            privacy,
            fault,
        }),
    }
}

fn is_leftover(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    let Some(pid) = name.and_then(Temporary::maker) else {
        return false;
    };
    let modified = fs::symlink_metadata(file).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified_at| {
        let age = clock().duration_since(modified_at).unwrap_or_default();
        Temporary::is_stale(age, pid)
    })
}

fn notes(paths: &Paths) -> io::Result<Vec<NoteFacts>> {
    let names = Disk.list(&paths.records())?;
    let ids = names
        .iter()
        .filter_map(|name| name.strip_suffix(NOTE)?.parse().ok());
    let mut notes = Vec::new();
    for id in ids {
        let content = Disk.read(&paths.note(id)).ok().flatten();
        let note = content.and_then(|note| serde_json::from_slice::<Pending>(&note).ok());
        // The kernel frees the lock of a dead process.
        let lock = Disk.try_lock(&paths.lock(Lock::Record(id)));
        notes.push(NoteFacts {
            id,
            started_at: note.map(|note| note.started_at),
            is_abandoned: matches!(lock, Ok(Some(_))),
        });
    }
    Ok(notes)
}

/// The locks that are meant for moments and are still held after `patience`.
fn held(paths: &Paths, patience: Duration) -> io::Result<Vec<HeldLock>> {
    let queue = LockQueue::new(Arc::new(Disk));
    let mut held = Vec::new();
    for lock in [Lock::Vault, Lock::Records, Lock::HighWater, Lock::Keys] {
        let file = paths.lock(lock);
        // To look for a lock makes its file, which a vault that is not whole yet need not have.
        if !file.exists() {
            continue;
        }
        if queue.wait(&file, patience)?.is_none() {
            held.push(HeldLock {
                name: file
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                pid: platform::lock_holder(&file),
            });
        }
    }
    Ok(held)
}

/// Writes a file, locks it twice and removes it.
fn try_out(dir: &Path) -> io::Result<Trial> {
    let temporary = Temporary::create(&dir.join("doctor"))?;
    temporary.fill(&[b' '; 4096])?;
    let written_at = fs::symlink_metadata(temporary.path())?.modified()?;
    let now = clock();
    let first = Disk.try_lock(temporary.path())?;
    let second = Disk.try_lock(temporary.path())?;
    let ahead_ms = match written_at.duration_since(now) {
        Ok(ahead) => ahead.as_millis() as i64,
        Err(behind) => -(behind.duration().as_millis() as i64),
    };
    Ok(Trial {
        locks_exclude: first.is_some() && second.is_none(),
        ahead_ms,
    })
}

/// How loose a key file is, and why the vault does not take it.
pub fn look_at_key_file(options: &crate::Options) -> Option<LooseFile> {
    loose_file(&options.keyfile())
}

/// How loose one file is that others are not to read; `None` where it is the user's alone, or not
/// there.
#[must_use]
pub fn loose_file(file: &Path) -> Option<LooseFile> {
    loose(&file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for inner in ["rec", "lock"] {
            platform::create_private_folder(&folder.path().join(inner)).unwrap();
        }
        folder
    }

    fn look(folder: &tempfile::TempDir) -> FolderFacts {
        look_at_folder(folder.path(), SHORT).unwrap().unwrap()
    }

    #[test]
    fn a_folder_that_is_not_there_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            look_at_folder(&folder.path().join("none"), SHORT)
                .unwrap()
                .is_none()
        );
        assert!(free_space(&folder.path().join("none/deeper")).is_some());
    }

    #[test]
    fn a_lock_that_is_held_is_told_with_its_process() {
        let folder = folder();
        assert!(look(&folder).held.is_empty());
        let file = folder.path().join("lock/vault.lock");
        let _held = Disk.try_lock(&file).unwrap().unwrap();
        let facts = look(&folder);
        assert_eq!(facts.held.len(), 1);
        assert_eq!(facts.held[0].name, "vault.lock");
        if cfg!(target_os = "linux") {
            assert_eq!(facts.held[0].pid, Some(std::process::id()));
        }
    }

    #[test]
    fn a_trial_leaves_nothing_and_finds_locks_that_hold() {
        let folder = folder();
        let trial = look(&folder).trial.unwrap();
        assert!(trial.locks_exclude);
        assert!(trial.ahead_ms.abs() < 5_000, "{}", trial.ahead_ms);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn what_others_can_read_is_found_and_tightened() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = folder();
        let file = folder.path().join("state.json");
        fs::write(&file, "{}").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let loose = look(&folder).loose;
        let found: Vec<_> = loose
            .iter()
            .map(|it| (it.path.clone(), it.fault.is_some()))
            .collect();
        assert_eq!(found, [(folder.path().to_owned(), true), (file, false)]);
        for it in &loose {
            tighten(&it.path).unwrap();
        }
        assert!(look(&folder).loose.is_empty());
    }

    #[test]
    fn a_file_of_a_crashed_writer_goes_and_one_of_a_living_writer_stays() {
        let folder = folder();
        let (dead, alive) = (u32::MAX, std::process::id());
        let age = clock() - Duration::from_secs(120);
        for pid in [dead, alive] {
            let file =
                fs::File::create(folder.path().join(format!("rec/a.rec.{pid}-0.tmp"))).unwrap();
            file.set_modified(age).unwrap();
        }
        let leftovers = look(&folder).leftovers;
        assert_eq!(
            leftovers,
            [folder.path().join(format!("rec/a.rec.{dead}-0.tmp"))]
        );
        remove_leftover(&leftovers[0]).unwrap();
        remove_leftover(&folder.path().join(format!("rec/a.rec.{alive}-0.tmp"))).unwrap();
        assert!(look(&folder).leftovers.is_empty());
        assert_eq!(fs::read_dir(folder.path().join("rec")).unwrap().count(), 1);
    }
}
