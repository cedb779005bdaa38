//! Choosing among accounts that nothing else tells apart: rendezvous hashing.
//!
//! Each session gives each candidate a weight, a hash of both, and takes the heaviest. So every
//! account is picked equally often, all processes pick the same, and it matters little which others
//! there are. Weighing each of many would take too long: more than [`FEW`] candidates are halved by
//! the bits of their ids' hashes, and the session picks a half, in proportion to its size, until
//! few are left.

use crate::keys::{hash, mix};

/// Up to so many candidates are weighed one by one: that takes less than a microsecond.
const FEW: usize = 64;

/// One account to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Hash of the account's id.
    pub(crate) hash: u64,
    /// What the caller knows it by.
    pub(crate) place: usize,
}

impl Candidate {
    pub(crate) fn new(id: &str, place: usize) -> Self {
        Self {
            hash: hash(&[id]),
            place,
        }
    }

    /// Returns the weight that this session gives the account; the heaviest serves.
    pub(crate) const fn weight(&self, session: u64) -> u64 {
        mix(session ^ self.hash)
    }

    /// Tells in which half it is after so many halvings.
    const fn half(&self, depth: u32) -> usize {
        ((self.hash >> (63 - depth)) & 1) as usize
    }
}

/// Accounts to choose from. The same accounts give the same choice, whatever came and went before.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    count: usize,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Few(Vec<Candidate>),
    Halves(Box<[Candidates; 2]>),
}

impl Default for Held {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Candidates {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn insert(&mut self, candidate: Candidate) {
        self.insert_at(candidate, 0);
    }

    pub(crate) fn remove(&mut self, candidate: Candidate) {
        self.remove_at(candidate, 0);
    }

    /// Picks for a session (its hash) among all but those of `skip`, which must be in here.
    pub(crate) fn pick(&self, session: u64, skip: &[Candidate]) -> Option<usize> {
        self.pick_at(session, skip, 0, 1)
    }

    fn insert_at(&mut self, candidate: Candidate, depth: u32) {
        self.count += 1;
        match &mut self.held {
            Held::Halves(halves) => halves[candidate.half(depth)].insert_at(candidate, depth + 1),
            Held::Few(candidates) => {
                candidates.push(candidate);
                if candidates.len() > FEW && depth < 63 {
                    let mut halves = Box::<[Self; 2]>::default();
                    for candidate in candidates.drain(..) {
                        halves[candidate.half(depth)].insert_at(candidate, depth + 1);
                    }
                    self.held = Held::Halves(halves);
                }
            }
        }
    }

    fn remove_at(&mut self, candidate: Candidate, depth: u32) {
        self.count -= 1;
        match &mut self.held {
            Held::Few(candidates) => candidates.retain(|held| *held != candidate),
            Held::Halves(halves) => {
                halves[candidate.half(depth)].remove_at(candidate, depth + 1);
                if self.count <= FEW {
                    let mut candidates = Vec::with_capacity(FEW);
                    self.each(&mut |candidate| candidates.push(candidate));
                    self.held = Held::Few(candidates);
                }
            }
        }
    }

    fn pick_at(&self, session: u64, skip: &[Candidate], depth: u32, path: u64) -> Option<usize> {
        let left = self.count - skip.len();
        let halves = match &self.held {
            Held::Halves(halves) if left > FEW => halves,
            _ => return self.heaviest(session, skip),
        };
        let (skip_first, skip_second): (Vec<Candidate>, Vec<Candidate>) = skip
            .iter()
            .partition(|candidate| candidate.half(depth) == 0);
        let first = halves[0].count - skip_first.len();
        let share = u128::from(mix(session ^ mix(path))) * left as u128;
        match ((share >> 64) as usize) < first {
            true => halves[0].pick_at(session, &skip_first, depth + 1, path << 1),
            false => halves[1].pick_at(session, &skip_second, depth + 1, (path << 1) | 1),
        }
    }

    fn heaviest(&self, session: u64, skip: &[Candidate]) -> Option<usize> {
        let mut heaviest: Option<((u64, u64), usize)> = None;
        self.each(&mut |candidate| {
            let weight = (candidate.weight(session), candidate.hash);
            if !skip.contains(&candidate) && heaviest.is_none_or(|(most, _)| weight > most) {
                heaviest = Some((weight, candidate.place));
            }
        });
        heaviest.map(|(_, place)| place)
    }

    fn each(&self, visit: &mut dyn FnMut(Candidate)) {
        match &self.held {
            Held::Few(candidates) => candidates.iter().copied().for_each(visit),
            Held::Halves(halves) => halves.iter().for_each(|half| half.each(visit)),
        }
    }
}

impl FromIterator<Candidate> for Candidates {
    fn from_iter<I: IntoIterator<Item = Candidate>>(candidates: I) -> Self {
        let mut all = Self::default();
        candidates
            .into_iter()
            .for_each(|candidate| all.insert(candidate));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(places: impl Iterator<Item = usize>) -> Candidates {
        places
            .map(|place| Candidate::new(&format!("account {place}"), place))
            .collect()
    }

    fn sessions() -> impl Iterator<Item = u64> {
        (0..40_000_u32).map(|number| hash(&[&number.to_string()]))
    }

    #[test]
    fn every_account_of_many_is_picked_about_as_often() {
        let candidates = candidates(0..1_000);
        let mut counts = vec![0_u32; 1_000];
        for session in sessions() {
            counts[candidates.pick(session, &[]).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (10..90).contains(count)));
    }

    #[test]
    fn candidates_of_before_do_not_matter() {
        let mut changed = candidates(0..400);
        for place in (0..400).filter(|place| place % 3 == 0) {
            changed.remove(Candidate::new(&format!("account {place}"), place));
        }
        let fresh = candidates((0..400).filter(|place| place % 3 != 0));
        for session in sessions().take(2_000) {
            assert_eq!(changed.pick(session, &[]), fresh.pick(session, &[]));
        }
    }

    #[test]
    fn a_skipped_account_is_as_good_as_removed() {
        for count in [2, 64, 65, 66, 130, 500] {
            let all = candidates(0..count);
            for session in sessions().take(500) {
                let first = all.pick(session, &[]).unwrap();
                let candidate = Candidate::new(&format!("account {first}"), first);
                let without = candidates((0..count).filter(|place| *place != first));
                assert_eq!(all.pick(session, &[candidate]), without.pick(session, &[]));
            }
        }
    }

    #[test]
    fn one_more_account_moves_few_sessions() {
        let (before, after) = (candidates(0..1_000), candidates(0..1_001));
        let moved = sessions()
            .filter(|s| before.pick(*s, &[]) != after.pick(*s, &[]))
            .count();
        assert!(moved < 1_000, "{moved} of 40,000");
    }
}
