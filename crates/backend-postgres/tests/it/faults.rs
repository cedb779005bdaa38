//! Lines that break and servers that stop, start or hang.

use std::time::{Duration, Instant};

use provider_auth_backend_postgres::{BackendError, Brought, Change, Claimed, Mark, Outcome};
use rustix::process::Signal;

use crate::support::{
    NO_PATIENCE, Server, TIMES, added, claimed, is_held, note, pause, sealed, wait_until,
};

#[test]
fn a_holder_whose_line_drops_asserts_its_claim_anew() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, other) = (server.host(1), server.host(2));
    let id = added(&one);
    let claim = claimed(&one, id, 1, &note("one"));
    let before = server.sql("select session from pa.record");
    server.drop_lines();
    assert!(
        is_held(other.claim(id, 1, &note("other"), TIMES.suspect * 5)),
        "its holder came back"
    );
    let now = server.sql("select session from pa.record where suspected_at is null");
    assert!(
        !now.is_empty() && now != before,
        "a key of its own for each connection: {before} {now}"
    );
    assert_eq!(
        one.bring(id, 1, &sealed(2), Change::Tokens).unwrap(),
        Brought::Stored
    );
    one.release(claim, Outcome::Answered).unwrap();
    let _claim = claimed(&other, id, 2, &note("other"));
}

#[test]
fn a_restart_loses_no_claim_and_nothing_is_claimed_until_hosts_have_put_back() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let (one, other) = (server.host(1), server.host(2));
    let (id, free) = (added(&one), added(&one));
    let _claim = claimed(&one, id, 1, &note("one"));
    let mark = other.changes(Mark::START).unwrap().mark;
    server.shut_down();
    server.start_again();
    let mut waited = None;
    let begun = Instant::now();
    wait_until("it is claimed", || {
        match other.claim(free, 1, &note("other"), NO_PATIENCE) {
            Ok(Claimed::Ours(..)) => true,
            Err(BackendError::Unavailable { retry_at }) => {
                waited = waited.max(Some(retry_at));
                false
            }
            wrong => panic!("{wrong:?}"),
        }
    });
    assert!(
        waited.is_some(),
        "after {:?}: it was claimed at once",
        begun.elapsed()
    );
    assert!(
        is_held(other.claim(id, 1, &note("other"), TIMES.suspect * 3)),
        "its holder came back"
    );
    assert_eq!(
        other.changes(mark).unwrap().records.len(),
        2,
        "everything is compared"
    );
    assert_eq!(
        one.bring(id, 1, &sealed(2), Change::Tokens).unwrap(),
        Brought::Stored
    );
}

#[test]
fn a_claim_that_a_failover_lost_is_taken_anew_by_its_holder() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let (one, other) = (server.host(1), server.host(2));
    let (id, given_back) = (added(&one), added(&one));
    let claim = claimed(&one, id, 1, &note("one"));
    one.release(
        claimed(&one, given_back, 1, &note("one")),
        Outcome::Answered,
    )
    .unwrap();
    let claims = "select concat_ws(' ', id, holder) from pa.record where nonce is not null";
    let held = server.sql(claims);
    // As the standby has it that leads from here on.
    server.sql("update pa.record set nonce = null, host = null, cookie = null, holder = null, session = null");
    server.shut_down();
    server.start_again();
    wait_until("it is held again", || server.sql(claims) == held);
    let lasts = "select claim_until - clock_timestamp() between '1 ms' and $hold$ from pa.record where nonce is not null";
    let hold = format!("'{} ms'", TIMES.hold.as_millis());
    assert_eq!(server.sql(&lasts.replace("$hold$", &hold)), "t");
    wait_until("others may claim", || {
        matches!(
            other.claim(given_back, 1, &note("other"), NO_PATIENCE),
            Ok(Claimed::Ours(..))
        )
    });
    assert!(
        is_held(other.claim(id, 1, &note("other"), TIMES.suspect * 3)),
        "its holder has it"
    );
    assert_eq!(
        one.bring(id, 1, &sealed(2), Change::Tokens).unwrap(),
        Brought::Stored
    );
    one.release(claim, Outcome::Answered).unwrap();
    assert_eq!(server.sql(claims), "");
}

