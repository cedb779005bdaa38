//! What this process knows of the records in the store, so that readers ask memory.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    mem,
    ops::Bound,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use provider_auth_vault::{Mark, RecordId, Revision, Stamp, limits};
use ring::digest::{Context, SHA256, digest};

use super::{record_row::Row, write_behind::Writing};
use crate::Changed;

#[derive(Default)]
pub(super) struct Mirror {
    inner: Mutex<Inner>,
    /// How often something changed: what the hot path asks.
    changes: AtomicU64,
}

/// There are as many as records.
struct Known {
    row: Row,
    /// Of the bytes that were last proven, to tell another writing of the same generation.
    digest: Option<Digest>,
}

/// Half of SHA-256: to find other bytes with the same one still takes 2^128 tries.
type Digest = [u8; 16];

#[derive(Default)]
struct Inner {
    rows: BTreeMap<RecordId, Known>,
    /// Bytes that were fetched and not proven yet.
    fetched: BTreeMap<RecordId, Vec<u8>>,
    /// The last changes, in order.
    named: VecDeque<(u64, RecordId)>,
    /// The last change that may have been of any record.
    unnamed: u64,
}

impl Mirror {
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub(super) fn row(&self, id: RecordId) -> Option<Row> {
        self.inner.lock().row(id)
    }

    pub(super) fn ids(&self) -> Vec<RecordId> {
        self.inner.lock().rows.keys().copied().collect()
    }

    pub(super) fn has_any(&self) -> bool {
        self.inner.lock().rows.values().any(|known| !known.row.gone)
    }

    /// How many records wait in the outbox.
    pub(super) fn waiting(&self) -> usize {
        let inner = self.inner.lock();
        inner
            .rows
            .values()
            .filter(|known| known.row.waits())
            .count()
    }

    /// A stamp that is the same in every process that has heard of the same.
    pub(super) fn stamp(&self) -> Stamp {
        let mut hash = Context::new(&SHA256);
        for (id, Known { row, .. }) in &self.inner.lock().rows {
            let numbers = [
                row.generation,
                row.epoch.into(),
                row.changed,
                row.gone.into(),
            ];
            hash.update(&id.to_bytes());
            hash.update(numbers.map(u64::to_le_bytes).as_flattened());
        }
        let hash = hash.finish();
        let half = |at: usize| {
            let bytes = hash.as_ref()[at..at + 16].try_into();
            u128::from_le_bytes(bytes.expect("there are 32 bytes"))
        };
        Stamp::Settled(Revision([half(0), half(16), 0, 0]))
    }

    /// Which records are told of that are not as they are known here.
    pub(super) fn unknown(&self, told: &[Changed]) -> Vec<RecordId> {
        let inner = self.inner.lock();
        let is_new = |one: &&Changed| {
            let known = inner.row(one.id);
            !known.is_some_and(|known| known.is_told(&Row::from(*one)))
        };
        told.iter().filter(is_new).map(|one| one.id).collect()
    }

    /// Takes in what the store tells, with the bytes that were fetched for it. With `all`, what it does
    /// not name is not there.
    pub(super) fn follow(&self, told: &[Changed], fetched: Vec<(RecordId, Vec<u8>)>, all: bool) {
        let mut inner = self.inner.lock();
        inner.fetched.extend(fetched);
        if all && inner.rows.is_empty() {
            // In one go they are packed close together.
            let rows = told.iter().map(|one| {
                let (row, digest) = (Row::from(one), None);
                (one.id, Known { row, digest })
            });
            inner.rows = rows.collect();
            let changed = inner.rows.keys().copied().collect();
            return self.count(&mut inner, changed);
        }
        let mut changed = BTreeSet::new();
        for one in told {
            let row = Row::from(one);
            let before = inner.row(one.id);
            if before.is_some_and(|known| known.waits() && known.is_told(&row)) {
                continue;
            }
            inner.set(one.id, row);
            if !before.is_some_and(|known| known.is_told(&row)) {
                changed.insert(one.id);
            }
        }
        if all {
            let named: BTreeSet<RecordId> = told.iter().map(|one| one.id).collect();
            let is_gone = |id: &RecordId, row: &Row| !named.contains(id) && !row.waits();
            let gone = inner
                .rows
                .iter()
                .filter(|(id, known)| is_gone(id, &known.row));
            let gone: Vec<RecordId> = gone.map(|(id, _)| *id).collect();
            for id in gone {
                inner.rows.remove(&id);
                changed.insert(id);
            }
        }
        self.count(&mut inner, changed);
    }

