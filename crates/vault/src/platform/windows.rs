//! Windows: the profile folder's access list guards the files; another program may hold one open
//! for a moment.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::windows::fs::{MetadataExt, OpenOptionsExt},
    path::{Component, Path, Prefix},
};

use super::file_facts::{FileState, FreeSpace, Privacy};
use crate::limits;

/// `FILE_FLAG_OPEN_REPARSE_POINT`: opens a link itself, which then is not a file.
const OPEN_LINK_ITSELF: u32 = 0x0020_0000;
/// 100-nanosecond ticks between 1601, where Windows starts to count, and 1970.
const TICKS_BEFORE_1970: i128 = 116_444_736_000_000_000;

pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)
}

/// Finds no fault: folders in a profile are their owner's by inheritance.
pub(crate) fn folder_fault(_: &Metadata) -> Option<&'static str> {
    None
}

/// Finds no fault: files in a profile are their owner's by inheritance.
pub(crate) fn key_file_fault(_: &Metadata) -> Option<&'static str> {
    None
}

/// Finds no fault: folders in a profile are their owner's by inheritance.
pub(crate) fn shared_folder_fault(_: &Metadata) -> Option<&'static str> {
    None
}

/// Finds none: the standard library does not tell.
pub(crate) fn has_other_names(_: &Metadata) -> bool {
    false
}

/// Takes a file in a profile to be readable by its owner only, by inheritance.
pub(crate) fn privacy(_: &Metadata) -> Privacy {
    Privacy::Own
}

/// Always false: Windows has no pseudo file system.
pub(crate) fn is_on_pseudo_filesystem(_: &Path) -> bool {
    false
}

/// Finds no fault: who wrote a file is told by its access list, which the folders above hand down.
pub(crate) fn authorship_fault(_: &Metadata, _: Option<u32>) -> Option<&'static str> {
    None
}

/// Finds nothing to take away.
pub(crate) fn tighten(_: &File, _: &Metadata) -> io::Result<bool> {
    Ok(false)
}

/// Does nothing: files in a profile are their owner's by inheritance.
pub(crate) fn tighten_path(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Unknown: the standard library does not tell.
pub(crate) fn free_space(_: &Path) -> Option<FreeSpace> {
    None
}

/// Unknown: the standard library does not tell.
pub(crate) fn lock_holder(_: &Path) -> Option<u32> {
    None
}

/// Makes `open` show a symbolic link as what it is.
pub(crate) fn without_links(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(OPEN_LINK_ITSELF)
}

/// Makes `open` show a symbolic link as what it is.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    without_links(options)
}

pub(crate) fn file_state(metadata: &Metadata) -> FileState {
    let nanoseconds = |ticks: u64| (i128::from(ticks) - TICKS_BEFORE_1970) * 100;
    let modified_at = nanoseconds(metadata.last_write_time());
    let changed_at = nanoseconds(metadata.creation_time()).max(modified_at);
    FileState {
        device: 0,
        inode: metadata.creation_time(),
        modified_at,
        changed_at,
        size: metadata.file_size(),
    }
}

/// Does nothing: NTFS logs a rename before it returns.
pub(crate) fn flush_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Runs a change to the folder, again after a pause while another program holds the file open.
pub(crate) fn retrying(change: impl Fn() -> io::Result<()>) -> io::Result<()> {
    /// `ERROR_ACCESS_DENIED`, `ERROR_SHARING_VIOLATION`, `ERROR_LOCK_VIOLATION`.
    const HELD: [i32; 3] = [5, 32, 33];
    for pause in limits::SHARING_PAUSES {
        match change() {
            Err(error)
                if error
                    .raw_os_error()
                    .is_some_and(|code| HELD.contains(&code)) =>
            {
                std::thread::park_timeout(pause);
            }
            done => return done,
        }
    }
    change()
}

/// Takes every process to be alive, so that only the age of a file decides.
pub(crate) fn is_alive(_: u32) -> bool {
    true
}

/// Tells whether a folder is on a network share, by its path.
pub(crate) fn is_network_folder(folder: &Path) -> bool {
    let Some(Component::Prefix(prefix)) = folder.components().next() else {
        return false;
    };
    matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..))
}
