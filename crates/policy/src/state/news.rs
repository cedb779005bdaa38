//! The latest of a long state, kept by itself: whole entries that stand over those of the state, so that
//! one change costs as much as it says, and not as much as all that is known.

use std::collections::BTreeMap;

use crate::state::SharedState;

impl SharedState {
    /// Returns the entries that `change` names, as they are here.
    #[must_use]
    pub fn named_by(&self, change: &Self) -> Self {
        Self {
            format: self.format,
            accounts: named(&self.accounts, &change.accounts),
            blocks: named(&self.blocks, &change.blocks),
            bindings: named(&self.bindings, &change.bindings),
            owners: named(&self.owners, &change.owners),
            served: named(&self.served, &change.served),
            pools: named(&self.pools, &change.pools),
            other: self.other.clone(),
        }
    }

    /// Puts whole entries in the place of those that are here.
    pub fn replace(&mut self, entries: Self) {
        self.format = self.format.max(entries.format);
        put(&mut self.accounts, entries.accounts);
        put(&mut self.blocks, entries.blocks);
        put(&mut self.bindings, entries.bindings);
        put(&mut self.owners, entries.owners);
        put(&mut self.served, entries.served);
        put(&mut self.pools, entries.pools);
        self.other.extend(entries.other);
    }

    /// Lays the news over the state that they are of, again and again if need be.
    ///
    /// Each entry is that of the state with what came after. Only who does not know of the news can have
    /// written a later one into the state: then both count.
    pub fn overlay(&mut self, mut news: Self) {
        for (id, stats) in &mut news.accounts {
            if let Some(known) = self.accounts.get(id) {
                let successes = stats.successes.max(known.successes);
                let failures = stats.failures.max(known.failures);
                stats.merge(known);
                (stats.successes, stats.failures) = (successes, failures);
            }
        }
        for (scope, block) in &mut news.blocks {
            if let Some(known) = self.blocks.get(scope)
                && known.observed_at > block.observed_at
            {
                block.join(known);
            }
        }
        self.replace(news);
    }
}

// Entry by entry: `collect` and `extend` would bring code of their own for each type of entry.
fn named<K: Ord + Clone, V: Clone>(
    map: &BTreeMap<K, V>,
    change: &BTreeMap<K, V>,
) -> BTreeMap<K, V> {
    let mut named = BTreeMap::new();
    for key in change.keys() {
        if let Some(value) = map.get(key) {
            named.insert(key.clone(), value.clone());
        }
    }
    named
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, entries: BTreeMap<K, V>) {
    for (key, value) in entries {
        map.insert(key, value);
    }
}