    /// Puts one record in its place, with its bytes.
    pub(super) fn put(&self, id: RecordId, row: Row, bytes: Vec<u8>) {
        self.put_if(id, row, bytes, |_| true);
    }

    /// The same of what this process stored, having begun when [`Mirror::changes`] was `begun_at`:
    /// another may have gone further meanwhile.
    pub(super) fn wrote(&self, id: RecordId, row: Row, bytes: Vec<u8>, begun_at: u64) {
        self.put_if(id, row, bytes, |inner| {
            let known = inner.row(id);
            let is_further = known.is_some_and(|known| known.generation > row.generation);
            !(is_further && inner.has_changed(id, begun_at))
        });
    }

    /// The same of what the store answered to a question from `asked_at`: what was learned since is
    /// newer.
    pub(super) fn answered(&self, id: RecordId, row: Row, bytes: Vec<u8>, asked_at: u64) {
        self.put_if(id, row, bytes, |inner| !inner.has_changed(id, asked_at));
    }

    fn put_if(&self, id: RecordId, row: Row, bytes: Vec<u8>, may: impl Fn(&Inner) -> bool) {
        let mut inner = self.inner.lock();
        if !may(&inner) {
            return;
        }
        inner.fetched.insert(id, bytes);
        if inner.set(id, row) != Some(row) {
            self.count(&mut inner, BTreeSet::from([id]));
        }
    }

    /// A record is not there, or what is there is damaged: so the store answered to a question from
    /// `asked_at`.
    pub(super) fn drop_row(&self, id: RecordId, asked_at: u64) {
        let mut inner = self.inner.lock();
        if inner.has_changed(id, asked_at) {
            return;
        }
        inner.fetched.remove(&id);
        if inner.rows.remove(&id).is_some() {
            self.count(&mut inner, BTreeSet::from([id]));
        }
    }

    /// The bytes of a record, where they were fetched.
    pub(super) fn bytes(&self, id: RecordId) -> Option<Vec<u8>> {
        self.inner.lock().fetched.get(&id).cloned()
    }

    /// These bytes of a record opened; returns what they are of.
    pub(super) fn proven(&self, id: RecordId, bytes: &[u8]) -> Option<Row> {
        let hash = hash(bytes);
        let mut inner = self.inner.lock();
        inner.fetched.remove(&id);
        let known = inner.rows.get_mut(&id)?;
        known.digest = Some(hash);
        Some(known.row)
    }

    /// Whether these are the bytes that were last proven.
    pub(super) fn is_proven(&self, id: RecordId, bytes: &[u8]) -> bool {
        let hash = hash(bytes);
        let inner = self.inner.lock();
        inner
            .rows
            .get(&id)
            .is_some_and(|known| known.digest == Some(hash))
    }

    /// Records after one whose bytes are not here, in their order; `limit` of them.
    pub(super) fn unread_after(
        &self,
        id: RecordId,
        limit: usize,
        is_kept: impl Fn(RecordId, Writing) -> bool,
    ) -> Vec<RecordId> {
        let inner = self.inner.lock();
        let is_unread = |id: &RecordId, known: &Known| {
            known.digest.is_none()
                && !inner.fetched.contains_key(id)
                && !is_kept(*id, known.row.writing())
        };
        let later = inner.rows.range((Bound::Excluded(id), Bound::Unbounded));
        let unread = later.filter(|(id, known)| is_unread(id, known));
        unread.map(|(id, _)| *id).take(limit).collect()
    }

    /// Whether there are so many records at most from one to another.
    pub(super) fn has_between(&self, first: RecordId, last: RecordId, most: usize) -> bool {
        let inner = self.inner.lock();
        inner.rows.range(first..=last).take(most + 1).count() <= most
    }

    /// The records that changed since a mark, `None` where any may have, and the next mark.
    pub(super) fn since(&self, mark: Option<Mark>) -> (Option<Vec<RecordId>>, Mark) {
        let inner = self.inner.lock();
        let next = Mark(self.changes());
        let named = mark.filter(|mark| inner.unnamed <= mark.0).map(|mark| {
            let later = inner.named.partition_point(|(change, _)| *change <= mark.0);
            let named: BTreeSet<RecordId> = inner.named.range(later..).map(|(_, id)| *id).collect();
            named.into_iter().collect()
        });
        (named, next)
    }

