//! Processes of two machines that share a vault in PostgreSQL, while one of them or the database fails. What takes longer
//! or needs machines is in `npm run torture:fleet`.

#![cfg(unix)]
#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]
#![expect(
    clippy::unwrap_used,
    reason = "a test may fail at once, helpers included"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "real processes take real time, and a test asks the environment whether it may be skipped"
)]

mod database;
mod process;
mod provider;

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::database::Database;
use crate::process::{Process, wait_until};
use crate::provider::{Count, FIRST_TOKEN, Provider};

/// How long a stopped process stands still: longer than it may take to send what it has claimed.
const LONGER_THAN_SEND_BY: Duration = Duration::from_millis(1500);
/// Of an answer that is to come after a fault.
const SLOW_ANSWER: Duration = Duration::from_secs(2);

/// A database, a provider, and an account whose token has ended.
struct Fleet {
    database: Database,
    provider: Provider,
    account: String,
}

impl Fleet {
    /// With a process on each of two machines.
    fn start() -> Option<(Self, Process, Process)> {
        let database = Database::start()?;
        let provider = Provider::start();
        let start = |machine| Process::start(&database, &provider, machine);
        let (one, other) = (start(1), start(2));
        let account = one.log_in();
        wait_until("the other sees it", || other.has(&account));
        provider.wait_for_the_end_of_tokens();
        let fleet = Self {
            database,
            provider,
            account,
        };
        Some((fleet, one, other))
    }

    /// One more process of a machine.
    fn process(&self, machine: u32) -> Process {
        Process::start(&self.database, &self.provider, machine)
    }

    /// Waits until a process of the fleet has a new token.
    fn renewed(&self, process: &Process) -> Value {
        let token = process.token(&self.account);
        assert_ne!(token, FIRST_TOKEN);
        token
    }

    /// All refresh tokens were sent once, and one that is renewed now is everybody's.
    fn is_well(&self, exchanges: usize, processes: [&Process; 2]) {
        let once = |sent| Count {
            sent,
            twice: 0,
            refused: 0,
        };
        assert_eq!(self.provider.count(), once(exchanges));
        let before = processes[0].token(&self.account);
        processes[0].refresh(&self.account);
        let renewed = processes[0].token(&self.account);
        assert_ne!(renewed, before);
        wait_until("the other has it", || {
            processes[1].token(&self.account) == renewed
        });
        assert_eq!(self.provider.count(), once(exchanges + 1));
    }
}

#[test]
fn the_token_of_a_process_that_was_killed_before_it_sent_it_is_sent_by_another() {
    let Some((fleet, mut one, other)) = Fleet::start() else {
        return;
    };
    one.send_slowly(Duration::from_mins(1));
    one.begin("headers", &fleet.account);
    one.is_sending();
    one.signal(Signal::KILL);
    fleet.renewed(&other);
    let next = fleet.process(1);
    fleet.is_well(1, [&other, &next]);
}

#[test]
fn a_process_that_stood_still_before_it_sent_does_not_send_late() {
    let Some((fleet, mut one, other)) = Fleet::start() else {
        return;
    };
    one.send_slowly(Duration::from_millis(100));
    let asked = one.begin("headers", &fleet.account);
    one.is_sending();
    one.signal(Signal::STOP);
    std::thread::sleep(LONGER_THAN_SEND_BY);
    assert_eq!(fleet.provider.count().sent, 0);
    one.signal(Signal::CONT);
    let token = fleet.renewed(&other);
    assert_eq!(one.answer(asked)["token"], token);
    fleet.is_well(1, [&one, &other]);
}

#[test]
fn a_database_that_restarts_in_an_exchange_loses_nothing() {
    let Some((mut fleet, one, other)) = Fleet::start() else {
        return;
    };
    fleet.provider.answer_after(SLOW_ANSWER);
    let asked = one.begin("headers", &fleet.account);
    fleet.provider.is_asked();
    fleet.database.stop();
    fleet.database.start_again();
    let token = fleet.renewed(&other);
    assert_eq!(one.answer(asked)["token"], token);
    fleet.provider.answer_after(Duration::ZERO);
    fleet.is_well(1, [&one, &other]);
}

#[test]
fn a_token_that_came_while_the_database_was_down_outlives_its_process() {
    let Some((mut fleet, mut one, other)) = Fleet::start() else {
        return;
    };
    fleet.provider.answer_after(SLOW_ANSWER);
    let asked = one.begin("headers", &fleet.account);
    fleet.provider.is_asked();
    fleet.database.stop();
    let token = one.answer(asked)["token"].clone();
    assert_ne!(token, FIRST_TOKEN, "the machine that asked uses it");
    one.signal(Signal::KILL);
    let next = fleet.process(1);
    assert_eq!(next.token(&fleet.account), token);
    fleet.database.start_again();
    fleet.provider.answer_after(Duration::ZERO);
    assert_eq!(fleet.renewed(&other), token);
    fleet.is_well(1, [&next, &other]);
}
