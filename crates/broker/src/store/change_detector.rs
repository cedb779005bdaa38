//! Tells whether memory holds the vault as it is: what the vault said of itself before each part was
//! read, beside what it says now.

use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_policy::Timestamp;
use provider_auth_vault::{Mark, Pulse, Shared, Vault};

use crate::limits;

/// What is read, and compared, by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Records,
    State,
    News,
    History,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Records, Self::State, Self::News, Self::History];

    /// What a request waits for.
    pub(super) const OF_REQUESTS: [Self; 3] = [Self::Records, Self::State, Self::News];

    fn of(self, pulse: Pulse) -> u64 {
        match self {
            Self::Records => pulse.records,
            Self::State => pulse.state,
            Self::News => pulse.news,
            Self::History => pulse.history,
        }
    }
}

impl From<Shared> for Part {
    fn from(shared: Shared) -> Self {
        match shared {
            Shared::State => Self::State,
            Shared::News => Self::News,
            Shared::History => Self::History,
        }
    }
}

/// What memory holds of each part.
#[derive(Default)]
pub(super) struct ChangeDetector {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The vault's numbers before each part was read; `None` before the first reading.
    numbers: [Option<u64>; Part::ALL.len()],
    /// From where on changes of records are to be asked for.
    mark: Option<Mark>,
    /// When the history was last known to be as in the vault.
    history_at: Timestamp,
    /// What the vault was last heard to say, and since when that counts, by the clock that only goes
    /// forward.
    heard: Option<(Duration, Pulse)>,
}

impl ChangeDetector {
    /// Notes that memory holds what was read of a part after the vault said this.
    pub(super) fn adopt(&self, part: Part, pulse: Pulse, now: Timestamp) {
        let mut held = self.held.lock();
        held.numbers[part as usize] = Some(part.of(pulse));
        held.heard = None;
        if matches!(part, Part::History) {
            held.history_at = now;
        }
    }

    /// From where on changes of records are to be asked for; `None` where all are to be read.
    pub(super) fn mark(&self) -> Option<Mark> {
        self.held.lock().mark
    }

    /// Notes that memory holds all changes of records up to this mark.
    pub(super) fn reached(&self, mark: Mark) {
        self.held.lock().mark = Some(mark);
    }

    /// Tells whether memory holds a part as it was when the vault said this.
    pub(super) fn holds(&self, part: Part, pulse: Pulse) -> bool {
        self.held.lock().holds(part, pulse)
    }

    /// Tells whether memory still holds these parts as they are in the vault.
    pub(super) fn is_current(&self, vault: &Vault, parts: &[Part]) -> bool {
        let pulse = vault.pulse();
        let held = self.held.lock();
        parts.iter().all(|part| held.holds(*part, pulse))
    }

    /// Returns for how long memory may have been behind the vault with the history, zero when it is
    /// not; `None` where it is behind with anything else. Calls that come within moments share one
    /// question to the vault.
    pub(super) fn history_lag(
        &self,
        vault: &Vault,
        (now, uptime): (Timestamp, Duration),
    ) -> Option<Duration> {
        let mut held = self.held.lock();
        let pulse = match held.heard {
            Some((since, pulse)) if is_moment(since, uptime) => pulse,
            _ => {
                // Not held meanwhile: a vault may look at its files.
                drop(held);
                let pulse = vault.pulse();
                held = self.held.lock();
                held.heard = Some((uptime, pulse));
                pulse
            }
        };
        let mut needed = Part::OF_REQUESTS.iter();
        let is_current = needed.all(|part| held.holds(*part, pulse));
        is_current.then(|| held.lag(pulse, now))
    }

    /// Makes the next reading one of everything.
    pub(super) fn forget(&self) {
        *self.held.lock() = Held::default();
    }
}

/// Whether what was heard then is as good as asked for now. A clock that stands still tells nothing.
fn is_moment(since: Duration, now: Duration) -> bool {
    since < now && now - since < limits::ASK_AGAIN
}

impl Held {
    fn holds(&self, part: Part, pulse: Pulse) -> bool {
        self.numbers[part as usize] == Some(part.of(pulse))
    }

