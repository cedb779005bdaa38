//! Keeps the shared state short enough to be read again: a file that is too long ends sharing.

use std::collections::BTreeMap;

use crate::limits;
use crate::state::SharedState;
use crate::state::account_stats::AccountStats;
use crate::state::keep_newest;
use crate::time::Timestamp;

impl SharedState {
    /// Returns it as JSON of at most [`limits::SHARED_LONGEST`] bytes; what is needed least is
    /// dropped until it fits: the oldest bindings, then kept answers, counts and, last, blocks.
    pub fn bounded_json(&mut self) -> Vec<u8> {
        self.json_within(limits::SHARED_LONGEST)
    }

    /// Returns a row as JSON of at most [`limits::ROW_LONGEST`] bytes, likewise.
    pub fn row_json(&mut self) -> Vec<u8> {
        self.json_within(limits::ROW_LONGEST)
    }

    fn json_within(&mut self, longest: usize) -> Vec<u8> {
        loop {
            let json = serde_json::to_vec(self).expect("the state has only string keys");
            if json.len() <= longest || !self.drop_least_needed() {
                return json;
            }
        }
    }

    /// Returns whether there was anything to drop.
    fn drop_least_needed(&mut self) -> bool {
        if !(self.bindings.is_empty() && self.owners.is_empty()) {
            halve(&mut self.bindings, |binding| binding.used_at);
            halve(&mut self.owners, |owner| owner.used_at);
            return true;
        }
        if self.blocks.values().any(|block| block.answer.is_some()) {
            self.blocks.values_mut().for_each(|it| it.answer = None);
            return true;
        }
        if self.accounts.values().any(AccountStats::has_counts) {
            let accounts = self.accounts.values_mut();
            accounts.for_each(AccountStats::forget_counts);
            return true;
        }
        if !(self.served.is_empty() && self.other.is_empty()) {
            self.served.clear();
            self.other.clear();
            return true;
        }
        if !self.blocks.is_empty() {
            halve(&mut self.blocks, |block| block.until);
            return true;
        }
        let is_empty = self.is_empty();
        self.accounts.clear();
        self.pools.clear();
        !is_empty
    }
}

/// Forgets the older half, or all of them when they are of one age.
fn halve<K: Ord, T>(map: &mut BTreeMap<K, T>, age: impl Fn(&T) -> Timestamp) {
    let before = map.len();
    keep_newest(map, before / 2, age);
    if map.len() == before {
        map.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::account::AccountId;
    use crate::reason::{Reason, Source};
    use crate::state::binding::Binding;
    use crate::state::block::{Block, KeptAnswer};
    use crate::state::scope::Scope;

    const MANY: u64 = 200;

    fn at(number: u64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000) + Duration::from_secs(number)
    }

    /// A state with so many bindings, accounts and blocks; those of a higher number are newer.
    fn full() -> SharedState {
        let mut state = SharedState::default();
        for number in 0..MANY {
            let account = AccountId::from(format!("account-{number}"));
            let binding = Binding {
                used_at: at(number),
                until: at(number + 300),
                account: account.clone(),
            };
            let answer = KeptAnswer {
                status: 404,
                content_type: "text/plain".to_owned(),
                body: "no such model".repeat(10),
            };
            let block = Block {
                answer: Some(answer),
                ..Block::new(
                    at(number + 60),
                    Reason::RateLimited,
                    Source::Header,
                    at(number),
                )
            };
            let stats = AccountStats {
                successes: 7,
                generation: 3,
                ..AccountStats::default()
            };
            state.bindings.insert(format!("binding-{number}"), binding);
            state.blocks.insert(Scope::Account(account.clone()), block);
            state.accounts.insert(account, stats);
        }
        state
    }

    #[test]
    fn a_state_that_fits_to_the_byte_loses_nothing_and_one_byte_less_costs_the_oldest_bindings() {
        let whole = serde_json::to_vec(&full()).unwrap();
        let mut state = full();
        assert_eq!(state.json_within(whole.len()), whole);
        assert_eq!(state, full());

        let shorter = state.json_within(whole.len() - 1);
        assert!(shorter.len() < whole.len());
        assert_eq!(
            serde_json::from_slice::<SharedState>(&shorter).unwrap(),
            state
        );
        assert_eq!(state.bindings.len() as u64, MANY / 2);
        assert!(
            state
                .bindings
                .contains_key(&format!("binding-{}", MANY - 1))
        );
        assert!(!state.bindings.contains_key("binding-0"));
        assert_eq!(
            (state.blocks, state.accounts),
            (full().blocks, full().accounts)
        );
    }

    #[test]
    fn blocks_go_last_and_the_shortest_first() {
        let blocks = |state: &SharedState| (state.blocks.len(), state.blocks.clone());
        let mut last = full();
        for longest in (0..serde_json::to_vec(&last).unwrap().len())
            .rev()
            .step_by(500)
        {
            let mut state = last.clone();
            let json = state.json_within(longest);
            let has_room = json.len() <= longest;
            assert!(has_room || state.is_empty(), "{longest}");
            let (count, kept) = blocks(&state);
            if (count as u64) < MANY {
                assert!(state.bindings.is_empty());
                assert!(state.accounts.values().all(|it| !it.has_counts()));
            }
            if count > 0 {
                let newest = Scope::Account(AccountId::from(format!("account-{}", MANY - 1)));
                assert!(kept.contains_key(&newest));
                assert!(state.accounts.values().all(|it| it.generation == 3));
            }
            last = state;
        }
        assert!(last.is_empty());
    }

    #[test]
    fn entries_of_one_age_go_together() {
        let mut map: BTreeMap<u8, Timestamp> = (0..9).map(|key| (key, at(1))).collect();
        halve(&mut map, |at| *at);
        assert!(map.is_empty());
    }
}
