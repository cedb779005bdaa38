//! Where log lines go: warnings and errors to a small file in the vault's folder, and what the user
//! asks for to the file that they name. Nothing of this makes a call fail or wait.
//!
//! A log tells which accounts there are and when they serve, so the files are the user's alone: one
//! that others can read is tightened, and one that another user may have put there is refused.
//!
//! Lines are written at once, by who logs them: they are on their way to the disk should the
//! process die at the next step, which is when they are needed most. What cannot be written yet
//! waits, a little of it: before the configuration is read, while there is no vault, while the disk
//! is full.

mod json;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use provider_auth_vault::{KeySource, LogFile, PrivateFileError};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::config::{ConfigError, LogLevel, Settings};
use crate::limits;

static LOG: Mutex<Log> = Mutex::new(Log::new());

/// Which lines a file of the log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// Warnings and errors, in the vault's folder.
    Ring,
    /// Those of the level that the user asks for, in the file that they name.
    Configured,
}

/// Begins to take lines, from when on warnings are kept until it is known where they go.
pub(crate) fn listen() {
    // Another subscriber of the process would have been there first, in this very library.
    let _ = tracing::subscriber::set_global_default(Lines);
}

/// Sends the lines where the settings say, those that have waited first. A file that is refused is a
/// fault of the configuration.
pub(crate) fn start(settings: &Settings) -> Result<(), ConfigError> {
    let started = LOG.lock().start(settings);
    // Each place that logs remembers whether it is wanted.
    tracing_core::callsite::rebuild_interest_cache();
    started
}

/// Writes what waits, if it can be written now.
pub(crate) fn flush() {
    for sink in &mut LOG.lock().sinks {
        sink.drain();
    }
}

/// The files of the log, there or not.
pub(crate) fn files(settings: &Settings) -> Vec<(PathBuf, LogKind)> {
    if settings.log.level == LogLevel::None {
        return Vec::new();
    }
    let ring = ring_file(settings).map(|file| (file, LogKind::Ring));
    let configured = settings.log.file.clone();
    ring.into_iter()
        .chain(configured.map(|file| (file, LogKind::Configured)))
        .collect()
}

/// That of the warnings; a vault in memory leaves nothing on the disk.
fn ring_file(settings: &Settings) -> Option<PathBuf> {
    let file = settings.dir.join("log.jsonl");
    let is_named = settings.log.file.as_ref() == Some(&file);
    (settings.key_source != KeySource::Memory && !is_named).then_some(file)
}

struct Log {
    level: LevelFilter,
    sinks: Vec<Sink>,
    /// What came before it was known where lines go.
    early: VecDeque<(Level, Vec<u8>)>,
    is_started: bool,
}

impl Log {
    const fn new() -> Self {
        Self {
            level: LevelFilter::WARN,
            sinks: Vec::new(),
            early: VecDeque::new(),
            is_started: false,
        }
    }

    fn start(&mut self, settings: &Settings) -> Result<(), ConfigError> {
        let level = match settings.log.level {
            LogLevel::None => LevelFilter::OFF,
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        };
        let mut sinks = Vec::new();
        if level != LevelFilter::OFF {
            if let Some(file) = ring_file(settings) {
                sinks.push(Sink::ring(file, &settings.dir));
            }
            if let Some(file) = &settings.log.file {
                let mut sink = Sink::named(file.clone(), level);
                match sink.file.open() {
                    Err(PrivateFileError::Unsafe(why)) => return Err(refused(file, why)),
                    // A log that cannot be opened must not keep its user from working.
                    Ok(()) | Err(_) => sinks.push(sink),
                }
            }
        }
        // The options may have changed: what could not be written goes along.
        for sink in &mut sinks {
            let before = |old: &&mut Sink| old.file.path() == sink.file.path();
            if let Some(old) = self.sinks.iter_mut().find(before) {
                sink.waiting = std::mem::take(&mut old.waiting);
            }
            for (level, line) in &self.early {
                sink.take(*level, line);
            }
        }
        self.early.clear();
        self.level = sinks
            .iter()
            .map(|sink| sink.level)
            .max()
            .unwrap_or(LevelFilter::OFF);
        self.sinks = sinks;
        self.is_started = true;
        Ok(())
    }

    fn take(&mut self, level: Level, line: Vec<u8>) {
        if self.is_started {
            for sink in &mut self.sinks {
                sink.take(level, &line);
            }
        } else {
            keep(&mut self.early, (level, line));
        }
    }
}

