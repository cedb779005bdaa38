//! Drawing lots among accounts that nothing else tells apart.
//!
//! Up to [`FEW`] accounts, this is a rendezvous hash of session and account. Looking at each of many
//! would take too long: those are halved by the bits of their ids' hashes, and the session draws a half,
//! in proportion to how many are in it, until few are left. So every account is drawn equally often, all
//! processes draw the same, and who else is there matters little.

use crate::keys::{hash, mix};

/// Up to so many, each account's lot is looked at.
const FEW: usize = 64;

/// One account in the draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lot {
    /// Hash of the account's id.
    pub(crate) hash: u64,
    /// What the caller knows it by.
    pub(crate) place: usize,
}

impl Lot {
    pub(crate) fn new(id: &str, place: usize) -> Self {
        Self {
            hash: hash(&[id]),
            place,
        }
    }

    /// Returns how high this session draws the account; the highest serves.
    pub(crate) const fn height(&self, session: u64) -> u64 {
        mix(session ^ self.hash)
    }

    /// Tells in which half it is after so many halvings.
    const fn half(&self, depth: u32) -> usize {
        ((self.hash >> (63 - depth)) & 1) as usize
    }
}

/// Accounts to draw from. The same accounts give the same draw, whatever came and went before.
#[derive(Debug, Default)]
pub(crate) struct Lots {
    count: usize,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Few(Vec<Lot>),
    Halves(Box<[Lots; 2]>),
}

impl Default for Held {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Lots {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn insert(&mut self, lot: Lot) {
        self.insert_at(lot, 0);
    }

    pub(crate) fn remove(&mut self, lot: Lot) {
        self.remove_at(lot, 0);
    }

    /// Draws for a session (its hash) among all but those of `skip`, which must be in here.
    pub(crate) fn draw(&self, session: u64, skip: &[Lot]) -> Option<usize> {
        self.draw_at(session, skip, 0, 1)
    }

    fn insert_at(&mut self, lot: Lot, depth: u32) {
        self.count += 1;
        match &mut self.held {
            Held::Halves(halves) => halves[lot.half(depth)].insert_at(lot, depth + 1),
            Held::Few(lots) => {
                lots.push(lot);
                if lots.len() > FEW && depth < 63 {
                    let mut halves = Box::<[Self; 2]>::default();
                    for lot in lots.drain(..) {
                        halves[lot.half(depth)].insert_at(lot, depth + 1);
                    }
                    self.held = Held::Halves(halves);
                }
            }
        }
    }

    fn remove_at(&mut self, lot: Lot, depth: u32) {
        self.count -= 1;
        match &mut self.held {
            Held::Few(lots) => lots.retain(|held| *held != lot),
            Held::Halves(halves) => {
                halves[lot.half(depth)].remove_at(lot, depth + 1);
                if self.count <= FEW {
                    let mut lots = Vec::with_capacity(FEW);
                    self.each(&mut |lot| lots.push(lot));
                    self.held = Held::Few(lots);
                }
            }
        }
    }

    fn draw_at(&self, session: u64, skip: &[Lot], depth: u32, path: u64) -> Option<usize> {
        let left = self.count - skip.len();
        let halves = match &self.held {
            Held::Halves(halves) if left > FEW => halves,
            _ => return self.highest(session, skip),
        };
        let (skip_first, skip_second): (Vec<Lot>, Vec<Lot>) =
            skip.iter().partition(|lot| lot.half(depth) == 0);
        let first = halves[0].count - skip_first.len();
        let share = u128::from(mix(session ^ mix(path))) * left as u128;
        match ((share >> 64) as usize) < first {
            true => halves[0].draw_at(session, &skip_first, depth + 1, path << 1),
            false => halves[1].draw_at(session, &skip_second, depth + 1, (path << 1) | 1),
        }
    }

    fn highest(&self, session: u64, skip: &[Lot]) -> Option<usize> {
        let mut highest: Option<((u64, u64), usize)> = None;
        self.each(&mut |lot| {
            let height = (lot.height(session), lot.hash);
            if !skip.contains(&lot) && highest.is_none_or(|(most, _)| height > most) {
                highest = Some((height, lot.place));
            }
        });
        highest.map(|(_, place)| place)
    }

    fn each(&self, visit: &mut dyn FnMut(Lot)) {
        match &self.held {
            Held::Few(lots) => lots.iter().copied().for_each(visit),
            Held::Halves(halves) => halves.iter().for_each(|half| half.each(visit)),
        }
    }
}

impl FromIterator<Lot> for Lots {
    fn from_iter<I: IntoIterator<Item = Lot>>(lots: I) -> Self {
        let mut all = Self::default();
        lots.into_iter().for_each(|lot| all.insert(lot));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lots(places: impl Iterator<Item = usize>) -> Lots {
        places
            .map(|place| Lot::new(&format!("account {place}"), place))
            .collect()
    }

    fn sessions() -> impl Iterator<Item = u64> {
        (0..40_000_u32).map(|number| hash(&[&number.to_string()]))
    }

    #[test]
    fn every_account_of_many_is_drawn_about_as_often() {
        let lots = lots(0..1_000);
        let mut counts = vec![0_u32; 1_000];
        for session in sessions() {
            counts[lots.draw(session, &[]).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (10..90).contains(count)));
    }

    #[test]
    fn who_came_and_went_before_does_not_matter() {
        let mut changed = lots(0..400);
        for place in (0..400).filter(|place| place % 3 == 0) {
            changed.remove(Lot::new(&format!("account {place}"), place));
        }
        let fresh = lots((0..400).filter(|place| place % 3 != 0));
        for session in sessions().take(2_000) {
            assert_eq!(changed.draw(session, &[]), fresh.draw(session, &[]));
        }
    }

    #[test]
    fn a_skipped_account_is_as_good_as_removed() {
        for count in [2, 64, 65, 66, 130, 500] {
            let all = lots(0..count);
            for session in sessions().take(500) {
                let first = all.draw(session, &[]).unwrap();
                let lot = Lot::new(&format!("account {first}"), first);
                let without = lots((0..count).filter(|place| *place != first));
                assert_eq!(all.draw(session, &[lot]), without.draw(session, &[]));
            }
        }
    }

    #[test]
    fn an_account_more_moves_few_sessions() {
        let (before, after) = (lots(0..1_000), lots(0..1_001));
        let moved = sessions()
            .filter(|s| before.draw(*s, &[]) != after.draw(*s, &[]))
            .count();
        assert!(moved < 1_000, "{moved} of 40,000");
    }
}
