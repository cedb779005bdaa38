//! Asks the kernel whether the records or what processes share changed: one question for all, a
//! fifth of the cost of two stats, and no doubt about a file that is too new for its stamp to tell.
//!
//! A shortcut and never the only look: where it is not to be had, or the folders themselves were
//! moved away, the stamps say the same.

#[cfg(target_os = "linux")]
use std::path::{Path, PathBuf};

use crate::folder::{listener::Watch, store::Watched};
#[cfg(target_os = "linux")]
use crate::folder::{
    listener::{Heard, Listener},
    paths,
};

/// Watches the folder of records, and three files of the folder around it; `None` where a change by
/// another process may be reported late or not at all: on other systems than Linux, and on file
/// systems that are not the kernel's own.
#[cfg(target_os = "linux")]
pub(super) fn watch(watched: &Watched<'_>) -> Option<Watch> {
    Inotify::new(watched).map(Watch::new)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn watch(_: &Watched<'_>) -> Option<Watch> {
    None
}

#[cfg(target_os = "linux")]
struct Inotify {
    reports: rustix::fd::OwnedFd,
    /// What the kernel calls the watch over the folder of records.
    records: i32,
    /// The names of the files in the other folder.
    state: std::ffi::CString,
    news: std::ffi::CString,
    history: std::ffi::CString,
    /// The folders were moved or removed: what is at their paths now is not watched.
    is_over: bool,
    /// The folders, each with what it is at the disk.
    folders: [(PathBuf, Option<(u64, u64)>); 2],
}

#[cfg(target_os = "linux")]
impl Inotify {
    fn new(watched: &Watched<'_>) -> Option<Self> {
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
        let add = |folder: &Path| {
            reports_at_once(folder).then_some(())?;
            add_watch(&reports, folder, changes).ok()
        };
        let folder = watched.state.parent()?;
        add(folder)?;
        let records = add(watched.records)?;
        let known = |folder: &Path| (folder.to_owned(), identity(folder));
        Some(Self {
            reports,
            records,
            state: name(watched.state)?,
            news: name(watched.news)?,
            history: name(watched.history)?,
            is_over: false,
            folders: [known(folder), known(watched.records)],
        })
    }
}

#[cfg(target_os = "linux")]
impl Listener for Inotify {
    fn heard(&mut self) -> Option<Heard> {
        use rustix::fs::inotify::{ReadFlags, Reader};

        const ENDS: ReadFlags = ReadFlags::DELETE_SELF
            .union(ReadFlags::MOVE_SELF)
            .union(ReadFlags::UNMOUNT)
            .union(ReadFlags::IGNORED);
        let mut heard = Heard::default();
        // Asking how much there is to read takes less than finding out that it is nothing.
        if !self.is_over && rustix::io::ioctl_fionread(&self.reports) == Ok(0) {
            return Some(heard);
        }
        let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
        let mut reports = Reader::new(&self.reports, &mut buffer);
        while !self.is_over {
            match reports.next() {
                Ok(report) => {
                    self.is_over |= report.events().intersects(ENDS);
                    match report.file_name() {
                        Some(name) if report.wd() == self.records => {
                            match name.to_str().ok().and_then(paths::record_of) {
                                Some(record) => heard.records.push(record),
                                None => heard.beside_records = true,
                            }
                        }
                        Some(name) => {
                            heard.state |= name == self.state.as_c_str();
                            heard.news |= name == self.news.as_c_str();
                            heard.history |= name == self.history.as_c_str();
                        }
                        // Of a folder itself, or of reports that the kernel had no room for.
                        None => heard.anything = true,
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Some(heard),
                Err(_) => self.is_over = true,
            }
        }
        None
    }

    fn is_in_place(&self) -> bool {
        let is_same = |(folder, known): &(PathBuf, _)| identity(folder) == *known;
        self.folders.iter().all(is_same)
    }
}

/// Returns device and inode of what is at a path.
#[cfg(target_os = "linux")]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(target_os = "linux")]
fn name(file: &Path) -> Option<std::ffi::CString> {
    use std::os::unix::ffi::OsStrExt as _;

    std::ffi::CString::new(file.file_name()?.as_bytes()).ok()
}

/// Tells whether all changes of a folder go through this kernel: one that is shared with another
/// machine is not heard of.
#[cfg(target_os = "linux")]
fn reports_at_once(folder: &Path) -> bool {
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
    use crate::format::id::RecordId;

    fn nothing() -> Option<Heard> {
        Some(Heard::default())
    }

    fn state() -> Option<Heard> {
        Some(Heard {
            state: true,
            ..Heard::default()
        })
    }

    fn news() -> Option<Heard> {
        Some(Heard {
            news: true,
            ..Heard::default()
        })
    }

    fn history() -> Option<Heard> {
        Some(Heard {
            history: true,
            ..Heard::default()
        })
    }

    fn beside_records() -> Option<Heard> {
        Some(Heard {
            beside_records: true,
            ..Heard::default()
        })
    }

    fn watch_in(dir: &Path) -> Watch {
        watch(&Watched {
            records: &dir.join("rec"),
            state: &dir.join("state.json"),
            news: &dir.join("news.json"),
            history: &dir.join("history.json"),
        })
        .unwrap()
    }

    #[track_caller]
    fn check(change: impl FnOnce(&Path), expect: [Option<Heard>; 2]) {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("vault");
        fs::create_dir_all(dir.join("rec")).unwrap();
        fs::write(dir.join("state.json"), "{}").unwrap();
        let mut watch = watch_in(&dir);
        assert_eq!(watch.heard(), nothing());
        change(&dir);
        assert_eq!([watch.heard(), watch.heard()], expect);
    }

    #[test]
    fn a_change_is_heard_of_once() {
        check(
            |dir| fs::write(dir.join("state.json"), "[]").unwrap(),
            [state(), nothing()],
        );
        check(
            |dir| fs::write(dir.join("news.json"), "[]").unwrap(),
            [news(), nothing()],
        );
        check(
            |dir| fs::write(dir.join("history.json"), "[]").unwrap(),
            [history(), nothing()],
        );
        check(
            |dir| fs::write(dir.join("rec/1.rec"), "x").unwrap(),
            [beside_records(), nothing()],
        );
        check(
            |dir| fs::rename(dir.join("state.json"), dir.join("other")).unwrap(),
            [state(), nothing()],
        );
        check(
            |dir| {
                fs::write(dir.join("new"), "[]").unwrap();
                fs::rename(dir.join("new"), dir.join("state.json")).unwrap();
            },
            [state(), nothing()],
        );
        check(
            |dir| fs::remove_file(dir.join("state.json")).unwrap(),
            [state(), nothing()],
        );
        check(
            |dir| {
                (0..2_000)
                    .for_each(|n| fs::write(dir.join("rec").join(n.to_string()), "x").unwrap())
            },
            [beside_records(), nothing()],
        );
    }

    #[test]
    fn what_is_neither_record_nor_shared_is_not_heard_of() {
        check(
            |dir| fs::write(dir.join("log.jsonl"), "{}").unwrap(),
            [nothing(), nothing()],
        );
        check(
            |dir| fs::write(dir.join("state.json.7-1.tmp"), "{}").unwrap(),
            [nothing(), nothing()],
        );
    }

    #[test]
    fn the_records_that_changed_are_named() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("vault");
        let rec = dir.join("rec");
        fs::create_dir_all(&rec).unwrap();
        let ids = [1, 2, 3].map(|number| RecordId::from_parts(number, [7; 10]));
        let file = |id: &RecordId| rec.join(format!("{id}.rec"));
        let mut watch = watch_in(&dir);
        let mut changed = |change: &dyn Fn()| {
            change();
            let mut changed = watch.heard().unwrap().records;
            changed.sort_unstable();
            changed.dedup();
            changed
        };
        assert_eq!(changed(&|| ()), []);
        let named = changed(&|| {
            fs::write(rec.join("x.tmp"), "new").unwrap();
            fs::rename(rec.join("x.tmp"), file(&ids[1])).unwrap();
            fs::write(file(&ids[0]), "new").unwrap();
            fs::write(rec.join(format!("{}.pending", ids[2])), "note").unwrap();
            fs::write(dir.join("state.json"), "{}").unwrap();
        });
        assert_eq!(named, ids[..2]);
        let named = changed(&|| fs::rename(file(&ids[1]), dir.join("aside")).unwrap());
        assert_eq!(named, ids[1..2]);
        assert_eq!(changed(&|| ()), []);
    }

    #[test]
    fn a_folder_above_that_was_swapped_is_noticed_when_asked() {
        let outer = tempfile::tempdir().unwrap();
        let above = outer.path().join("above");
        let dir = above.join("vault");
        fs::create_dir_all(dir.join("rec")).unwrap();
        let mut watch = watch_in(&dir);
        assert!(watch.is_in_place());
        fs::rename(&above, outer.path().join("aside")).unwrap();
        fs::create_dir_all(dir.join("rec")).unwrap();
        assert_eq!(watch.heard(), nothing(), "the kernel does not tell");
        assert!(!watch.is_in_place());
    }

    #[test]
    fn reading_is_no_change() {
        check(
            |dir| drop(fs::read(dir.join("state.json")).unwrap()),
            [nothing(), nothing()],
        );
    }

    #[test]
    fn more_reports_than_the_kernel_keeps_are_a_change_of_anything() {
        let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events");
        let most: usize = most.unwrap().trim().parse().unwrap();
        let anything = Some(Heard {
            anything: true,
            ..Heard::default()
        });
        check(
            |dir| {
                let [one, two] = ["one", "two"].map(|name| dir.join(name));
                fs::write(&one, "x").unwrap();
                // Two reports each.
                for _ in 0..most / 4 + 1 {
                    fs::rename(&one, &two).unwrap();
                    fs::rename(&two, &one).unwrap();
                }
            },
            [anything, nothing()],
        );
    }

    #[test]
    fn of_a_folder_that_was_moved_away_or_removed_anything_may_have_changed_for_good() {
        check(
            |dir| fs::rename(dir, dir.with_file_name("aside")).unwrap(),
            [None, None],
        );
        check(|dir| fs::remove_dir(dir.join("rec")).unwrap(), [None, None]);
    }
}
