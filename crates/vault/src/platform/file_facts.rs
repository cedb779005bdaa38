//! What every system tells of a file, in one shape.

use crate::stamp::Revision;

/// Which users have a right to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// This user only.
    Own,
    /// Other users too, at least to read it.
    Readable,
    /// It belongs to another user.
    Foreign,
}

/// The room on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeSpace {
    /// Bytes that this user may still write.
    pub bytes: u64,
    /// Files that may still be made; `None` where that is not limited.
    pub files: Option<u64>,
}

/// What tells one state of a file from another.
pub(crate) struct FileState {
    /// The device it is on.
    pub(crate) device: u64,
    /// Its number there; a number may be used again after removal.
    pub(crate) inode: u64,
    /// When content or entries changed, in ns since the Unix epoch.
    pub(crate) modified_at: i128,
    /// When anything about it changed, in ns since the Unix epoch.
    pub(crate) changed_at: i128,
    /// Its length in bytes.
    pub(crate) size: u64,
}

impl FileState {
    pub(crate) fn revision(&self) -> Revision {
        let place = u128::from(self.device) << 64 | u128::from(self.inode);
        Revision([
            place,
            self.modified_at.cast_unsigned(),
            self.changed_at.cast_unsigned(),
            u128::from(self.size),
        ])
    }
}
