//! Models of what other credential layers do, simplified, from their public documentation and code.
//!
//! Each is told the same as the policy and reacts at once; what a model leaves out would not make it
//! switch less. None of their code is here.

use std::time::Duration;

use provider_auth_policy::{Signals, Timestamp, stated_wait};

use crate::rotator::{After, Move, Rotator};
use crate::upstream::{Answer, Call};

/// Rest after a limit that states no time.
const USUAL_REST: Duration = Duration::from_secs(60);

/// Rotates on every 429: the account rests as a whole for as long as the answer says, and the next of
/// the list takes over for all conversations.
pub(crate) struct EveryLimit {
    rests: Vec<Timestamp>,
    current: usize,
    rest: Rest,
}

/// How long an account rests after a 429.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rest {
    /// As long as the answer says.
    AsStated,
    /// This long, whatever the answer says.
    Fixed(Duration),
}

impl EveryLimit {
    pub(crate) fn new(accounts: usize, rest: Rest) -> Self {
        Self {
            rests: vec![Timestamp::default(); accounts],
            current: 0,
            rest,
        }
    }

    /// The first account from the current one on that does not rest.
    fn free(&self, now: Timestamp) -> Option<usize> {
        let count = self.rests.len();
        let mut round = (0..count).map(|step| (self.current + step) % count);
        round.find(|place| self.rests[*place] <= now)
    }
}

impl Rotator for EveryLimit {
    fn next(&mut self, _: &Call, now: Timestamp) -> Move {
        match self.free(now) {
            Some(place) => {
                self.current = place;
                Move::Send(place)
            }
            None => Move::Refuse,
        }
    }

    fn heard(&mut self, _: &Call, account: usize, answer: &Answer, now: Timestamp) -> After {
        if answer.status != 429 {
            return After::Deliver;
        }
        self.rests[account] = now
            + match self.rest {
                Rest::AsStated => stated(answer, now).unwrap_or(USUAL_REST),
                Rest::Fixed(rest) => rest,
            };
        match self.free(now) {
            Some(_) => After::Again(Duration::ZERO),
            None => After::Deliver,
        }
    }
}

/// The score of the most used plugin: health × 2 + tokens left in a bucket × 5 + rest × 0.1, with a
/// bonus for the current account.
///
/// Its numbers are those of its documentation: health begins at 70, +1 for an answer, −10 for a limit,
/// −20 for a failure, +2 an hour, at least 50 to serve; a bucket of 50 tokens, 6 a minute, one per
/// request; rest counts up to an hour; the bonus is 150, and a lead of 100 takes over. A limit rests
/// the account for the model that was asked for.
pub(crate) struct Hybrid {
    accounts: Vec<Lane>,
    current: Option<usize>,
}

struct Lane {
    health: f64,
    health_at: Timestamp,
    tokens: f64,
    tokens_at: Timestamp,
    used_at: Timestamp,
    rests: Vec<(String, Timestamp)>,
}

impl Hybrid {
    pub(crate) fn new(accounts: usize, start: Timestamp) -> Self {
        let lane = || Lane {
            health: 70.0,
            health_at: start,
            tokens: 50.0,
            tokens_at: start,
            used_at: Timestamp::default(),
            rests: Vec::new(),
        };
        Self {
            accounts: (0..accounts).map(|_| lane()).collect(),
            current: None,
        }
    }

    fn choose(&self, model: &str, now: Timestamp) -> Option<usize> {
        let free = |place: &usize| self.accounts[*place].is_free(model, now);
        let places = || (0..self.accounts.len()).filter(free);
        let scores: Vec<(usize, f64)> = places()
            .filter(|place| self.accounts[*place].is_usable(now))
            .map(|place| (place, self.accounts[place].score(now)))
            .collect();
        let current = self.current.and_then(|current| {
            let mut scores = scores.iter();
            scores.find(|(place, _)| *place == current).copied()
        });
        let mut best: Option<(usize, f64)> = None;
        for (place, score) in &scores {
            let bonus = if Some(*place) == self.current {
                150.0
            } else {
                0.0
            };
            if best.is_none_or(|(_, most)| score + bonus > most) {
                best = Some((*place, score + bonus));
            }
        }
        match (best, current) {
            (Some((place, score)), Some((current, own))) if place != current => {
                Some(if score - own < 100.0 { current } else { place })
            }
            (Some((place, _)), _) => Some(place),
            // With nobody healthy, or every bucket empty, the next that does not rest.
            (None, _) => places()
                .find(|place| Some(*place) >= self.current)
                .or_else(|| places().next()),
        }
    }
}

impl Rotator for Hybrid {
    fn next(&mut self, call: &Call, now: Timestamp) -> Move {
        let Some(place) = self.choose(&call.model, now) else {
            return Move::Refuse;
        };
        self.current = Some(place);
        let lane = &mut self.accounts[place];
        lane.tokens = (lane.tokens(now) - 1.0).max(0.0);
        lane.tokens_at = now;
        lane.used_at = now;
        Move::Send(place)
    }

    fn heard(&mut self, call: &Call, account: usize, answer: &Answer, now: Timestamp) -> After {
        let lane = &mut self.accounts[account];
        let change = match answer.status {
            200..300 => 1.0,
            429 => -10.0,
            _ => -20.0,
        };
        lane.health = (lane.health(now) + change).clamp(0.0, 100.0);
        lane.health_at = now;
        if answer.status != 429 {
            return After::Deliver;
        }
        let until = now + stated(answer, now).unwrap_or(USUAL_REST);
        lane.rests.retain(|(model, _)| *model != call.model);
        lane.rests.push((call.model.clone(), until));
        match self.choose(&call.model, now) {
            Some(_) => After::Again(Duration::ZERO),
            None => After::Deliver,
        }
    }
}

impl Lane {
    fn health(&self, now: Timestamp) -> f64 {
        let hours = self.health_at.until(now).as_secs_f64() / 3_600.0;
        (self.health + 2.0 * hours.floor()).min(100.0)
    }

    fn tokens(&self, now: Timestamp) -> f64 {
        let minutes = self.tokens_at.until(now).as_secs_f64() / 60.0;
        (self.tokens + 6.0 * minutes).min(50.0)
    }

    fn score(&self, now: Timestamp) -> f64 {
        let rest = self.used_at.until(now).as_secs_f64().min(3_600.0);
        self.health(now) * 2.0 + self.tokens(now) / 50.0 * 100.0 * 5.0 + rest * 0.1
    }

    fn is_usable(&self, now: Timestamp) -> bool {
        self.health(now) >= 50.0 && self.tokens(now) >= 1.0
    }

    fn is_free(&self, model: &str, now: Timestamp) -> bool {
        let mut rests = self.rests.iter();
        !rests.any(|(of, until)| of == model && now < *until)
    }
}

/// How long the answer asks to wait, read as well as the policy reads it.
fn stated(answer: &Answer, now: Timestamp) -> Option<Duration> {
    let response = provider_auth_policy::Response {
        status: Some(answer.status),
        headers: &|name| answer.headers.get(name).map(String::as_str),
        body: answer.body.as_deref(),
        failure: None,
    };
    stated_wait(&Signals::GENERIC, &response, now)
}
