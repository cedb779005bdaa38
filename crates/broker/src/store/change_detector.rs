//! Tells whether the vault is as it was when it was read into memory.
//!
//! Two proofs of that: a watch that was asked before the reading and has heard of nothing since, and
//! stamps that are equal. The watch costs less, and its word counts for a file that is too new for a
//! stamp to tell; the stamps count where nothing can be watched, and once a second.

use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_policy::Timestamp;
use provider_auth_vault::{Heard, RecordId, Shared, Stamp, Vault, Watch};

use crate::limits;

/// What is read, and compared, by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Records,
    State,
    History,
}

impl Part {
    pub(super) const ALL: [Self; 3] = [Self::Records, Self::State, Self::History];

    fn stamp(self, vault: &Vault) -> Stamp {
        match self {
            Self::Records => vault.stamp(),
            Self::State => vault.shared_stamp(Shared::State),
            Self::History => vault.shared_stamp(Shared::History),
        }
    }

    fn is_in(self, heard: Heard) -> bool {
        match self {
            Self::Records => heard.records,
            Self::State => heard.state,
            Self::History => heard.history,
        }
    }
}

impl From<Shared> for Part {
    fn from(shared: Shared) -> Self {
        match shared {
            Shared::State => Self::State,
            Shared::History => Self::History,
        }
    }
}

/// What memory holds of each part, and a watch over what happened since.
#[derive(Default)]
pub(super) struct ChangeDetector {
    since: Mutex<Since>,
}

#[derive(Default)]
struct Since {
    /// `None` until the first look, and then `Some(None)` where nothing can be watched.
    watch: Option<Option<Watch>>,
    /// How often a change of each part was heard of.
    changes: [u64; Part::ALL.len()],
    /// What memory holds; `None` before the first reading.
    held: [Option<Look>; Part::ALL.len()],
}

/// A look at a part just before it is read: what is read then is at least as new.
#[derive(Clone)]
pub(super) struct Look {
    stamp: Stamp,
    /// How many changes had been heard of; `None` where nothing can be watched.
    changes: Option<u64>,
    at: Timestamp,
}

impl Look {
    fn is_recent(&self, now: Timestamp) -> bool {
        self.at <= now && now < self.at + limits::COMPARE_AGAIN
    }
}

impl ChangeDetector {
    /// Looks at a part that is about to be read.
    pub(super) fn look(&self, vault: &Vault, part: Part, now: Timestamp) -> Look {
        let mut since = self.since.lock();
        since.listen(vault);
        // After the watch was asked, so that a change in between is heard of the next time.
        since.look(vault, part, now)
    }

    /// Notes that memory holds what was read after this look.
    pub(super) fn adopt(&self, part: Part, look: Look) {
        self.since.lock().held[part as usize] = Some(look);
    }

    /// Returns for how long memory may have been behind the disk with the history, zero when it is
    /// not; `None` where it is behind with anything else.
    pub(super) fn history_lag(&self, vault: &Vault, now: Timestamp) -> Option<Duration> {
        let mut since = self.since.lock();
        since.listen(vault);
        let is_current = since.is_current(vault, Part::Records, now)
            && since.is_current(vault, Part::State, now);
        is_current.then(|| since.lag(vault, Part::History, now))
    }

    /// Tells whether memory still holds these parts as they are on disk.
    pub(super) fn is_current(&self, vault: &Vault, parts: &[Part], now: Timestamp) -> bool {
        let mut since = self.since.lock();
        since.listen(vault);
        parts.iter().all(|part| since.is_current(vault, *part, now))
    }

    /// Returns the records of the changes that were heard of since this was last asked; `None` where
    /// any may have changed. To be asked after [`ChangeDetector::look`] and before reading;
    /// [`forget`](Self::forget) them where that fails.
    pub(super) fn changed_records(&self) -> Option<Vec<RecordId>> {
        let mut since = self.since.lock();
        let watch = since.watch.as_mut()?;
        watch.as_mut()?.take_changed()
    }

    /// Makes the next look one at everything.
    pub(super) fn forget(&self) {
        *self.since.lock() = Since::default();
    }
}

impl Since {
    fn listen(&mut self, vault: &Vault) {
        let watch = self.watch.get_or_insert_with(|| vault.watch());
        let Some(heard) = watch.as_mut().map(Watch::heard) else {
            return;
        };
        for part in Part::ALL {
            self.changes[part as usize] += u64::from(part.is_in(heard));
        }
    }

    fn look(&self, vault: &Vault, part: Part, now: Timestamp) -> Look {
        let is_watched = matches!(self.watch, Some(Some(_)));
        Look {
            stamp: part.stamp(vault),
            changes: is_watched.then(|| self.changes[part as usize]),
            at: now,
        }
    }

