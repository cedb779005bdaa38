//! Who may spend what a record holds, and when somebody else may.

use std::time::Duration;

use provider_auth_backend_postgres::{Brought, Change, Claimed, Note, Outcome};

use crate::support::{
    NO_PATIENCE, Server, TIMES, added, claimed, claimed_within, is_held, note, pause, sealed,
};

#[test]
fn of_sixteen_claimers_one_gets_it() {
    let Some(server) = Server::start() else {
        return;
    };
    let hosts: Vec<_> = (0..4).map(|host| server.host(host)).collect();
    for _ in 0..10 {
        let id = added(&hosts[0]);
        let claims: Vec<Claimed> = std::thread::scope(|scope| {
            let claimers: Vec<_> = (0..16)
                .map(|claimer: usize| {
                    let host = &hosts[claimer % 4];
                    scope.spawn(move || {
                        host.claim(id, 1, &note(&format!("claimer {claimer}")), NO_PATIENCE)
                            .unwrap()
                    })
                })
                .collect();
            claimers
                .into_iter()
                .map(|claimer| claimer.join().unwrap())
                .collect()
        });
        let ours = claims
            .iter()
            .filter(|claimed| matches!(claimed, Claimed::Ours(..)))
            .count();
        let held = claims
            .iter()
            .filter(|claimed| matches!(claimed, Claimed::Held(_)))
            .count();
        assert_eq!((ours, held), (1, 15));
    }
}

/// A claimer that waits for the holder's commit sees what it committed, and does not claim what was
/// just spent.
#[test]
fn a_generation_that_was_just_spent_is_never_claimed() {
    let Some(server) = Server::start() else {
        return;
    };
    let (holder, other) = (server.host(1), server.host(2));
    let id = added(&holder);
    for generation in 1..=60 {
        let claim = claimed(&holder, id, generation, &note("holder"));
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                other
                    .claim(id, generation, &note("other"), NO_PATIENCE)
                    .unwrap()
            });
            holder
                .bring(id, generation, &sealed(generation + 1), Change::Tokens)
                .unwrap();
            match asking.join().unwrap() {
                Claimed::Held(_) => (),
                Claimed::Moved(there) => assert_eq!(there.sealed.generation, generation + 1),
                wrong => panic!("{wrong:?}"),
            }
        });
        holder.release(claim, Outcome::Answered).unwrap();
    }
}

/// The same with the holder's transaction held open, so that the other one is sure to wait for it.
#[test]
fn a_claim_that_waited_for_a_commit_sees_it() {
    let Some(server) = Server::start() else {
        return;
    };
    let host = server.host(1);
    let id = added(&host);
    let client = server.runtime.block_on(server.client("postgres")).unwrap();
    let run = |statement: &str| {
        server
            .runtime
            .block_on(client.batch_execute(statement))
            .unwrap()
    };
    run("begin; update pa.record set generation = 2, changed = pg_current_xact_id()");
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| host.claim(id, 1, &note("one"), NO_PATIENCE).unwrap());
        pause(Duration::from_millis(300));
        assert!(!asking.is_finished(), "it waits for the row");
        run("commit");
        let Claimed::Moved(there) = asking.join().unwrap() else {
            panic!("it claimed what was spent")
        };
        assert_eq!(there.sealed.generation, 2);
    });
}

#[test]
fn what_is_newer_is_shown_and_what_is_older_is_not_claimed() {
    let Some(server) = Server::start() else {
        return;
    };
    let host = server.host(1);
    let id = added(&host);
    assert!(
        matches!(host.claim(id, 3, &note("one"), NO_PATIENCE), Ok(Claimed::Behind(Some(there))) if there.sealed == sealed(1))
    );
    assert!(matches!(
        host.claim(crate::support::new_id(), 1, &note("one"), NO_PATIENCE),
        Ok(Claimed::Behind(None))
    ));
    assert_eq!(host.put_back(id, &sealed(3)).unwrap(), Brought::Stored);
    assert!(
        matches!(host.claim(id, 2, &note("one"), NO_PATIENCE), Ok(Claimed::Moved(there)) if there.sealed == sealed(3))
    );
    let _claim = claimed(&host, id, 3, &note("one"));
}

#[test]
fn a_claim_given_back_is_free_for_whoever_waits() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, other) = (server.host(1), server.host(2));
    let id = added(&one);
    let claim = claimed(&one, id, 1, &note("one"));
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| claimed_within(&other, id, &note("other"), Duration::from_secs(5)));
        pause(Duration::from_millis(200));
        one.release(claim, Outcome::NoAnswer).unwrap();
        assert!(waiting.join().unwrap() < Duration::from_secs(1));
    });
    let there = other.records(&[id]).unwrap().remove(0);
    assert!(
        there.no_outcome,
        "the next one knows that an answer was lost"
    );
    assert_eq!(there.held.unwrap().holder, "other");
    assert_eq!(
        other.bring(id, 1, &sealed(2), Change::Tokens).unwrap(),
        Brought::Stored
    );
    assert!(!one.records(&[id]).unwrap()[0].no_outcome);
}

