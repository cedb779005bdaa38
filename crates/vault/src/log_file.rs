//! A log file that many processes write to and that stays small.
//!
//! Each line is one write to the end of the file, which the system keeps whole and in order. A file
//! that is full is renamed, by one process at a time; the others see at their next line that the
//! name leads to another file now. No line is lost by that, and nobody waits: who finds the lock
//! taken writes on, into a file that stays readable under its other name.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::{PrivateFileError, append_privately, platform};

/// A log file and the one before it.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    lock: PathBuf,
    limit: u64,
    open: Option<File>,
    /// The last write stopped within a line, as on a full disk.
    is_torn: bool,
}

impl LogFile {
    /// A log at `path` that is renamed before it has more than `limit` bytes; `lock` is the file
    /// that stands for the right to do so. Nothing is opened yet.
    pub fn new(path: PathBuf, lock: PathBuf, limit: u64) -> Self {
        Self {
            path,
            lock,
            limit,
            open: None,
            is_torn: false,
        }
    }

    /// The name of the file that is written to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the file that was full: `auth.1.log` of `auth.log`.
    pub fn before(path: &Path) -> PathBuf {
        let mut name = path.file_stem().unwrap_or_default().to_os_string();
        name.push(".1");
        if let Some(ending) = path.extension() {
            name.push(".");
            name.push(ending);
        }
        path.with_file_name(name)
    }

    /// Opens the file, and creates it if it is absent. A link or a file of another user is refused.
    pub fn open(&mut self) -> Result<(), PrivateFileError> {
        if !self.is_in_place() {
            self.open = Some(append_privately(&self.path)?);
        }
        Ok(())
    }

    /// Closes the file until the next line: one that is open keeps its disk from being unmounted.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// Adds a line, which ends with a line break.
    pub fn append(&mut self, line: &[u8]) -> Result<(), PrivateFileError> {
        self.open()?;
        if self.is_full(line.len() as u64) {
            self.rotate();
            self.open()?;
        }
        let Some(mut file) = self.open.as_ref() else {
            return Ok(());
        };
        let written = if self.is_torn {
            // What was begun becomes a line of its own, which readers skip.
            file.write_all(&[b"\n", line].concat())
        } else {
            file.write_all(line)
        };
        self.is_torn = written.is_err();
        Ok(written?)
    }

    /// Whether the name still leads to the file that is open.
    fn is_in_place(&self) -> bool {
        let is_in_place = |file: &File| -> io::Result<bool> {
            let ours = platform::file_state(&file.metadata()?);
            let named = platform::file_state(&fs::symlink_metadata(&self.path)?);
            // Windows may give a new file the marks of the one that had its name before, but that
            // begins empty.
            Ok((ours.device, ours.inode) == (named.device, named.inode) && named.size >= ours.size)
        };
        let file = self.open.as_ref();
        file.is_some_and(|file| is_in_place(file).unwrap_or(false))
    }

    fn is_full(&self, more: u64) -> bool {
        let metadata = self.open.as_ref().and_then(|file| file.metadata().ok());
        metadata.is_some_and(|found| {
            found.is_file() && found.len() > 0 && found.len() + more > self.limit
        })
    }