    /// Moves the pulse, once the rows say it.
    fn count(&self, inner: &mut Inner, changed: BTreeSet<RecordId>) {
        if changed.is_empty() {
            return;
        }
        let change = self.changes() + 1;
        if changed.len() > limits::NAMED_CHANGES {
            inner.named.clear();
            inner.unnamed = change;
        } else {
            inner
                .named
                .extend(changed.into_iter().map(|id| (change, id)));
        }
        while inner.named.len() > limits::NAMED_CHANGES
            && let Some((forgotten, _)) = inner.named.pop_front()
        {
            inner.unnamed = forgotten;
        }
        self.changes.store(change, Ordering::Release);
    }
}

impl Inner {
    fn row(&self, id: RecordId) -> Option<Row> {
        self.rows.get(&id).map(|known| known.row)
    }

    /// Puts a row in its place, and returns the one that was there.
    fn set(&mut self, id: RecordId, row: Row) -> Option<Row> {
        match self.rows.entry(id) {
            Entry::Occupied(known) => Some(mem::replace(&mut known.into_mut().row, row)),
            Entry::Vacant(place) => {
                place.insert(Known { row, digest: None });
                None
            }
        }
    }

    /// Whether a record changed after this change, or may have.
    fn has_changed(&self, id: RecordId, after: u64) -> bool {
        let later = self.named.partition_point(|(change, _)| *change <= after);
        self.unnamed > after || self.named.range(later..).any(|(_, named)| *named == id)
    }
}

fn hash(bytes: &[u8]) -> Digest {
    let hash = digest(&SHA256, bytes);
    *hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::record_row::OURS;

    fn row(generation: u64, changed: u64) -> Row {
        Row {
            generation,
            epoch: 1,
            changed,
            gone: false,
        }
    }

    fn told(id: RecordId, row: Row) -> Changed {
        Changed {
            id,
            generation: row.generation,
            epoch: row.epoch,
            changed: row.changed,
            gone: row.gone,
        }
    }

    #[test]
    fn of_more_changes_than_are_named_a_reader_learns_that_all_may_have_changed() {
        let mirror = Mirror::default();
        let id = |number: usize| {
            let bytes = (number as u64).to_be_bytes();
            RecordId::from_parts(1, [&[0, 0], &bytes[..]].concat().try_into().unwrap())
        };
        let (_, start) = mirror.since(None);
        let many = 0..=limits::NAMED_CHANGES;
        let all: Vec<_> = many.map(|number| told(id(number), row(1, 10))).collect();
        mirror.follow(&all, Vec::new(), true);
        let (named, mark) = mirror.since(Some(start));
        assert_eq!(named, None);
        assert_eq!(mirror.ids().len(), all.len());
        mirror.follow(&[told(id(3), row(2, 11))], vec![(id(3), vec![1])], false);
        let (named, _) = mirror.since(Some(mark));
        assert_eq!(
            (named, mirror.bytes(id(3))),
            (Some(vec![id(3)]), Some(vec![1]))
        );
    }

    #[test]
    fn an_answer_does_not_undo_what_was_learned_since_it_was_asked_for() {
        let (mirror, id) = (Mirror::default(), RecordId::from_parts(1, [1; 10]));
        mirror.follow(&[told(id, row(1, 10))], Vec::new(), true);
        let asked_at = mirror.changes();
        mirror.follow(&[told(id, row(2, 11))], Vec::new(), false);
        mirror.answered(id, row(1, 10), vec![1], asked_at);
        mirror.drop_row(id, asked_at);
        mirror.wrote(id, row(1, OURS), vec![1], asked_at);
        assert_eq!(mirror.row(id), Some(row(2, 11)));
        assert_eq!(mirror.bytes(id), None);
        // What is asked for from here on counts, and what goes back does too where nothing came between.
        let asked_at = mirror.changes();
        mirror.wrote(id, row(1, OURS), vec![1], asked_at);
        assert_eq!(mirror.row(id), Some(row(1, OURS)));
        mirror.drop_row(id, mirror.changes());
        assert_eq!(mirror.row(id), None);
    }
}
