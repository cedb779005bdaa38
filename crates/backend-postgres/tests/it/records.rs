//! How records are replaced, put back, added and removed; and the header.

use std::time::Duration;

use provider_auth_backend_postgres::{
    Added, Brought, Change, Changed, Claimed, Mark, Outcome, Sealed, Swapped,
};

use crate::support::{
    NO_PATIENCE, Server, TIMES, VAULT, added, claimed, is_held, new_id, note, pause, sealed,
};

#[test]
fn of_sixteen_that_bring_the_same_generation_one_does() {
    let Some(server) = Server::start() else {
        return;
    };
    let hosts: Vec<_> = (0..4).map(|host| server.host(host)).collect();
    let id = added(&hosts[0]);
    let brought: Vec<Brought> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..16_u8)
            .map(|writer| {
                let host = &hosts[usize::from(writer) % hosts.len()];
                let record = Sealed {
                    bytes: vec![writer; 40],
                    ..sealed(2)
                };
                scope.spawn(move || host.bring(id, 1, &record, Change::Tokens).unwrap())
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    });
    assert_eq!(
        brought
            .iter()
            .filter(|one| **one == Brought::Stored)
            .count(),
        1
    );
    let there = hosts[0].records(&[id]).unwrap().remove(0);
    assert_eq!(there.sealed.generation, 2);
    for one in brought.into_iter().filter(|one| *one != Brought::Stored) {
        assert_eq!(
            one,
            Brought::Moved(Some(there.clone())),
            "the losers are shown who won"
        );
    }
}

#[test]
fn an_edit_keeps_a_claim_and_new_tokens_end_it() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, other) = (server.host(1), server.host(2));
    let id = added(&one);
    let claim = claimed(&one, id, 1, &note("one"));
    assert_eq!(
        other.bring(id, 1, &sealed(2), Change::Edit).unwrap(),
        Brought::Stored
    );
    assert!(
        is_held(other.claim(id, 2, &note("other"), NO_PATIENCE)),
        "the token is still being spent"
    );
    let tokens = |generation| Sealed {
        bytes: b"tokens".into(),
        ..sealed(generation)
    };
    let Brought::Moved(Some(there)) = one.bring(id, 1, &tokens(2), Change::Tokens).unwrap() else {
        panic!("a label was changed meanwhile")
    };
    assert!(claim.is(&there.held.unwrap()));
    assert_eq!(
        one.bring(id, 2, &tokens(3), Change::Tokens).unwrap(),
        Brought::Stored
    );
    let _claim = claimed(&other, id, 3, &note("other"));
}

#[test]
fn a_token_wins_after_somebody_took_over() {
    let Some(server) = Server::start() else {
        return;
    };
    // It does not look after its claim.
    let mut options = server.options("ci", 1);
    options.times.ping = Duration::from_secs(60);
    options.times.poll = options.times.ping;
    let (one, other) = (server.open(options), server.host(2));
    let id = added(&one);
    let lost = claimed(&one, id, 1, &note("one"));
    // As if its time had passed, over a pooler.
    server.sql(
        "update pa.record set session = null, claim_until = clock_timestamp() - interval '1 s'",
    );
    pause(TIMES.settle);
    let theirs = claimed(&other, id, 1, &note("other"));
    assert!(!lost.is(&other.records(&[id]).unwrap()[0].held.clone().unwrap()));
    assert_eq!(
        one.bring(id, 1, &sealed(2), Change::Tokens).unwrap(),
        Brought::Stored
    );
    let there = other.records(&[id]).unwrap().remove(0);
    assert_eq!((there.sealed, there.held), (sealed(2), None));
    other.release(theirs, Outcome::Answered).unwrap();
}

#[test]
fn what_a_failover_lost_is_put_back_over_any_lower_generation() {
    let Some(server) = Server::start() else {
        return;
    };
    let host = server.host(1);
    let id = added(&host);
    assert_eq!(host.put_back(id, &sealed(5)).unwrap(), Brought::Stored);
    let Brought::Moved(Some(there)) = host
        .put_back(
            id,
            &Sealed {
                bytes: b"older".into(),
                ..sealed(4)
            },
        )
        .unwrap()
    else {
        panic!("an older one came over a newer")
    };
    assert_eq!(there.sealed, sealed(5));
    let Brought::Moved(_) = host
        .put_back(
            id,
            &Sealed {
                bytes: b"other".into(),
                ..sealed(5)
            },
        )
        .unwrap()
    else {
        panic!("the same generation came over itself")
    };
    let lost = new_id();
    assert_eq!(host.put_back(lost, &sealed(9)).unwrap(), Brought::Stored);
    assert_eq!(host.records(&[lost]).unwrap()[0].sealed, sealed(9));
}