    /// Returns for how long memory may have been behind the disk with a part: zero when it is not.
    fn lag(&mut self, vault: &Vault, part: Part, now: Timestamp) -> Duration {
        if self.is_current(vault, part, now) {
            return Duration::ZERO;
        }
        match &self.held[part as usize] {
            Some(held) if held.at <= now => held.at.until(now).max(Duration::from_nanos(1)),
            _ => Duration::MAX,
        }
    }

    fn is_current(&mut self, vault: &Vault, part: Part, now: Timestamp) -> bool {
        let Some(held) = &self.held[part as usize] else {
            return false;
        };
        let is_quiet = held.changes == Some(self.changes[part as usize]);
        if is_quiet && held.is_recent(now) {
            return true;
        }
        // A file that was written in its place leaves the stamp of its folder as it was.
        let names_records = |watch: &Watch| watch.names_records();
        if matches!(part, Part::Records) && self.watch.iter().flatten().any(names_records) {
            return false;
        }
        let look = self.look(vault, part, now);
        let is_equal =
            look.stamp == held.stamp || (is_quiet && look.stamp.is_same_revision(&held.stamp));
        if is_equal {
            self.held[part as usize] = Some(look);
        }
        is_equal
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::sync::Arc;

    use provider_auth_vault::{Disk, KeySource, Options};

    use super::*;

    /// How often a file is replaced by one of the same length, within one tick of the kernel's clock
    /// most of the time.
    const ROUNDS: usize = 100;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn vault(key: KeySource) -> (tempfile::TempDir, Vault) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            key,
            ..Options::new(folder.path().join("vault"))
        };
        let entropy = Arc::new(|bytes: &mut [u8]| bytes.fill(7));
        let vault = Vault::open(options, Arc::new(Disk), entropy).unwrap();
        (folder, vault)
    }

    fn write(vault: &Vault, shared: Shared, content: &[u8]) {
        let guard = vault.lock_shared(shared).unwrap();
        vault.write_shared(&guard, content).unwrap();
    }

    fn read(changes: &ChangeDetector, vault: &Vault, part: Part) {
        changes.adopt(part, changes.look(vault, part, NOW));
    }

    #[test]
    fn what_was_just_written_is_current_once_it_was_read_and_until_the_next_change() {
        // The one is watched; the other has stamps that tell at once.
        for key in [KeySource::Keyfile, KeySource::Memory] {
            let (_folder, vault) = vault(key);
            let changes = ChangeDetector::default();
            let is_current = |parts: &[Part], now| changes.is_current(&vault, parts, now);
            assert!(!is_current(&Part::ALL, NOW));
            for part in Part::ALL {
                read(&changes, &vault, part);
            }
            for round in 0..ROUNDS {
                let (shared, others) = match round % 2 {
                    0 => (Shared::State, [Part::Records, Part::History]),
                    _ => (Shared::History, [Part::Records, Part::State]),
                };
                write(&vault, shared, &[b'0' + (round % 10) as u8]);
                assert!(!is_current(&[shared.into()], NOW), "{round}");
                assert!(
                    !changes
                        .since
                        .lock()
                        .lag(&vault, shared.into(), NOW)
                        .is_zero()
                );
                assert!(is_current(&others, NOW), "{round}");
                read(&changes, &vault, shared.into());
                assert!(is_current(&Part::ALL, NOW), "{round}");
                assert!(is_current(&Part::ALL, NOW + 2 * limits::COMPARE_AGAIN));
                assert!(is_current(&Part::ALL, NOW), "{round}");
            }
            // A look from before a change does not count.
            let look = changes.look(&vault, Part::State, NOW);
            write(&vault, Shared::State, b"1");
            changes.adopt(Part::State, look);
            assert!(!is_current(&[Part::State], NOW));
            assert!(!is_current(&[Part::State], NOW));
        }
    }

    #[test]
    fn what_cannot_be_watched_is_current_once_it_is_old_enough_to_tell() {
        let (_folder, vault) = vault(KeySource::Keyfile);
        let changes = ChangeDetector::default();
        changes.since.lock().watch = Some(None);
        let is_current = || changes.is_current(&vault, &[Part::State], NOW);
        for round in 0..3 {
            write(&vault, Shared::State, &[b'0' + round]);
            assert!(!is_current(), "{round}");
            let mut readings = 0;
            while !is_current() {
                read(&changes, &vault, Part::State);
                std::thread::park_timeout(Duration::from_millis(5));
                readings += 1;
                assert!(readings < 10_000, "it never settles");
            }
        }
    }
}
