//! Where two states differ in what they say of accounts and pools.

use std::collections::BTreeMap;

use crate::state::SharedState;

/// Returns what is in one of them alone, or not alike in both: whose entries those are counts, and
/// not what they say.
pub(crate) fn difference(before: &SharedState, after: &SharedState) -> SharedState {
    let mut changed = SharedState::default();
    different(&before.accounts, &after.accounts, |id, stats| {
        changed.accounts.insert(id.clone(), stats.clone());
    });
    different(&before.blocks, &after.blocks, |scope, block| {
        changed.blocks.insert(scope.clone(), block.clone());
    });
    different(&before.pools, &after.pools, |key, pool| {
        changed.pools.insert(key.clone(), pool.clone());
    });
    changed
}

/// Visits the entries that are in one of two maps alone, or not alike in both.
fn different<K: Ord, V: PartialEq>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    mut visit: impl FnMut(&K, &V),
) {
    let mut old = before.iter().peekable();
    for (key, value) in after {
        while let Some((gone, last)) = old.next_if(|(known, _)| *known < key) {
            visit(gone, last);
        }
        match old.next_if(|(known, _)| *known == key) {
            Some((_, known)) if known == value => {}
            _ => visit(key, value),
        }
    }
    old.for_each(|(gone, last)| visit(gone, last));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_went_or_is_otherwise_is_visited() {
        let map = |entries: &[(&'static str, u8)]| entries.iter().copied().collect();
        let check = |before: &[(&'static str, u8)], after: &[(&'static str, u8)], expect: &str| {
            let mut seen = String::new();
            let (before, after): (BTreeMap<_, _>, BTreeMap<_, _>) = (map(before), map(after));
            different(&before, &after, |key, _| seen.push_str(key));
            assert_eq!(seen, expect);
        };
        check(&[], &[], "");
        check(&[("a", 1), ("b", 2)], &[("a", 1), ("b", 2)], "");
        check(
            &[("a", 1), ("c", 1)],
            &[("b", 1), ("c", 2), ("d", 1)],
            "abcd",
        );
        check(&[("a", 1), ("b", 1), ("c", 1)], &[("b", 1)], "ac");
        check(&[], &[("a", 1)], "a");
    }
}
