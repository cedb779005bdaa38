//! Plays a scenario: requests come, answers arrive, waits end, in the order of a virtual clock.

use std::collections::BTreeMap;
use std::time::Duration;

use provider_auth_policy::Timestamp;

use crate::player::Player;
use crate::rotator::{After, Move, Rotator};
use crate::scenario::{Scenario, minutes};
use crate::tally::{Cause, Tally};
use crate::upstream::{Answer, Call, Upstream};

/// When every scenario begins.
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

enum Event {
    /// A request asks where to go: it has just come, or its wait is over.
    Ask(Flight),
    /// An answer arrives.
    Hear {
        flight: Flight,
        account: usize,
        answer: Answer,
    },
    /// This machine's clock is set.
    Jump(i64),
}

/// A request under way.
struct Flight {
    call: Call,
    waited: Duration,
    /// Accounts that did not answer it with a 2xx.
    failed: Vec<usize>,
}

/// Plays a scenario with one policy and counts what happens.
pub fn play(scenario: &Scenario, player: Player) -> Tally {
    Stage {
        scenario,
        upstream: Upstream::new(scenario, START),
        rotator: player.rotator(scenario, START),
        tally: Tally::new(scenario, player, START),
        events: events(scenario),
        sequence: 0,
        now: START,
        set_by: 0,
    }
    .play()
}

struct Stage<'a> {
    scenario: &'a Scenario,
    upstream: Upstream,
    rotator: Box<dyn Rotator>,
    tally: Tally,
    /// What is to come, by time and then by the order in which it was announced.
    events: BTreeMap<(Timestamp, usize), Event>,
    sequence: usize,
    now: Timestamp,
    /// What this machine's clock is ahead of the provider's, in milliseconds.
    set_by: i64,
}

impl Stage<'_> {
    fn play(mut self) -> Tally {
        self.sequence = self.events.len();
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.now = at;
            match event {
                Event::Jump(by) => self.set_by += by,
                Event::Ask(flight) => self.ask(flight),
                Event::Hear {
                    flight,
                    account,
                    answer,
                } => self.hear(flight, account, &answer),
            }
        }
        self.tally.blocks_set = self.rotator.blocks_set();
        self.tally
    }

    fn ask(&mut self, mut flight: Flight) {
        let now = self.machine_clock();
        match self.rotator.next(&flight.call, now) {
            Move::Wait(span) => self.wait(flight, span),
            Move::Refuse => {
                let is_good = self.upstream.is_good(&flight.call);
                self.tally.good_refused_here += u32::from(is_good && flight.failed.is_empty());
                self.refuse(&flight);
            }
            Move::Send(account) => {
                let model = &flight.call.model;
                let answer = self.upstream.answer(account, &flight.call, self.now);
                let is_good = answer.status < 300;
                self.tally.sent(&flight.call, account, &answer, self.now);
                let takes = match is_good {
                    true => self.scenario.answer_ms,
                    false => self.scenario.refusal_ms,
                };
                if is_good {
                    let cause = |left: usize| match flight.failed.contains(&left)
                        || self.upstream.has_refused(left, model, self.now)
                        || !self.upstream.would_serve(left, &flight.call, self.now)
                    {
                        true => Cause::Named,
                        false => Cause::None,
                    };
                    self.tally.turn(&flight.call, account, self.now, cause);
                } else {
                    flight.failed.push(account);
                }
                let at = self.now + Duration::from_millis(takes);
                self.announce(
                    at,
                    Event::Hear {
                        flight,
                        account,
                        answer,
                    },
                );
            }
        }
    }

    fn hear(&mut self, flight: Flight, account: usize, answer: &Answer) {
        let now = self.machine_clock();
        match self.rotator.heard(&flight.call, account, answer, now) {
            After::Again(span) if span.is_zero() => self.ask(flight),
            After::Again(span) => self.wait(flight, span),
            After::Deliver if answer.status < 300 => {
                let Flight { call, waited, .. } = &flight;
                self.tally.served(call, account, *waited, self.now);
            }
            After::Deliver => self.refuse(&flight),
        }
    }

    fn wait(&mut self, mut flight: Flight, span: Duration) {
        // A clock that is set during a wait leaves nothing of it: the next look comes all the same.
        let span = span.max(Duration::from_millis(1));
        flight.waited += span;
        self.announce(self.now + span, Event::Ask(flight));
    }

    fn refuse(&mut self, flight: &Flight) {
        let mut places = 0..self.scenario.accounts.len();
        let call = &flight.call;
        let could = places.any(|place| self.upstream.would_serve(place, call, self.now));
        self.tally.refused(flight.waited, self.now, could);
    }

    fn announce(&mut self, at: Timestamp, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    fn machine_clock(&self) -> Timestamp {
        let millis = self.now.as_millis().saturating_add_signed(self.set_by);
        Timestamp::from_millis(millis)
    }
}

/// All that is known before the first decision: arrivals, and jumps of the clock.
fn events(scenario: &Scenario) -> BTreeMap<(Timestamp, usize), Event> {
    let mut events = BTreeMap::new();
    for jump in &scenario.clock_jumps {
        let at = START + minutes(jump.at_minute);
        events.insert((at, events.len()), Event::Jump(jump.by_minutes * 60_000));
    }
    let mut id = 0;
    for arrivals in &scenario.arrivals {
        let end = minutes(arrivals.to_minute.unwrap_or(scenario.minutes)).min(scenario.life());
        let every = Duration::from_secs_f64(arrivals.every_seconds.max(0.001));
        let mut after = minutes(arrivals.from_minute);
        let mut turn = 0;
        while after < end {
            for _ in 0..arrivals.together {
                let call = Call {
                    id,
                    session: format!("{}", turn % arrivals.sessions.max(1)),
                    model: arrivals.model.clone(),
                    path: arrivals.path.clone(),
                    flaw: arrivals.flaw,
                };
                let flight = Flight {
                    call,
                    waited: Duration::ZERO,
                    failed: Vec::new(),
                };
                events.insert((START + after, events.len()), Event::Ask(flight));
                (id, turn) = (id + 1, turn + 1);
            }
            after += every;
        }
    }
    events
}
