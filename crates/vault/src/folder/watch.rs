//! Asks the kernel whether anything in a vault's folders changed: one question for both, a fifth of
//! the cost of two stats.
//!
//! A shortcut and never the only look: where it is not to be had, or the folders themselves were
//! moved away, the stamps say the same.

use std::path::PathBuf;

use crate::stamp::Watch;

/// Watches folders; `None` where a change by another process may be reported late or not at all: on
/// other systems than Linux, and on file systems that are not the kernel's own.
#[cfg(target_os = "linux")]
pub(super) fn watch(folders: &[PathBuf]) -> Option<Watch> {
    let mut inotify = Inotify::new(folders)?;
    Some(Watch::new(move || inotify.is_quiet()))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn watch(_: &[PathBuf]) -> Option<Watch> {
    None
}

#[cfg(target_os = "linux")]
struct Inotify {
    reports: rustix::fd::OwnedFd,
    /// The folders were moved or removed: what is at their paths now is not watched.
    is_over: bool,
}

#[cfg(target_os = "linux")]
impl Inotify {
    fn new(folders: &[PathBuf]) -> Option<Self> {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

        let reports = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        let changes = WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        for folder in folders {
            if !reports_at_once(folder) {
                return None;
            }
            add_watch(&reports, folder, changes).ok()?;
        }
        Some(Self {
            reports,
            is_over: false,
        })
    }

    fn is_quiet(&mut self) -> bool {
        use rustix::fs::inotify::{ReadFlags, Reader};

        const ENDS: ReadFlags = ReadFlags::DELETE_SELF
            .union(ReadFlags::MOVE_SELF)
            .union(ReadFlags::UNMOUNT)
            .union(ReadFlags::IGNORED);
        if self.is_over {
            return false;
        }
        let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
        let mut reports = Reader::new(&self.reports, &mut buffer);
        let mut is_quiet = true;
        loop {
            match reports.next() {
                Ok(report) => {
                    is_quiet = false;
                    self.is_over |= report.events().intersects(ENDS);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return is_quiet,
                Err(_) => {
                    self.is_over = true;
                    return false;
                }
            }
        }
    }
}

/// Tells whether all changes of a folder go through this kernel: one that is shared with another
/// machine is not heard of.
#[cfg(target_os = "linux")]
fn reports_at_once(folder: &std::path::Path) -> bool {
    /// `linux/magic.h` and the file systems' own headers: ext2 to ext4, XFS, Btrfs, F2FS, tmpfs,
    /// overlayfs, ZFS.
    const OWN: [u32; 7] = [
        0xEF53,
        0x5846_5342,
        0x9123_683E,
        0xF2F5_2010,
        0x0102_1994,
        0x794C_7630,
        0x2FC1_2FC1,
    ];
    rustix::fs::statfs(folder).is_ok_and(|system| OWN.contains(&(system.f_type as u32)))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;

    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&std::path::Path), expect: [bool; 2]) {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("vault");
        fs::create_dir_all(dir.join("rec")).unwrap();
        fs::write(dir.join("state.json"), "{}").unwrap();
        let mut watch = watch(&[dir.clone(), dir.join("rec")]).unwrap();
        assert!(watch.is_quiet());
        change(&dir);
        assert_eq!([watch.is_quiet(), watch.is_quiet()], expect);
    }

    #[test]
    fn a_change_is_heard_of_once() {
        check(
            |dir| fs::write(dir.join("state.json"), "[]").unwrap(),
            [false, true],
        );
        check(
            |dir| fs::write(dir.join("rec/1.rec"), "x").unwrap(),
            [false, true],
        );
        check(
            |dir| fs::rename(dir.join("state.json"), dir.join("other")).unwrap(),
            [false, true],
        );
        check(
            |dir| fs::remove_file(dir.join("state.json")).unwrap(),
            [false, true],
        );
        check(
            |dir| {
                (0..2_000)
                    .for_each(|n| fs::write(dir.join("rec").join(n.to_string()), "x").unwrap())
            },
            [false, true],
        );
    }

    #[test]
    fn reading_is_no_change() {
        check(
            |dir| drop(fs::read(dir.join("state.json")).unwrap()),
            [true, true],
        );
    }

    #[test]
    fn a_folder_that_was_moved_away_or_removed_is_never_quiet_again() {
        check(
            |dir| fs::rename(dir, dir.with_file_name("aside")).unwrap(),
            [false, false],
        );
        check(
            |dir| fs::remove_dir(dir.join("rec")).unwrap(),
            [false, false],
        );
    }
}