#[test]
fn the_dead_of_the_same_host_are_known_by_their_cookie() {
    let Some(server) = Server::start() else {
        return;
    };
    let (dead, heir, clone) = (server.host(1), server.host(1), server.host(1));
    let id = added(&dead);
    let _claim = claimed(&dead, id, 1, &note("dead"));
    // Containers of one image share the host's id.
    assert!(is_held(clone.claim(
        id,
        1,
        &Note {
            dead: vec![b"somebody".into()],
            ..note("clone")
        },
        NO_PATIENCE
    )));
    assert!(is_held(clone.claim(id, 1, &note("clone"), NO_PATIENCE)));
    let other = server.host(2);
    assert!(is_held(other.claim(
        id,
        1,
        &Note {
            dead: vec![b"other".into(), b"dead".into()],
            ..note("other")
        },
        NO_PATIENCE
    )));
    let heirs = Note {
        dead: vec![b"other".into(), b"dead".into()],
        ..note("heir")
    };
    let Ok(Claimed::Ours(_, there)) = heir.claim(id, 1, &heirs, NO_PATIENCE) else {
        panic!("its holder is dead")
    };
    assert!(there.no_outcome, "the dead may have sent it");
}

#[test]
fn a_closed_session_frees_its_claim_once_it_had_time_to_come_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, other) = (server.host(1), server.host(2));
    assert_eq!(
        (one.is_direct(), one.is_listening()),
        (Some(true), Some(true))
    );
    let id = added(&one);
    let _claim = claimed(&one, id, 1, &note("one"));
    assert!(
        is_held(other.claim(id, 1, &note("other"), Duration::from_millis(600))),
        "its holder lives"
    );
    drop(one);
    let not_stale = Note {
        is_stale: false,
        ..note("other")
    };
    let took = claimed_within(&other, id, &not_stale, Duration::from_secs(3));
    assert!(took >= TIMES.suspect, "{took:?}");
    assert!(
        took < TIMES.hold - Duration::from_millis(500),
        "{took:?}: that was time alone"
    );
}

#[test]
fn a_claim_lasts_as_long_as_its_session() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, other) = (server.host(1), server.host(2));
    let id = added(&one);
    let _claim = claimed(&one, id, 1, &note("one"));
    assert!(is_held(other.claim(
        id,
        1,
        &note("other"),
        TIMES.hold + Duration::from_millis(700)
    )));
}

#[test]
fn without_a_session_a_claim_ends_by_time_and_only_for_who_needs_a_token() {
    let Some(server) = Server::start() else {
        return;
    };
    let options = server.options_behind_pooler(1);
    let one = server.open(options);
    let id = added(&one);
    assert_eq!(
        (one.is_direct(), one.is_listening()),
        (Some(false), Some(false))
    );
    let _claim = claimed(&one, id, 1, &note("one"));
    drop(one);
    let other = server.host(2);
    let fresh = Note {
        is_stale: false,
        ..note("other")
    };
    assert!(is_held(other.claim(
        id,
        1,
        &fresh,
        TIMES.hold + Duration::from_millis(300)
    )));
    let _claim = claimed(&other, id, 1, &note("other"));
}

#[test]
fn over_a_unix_socket_only_its_owner_knows_of_a_pooler() {
    let Some(server) = Server::start() else {
        return;
    };
    let folder = server.folder().display().to_string().replace('/', "%2F");
    let open = |pooler: &str| {
        let mut options = server.options("ci", 1);
        options.url = format!(
            "postgres://ci@{folder}:{}/postgres?vault=team{pooler}",
            server.port()
        )
        .into();
        let backend = server.open(options);
        backend.header().unwrap();
        backend.is_direct().unwrap()
    };
    assert!(!open(""));
    assert!(open("&pooler=none"));
}

#[test]
fn a_claim_that_is_let_go_of_is_given_back_as_one_without_an_answer() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, other) = (server.host(1), server.host(2));
    let id = added(&one);
    drop(claimed(&one, id, 1, &note("one")));
    let claimed = other
        .claim(id, 1, &note("other"), Duration::from_secs(2))
        .unwrap();
    let Claimed::Ours(_, there) = claimed else {
        panic!("{claimed:?}")
    };
    assert!(there.no_outcome);
}