    /// Renames the file, unless another process is at it. One that cannot be renamed is written on.
    fn rotate(&mut self) {
        let Ok(lock) = append_privately(&self.lock) else {
            return;
        };
        // Another process may have done it since the file was opened.
        if lock.try_lock().is_ok()
            && self.is_in_place()
            && fs::rename(&self.path, Self::before(&self.path)).is_ok()
        {
            self.open = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(folder: &Path, limit: u64) -> LogFile {
        LogFile::new(folder.join("log.jsonl"), folder.join("lock"), limit)
    }

    fn read(file: &Path) -> String {
        fs::read_to_string(file).unwrap_or_default()
    }

    #[test]
    fn a_full_file_is_renamed_and_the_one_before_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), 12);
        for line in ["1111\n", "2222\n", "3333\n", "4444\n", "5555\n"] {
            log.append(line.as_bytes()).unwrap();
        }
        assert_eq!(read(log.path()), "5555\n");
        assert_eq!(read(&folder.path().join("log.1.jsonl")), "3333\n4444\n");
    }

    #[test]
    fn a_line_longer_than_the_file_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), 4);
        log.append(b"123456789\n").unwrap();
        assert_eq!(read(log.path()), "123456789\n");
    }

    #[test]
    fn who_has_the_old_file_open_goes_on_in_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let (mut one, mut other) = (log(folder.path(), 10), log(folder.path(), 10));
        other.append(b"other\n").unwrap();
        one.append(b"one 1\n").unwrap();
        other.append(b"late\n").unwrap();
        assert_eq!(read(one.path()), "late\n");
        assert_eq!(read(&folder.path().join("log.1.jsonl")), "one 1\n");
    }

    #[test]
    fn a_file_that_another_program_moves_away_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), 100);
        log.append(b"one\n").unwrap();
        fs::rename(log.path(), folder.path().join("kept")).unwrap();
        log.append(b"two\n").unwrap();
        assert_eq!(read(log.path()), "two\n");
    }

    #[test]
    fn a_lock_that_is_taken_makes_nobody_wait_and_costs_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path(), 4);
        let held = append_privately(&folder.path().join("lock")).unwrap();
        held.lock().unwrap();
        for line in ["1111\n", "2222\n"] {
            log.append(line.as_bytes()).unwrap();
        }
        assert_eq!(read(log.path()), "1111\n2222\n");
        drop(held);
        log.append(b"3333\n").unwrap();
        assert_eq!(read(log.path()), "3333\n");
    }

    #[test]
    fn many_writers_lose_no_line_while_files_are_renamed() {
        const WRITERS: usize = 8;
        const LINES: usize = 400;
        let folder = tempfile::tempdir().unwrap();
        // All lines fit the two files, and one rotation happens in their midst.
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let folder = folder.path();
                scope.spawn(move || {
                    let mut log = log(folder, 64 * 1024);
                    for number in 0..LINES {
                        let line = format!("{writer}-{number} {}\n", "x".repeat(20));
                        log.append(line.as_bytes()).unwrap();
                    }
                });
            }
        });
        let text =
            read(&folder.path().join("log.1.jsonl")) + &read(&folder.path().join("log.jsonl"));
        let mut lines: Vec<&str> = text.lines().collect();
        assert!(folder.path().join("log.1.jsonl").exists());
        assert!(
            lines
                .iter()
                .all(|line| line.ends_with(" xxxxxxxxxxxxxxxxxxxx"))
        );
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), WRITERS * LINES);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_refused_and_a_folder_that_takes_nothing_is_an_error() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("precious"), "").unwrap();
        symlink(
            folder.path().join("precious"),
            folder.path().join("log.jsonl"),
        )
        .unwrap();
        let refused = log(folder.path(), 100).append(b"x\n");
        assert!(matches!(refused, Err(PrivateFileError::Unsafe(_))));
        assert_eq!(read(&folder.path().join("precious")), "");
        let absent = log(&folder.path().join("absent"), 100).append(b"x\n");
        assert!(matches!(absent, Err(PrivateFileError::Io(_))));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_and_the_next_line_begins_anew() {
        let mut log = LogFile::new("/dev/full".into(), "/dev/full".into(), 100);
        assert!(matches!(log.append(b"x\n"), Err(PrivateFileError::Io(_))));
        assert!(log.is_torn);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.jsonl");
        fs::write(&file, "{\"begun").unwrap();
        let mut log = super::tests::log(folder.path(), 100);
        log.is_torn = true;
        log.append(b"{}\n").unwrap();
        assert_eq!(read(&file), "{\"begun\n{}\n");
    }
}
