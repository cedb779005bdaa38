//! Asks the kernel whether the records or what processes share changed: one question for all, a
//! fifth of the cost of two stats, and no doubt about a file that is too new for its stamp to tell.
//!
//! A shortcut and never the only look: where it is not to be had, or the folders themselves were
//! moved away, the stamps say the same.

#[cfg(target_os = "linux")]
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

#[cfg(target_os = "linux")]
use crate::{
    folder::paths,
    format::record::RecordId,
    stamp::{Heard, Listener},
};
use crate::{folder::store::Watched, stamp::Watch};

/// Watches the folder of records, and two files of the folder around it; `None` where a change by
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
    history: std::ffi::CString,
    /// The folders were moved or removed: what is at their paths now is not watched.
    is_over: bool,
    /// The folders, each with what it is at the disk.
    folders: [(PathBuf, Option<(u64, u64)>); 2],
    /// The records whose files were reported; `None` where any may have changed.
    changed: Option<BTreeSet<RecordId>>,
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
            history: name(watched.history)?,
            is_over: false,
            folders: [known(folder), known(watched.records)],
            changed: None,
        })
    }
}

#[cfg(target_os = "linux")]
impl Listener for Inotify {
    fn heard(&mut self) -> Heard {
        use rustix::fs::inotify::{ReadFlags, Reader};

        const ENDS: ReadFlags = ReadFlags::DELETE_SELF
            .union(ReadFlags::MOVE_SELF)
            .union(ReadFlags::UNMOUNT)
            .union(ReadFlags::IGNORED);
        if self.is_over {
            return Heard::ALL;
        }
        // Asking how much there is to read takes less than finding out that it is nothing.
        if rustix::io::ioctl_fionread(&self.reports) == Ok(0) {
            return Heard::default();
        }
        let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
        let mut reports = Reader::new(&self.reports, &mut buffer);
        let mut heard = Heard::default();
        loop {
            match reports.next() {
                Ok(report) => {
                    self.is_over |= report.events().intersects(ENDS);
                    match report.file_name() {
                        Some(name) if report.wd() == self.records => {
                            heard.records = true;
                            let record = name.to_str().ok().and_then(paths::record_of);
                            if let Some(changed) = &mut self.changed {
                                changed.extend(record);
                            }
                        }
                        Some(name) => {
                            heard.state |= name == self.state.as_c_str();
                            heard.history |= name == self.history.as_c_str();
                        }
                        // Of a folder itself, or of reports that the kernel had no room for.
                        None => {
                            heard = Heard::ALL;
                            self.changed = None;
                        }
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(_) => self.is_over = true,
            }
            if self.is_over {
                return Heard::ALL;
            }
        }
        heard
    }

    fn names_records(&self) -> bool {
        let changed = self.changed.as_ref();
        changed.is_some_and(|changed| !changed.is_empty())
    }

    fn take_changed(&mut self) -> Option<Vec<RecordId>> {
        // A folder above may have been swapped for another, which nothing reports.
        let is_same = |(folder, known): &(PathBuf, _)| identity(folder) == *known;
        self.is_over |= !self.folders.iter().all(is_same);
        let next = (!self.is_over).then(BTreeSet::new);
        let changed = std::mem::replace(&mut self.changed, next)?;
        (!self.is_over).then(|| changed.into_iter().collect())
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

    const NOTHING: Heard = Heard {
        records: false,
        state: false,
        history: false,
    };
    const RECORDS: Heard = Heard {
        records: true,
        ..NOTHING
    };
    const STATE: Heard = Heard {
        state: true,
        ..NOTHING
    };

    const HISTORY: Heard = Heard {
        history: true,
        ..NOTHING
    };

    fn watch_in(dir: &Path) -> Watch {
        watch(&Watched {
            records: &dir.join("rec"),
            state: &dir.join("state.json"),
            history: &dir.join("history.json"),
        })
        .unwrap()
    }

    #[track_caller]
    fn check(change: impl FnOnce(&Path), expect: [Heard; 2]) {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("vault");
        fs::create_dir_all(dir.join("rec")).unwrap();
        fs::write(dir.join("state.json"), "{}").unwrap();
        let mut watch = watch_in(&dir);
        assert_eq!(watch.heard(), NOTHING);
        change(&dir);
        assert_eq!([watch.heard(), watch.heard()], expect);
    }

    #[test]
    fn a_change_is_heard_of_once() {
        check(
            |dir| fs::write(dir.join("state.json"), "[]").unwrap(),
            [STATE, NOTHING],
        );
        check(
            |dir| fs::write(dir.join("history.json"), "[]").unwrap(),
            [HISTORY, NOTHING],
        );
        check(
            |dir| fs::write(dir.join("rec/1.rec"), "x").unwrap(),
            [RECORDS, NOTHING],
        );
        check(
            |dir| fs::rename(dir.join("state.json"), dir.join("other")).unwrap(),
            [STATE, NOTHING],
        );
        check(
            |dir| {
                fs::write(dir.join("new"), "[]").unwrap();
                fs::rename(dir.join("new"), dir.join("state.json")).unwrap();
            },
            [STATE, NOTHING],
        );
        check(
            |dir| fs::remove_file(dir.join("state.json")).unwrap(),
            [STATE, NOTHING],
        );
        check(
            |dir| {
                (0..2_000)
                    .for_each(|n| fs::write(dir.join("rec").join(n.to_string()), "x").unwrap())
            },
            [RECORDS, NOTHING],
        );
    }

    #[test]
    fn what_is_neither_record_nor_shared_is_not_heard_of() {
        check(
            |dir| fs::write(dir.join("log.jsonl"), "{}").unwrap(),
            [NOTHING, NOTHING],
        );
        check(
            |dir| fs::write(dir.join("state.json.7-1.tmp"), "{}").unwrap(),
            [NOTHING, NOTHING],
        );
    }

    #[test]
    fn the_records_that_changed_are_named_and_where_that_is_unknown_none_is() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("vault");
        let rec = dir.join("rec");
        fs::create_dir_all(&rec).unwrap();
        let ids = [1, 2, 3].map(|number| RecordId::from_parts(number, [7; 10]));
        let file = |id: &RecordId| rec.join(format!("{id}.rec"));
        let mut watch = watch_in(&dir);
        let mut changed = |change: &dyn Fn()| {
            change();
            watch.heard();
            watch.take_changed()
        };
        assert_eq!(changed(&|| ()), None, "what was before is unknown");
        assert_eq!(changed(&|| ()), Some(vec![]));
        let named = changed(&|| {
            fs::write(rec.join("x.tmp"), "new").unwrap();
            fs::rename(rec.join("x.tmp"), file(&ids[1])).unwrap();
            fs::write(file(&ids[0]), "new").unwrap();
            fs::write(rec.join(format!("{}.pending", ids[2])), "note").unwrap();
            fs::write(dir.join("state.json"), "{}").unwrap();
        });
        assert_eq!(named, Some(ids[..2].to_vec()));
        let named = changed(&|| fs::rename(file(&ids[1]), dir.join("aside")).unwrap());
        assert_eq!(named, Some(vec![ids[1]]));
        let lost = changed(&|| {
            for _ in 0..5_000 {
                fs::rename(file(&ids[0]), file(&ids[1])).unwrap();
                fs::rename(file(&ids[1]), file(&ids[0])).unwrap();
            }
        });
        assert_eq!(lost, None, "more reports than the kernel keeps");
        assert_eq!(changed(&|| ()), Some(vec![]));
        let swapped = changed(&|| {
            fs::rename(outer.path(), outer.path().with_extension("aside")).unwrap();
            fs::create_dir_all(&rec).unwrap();
        });
        fs::remove_dir_all(outer.path().with_extension("aside")).unwrap();
        assert_eq!(swapped, None, "another folder is at the path");
        assert_eq!(changed(&|| ()), None);
    }

    #[test]
    fn reading_is_no_change() {
        check(
            |dir| drop(fs::read(dir.join("state.json")).unwrap()),
            [NOTHING, NOTHING],
        );
    }

    #[test]
    fn more_reports_than_the_kernel_keeps_are_a_change_of_anything() {
        let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events");
        let most: usize = most.unwrap().trim().parse().unwrap();
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
            [Heard::ALL, NOTHING],
        );
    }

    #[test]
    fn of_a_folder_that_was_moved_away_or_removed_anything_may_have_changed_for_good() {
        check(
            |dir| fs::rename(dir, dir.with_file_name("aside")).unwrap(),
            [Heard::ALL, Heard::ALL],
        );
        check(
            |dir| fs::remove_dir(dir.join("rec")).unwrap(),
            [Heard::ALL, Heard::ALL],
        );
    }
}
