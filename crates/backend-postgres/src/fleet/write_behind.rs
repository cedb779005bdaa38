//! Copies of records that are to be written behind whoever reads them: a machine that opens a large
//! vault for the first time reads all of it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use parking_lot::Mutex;
use provider_auth_vault::RecordId;
use tokio::time::Instant;

use super::limits;

/// A number of a record's writing: generation and epoch.
pub(super) type Writing = (u64, u32);

#[derive(Default)]
pub(super) struct Behind(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    waiting: BTreeMap<RecordId, Waiting>,
    /// Since when how many were written at once.
    at_once: Option<(Instant, u32)>,
    /// Since when copies wait, and when the last one came.
    came: Option<(Instant, Instant)>,
}

/// A copy that waits.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) writing: Writing,
    pub(super) bytes: Vec<u8>,
    /// The copy on the disk that it is to replace.
    pub(super) before: Option<Writing>,
}

impl Behind {
    /// Takes a copy where many came shortly before; says whether it is the first. `None` where it is
    /// to be written at once.
    pub(super) fn put(
        &self,
        id: RecordId,
        writing: Writing,
        bytes: &[u8],
        before: Option<Writing>,
    ) -> Option<bool> {
        let mut inner = self.0.lock();
        if inner.waiting.is_empty() && inner.may_write() {
            return None;
        }
        let is_first = inner.waiting.is_empty();
        let now = Instant::now();
        let since = inner
            .came
            .filter(|_| !is_first)
            .map_or(now, |(since, _)| since);
        inner.came = Some((since, now));
        match inner.waiting.entry(id) {
            // What is on the disk is what was there before both.
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                (known.writing, known.bytes) = (writing, bytes.to_vec());
            }
            Entry::Vacant(place) => {
                place.insert(Waiting {
                    writing,
                    bytes: bytes.to_vec(),
                    before,
                });
            }
        }
        Some(is_first)
    }

    /// How long to wait until it can be that no more come for now; `None` where none came for a while, or
    /// they have waited long enough.
    pub(super) fn quiet_in(&self) -> Option<Duration> {
        let (since, last) = self.0.lock().came?;
        let until = (last + limits::SEEN_QUIET).min(since + limits::SEEN_LATEST);
        let rest = until.saturating_duration_since(Instant::now());
        (!rest.is_zero()).then_some(rest)
    }

    /// The bytes of a copy that waits.
    pub(super) fn read(&self, id: RecordId, writing: Writing) -> Option<Vec<u8>> {
        let inner = self.0.lock();
        let waiting = inner.waiting.get(&id).filter(|one| one.writing == writing);
        waiting.map(|one| one.bytes.clone())
    }

    /// One that waits.
    pub(super) fn first(&self) -> Option<(RecordId, Waiting)> {
        let inner = self.0.lock();
        let (id, one) = inner.waiting.first_key_value()?;
        Some((*id, one.clone()))
    }

    /// A copy waits no longer, unless it is another by now, which then replaces this one.
    pub(super) fn written(&self, id: RecordId, writing: Writing) {
        let mut inner = self.0.lock();
        if let Entry::Occupied(mut known) = inner.waiting.entry(id) {
            if known.get().writing == writing {
                known.remove();
            } else {
                known.get_mut().before = Some(writing);
            }
        }
    }
}

impl Inner {
    fn may_write(&mut self) -> bool {
        let now = Instant::now();
        let (since, count) = self.at_once.get_or_insert((now, 0));
        if now.duration_since(*since) > limits::SEEN_WITHIN {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= limits::SEEN_AT_ONCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_most_are_written_later_and_read_at_once() {
        let behind = Behind::default();
        for number in 0..limits::SEEN_AT_ONCE {
            assert_eq!(
                behind.put(id(u8::try_from(number).unwrap()), (1, 1), b"at once", None),
                None
            );
        }
        assert_eq!(behind.put(id(1), (2, 1), b"two", Some((1, 1))), Some(true));
        assert_eq!(behind.put(id(2), (2, 1), b"two", Some((1, 1))), Some(false));
        assert_eq!(behind.read(id(1), (2, 1)).as_deref(), Some(&b"two"[..]));
        assert_eq!(behind.read(id(1), (1, 1)), None);
        let (first, one) = behind.first().unwrap();
        assert_eq!((first, one.before), (id(1), Some((1, 1))));
        // A newer one comes while this is written, and replaces what is on the disk by then.
        assert_eq!(
            behind.put(id(1), (3, 1), b"three", Some((2, 1))),
            Some(false)
        );
        behind.written(first, one.writing);
        let (again, one) = behind.first().unwrap();
        assert_eq!(
            (again, one.writing, one.before),
            (id(1), (3, 1), Some((2, 1)))
        );
        for number in [1, 2] {
            let (first, one) = behind.first().unwrap();
            assert_eq!(first, id(number));
            behind.written(first, one.writing);
        }
        assert!(behind.first().is_none());
    }

    #[test]
    fn who_writes_behind_waits_until_no_more_come_and_not_for_ever() {
        let behind = Behind::default();
        assert_eq!(behind.quiet_in(), None);
        for number in 0..=limits::SEEN_AT_ONCE {
            behind.put(id(u8::try_from(number).unwrap()), (1, 1), b"one", None);
        }
        let rest = behind.quiet_in().unwrap();
        assert!(rest <= limits::SEEN_QUIET, "{rest:?}");
        let began = Instant::now() - limits::SEEN_LATEST;
        behind.0.lock().came = Some((began, Instant::now()));
        assert_eq!(behind.quiet_in(), None);
    }

    fn id(number: u8) -> RecordId {
        RecordId::from_parts(1, [number; 10])
    }
}
