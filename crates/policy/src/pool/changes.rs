//! Which accounts changed, so that what was made of them can follow.

use std::collections::VecDeque;

use crate::account::AccountId;
use crate::limits;

/// The accounts that changed, oldest first. The oldest are forgotten.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    forgotten: u64,
    kept: VecDeque<AccountId>,
}

impl Changes {
    pub(crate) fn note(&mut self, id: &AccountId) {
        if self.kept.len() == limits::CHANGES_KEPT {
            self.kept.pop_front();
            self.forgotten += 1;
        }
        self.kept.push_back(id.clone());
    }

    /// Returns how many changes there have been.
    pub(crate) fn count(&self) -> u64 {
        self.forgotten + self.kept.len() as u64
    }

    /// Returns the changes after the first `count`, or `None` when some of those are forgotten.
    pub(crate) fn since(&self, count: u64) -> Option<impl Iterator<Item = &AccountId>> {
        let seen = usize::try_from(count.checked_sub(self.forgotten)?).ok()?;
        (seen <= self.kept.len()).then(|| self.kept.range(seen..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_too_far_behind_is_told_so() {
        let mut changes = Changes::default();
        let (a, b) = (AccountId::from("a"), AccountId::from("b"));
        changes.note(&a);
        let seen = changes.count();
        changes.note(&b);
        assert!(changes.since(seen).unwrap().eq([&b]));
        for _ in 0..limits::CHANGES_KEPT {
            changes.note(&a);
        }
        assert!(changes.since(seen).is_none());
        assert_eq!(changes.since(changes.count()).unwrap().count(), 0);
    }
}
