//! The state where many machines share it: the rows as last seen, and how one is written.
//!
//! What is here of a row is what the store has of it, until the store forgets: where it goes back to an
//! older writing (a failover, or a hand that puts one back), or shows bytes that do not open, both
//! count, and what only this process knows is put back.

use std::collections::HashMap;

use provider_auth_policy::{SharedState, Timestamp};
use provider_auth_vault::{Mark, RowStamp, StateRow, Telling, Vault, VaultError};

/// Which writing of each row was last seen.
#[derive(Clone, Default)]
pub(super) struct Rows {
    /// By key.
    seen: HashMap<String, Seen>,
    /// From where on changes are to be asked for.
    pub(super) mark: Option<Mark>,
}

#[derive(Clone)]
struct Seen {
    name: String,
    stamp: RowStamp,
}

/// Rows that were read.
pub(super) struct ReadRows {
    rows: Vec<ReadRow>,
    mark: Mark,
}

struct ReadRow {
    key: String,
    stamp: RowStamp,
    /// Name and entries; `None` where it does not open, or holds no state.
    content: Option<(String, SharedState)>,
}

/// What came of taking in rows.
#[derive(Default)]
pub(super) struct Taken {
    /// The entries of these rows.
    pub(super) named: SharedState,
    /// Whether there are fewer than before.
    pub(super) went: bool,
    /// What the store has lost.
    pub(super) put_back: SharedState,
}

/// A row that was written.
pub(super) struct WrittenRow {
    key: String,
    name: String,
    /// What was put in it.
    delta: SharedState,
    /// Which writing was known here at that time.
    known: Option<RowStamp>,
    /// Which writing this is; `None` where it already said what was to be put in.
    stamp: Option<RowStamp>,
    /// All of it; `None` where it holds what others have written and this process has not read: that
    /// may speak of records that it has not read either.
    whole: Option<SharedState>,
}

impl ReadRows {
    /// Reads the rows that changed since a mark. Waits for no other machine.
    pub(super) fn read(
        vault: &Vault,
        since: Option<Mark>,
        is_known: impl Fn(&str, RowStamp) -> bool,
        now: Timestamp,
    ) -> Self {
        let changed = vault.changed_rows(since, is_known);
        let rows = changed.rows.into_iter().map(|row| ReadRow {
            content: content_of(&row, now),
            key: row.key,
            stamp: row.stamp,
        });
        Self {
            rows: rows.collect(),
            mark: changed.mark,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// Whether all of them open.
    pub(super) fn are_readable(&self) -> bool {
        self.rows.iter().all(|row| row.content.is_some())
    }
}

impl Rows {
    /// Whether this is the writing of a row that was last seen.
    pub(super) fn knows(&self, key: &str, stamp: RowStamp) -> bool {
        self.stamp(key) == Some(stamp)
    }

    pub(super) fn stamp(&self, key: &str) -> Option<RowStamp> {
        self.seen.get(key).map(|seen| seen.stamp)
    }

    /// Takes rows into the entries of the state.
    pub(super) fn take_in(
        &mut self,
        entries: &mut SharedState,
        read: ReadRows,
        now: Timestamp,
    ) -> Taken {
        let mut taken = Taken::default();
        // The addon without a store carries no code for rows.
        if !cfg!(feature = "postgres") {
            return taken;
        }
        for ReadRow {
            key,
            stamp,
            content,
        } in read.rows
        {
            let before = self.seen.get(&key);
            let is_behind = before.is_some_and(|seen| stamp.version <= seen.stamp.version);
            let Some((name, mut row)) = content else {
                if let Some(seen) = self.seen.get_mut(&key) {
                    seen.stamp = stamp;
                    let lost = known_of(entries, &seen.name, now).without_counts();
                    taken.put_back.merge(&lost);
                }
                continue;
            };
            if is_behind {
                let known = known_of(entries, &name, now);
                let lost = known.clone().without_counts();
                let mut whole = row.clone();
                whole.merge(&lost);
                if whole != row {
                    taken.put_back.merge(&lost);
                }
                row.join(known);
            }
            taken.named.replace(row.clone());
            taken.went |= entries.replace_row(&name, row);
            self.seen.insert(key, Seen { name, stamp });
        }
        self.mark = Some(read.mark);
        taken
    }

    /// Takes a row that this process has written into the entries of the state.
    pub(super) fn take_written(
        &mut self,
        entries: &mut SharedState,
        written: WrittenRow,
        taken: &mut Taken,
    ) {
        let now = self.stamp(&written.key);
        taken.named.replace(written.delta.clone());
        match (written.whole, written.stamp) {
            (Some(row), Some(stamp)) if now == written.known => {
                taken.named.replace(row.clone());
                taken.went |= entries.replace_row(&written.name, row);
                let name = written.name;
                self.seen.insert(written.key, Seen { name, stamp });
            }
            // A reader has it already, with what came after.
            (_, Some(stamp)) if now.is_some_and(|now| now.version >= stamp.version) => {}
            _ => entries.merge(&written.delta),
        }
    }
}

/// Puts a change into its row. `known` tells what is known here of the row of a key: which writing,
/// and its entries.
pub(super) fn write_row(
    vault: &Vault,
    (name, delta): (&str, &SharedState),
    telling: Telling,
    known: impl Fn(&str) -> (Option<RowStamp>, SharedState),
    now: Timestamp,
) -> Result<WrittenRow, VaultError> {
    let key = vault.row_key(name);
    let mut last = (None, None);
    let stamp = vault.merge_row(name, telling, &mut |there| {
        let (seen, mut entries) = known(&key);
        let stamp = there.as_ref().map(|row| row.stamp);
        let before = there.and_then(|row| Some(content_of(&row, now)?.1));
        let version = |stamp: Option<RowStamp>| stamp.map_or(0, |stamp| stamp.version);
        let has_lost = before.is_none() || version(stamp) < version(seen);
        let mut row = before.clone().unwrap_or_default();
        if has_lost {
            entries.sweep_row(now);
            row.join(entries);
        }
        row.merge(delta);
        let is_news = before.as_ref() != Some(&row);
        let content = is_news.then(|| row.row_json());
        let is_read = has_lost || stamp == seen;
        last = (seen, is_read.then_some(row));
        content
    })?;
    let (known, whole) = last;
    Ok(WrittenRow {
        key,
        name: name.to_owned(),
        delta: delta.clone(),
        known,
        stamp,
        whole,
    })
}

fn content_of(row: &StateRow, now: Timestamp) -> Option<(String, SharedState)> {
    let (name, bytes) = row.opened.as_ref()?;
    let mut entries: SharedState = serde_json::from_slice(bytes).ok()?;
    entries.sweep_row(now);
    Some((name.clone(), entries))
}

fn known_of(entries: &SharedState, name: &str, now: Timestamp) -> SharedState {
    let mut row = entries.row(name);
    row.sweep_row(now);
    row
}
