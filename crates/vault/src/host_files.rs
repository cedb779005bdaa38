//! Files of this machine that do not belong to a vault: which other users may read or change one,
//! and log files that only their owner can read. A matter of the local disk, whatever engine keeps
//! the vault.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, ErrorKind},
    path::Path,
};

use crate::platform::{self, Privacy};

/// Tells which other users have a right to a file.
pub fn privacy(metadata: &Metadata) -> Privacy {
    platform::privacy(metadata)
}

/// Says why a user other than this one or root may have made or changed a file; `None` when only
/// they can have. `invoker` is the user who became root with `sudo`.
pub fn authorship_fault(metadata: &Metadata, invoker: Option<u32>) -> Option<&'static str> {
    platform::authorship_fault(metadata, invoker)
}

/// Tells whether a path is on a pseudo file system of the kernel, such as `/proc`, wherever that is
/// mounted.
pub fn is_on_pseudo_filesystem(path: &Path) -> bool {
    platform::is_on_pseudo_filesystem(path)
}

/// Why a file is not written to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateFileError {
    /// Another user could read it or decides what is written to; the text says what to do.
    #[error("{0}")]
    Unsafe(&'static str),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Opens a file to append to, and creates it if it is absent. Afterwards only its owner can read
/// it.
///
/// A device of the system, such as `/dev/null`, is taken as it is.
pub fn append_privately(file: &Path) -> Result<File, PrivateFileError> {
    let refused = |why| Err(PrivateFileError::Unsafe(why));
    if file.parent() == Some(Path::new("/dev")) {
        return Ok(OpenOptions::new().append(true).open(file)?);
    }
    match fs::symlink_metadata(file) {
        Ok(found) if found.is_symlink() => {
            return refused("it is a symbolic link; name the file itself");
        }
        // Opening a pipe would wait for its reader.
        Ok(found) if !found.is_file() => return refused("it is not a regular file"),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::metadata(folder.unwrap_or(Path::new(".")))?;
    if let Some(why) = platform::shared_folder_fault(&folder) {
        return refused(why);
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    let opened = platform::private(&mut options).open(file)?;
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return refused("it is not a regular file");
    }
    if privacy(&metadata) == Privacy::Foreign {
        return refused("it belongs to another user; name a file of your own");
    }
    if platform::has_other_names(&metadata) {
        return refused("it has another name elsewhere (a hard link); name a file of its own");
    }
    platform::tighten(&opened, &metadata)?;
    Ok(opened)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        io::Write as _,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[track_caller]
    fn check_refused(file: &Path, why: &str) {
        match append_privately(file) {
            Err(PrivateFileError::Unsafe(said)) => assert!(said.contains(why), "{said}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_tightened_and_keeps_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("auth.log");
        for wide in [0o644, 0o666, 0o640, 0o604, 0o755] {
            fs::write(&file, "before\n").unwrap();
            set_mode(&file, wide);
            append_privately(&file)
                .unwrap()
                .write_all(b"after\n")
                .unwrap();
            assert_eq!(mode(&file), 0o600, "{wide:o}");
            assert_eq!(fs::read_to_string(&file).unwrap(), "before\nafter\n");
        }
    }

    #[test]
    fn a_new_file_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("auth.log");
        append_privately(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn what_others_could_have_put_there_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("target"), "precious\n").unwrap();
        symlink(at("target"), at("link")).unwrap();
        check_refused(&at("link"), "symbolic link");
        symlink(at("nowhere"), at("dangling")).unwrap();
        check_refused(&at("dangling"), "symbolic link");
        assert!(!at("nowhere").exists());
        fs::hard_link(at("target"), at("twin")).unwrap();
        check_refused(&at("twin"), "hard link");
        check_refused(folder.path(), "not a regular file");
        assert_eq!(fs::read_to_string(at("target")).unwrap(), "precious\n");
    }

    #[test]
    fn a_folder_that_others_can_write_serves_only_where_they_cannot_swap_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("auth.log");
        set_mode(folder.path(), 0o777);
        check_refused(&file, "others can write");
        assert!(!file.exists());
        // As `/tmp` is.
        set_mode(folder.path(), 0o1777);
        append_privately(&file).unwrap();
        // As the folders of users whose group is theirs alone are.
        set_mode(folder.path(), 0o775);
        append_privately(&file).unwrap();
    }

    #[test]
    fn a_device_of_the_system_is_taken_as_it_is() {
        append_privately(Path::new("/dev/null")).unwrap();
    }
}