/// A file, and what waits to be written there.
struct Sink {
    level: LevelFilter,
    file: LogFile,
    waiting: VecDeque<Vec<u8>>,
    /// A folder without which nothing is written.
    needs: Option<PathBuf>,
}

impl Sink {
    /// A vault's folder is made with the vault only, and its locks with it.
    fn ring(file: PathBuf, dir: &Path) -> Self {
        let locks = dir.join("lock");
        Self {
            level: LevelFilter::WARN,
            file: LogFile::new(file, locks.join("log.lock"), limits::RING_FILE),
            waiting: VecDeque::new(),
            needs: Some(locks),
        }
    }

    fn named(file: PathBuf, level: LevelFilter) -> Self {
        let mut lock = file.clone().into_os_string();
        lock.push(".lock");
        Self {
            level,
            file: LogFile::new(file, lock.into(), limits::LOG_FILE),
            waiting: VecDeque::new(),
            needs: None,
        }
    }

    fn take(&mut self, level: Level, line: &[u8]) {
        if level <= self.level {
            keep(&mut self.waiting, line.to_owned());
            self.drain();
        }
    }

    /// Whether the warnings have this one already. What is odd about a configuration is so at each
    /// start of a process, and would drive out all others.
    fn is_known(&self, line: &[u8]) -> bool {
        let line = str::from_utf8(line).unwrap_or_default();
        let Some(at) = line.find(",\"warning\":").filter(|_| self.needs.is_some()) else {
            return false;
        };
        std::fs::read_to_string(self.file.path()).is_ok_and(|text| text.contains(&line[at..]))
    }

    fn drain(&mut self) {
        let is_there = |folder: &PathBuf| {
            std::fs::symlink_metadata(folder).is_ok_and(|metadata| metadata.is_dir())
        };
        if self.waiting.is_empty() || !self.needs.as_ref().is_none_or(is_there) {
            return;
        }
        while let Some(line) = self.waiting.front() {
            if !self.is_known(line) && self.file.append(line).is_err() {
                break;
            }
            self.waiting.pop_front();
        }
        if self.needs.is_some() {
            // Warnings are rare, and the vault's disk is not to be held.
            self.file.close();
        }
    }
}

/// Adds to what waits; the oldest goes once there is too much.
fn keep<T>(waiting: &mut VecDeque<T>, one: T) {
    if waiting.len() == limits::LOG_WAITING {
        waiting.pop_front();
    }
    waiting.push_back(one);
}

fn refused(path: &Path, why: &str) -> ConfigError {
    ConfigError::in_options(&format!(
        "log.file: nothing is logged to {}, since {why}",
        path.display()
    ))
}

/// Takes the lines of this library: others have not sworn to keep secrets out of theirs.
struct Lines;

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // `enabled!` asks with what is neither a span nor an event.
        !metadata.is_span()
            && metadata.target().starts_with("provider_auth")
            && *metadata.level() <= LOG.lock().level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LOG.lock().level)
    }

    fn event(&self, event: &Event<'_>) {
        let line = json::line(event);
        LOG.lock().take(*event.metadata().level(), line);
    }

    // There are no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &Path) -> String {
        std::fs::read_to_string(file).unwrap_or_default()
    }

    #[test]
    fn warnings_wait_for_the_vault_and_a_little_of_them_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("vault");
        let file = dir.join("log.jsonl");
        let mut ring = Sink::ring(file.clone(), &dir);
        ring.take(Level::INFO, b"no warning\n");
        for number in 0..=limits::LOG_WAITING {
            ring.take(Level::WARN, format!("{number}\n").as_bytes());
        }
        assert!(!dir.exists());
        std::fs::create_dir_all(dir.join("lock")).unwrap();
        ring.drain();
        let expect: String = (1..=limits::LOG_WAITING)
            .map(|number| format!("{number}\n"))
            .collect();
        assert_eq!(read(&file), expect);
    }

    #[test]
    fn a_warning_about_the_configuration_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lock")).unwrap();
        let file = folder.path().join("log.jsonl");
        let odd = |pid, warning| format!("{{\"pid\":{pid},\"warning\":\"{warning}\"}}\n");
        for (pid, warning) in [(1, "one"), (2, "one"), (2, "other")] {
            Sink::ring(file.clone(), folder.path()).take(Level::WARN, odd(pid, warning).as_bytes());
        }
        assert_eq!(read(&file), odd(1, "one") + &odd(2, "other"));
    }
}
