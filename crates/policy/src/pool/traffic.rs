//! What this process has under way. In memory only.

use std::collections::BTreeMap;

use crate::account::AccountId;
use crate::limits;
use crate::pool::changes::Changes;
use crate::time::Timestamp;

/// Requests in flight by account, and how fast a newly chosen account takes on more.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    accounts: BTreeMap<AccountId, AccountTraffic>,
    turns: u64,
    changes: Changes,
}

#[derive(Debug, Clone, Default)]
struct AccountTraffic {
    in_flight: u32,
    turn: u64,
    answered_at: Option<Timestamp>,
    ramp: Option<Ramp>,
}

#[derive(Debug, Clone)]
struct Ramp {
    started_at: Timestamp,
    admitted: u32,
}

impl Traffic {
    /// Counts an attempt that is about to be sent.
    pub fn begin(&mut self, id: &AccountId, now: Timestamp) {
        self.turns += 1;
        self.changes.note(id);
        let turn = self.turns;
        let account = self.account(id);
        account.turn = turn;
        account.in_flight = account.in_flight.saturating_add(1);
        match &mut account.ramp {
            Some(ramp) if ramp.lives(now) => ramp.admitted = ramp.admitted.saturating_add(1),
            over => *over = None,
        }
    }

    /// Counts the attempt's end. A response, whatever its status, ends the ramp.
    pub fn end(&mut self, id: &AccountId, now: Timestamp) {
        self.changes.note(id);
        let account = self.account(id);
        account.in_flight = account.in_flight.saturating_sub(1);
        account.answered_at = Some(now);
        account.ramp = None;
    }

    /// Counts the end of an attempt whose outcome is unknown.
    pub fn forget(&mut self, id: &AccountId) {
        self.changes.note(id);
        let account = self.account(id);
        account.in_flight = account.in_flight.saturating_sub(1);
    }

    /// Notes that a session moved to this account: until it answers, arrivals are spread.
    ///
    /// Call it before [`Traffic::begin`]. An account that has just answered needs no ramp.
    pub fn note_switch(&mut self, id: &AccountId, now: Timestamp) {
        let account = self.account(id);
        let warm = account
            .answered_at
            .is_some_and(|at| now < at + limits::RAMP_LIFE);
        let ramping = account.ramp.as_ref().is_some_and(|ramp| ramp.lives(now));
        if !warm && !ramping {
            account.ramp = Some(Ramp {
                started_at: now,
                admitted: 0,
            });
        }
    }

    /// Returns how many attempts are under way with this account.
    pub(crate) fn in_flight(&self, id: &AccountId) -> u32 {
        self.accounts.get(id).map_or(0, |account| account.in_flight)
    }

    /// Returns when this account last began an attempt, as a count of attempts; zero when never.
    pub(crate) fn turn(&self, id: &AccountId) -> u64 {
        self.accounts.get(id).map_or(0, |account| account.turn)
    }

    /// Returns when the ramp admits the next arrival, or `None` when it may come now.
    pub(crate) fn admits_at(&self, id: &AccountId, now: Timestamp) -> Option<Timestamp> {
        let ramp = self.accounts.get(id)?.ramp.as_ref()?;
        let next = ramp.started_at + limits::RAMP_STEP * ramp.admitted;
        (ramp.lives(now) && now < next).then(|| next.min(ramp.started_at + limits::RAMP_LIFE))
    }

    /// Returns whose count or turn changed, in order.
    pub(crate) const fn changes(&self) -> &Changes {
        &self.changes
    }

    fn account(&mut self, id: &AccountId) -> &mut AccountTraffic {
        // Two look-ups, since `entry` would clone the id of a account that is nearly always there.
        if !self.accounts.contains_key(id) {
            self.accounts.insert(id.clone(), AccountTraffic::default());
        }
        self.accounts
            .get_mut(id)
            .expect("the account was just inserted")
    }
}

impl Ramp {
    fn lives(&self, now: Timestamp) -> bool {
        self.started_at <= now && now < self.started_at + limits::RAMP_LIFE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn after_a_switch_one_arrival_more_is_admitted_every_quarter_second() {
        let id = AccountId::from("b");
        let mut traffic = Traffic::default();
        traffic.note_switch(&id, at(0));
        assert_eq!(traffic.admits_at(&id, at(0)), None);
        traffic.begin(&id, at(0));
        assert_eq!(traffic.admits_at(&id, at(1)), Some(at(250)));
        assert_eq!(traffic.admits_at(&id, at(250)), None);
        traffic.begin(&id, at(250));
        assert_eq!(traffic.admits_at(&id, at(250)), Some(at(500)));
        assert_eq!(traffic.admits_at(&id, at(800)), None);
    }

    #[test]
    fn a_response_ends_the_ramp_and_keeps_it_away_for_a_while() {
        let id = AccountId::from("b");
        let mut traffic = Traffic::default();
        traffic.note_switch(&id, at(0));
        traffic.begin(&id, at(0));
        traffic.end(&id, at(100));
        assert_eq!(traffic.admits_at(&id, at(101)), None);
        traffic.note_switch(&id, at(200));
        traffic.begin(&id, at(200));
        assert_eq!(traffic.admits_at(&id, at(201)), None);
    }

    #[test]
    fn the_ramp_fails_open() {
        let id = AccountId::from("b");
        let mut traffic = Traffic::default();
        traffic.note_switch(&id, at(0));
        for _ in 0..1_000 {
            traffic.begin(&id, at(0));
        }
        assert_eq!(traffic.admits_at(&id, at(5_000)), Some(at(10_000)));
        assert_eq!(traffic.admits_at(&id, at(10_000)), None);
    }

    #[test]
    fn counts_never_go_below_zero() {
        let id = AccountId::from("a");
        let mut traffic = Traffic::default();
        traffic.end(&id, at(0));
        traffic.forget(&id);
        traffic.begin(&id, at(0));
        assert_eq!(traffic.in_flight(&id), 1);
    }
}
