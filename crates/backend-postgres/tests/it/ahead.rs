//! Who reads many records one after another has the next ones fetched meanwhile.

use std::time::Duration;

use provider_auth_vault::{RecordId, Vault};

use crate::{
    fleet::{Fleet, text, undamaged},
    support::{pause, wait_until},
};

/// Two questions of 500, and more.
const RECORDS: usize = 1_100;
/// What is on its way is here by then.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

#[test]
fn the_next_records_are_there_before_they_are_asked_for() {
    let Some(mut fleet) = Fleet::start() else {
        return;
    };
    let one = fleet.process(1);
    let records = filled(&one);
    // On a host of its own, on which nothing is kept.
    let other = fleet.process(2);
    assert_eq!(text(&other, records[0].0).as_ref(), Some(&records[0].1));
    pause(ON_ITS_WAY);
    fleet.server.shut_down();
    let (last, more) = records.split_last().unwrap();
    for (id, said) in more.iter().take(1_000) {
        assert_eq!(text(&other, *id).as_ref(), Some(said));
    }
    let refused = other.read(&last.0).unwrap_err();
    assert_eq!(refused.code(), "STORE_UNAVAILABLE");
    // What could not be had ahead is asked for by who needs it.
    fleet.server.start_again();
    wait_until("the rest is read", || {
        undamaged(&other, last.0).as_ref() == Some(&last.1)
    });
}

#[test]
fn what_changes_on_its_way_is_read_as_it_is_now() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    let one = fleet.process(1);
    let records = filled(&one);
    let other = fleet.process(2);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let read = records.iter().map(|(id, _)| text(&other, *id));
            read.collect::<Vec<_>>()
        });
        for (number, (id, _)) in records.iter().enumerate().rev().step_by(10) {
            let guard = one.lock(id).unwrap();
            match number % 50 {
                49 => assert!(one.remove(guard).unwrap()),
                _ => assert_eq!(one.replace(&guard, b"changed").unwrap(), 2),
            }
        }
        for (read, (id, said)) in reader.join().unwrap().iter().zip(&records) {
            let is_one = |read: &String| read == said || read == "changed";
            assert!(read.as_ref().is_none_or(is_one), "{id}");
        }
    });
    wait_until("all know what is gone", || {
        let gone = records.iter().filter(|(id, _)| text(&other, *id).is_none());
        gone.count() == RECORDS / 50
    });
    assert_eq!(other.quarantine().len(), 0);
}

#[test]
fn in_a_locale_that_sorts_names_otherwise_all_are_read() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    // In Estonian, Z comes before T.
    let estonian = "alter table pa.record alter column id type text collate \"et-x-icu\"";
    fleet.server.sql(estonian);
    let records = filled(&fleet.process(1));
    let names = fleet
        .server
        .sql("select string_agg(id, ' ' order by id) from pa.record");
    let ids: Vec<RecordId> = names.split(' ').map(|id| id.parse().unwrap()).collect();
    let otherwise = ids.windows(2).find(|pair| pair[0] > pair[1]).unwrap();
    // Nothing is between them, for the database.
    fleet.server.sql(&format!(
        "delete from pa.record where id not in ('{}', '{}')",
        otherwise[0], otherwise[1]
    ));
    let other = fleet.process(2);
    for (id, said) in records.iter().filter(|(id, _)| otherwise.contains(id)) {
        assert_eq!(text(&other, *id).as_ref(), Some(said));
    }
}

/// Adds the records, and returns them with what they say, in their order.
fn filled(vault: &Vault) -> Vec<(RecordId, String)> {
    let add = |number| {
        let text = format!("record {number}");
        (vault.create(1, text.as_bytes()).unwrap().0, text)
    };
    let mut records: Vec<_> = (0..RECORDS).map(add).collect();
    records.sort_unstable();
    records
}
