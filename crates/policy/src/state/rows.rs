//! The state in rows, for a store that many machines share: who learns something writes the row that it
//! is about, and no other.
//!
//! | row | holds |
//! |---|---|
//! | `a/<account>` | what is known of an account |
//! | `b/<scope>` | a block |
//! | `p/<provider>/<namespace>` | the order of a pool |
//! | `m/<two hex digits>` | owners, in 256 rows by their key |
//! | `s` | which models were served; fields of a newer version |
//!
//! A row is a state with no entries but its own, and is merged like one. Bindings are in none: a
//! conversation stays on its machine. Nor is that this machine did not reach a server.

use std::collections::BTreeMap;

use crate::keys::hash;
use crate::limits;
use crate::state::account_stats::AccountStats;
use crate::state::scope::Scope;
use crate::state::{SharedState, keep_newest};
use crate::time::Timestamp;

/// The row of what has none of its own.
const REST: &str = "s";

impl SharedState {
    /// Takes out all but the bindings, by the names of its rows.
    pub fn take_rows(&mut self) -> BTreeMap<String, Self> {
        let mut rows = Rows(self.format, BTreeMap::new());
        for (id, mut stats) in std::mem::take(&mut self.accounts) {
            stats.forget_near();
            if stats == AccountStats::default() {
                continue;
            }
            rows.at(format!("a/{id}")).accounts.insert(id, stats);
        }
        for (scope, block) in std::mem::take(&mut self.blocks) {
            let row = rows.at(format!("b/{}", scope.text()));
            row.blocks.insert(scope, block);
        }
        for (key, pool) in std::mem::take(&mut self.pools) {
            rows.at(format!("p/{key}")).pools.insert(key, pool);
        }
        for (key, owner) in std::mem::take(&mut self.owners) {
            let row = rows.at(format!("m/{}", bucket(&key)));
            row.owners.insert(key, owner);
        }
        if !(self.served.is_empty() && self.other.is_empty()) {
            let rest = rows.at(REST.to_owned());
            rest.served = std::mem::take(&mut self.served);
            rest.other = std::mem::take(&mut self.other);
        }
        rows.1
    }

    /// Returns what is here of a row.
    #[must_use]
    pub fn row(&self, name: &str) -> Self {
        let mut row = Self::of_format(self.format);
        match name.split_once('/') {
            Some(("a", id)) => copy(&mut row.accounts, &self.accounts, id.into()),
            Some(("b", scope)) => copy(&mut row.blocks, &self.blocks, Scope::from(scope)),
            Some(("p", key)) => copy(&mut row.pools, &self.pools, key.to_owned()),
            Some(("m", of)) => {
                let owners = self.owners.iter().filter(|(key, _)| bucket(key) == of);
                row.owners = owners.map(|(key, it)| (key.clone(), it.clone())).collect();
            }
            None if name == REST => {
                row.served.clone_from(&self.served);
                row.other.clone_from(&self.other);
            }
            _ => {}
        }
        row
    }

    /// Puts a row in the place of what is here of it, beside what only this machine has to do with;
    /// returns whether any entry went.
    pub fn replace_row(&mut self, name: &str, mut row: Self) -> bool {
        let before = self.row(name);
        for (id, stats) in &mut row.accounts {
            let near = before.stats(id).refresh_rest.filter(|rest| rest.near);
            stats.refresh_rest = stats.refresh_rest.max(near);
        }
        let went = [
            drop_missing(&mut self.accounts, &before.accounts, &row.accounts),
            drop_missing(&mut self.blocks, &before.blocks, &row.blocks),
            drop_missing(&mut self.pools, &before.pools, &row.pools),
            drop_missing(&mut self.owners, &before.owners, &row.owners),
            drop_missing(&mut self.served, &before.served, &row.served),
        ];
        self.replace(row);
        went.contains(&true)
    }

    /// Takes in another view of the same rows: like [`SharedState::merge`], but of counters the
    /// greater counts, since both have counted the same.
    pub fn join(&mut self, mut view: Self) {
        for (id, stats) in &mut view.accounts {
            let known = self.stats(id);
            stats.successes = stats.successes.saturating_sub(known.successes);
            stats.failures = stats.failures.saturating_sub(known.failures);
        }
        self.merge(&view);
    }

    /// Returns the same without what is only counted: merging that is done once, however often it is
    /// done.
    #[must_use]
    pub fn without_counts(mut self) -> Self {
        self.accounts
            .values_mut()
            .for_each(AccountStats::forget_counts);
        self
    }

    /// Tells whether other machines should hear of this change of a row at once.
    pub fn is_urgent(&self) -> bool {
        !(self.blocks.is_empty() && self.pools.is_empty())
            || self.accounts.values().any(AccountStats::is_urgent)
    }

    /// Drops from a change that an owner was used again, where `known` has that of a while ago: each
    /// answer of a long conversation says so.
    pub fn drop_slides(&mut self, known: &Self) {
        self.owners.retain(|key, owner| {
            known.owners.get(key).is_none_or(|known| {
                known.account != owner.account
                    || known.used_at + limits::OWNER_NOTE <= owner.used_at
            })
        });
    }

    /// Forgets of a row what no decision needs any more, as [`SharedState::sweep`] does of all.
    pub fn sweep_row(&mut self, now: Timestamp) {
        self.sweep(now);
        keep_newest(&mut self.owners, limits::OWNERS_IN_ROW, |owner| {
            owner.used_at
        });
    }

    fn of_format(format: u32) -> Self {
        Self {
            format,
            ..Self::default()
        }
    }
}

/// Rows by their names, each of this format.
struct Rows(u32, BTreeMap<String, SharedState>);

impl Rows {
    fn at(&mut self, name: String) -> &mut SharedState {
        let row = || SharedState::of_format(self.0);
        self.1.entry(name).or_insert_with(row)
    }
}

/// Returns which of the 256 rows of owners a key is in.
fn bucket(key: &str) -> String {
    format!("{:02x}", hash(&[key]) & 0xff)
}

fn copy<K: Ord, V: Clone>(to: &mut BTreeMap<K, V>, from: &BTreeMap<K, V>, key: K) {
    if let Some(value) = from.get(&key) {
        to.insert(key, value.clone());
    }
}

/// Drops what was there before and is not there any more; returns whether there was any.
fn drop_missing<K: Ord, V>(
    map: &mut BTreeMap<K, V>,
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) -> bool {
    let missing = before.keys().filter(|key| !after.contains_key(key));
    missing.fold(false, |_, key| map.remove(key).is_some())
}