#[test]
fn a_damaged_record_is_kept_and_a_good_one_comes_in_its_place() {
    let Some(server) = Server::start() else {
        return;
    };
    let host = server.host(1);
    let (id, neighbour) = (added(&host), added(&host));
    server.sql(&format!(
        "update pa.record set sealed = 'flipped', generation = 900 where id = '{id}'"
    ));
    let Brought::Moved(_) = host.put_back(id, &sealed(1)).unwrap() else {
        panic!("nobody said that it is damaged")
    };
    host.set_aside(id, 900, b"what it was before").unwrap();
    assert_eq!(host.aside().unwrap(), []);
    host.set_aside(id, 900, b"flipped").unwrap();
    host.set_aside(id, 900, b"flipped").unwrap();
    let kept = host.aside().unwrap();
    assert_eq!(
        kept.iter()
            .map(|one| (one.id, one.generation))
            .collect::<Vec<_>>(),
        [(id, 900)]
    );
    assert!(kept[0].at.abs_diff(host.now()) < 60_000);
    assert_eq!(host.put_back(id, &sealed(1)).unwrap(), Brought::Stored);
    assert_eq!(
        host.records(&[id, neighbour])
            .unwrap()
            .iter()
            .map(|one| one.sealed.clone())
            .collect::<Vec<_>>(),
        [sealed(1), sealed(1)]
    );
}

#[test]
fn a_removed_record_does_not_come_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, other) = (server.host(1), server.host(2));
    let id = added(&one);
    let mark = other.changes(Mark::START).unwrap().mark;
    let gone = Sealed {
        gone: true,
        ..sealed(2)
    };
    assert_eq!(
        one.bring(id, 1, &gone, Change::Edit).unwrap(),
        Brought::Stored
    );
    let changed = other.changes(mark).unwrap().records;
    let [
        Changed {
            id: of,
            generation: 2,
            gone: true,
            ..
        },
    ] = changed[..]
    else {
        panic!("{changed:?}")
    };
    assert_eq!(of, id);
    let Brought::Moved(_) = other.put_back(id, &sealed(1)).unwrap() else {
        panic!("it came back")
    };
    assert!(!matches!(
        other.claim(id, 2, &note("other"), NO_PATIENCE).unwrap(),
        Claimed::Ours(..)
    ));
}

#[test]
fn while_one_decides_nobody_adds() {
    let Some(server) = Server::start() else {
        return;
    };
    let hosts: Vec<_> = (0..4).map(|host| server.host(host)).collect();
    // Each adds a record unless there is one, as two logins of one account would.
    let outcomes: Vec<Added> = std::thread::scope(|scope| {
        let adders: Vec<_> = (0..8)
            .map(|adder| {
                let (host, id) = (&hosts[adder % 4], new_id());
                scope.spawn(move || {
                    host.add(Mark::START, &mut |there| {
                        there.records.is_empty().then(|| (id, sealed(1)))
                    })
                    .unwrap()
                })
            })
            .collect();
        adders
            .into_iter()
            .map(|adder| adder.join().unwrap())
            .collect()
    });
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == Added::Stored)
            .count(),
        1
    );
    assert_eq!(hosts[0].changes(Mark::START).unwrap().records.len(), 1);
    assert_eq!(
        hosts[0].changes(Mark::START).unwrap().state,
        [],
        "the turn is nobody's entry"
    );
}

#[test]
fn after_a_rotation_the_old_key_seals_nothing_new() {
    let Some(server) = Server::start() else {
        return;
    };
    let host = server.host(1);
    let admin = server.open(server.options("ann", 0));
    let id = added(&host);
    let held = claimed(&host, id, 1, &note("one"));
    assert_eq!(
        admin.swap_header(1, 2, b"header two").unwrap(),
        Swapped::Stored
    );
    let rekeyed = Brought::Rekeyed { epoch: 2 };
    assert_eq!(
        host.bring(id, 1, &sealed(2), Change::Tokens).unwrap(),
        rekeyed
    );
    assert_eq!(host.put_back(new_id(), &sealed(1)).unwrap(), rekeyed);
    assert_eq!(
        host.add(Mark::START, &mut |_| Some((new_id(), sealed(1))))
            .unwrap(),
        Added::Rekeyed { epoch: 2 }
    );
    let anew = Sealed {
        epoch: 2,
        bytes: b"anew".into(),
        ..sealed(1)
    };
    assert_eq!(
        admin.bring(id, 1, &anew, Change::Reseal).unwrap(),
        Brought::Stored
    );
    let there = host.records(&[id]).unwrap().remove(0);
    assert_eq!(there.sealed, anew);
    assert!(
        held.is(&there.held.unwrap()),
        "a rotation takes nobody's claim"
    );
}

#[test]
fn of_two_that_swap_the_header_one_does() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, other) = (
        server.open(server.options("ann", 1)),
        server.open(server.options("ann", 2)),
    );
    let first = other.header().unwrap();
    assert_eq!(
        (first.vault, first.version, first.epoch, &*first.bytes),
        (VAULT, 1, 1, &b"header one"[..])
    );
    assert_eq!(
        one.swap_header(1, 1, b"header two").unwrap(),
        Swapped::Stored
    );
    let Swapped::Moved(there) = other.swap_header(1, 1, b"header three").unwrap() else {
        panic!("both were first")
    };
    assert_eq!((there.version, &*there.bytes), (2, &b"header two"[..]));
}
