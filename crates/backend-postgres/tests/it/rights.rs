//! What a host's role may do, and what the server sees.

use provider_auth_backend_postgres::{
    BackendError, Change, Mark, Outcome, Telling, create_vault, install,
};
use uuid::Uuid;

use crate::support::{PASSWORD, Server, added, claimed, note, sealed};

#[test]
fn a_host_does_all_that_a_host_does_and_nothing_else() {
    let Some(server) = Server::start() else {
        return;
    };
    let host = server.host(1);
    let id = added(&host);
    let claim = claimed(&host, id, 1, &note("one"));
    host.bring(id, 1, &sealed(2), Change::Tokens).unwrap();
    host.release(claim, Outcome::Answered).unwrap();
    host.merge("a/one", Telling::Now, &mut |_, _| Some(b"state".into()))
        .unwrap();
    host.set_aside(id, 2, &sealed(2).bytes).unwrap();
    host.changes(Mark::START).unwrap();

    for refused in [
        "delete from pa.record",
        "delete from pa.state",
        "truncate pa.record",
        "update pa.vault set header = 'mine'",
        "insert into pa.member values ('00000000-0000-0000-0000-000000007ea0', 'eve')",
        "select pa.admit('team', 'eve')",
        "update pa.aside set sealed = ''",
        "select * from pa.record_0",
        "alter table pa.record disable row level security",
    ] {
        let error = server.sql_as("ci", refused).expect_err(refused);
        assert_eq!(
            error.code().map(tokio_postgres::error::SqlState::code),
            Some("42501"),
            "{refused}"
        );
    }
    let Err(BackendError::Refused { why }) = host.swap_header(1, 1, b"mine") else {
        panic!("a host swapped the header")
    };
    assert!(why.contains("right"), "{why}");
}

#[test]
fn a_role_sees_its_own_vaults_only() {
    let Some(server) = Server::start() else {
        return;
    };
    added(&server.host(1));
    assert_eq!(
        server
            .sql_as("ci", "select count(*) from pa.record")
            .unwrap(),
        "1"
    );
    for table in ["vault", "record", "state", "host", "aside", "member"] {
        assert_eq!(
            server
                .sql_as("eve", &format!("select count(*) from pa.{table}"))
                .unwrap(),
            "0",
            "{table}"
        );
    }
    let mine = "insert into pa.state (vault, key, version, sealed) values ('00000000-0000-0000-0000-000000007ea0', 'k', 1, '')";
    assert!(server.sql_as("eve", mine).is_err());
    let eve = server.open(server.options("eve", 1));
    assert_eq!(eve.header().unwrap_err(), BackendError::Absent);
    // An administrator of one vault has no say in another.
    server.sql("create role bob login in role pa_admin");
    let mut bob = server.options("bob", 0);
    bob.url = server
        .url("bob")
        .replace("vault=team", "vault=other")
        .into();
    assert!(
        create_vault(
            &bob,
            server.runtime.handle(),
            Uuid::from_u128(9),
            1,
            b"other"
        )
        .unwrap()
    );
    assert_eq!(
        server
            .sql_as("bob", "select pa.admit('team', 'bob')")
            .unwrap(),
        ""
    );
    assert_eq!(
        server
            .sql_as("bob", "select string_agg(name, ',') from pa.vault")
            .unwrap(),
        "other"
    );
}

#[test]
fn what_was_removed_may_be_forgotten_after_90_days_and_not_before() {
    let Some(server) = Server::start() else {
        return;
    };
    let host = server.host(1);
    let (lives, removed, forgotten) = (added(&host), added(&host), added(&host));
    server.sql(&format!(
        "update pa.record set gone_at = now() - interval '89 days' where id = '{removed}';
         update pa.record set gone_at = now() - interval '91 days' where id = '{forgotten}'"
    ));
    server.sql_as("ann", "delete from pa.record").unwrap();
    let left = host.records(&[lives, removed, forgotten]).unwrap();
    assert_eq!(
        left.iter().map(|one| one.id).collect::<Vec<_>>(),
        [lives, removed]
    );
}

#[test]
fn installing_again_changes_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let host = server.host(1);
    let id = added(&host);
    let admin = server.options("postgres", 0);
    install(&admin, server.runtime.handle()).unwrap();
    assert!(
        !create_vault(
            &server.options("ann", 0),
            server.runtime.handle(),
            Uuid::from_u128(9),
            1,
            b"x"
        )
        .unwrap()
    );
    assert_eq!(host.records(&[id]).unwrap()[0].sealed, sealed(1));
}

#[test]
fn tables_that_are_not_there_or_too_new_are_named_as_such() {
    let Some(server) = Server::start() else {
        return;
    };
    server.sql("update pa.vault set schema = 7");
    let schema = |found| Err(BackendError::Schema { found, wanted: 1 });
    assert_eq!(server.open(server.options("ci", 1)).header(), schema(7));
    // The next one only adds.
    server.sql("update pa.vault set schema = 2");
    server.host(1);
    server.sql("drop schema pa cascade");
    assert_eq!(server.open(server.options("ci", 1)).header(), schema(0));
}

#[test]
fn the_password_is_in_no_error_and_nowhere_at_the_server() {
    let Some(server) = Server::start() else {
        return;
    };
    let host = server.host(1);
    added(&host);
    let mut options = server.options("nobody", 1);
    options.url = server.url(&format!("nobody:{PASSWORD}")).into();
    let refused = server.open(options);
    let error = refused.header().unwrap_err();
    assert!(matches!(error, BackendError::Refused { .. }), "{error:?}");
    let shown = format!("{error} {error:?} {refused:?} {host:?}");
    // The role was made with it, in clear, by the test itself.
    let log = server
        .log()
        .lines()
        .filter(|line| !line.contains("create role"))
        .collect::<String>();
    assert!(log.contains("pa.record"), "statements are logged");
    let activity = server
        .sql("select string_agg(query, ' ') from pg_stat_activity where query !~ 'create role'");
    for text in [shown, log, activity] {
        assert!(!text.contains(PASSWORD));
    }
}