#[test]
fn after_a_restart_a_label_waits_and_a_token_does_not() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let mut options = server.options("ci", 1);
    options.times.settle = Duration::from_secs(60);
    let host = server.open(options);
    let id = added(&host);
    server.shut_down();
    server.start_again();
    assert_eq!(
        host.bring(id, 1, &sealed(2), Change::Tokens).unwrap(),
        Brought::Stored
    );
    let Err(BackendError::Unavailable { retry_at }) = host.bring(id, 2, &sealed(3), Change::Edit)
    else {
        panic!("a label came first")
    };
    let wait = retry_at.saturating_sub(host.now());
    assert!((50_000..=60_000).contains(&wait), "{wait}");
}

#[test]
fn a_server_that_hangs_costs_a_deadline_and_no_more() {
    let Some(server) = Server::start() else {
        return;
    };
    let host = server.host(1);
    let id = added(&host);
    let claim = claimed(&host, id, 1, &note("one"));
    server.signal_all(Signal::STOP);
    let begun = Instant::now();
    let hung = host.changes(Mark::START);
    let took = begun.elapsed();
    server.signal_all(Signal::CONT);
    let Err(BackendError::Unavailable { retry_at }) = hung else {
        panic!("{hung:?}")
    };
    assert!(took < TIMES.call * 10, "{took:?}");
    assert!(retry_at.abs_diff(host.now()) < 10_000);
    assert_eq!(
        host.bring(id, 1, &sealed(2), Change::Tokens).unwrap(),
        Brought::Stored
    );
    host.release(claim, Outcome::Answered).unwrap();
}

#[test]
fn a_server_that_is_gone_is_said_to_be_and_found_again() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let host = server.host(1);
    let id = added(&host);
    server.shut_down();
    let begun = Instant::now();
    assert!(matches!(
        host.records(&[id]),
        Err(BackendError::Unavailable { .. })
    ));
    assert!(begun.elapsed() < TIMES.call * 10);
    assert_eq!(host.is_listening(), None);
    server.start_again();
    wait_until("it is found", || host.records(&[id]).is_ok());
}

/// The database's own absence is not the holder's.
#[test]
fn a_claim_that_ended_while_the_database_was_away_is_not_taken_at_once() {
    let Some(server) = Server::start() else {
        return;
    };
    let options = server.options_behind_pooler(1);
    let one = server.open(options);
    let mut patient = server.options("ci", 2);
    patient.times.settle = Duration::from_secs(5);
    let other = server.open(patient);
    let id = added(&one);
    let _claim = claimed(&one, id, 1, &note("one"));
    server.signal_all(Signal::STOP);
    pause(TIMES.hold + Duration::from_millis(200));
    server.signal_all(Signal::CONT);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        let asked = other.claim(id, 1, &note("other"), NO_PATIENCE);
        assert!(!matches!(asked, Ok(Claimed::Ours(..))), "it was taken");
    }
    assert_eq!(
        one.bring(id, 1, &sealed(2), Change::Tokens).unwrap(),
        Brought::Stored
    );
    wait_until("it is seen", || {
        matches!(
            other.claim(id, 1, &note("other"), NO_PATIENCE),
            Ok(Claimed::Moved(_))
        )
    });
}

#[test]
fn of_several_servers_the_one_that_takes_writes_is_used() {
    let Some(server) = Server::start() else {
        return;
    };
    let Some(standby) = Server::start() else {
        return;
    };
    standby.sql("alter system set default_transaction_read_only = on");
    standby.sql("select pg_reload_conf()");
    let mut options = server.options("ci", 1);
    options.url = format!(
        "postgres://ci@127.0.0.1:{},127.0.0.1:1,127.0.0.1:{}/postgres?vault=team&sslmode=disable",
        standby.port(),
        server.port()
    )
    .into();
    let host = server.open(options);
    let id = added(&host);
    assert_eq!(server.host(2).records(&[id]).unwrap().len(), 1);
}

#[test]
fn a_claim_whose_answer_was_lost_is_given_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, other) = (server.host(1), server.host(2));
    let id = added(&one);
    server.signal_all(Signal::STOP);
    let lost = one.claim(id, 1, &note("one"), NO_PATIENCE);
    server.signal_all(Signal::CONT);
    assert!(
        matches!(lost, Err(BackendError::Unavailable { .. })),
        "{lost:?}"
    );
    wait_until("the server has read it", || {
        server
            .log()
            .contains("execute <unnamed>: update pa.record r set nonce")
    });
    // Its process lives, so no other host could end the claim.
    let claimed = other
        .claim(id, 1, &note("other"), Duration::from_secs(3))
        .unwrap();
    let Claimed::Ours(_, there) = claimed else {
        panic!("{claimed:?}")
    };
    assert!(!there.no_outcome, "nothing was sent");
}
