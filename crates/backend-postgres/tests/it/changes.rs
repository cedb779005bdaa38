//! How a process learns of what others do.

use std::time::Duration;

use provider_auth_backend_postgres::{Brought, Change, Changes, Mark, PostgresBackend};

use provider_auth_vault::RecordId;

use crate::support::{Server, TIMES, added, pause, sealed, wait_until};

/// Whether the second generation of a record is told of.
fn names(changes: &Changes, id: RecordId) -> bool {
    let mut records = changes.records.iter();
    records.any(|one| one.id == id && one.generation == 2 && !one.gone)
}

#[test]
fn a_change_that_commits_late_is_not_missed() {
    let Some(server) = Server::start() else {
        return;
    };
    let host = server.host(1);
    let (early, late) = (added(&host), added(&host));
    let mark = host.changes(Mark::START).unwrap().mark;
    let client = server.runtime.block_on(server.client("postgres")).unwrap();
    let run = |statement: &str| {
        server
            .runtime
            .block_on(client.batch_execute(statement))
            .unwrap()
    };
    // The lower transaction commits last.
    run(&format!(
        "begin; update pa.record set generation = 2, changed = pg_current_xact_id() where id = '{late}'"
    ));
    host.bring(early, 1, &sealed(2), Change::Edit).unwrap();
    let seen = host.changes(mark).unwrap();
    assert!(names(&seen, early));
    assert!(!names(&seen, late));
    run("commit");
    let then = host.changes(seen.mark).unwrap();
    assert!(names(&then, late));
    assert_eq!(host.changes(then.mark).unwrap().records, []);
}

/// Readers that go on from mark to mark end with what is there, whatever writers do meanwhile.
#[test]
fn a_reader_that_goes_on_from_its_mark_misses_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let hosts: Vec<_> = (0..3).map(|host| server.host(host)).collect();
    let ids: Vec<_> = (0..6).map(|_| added(&hosts[0])).collect();
    let mut known = std::collections::BTreeMap::new();
    let mut mark = Mark::START;
    let mut read = |from: &PostgresBackend| {
        let changes = from.changes(mark).unwrap();
        mark = changes.mark;
        for one in changes.records {
            let newest = known.entry(one.id).or_insert(0);
            *newest = one.generation.max(*newest);
        }
        known.clone()
    };
    std::thread::scope(|scope| {
        for (host, ids) in hosts[..2].iter().zip(ids.chunks(3)) {
            scope.spawn(move || {
                for generation in 1..40 {
                    for id in ids {
                        host.bring(*id, generation, &sealed(generation + 1), Change::Edit)
                            .unwrap();
                    }
                }
            });
        }
        for _ in 0..40 {
            read(&hosts[2]);
        }
    });
    assert!(read(&hosts[2]).into_values().eq([40; 6]));
}

#[test]
fn a_listener_hears_of_a_change_at_once() {
    let Some(server) = Server::start() else {
        return;
    };
    // They ask once, when they connect, and then not before this test is over.
    let listener = |number| {
        let mut options = server.options("ci", number);
        options.times.poll = Duration::from_secs(600);
        let host = server.open(options);
        host.header().unwrap();
        wait_until("the first poll", || host.pulse().calm_at > 0);
        host
    };
    let (writer, reader) = (listener(1), listener(2));
    let mine = writer.pulse();
    for generation in 1..=2 {
        let before = reader.pulse().heard;
        match generation {
            1 => drop(added(&writer)),
            _ => {
                let id = writer.changes(Mark::START).unwrap().records[0].id;
                let brought = writer.bring(id, 1, &sealed(2), Change::Tokens);
                assert_eq!(brought, Ok(Brought::Stored));
            }
        }
        wait_until("heard", || reader.pulse().heard > before);
    }
    assert_eq!(writer.pulse().heard, mine.heard, "one's own is no news");
    assert!(reader.pulse().calm_at.abs_diff(reader.now()) < 60_000);
}

#[test]
fn behind_a_pooler_a_poll_hears_it() {
    let Some(server) = Server::start() else {
        return;
    };
    let options = server.options_behind_pooler(2);
    let (writer, reader) = (server.host(1), server.open(options));
    let id = added(&writer);
    pause(TIMES.poll * 3);
    let before = reader.pulse().heard;
    for generation in 1..=2 {
        writer
            .bring(id, generation, &sealed(generation + 1), Change::Tokens)
            .unwrap();
        wait_until("heard", || reader.pulse().heard > before + generation - 1);
    }
}

#[test]
fn a_transaction_that_stays_open_is_not_news_again_and_again() {
    let Some(server) = Server::start() else {
        return;
    };
    let (writer, reader) = (server.host(1), server.host(2));
    let id = added(&writer);
    let client = server.runtime.block_on(server.client("postgres")).unwrap();
    server
        .runtime
        .block_on(client.batch_execute("begin; select pg_current_xact_id()"))
        .unwrap();
    writer.bring(id, 1, &sealed(2), Change::Tokens).unwrap();
    pause(TIMES.poll * 4);
    let (before, calm) = (reader.pulse().heard, reader.pulse().calm_at);
    wait_until("polled", || reader.pulse().calm_at > calm + 1_200);
    assert_eq!(reader.pulse().heard, before);
}