    fn lag(&mut self, pulse: Pulse, now: Timestamp) -> Duration {
        if self.holds(Part::History, pulse) {
            self.history_at = now;
            return Duration::ZERO;
        }
        match self.numbers[Part::History as usize] {
            Some(_) if self.history_at <= now => {
                self.history_at.until(now).max(Duration::from_nanos(1))
            }
            _ => Duration::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use provider_auth_vault::{KeySource, Options, default_engine};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const STILL: Duration = Duration::ZERO;

    fn vault(key: KeySource) -> (tempfile::TempDir, Vault) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            key,
            ..Options::new(folder.path().join("vault"))
        };
        let entropy = Arc::new(|bytes: &mut [u8]| bytes.fill(7));
        let vault = Vault::open(options, default_engine(), entropy).unwrap();
        (folder, vault)
    }

    fn write(vault: &Vault, shared: Shared, content: &[u8]) {
        let guard = vault.lock_shared(shared).unwrap();
        vault.write_shared(&guard, content).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_was_just_written_is_current_once_it_was_read_and_until_the_next_change() {
        // The one is watched; the other has stamps that tell at once.
        for key in [KeySource::Keyfile, KeySource::Memory] {
            let (_folder, vault) = vault(key);
            let changes = ChangeDetector::default();
            let is_current = |parts: &[Part]| changes.is_current(&vault, parts);
            assert!(!is_current(&Part::ALL));
            for part in Part::ALL {
                changes.adopt(part, vault.pulse(), NOW);
            }
            for round in 0..100 {
                let (shared, others) = match round % 2 {
                    0 => (Shared::State, [Part::Records, Part::History]),
                    _ => (Shared::History, [Part::Records, Part::State]),
                };
                write(&vault, shared, &[b'0' + round % 10]);
                assert!(!is_current(&[shared.into()]), "{round}");
                assert!(is_current(&others), "{round}");
                changes.adopt(shared.into(), vault.pulse(), NOW);
                assert!(is_current(&Part::ALL), "{round}");
            }
            // A look from before a change does not count.
            let look = vault.pulse();
            write(&vault, Shared::State, b"1");
            changes.adopt(Part::State, look, NOW);
            assert!(!is_current(&[Part::State]));
            assert!(!is_current(&[Part::State]));
        }
    }

    #[test]
    fn the_history_is_behind_since_it_was_last_known_to_be_current() {
        let (_folder, vault) = vault(KeySource::Memory);
        let changes = ChangeDetector::default();
        assert_eq!(changes.history_lag(&vault, (NOW, STILL)), None);
        for part in Part::OF_REQUESTS {
            changes.adopt(part, vault.pulse(), NOW);
        }
        assert_eq!(
            changes.history_lag(&vault, (NOW, STILL)),
            Some(Duration::MAX)
        );
        changes.adopt(Part::History, vault.pulse(), NOW);
        let second = Duration::from_secs(1);
        assert_eq!(
            changes.history_lag(&vault, (NOW + second, STILL)),
            Some(Duration::ZERO)
        );
        write(&vault, Shared::History, b"1");
        assert_ne!(
            changes.history_lag(&vault, (NOW + second, STILL)),
            Some(Duration::ZERO)
        );
        assert_eq!(
            changes.history_lag(&vault, (NOW + 3 * second, STILL)),
            Some(2 * second)
        );
        assert_eq!(
            changes.history_lag(&vault, (NOW, STILL)),
            Some(Duration::MAX)
        );
        write(&vault, Shared::State, b"1");
        assert_eq!(changes.history_lag(&vault, (NOW + second, STILL)), None);
    }

    #[test]
    fn calls_within_moments_share_one_question_and_what_is_written_here_ends_it() {
        let (_folder, vault) = vault(KeySource::Memory);
        let changes = ChangeDetector::default();
        for part in Part::ALL {
            changes.adopt(part, vault.pulse(), NOW);
        }
        let at = |micros| (NOW, Duration::from_micros(micros));
        let current = Some(Duration::ZERO);
        assert_eq!(changes.history_lag(&vault, at(10)), current);
        write(&vault, Shared::State, b"1");
        assert_eq!(changes.history_lag(&vault, at(14)), current);
        assert_eq!(changes.history_lag(&vault, at(15)), None);
        // A clock that stands still, or goes back, is not gone by.
        assert_eq!(changes.history_lag(&vault, at(20)), None);
        changes.adopt(Part::State, vault.pulse(), NOW);
        write(&vault, Shared::State, b"2");
        assert_eq!(changes.history_lag(&vault, at(21)), None);
        changes.adopt(Part::State, vault.pulse(), NOW);
        assert_eq!(changes.history_lag(&vault, at(22)), current);
        write(&vault, Shared::State, b"3");
        assert_eq!(changes.history_lag(&vault, at(22)), None);
        assert_eq!(changes.history_lag(&vault, at(21)), None);
    }
}
