//! A vault in PostgreSQL, as the processes of several hosts use it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use provider_auth_backend_postgres::{NewVault, Store, admit, engine};
use provider_auth_vault::{
    Claimed, KeySecrets, KeySource, Need, Options, Outcome, Pending, Purpose, RecordGuard,
    RecordId, StoreState, Vault, VaultError, default_engine,
};
use secrecy::SecretString;

use crate::support::{Server, TIMES, pause, wait_until};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Until a claim that somebody has was asked for.
const LONGER_THAN_A_LOOK: Duration = Duration::from_millis(300);

/// The machines of a fleet: a folder each.
pub(crate) struct Fleet {
    pub(crate) server: Server,
    folders: tempfile::TempDir,
}

impl Fleet {
    /// A server with a vault `fleet`, which `ci` may use.
    pub(crate) fn start() -> Option<Self> {
        let server = Server::start()?;
        let fleet = Self {
            server,
            folders: tempfile::tempdir().unwrap(),
        };
        drop(fleet.open("ann", 0, NewVault::Made).unwrap());
        let ann = fleet.options("ann", 0);
        assert!(admit(&ann, fleet.server.runtime.handle(), "ci").unwrap());
        fleet
            .server
            .sql("update pa.vault set incarnation = pa.incarnation()");
        Some(fleet)
    }

    fn options(&self, role: &str, host: u128) -> provider_auth_backend_postgres::Options {
        let mut options = self.server.options(role, host);
        options.url = self
            .server
            .url(role)
            .replace("vault=team", "vault=fleet")
            .into();
        options
    }

    fn dir(&self, host: u128) -> PathBuf {
        self.folders.path().join(format!("host-{host}"))
    }

    fn open(&self, role: &str, host: u128, new_vault: NewVault) -> Result<Vault, VaultError> {
        self.open_as(self.options(role, host), self.dir(host), new_vault)
    }

    fn open_as(
        &self,
        options: provider_auth_backend_postgres::Options,
        dir: PathBuf,
        new_vault: NewVault,
    ) -> Result<Vault, VaultError> {
        let engine = engine(Store {
            options,
            folder: default_engine(),
            runtime: self.server.runtime.handle().clone(),
            clock: Arc::default(),
            new_vault,
        })?;
        let options = Options {
            key: KeySource::Env,
            secrets: KeySecrets {
                key: Some(SecretString::from(KEY)),
                ..KeySecrets::default()
            },
            ..Options::new(&dir)
        };
        let entropy = |bytes: &mut [u8]| getrandom::fill(bytes).unwrap();
        Vault::open(options, engine, Arc::new(entropy))
    }

    /// A process of a host.
    pub(crate) fn process(&self, host: u128) -> Vault {
        self.open("ci", host, NewVault::Refused).unwrap()
    }
}

fn note(generation: u64) -> Pending {
    Pending {
        generation,
        refresh_hash: [7; 32],
        started_at: 1,
        pid: std::process::id(),
        boot_id: String::new(),
    }
}

pub(crate) fn text(vault: &Vault, id: RecordId) -> Option<String> {
    let record = vault.read(&id).unwrap()?;
    Some(String::from_utf8(record.plaintext().to_vec()).unwrap())
}

/// The same of a record that may be damaged at the moment.
pub(crate) fn undamaged(vault: &Vault, id: RecordId) -> Option<String> {
    let record = vault.read(&id).ok().flatten()?;
    Some(String::from_utf8(record.plaintext().to_vec()).unwrap())
}

pub(crate) fn claim(vault: &Vault, id: RecordId, generation: u64) -> (RecordGuard, Claimed) {
    let guard = vault.lock(&id).unwrap();
    vault.reread(&guard).unwrap();
    let claimed = vault.claim(&guard, Need::Now, &note(generation)).unwrap();
    (guard, claimed)
}

pub(crate) fn claimed(vault: &Vault, id: RecordId, generation: u64) -> RecordGuard {
    loop {
        match claim(vault, id, generation) {
            (guard, Claimed::Yes(_)) => return guard,
            // The same under a newer key.
            (_, Claimed::Moved) => {}
            (_, held) => panic!("{held:?}"),
        }
    }
}

pub(crate) fn renew(vault: &Vault, guard: RecordGuard, from: u64, tokens: &str) {
    let brought = vault.bring(&guard, from, Purpose::Tokens, tokens.as_bytes());
    assert_eq!(brought.unwrap(), Some(from + 1));
    vault.release(&guard, Outcome::Known).unwrap();
}

/// Two processes, of these hosts, and a record of the first that both see.
fn shared_record(fleet: &Fleet, [one, other]: [u128; 2]) -> (Vault, Vault, RecordId) {
    let (one, other) = (fleet.process(one), fleet.process(other));
    let (id, _) = one.create(1, b"first").unwrap();
    wait_until("it is seen", || other.ids().unwrap() == [id]);
    (one, other, id)
}

#[test]
fn what_one_host_does_all_see_without_asking() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    let (one, other, id) = shared_record(&fleet, [1, 2]);
    assert_eq!(text(&other, id).unwrap(), "first");
    let before = (one.pulse(), one.changes(None).unwrap().mark);
    renew(&other, claimed(&other, id, 1), 1, "second");
    assert_eq!(text(&other, id).unwrap(), "second");
    wait_until("the pulse moves", || {
        one.pulse().records != before.0.records
    });
    assert_eq!(one.changes(Some(before.1)).unwrap().records, Some(vec![id]));
    assert_eq!(text(&one, id).unwrap(), "second");
    let guard = one.lock(&id).unwrap();
    assert!(one.remove(guard).unwrap());
    wait_until("it is gone", || text(&other, id).is_none());
    assert_eq!(text(&one, id), None);
    // Somebody who comes later does not see it either, and no host brings it back.
    let late = fleet.process(3);
    assert_eq!(text(&late, id), None);
    assert!(!late.remove(late.lock(&id).unwrap()).unwrap());
}

#[test]
fn one_host_at_a_time_may_spend_a_token() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    let (one, other, id) = shared_record(&fleet, [1, 2]);
    let guard = claimed(&one, id, 1);
    let (theirs, held) = claim(&other, id, 1);
    let Claimed::Held(holder) = held else {
        panic!("{held:?}")
    };
    assert!(holder.by.starts_with("host-1, process "), "{}", holder.by);
    drop(theirs);
    renew(&one, guard, 1, "second");
    let (_theirs, moved) = claim(&other, id, 1);
    assert_eq!(moved, Claimed::Moved);
    assert_eq!(text(&other, id).unwrap(), "second");
}

#[test]
fn a_claim_that_was_waited_for_is_had_after_another_look() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    let (one, other, id) = shared_record(&fleet, [1, 2]);
    let guard = claimed(&one, id, 1);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| claim(&other, id, 1).1);
        pause(LONGER_THAN_A_LOOK);
        // Its login is over: a new token does not come.
        one.release(&guard, Outcome::Known).unwrap();
        assert_eq!(waiting.join().unwrap(), Claimed::Moved);
    });
    drop(claimed(&other, id, 1));
}

#[test]
fn while_the_store_is_away_memory_serves_and_new_tokens_wait() {
    let Some(mut fleet) = Fleet::start() else {
        return;
    };
    let one = fleet.process(1);
    let (id, _) = one.create(1, b"first").unwrap();
    let (other, _) = one.create(1, b"other").unwrap();
    assert_eq!(text(&one, other).unwrap(), "other");
    let guard = claimed(&one, id, 1);
    fleet.server.shut_down();
    // The exchange was under way.
    renew(&one, guard, 1, "second");
    assert_eq!(text(&one, id).unwrap(), "second");
    assert_eq!(one.store_status().unwrap().outbox, 1);
    wait_until("it is noticed", || {
        one.store_status().unwrap().state == StoreState::Offline
    });
    // None is begun.
    let guard = one.lock(&other).unwrap();
    let refused = one.claim(&guard, Need::Now, &note(1)).unwrap_err();
    assert_eq!(refused.code(), "STORE_UNAVAILABLE");
    // Who comes after one that has waited in vain does not wait as long.
    let begun = std::time::Instant::now();
    for _ in 0..20 {
        one.claim(&guard, Need::Now, &note(1)).unwrap_err();
    }
    assert!(begun.elapsed() < TIMES.call * 10, "{:?}", begun.elapsed());
    drop(guard);
    // A process that begins now has what this host has.
    let late = fleet.process(1);
    assert_eq!(text(&late, id).unwrap(), "second");
    assert_eq!(text(&late, other).unwrap(), "other");
    let nowhere = fleet.open("ci", 9, NewVault::Refused).unwrap_err();
    assert_eq!(nowhere.code(), "STORE_UNAVAILABLE");
    // The one that asked for them dies; another one brings them.
    drop(one);
    fleet.server.start_again();
    let elsewhere = fleet.process(2);
    wait_until("they are brought", || {
        text(&elsewhere, id).as_deref() == Some("second")
    });
    wait_until("nothing waits", || late.store_status().unwrap().outbox == 0);
    assert_eq!(files(&fleet.dir(1), "outbox"), Vec::<String>::new());
}

#[test]
fn what_waits_goes_before_the_next_claim_and_the_next_name() {
    let Some(mut fleet) = Fleet::start() else {
        return;
    };
    let one = fleet.process(1);
    let ids = [b"one", b"two"].map(|text| one.create(1, text).unwrap().0);
    let guards = ids.map(|id| claimed(&one, id, 1));
    fleet.server.shut_down();
    // The locks are kept, so that the test alone brings what waits.
    for guard in &guards {
        let brought = one.bring(guard, 1, Purpose::Tokens, b"renewed");
        assert_eq!(brought.unwrap(), Some(2));
        one.release(guard, Outcome::Known).unwrap();
    }
    fleet.server.start_again();
    pause(TIMES.settle * 2);
    let [claims, names] = &guards;
    wait_until("the store answers", || {
        one.reread(claims).unwrap();
        let claimed = one.claim(claims, Need::Now, &note(2));
        assert_ne!(one.read(&ids[0]).unwrap().unwrap().generation, 1);
        matches!(claimed, Ok(Claimed::Yes(_)))
    });
    wait_until("it is named", || {
        let named = one.bring(names, 2, Purpose::Other, b"renewed, named");
        matches!(named, Ok(Some(3)))
    });
    assert_eq!(text(&fleet.process(2), ids[0]).unwrap(), "renewed");
    assert_eq!(text(&fleet.process(2), ids[1]).unwrap(), "renewed, named");
}

#[test]
fn what_waits_and_cannot_be_read_stops_a_claim_and_stays() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    let one = fleet.process(1);
    let (id, _) = one.create(1, b"one").unwrap();
    text(&one, id).unwrap();
    let waiting = side(&fleet.dir(1)).join("outbox").join(format!("{id}.2"));
    // A disk that does not give a file back.
    std::fs::create_dir(&waiting).unwrap();
    let guard = one.lock(&id).unwrap();
    let refused = one.claim(&guard, Need::Now, &note(1)).unwrap_err();
    assert_eq!(refused.code(), "STORE_REFUSED");
    assert!(waiting.exists());
    std::fs::remove_dir(&waiting).unwrap();
    let claimed = one.claim(&guard, Need::Now, &note(1)).unwrap();
    assert!(matches!(claimed, Claimed::Yes(_)), "{claimed:?}");
}

/// A host's side of the store.
fn side(host: &Path) -> PathBuf {
    let mut stores = std::fs::read_dir(host).unwrap();
    let store = stores.find_map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        name.starts_with("store-").then(|| entry.path())
    });
    store.unwrap()
}

/// The names in a folder of a host's side.
fn files(host: &Path, folder: &str) -> Vec<String> {
    let names = std::fs::read_dir(side(host).join(folder)).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn tokens_that_were_left_are_found_where_the_record_moved_on() {
    let Some(mut fleet) = Fleet::start() else {
        return;
    };
    let (one, other) = (fleet.process(1), fleet.process(2));
    let (id, _) = one.create(1, b"first").unwrap();
    let guard = claimed(&one, id, 1);
    fleet.server.shut_down();
    renew(&one, guard, 1, "second");
    drop(one);
    fleet.server.start_again();
    pause(TIMES.settle * 3);
    // Before that host is back, somebody renames the account.
    let renamed = other.lock(&id).unwrap();
    wait_until("it is renamed", || {
        matches!(
            other.bring(&renamed, 1, Purpose::Other, b"first, renamed"),
            Ok(Some(2))
        )
    });
    drop(renamed);
    let back = fleet.process(1);
    assert_eq!(text(&back, id).unwrap(), "first, renamed");
    assert_eq!(back.abandoned(), [id]);
    let guard = back.lock(&id).unwrap();
    let left = back.left(&guard).unwrap().unwrap();
    assert_eq!((left.plaintext(), left.generation), (&b"second"[..], 2));
    assert_eq!(back.pending(&id).unwrap().unwrap().refresh_hash, [7; 32]);
    let merged = back.bring(&guard, 2, Purpose::Tokens, b"second, renamed");
    assert_eq!(merged.unwrap(), Some(3));
    back.release(&guard, Outcome::Known).unwrap();
    assert!(back.left(&guard).unwrap().is_none());
    drop(guard);
    assert_eq!(back.abandoned(), []);
    wait_until("all see it", || {
        text(&other, id).as_deref() == Some("second, renamed")
    });
}

#[test]
fn a_dead_holder_of_the_same_host_is_known_at_once() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    let (one, other, id) = shared_record(&fleet, [1, 1]);
    let guard = claimed(&one, id, 1);
    assert!(other.try_lock(&id).unwrap().is_none());
    // As the kernel does at a death: the lock is free, and the store is told nothing.
    drop(guard);
    assert_eq!(other.abandoned(), [id]);
    let guard = claimed(&other, id, 1);
    renew(&other, guard, 1, "second");
    assert_eq!(other.abandoned(), []);
}

#[test]
fn what_somebody_does_to_the_rows_is_seen_and_put_back() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    let one = fleet.process(1);
    let ids: Vec<RecordId> = (0..5)
        .map(|n| one.create(1, &[b'a' + n]).unwrap().0)
        .collect();
    for id in &ids {
        text(&one, *id).unwrap();
    }
    let old = fleet.server.sql(&format!(
        "select encode(sealed, 'hex') from pa.record where id = '{}'",
        ids[2]
    ));
    renew(&one, claimed(&one, ids[2], 1), 1, "c2");
    text(&one, ids[2]).unwrap();
    let touch = |set: &str, id: RecordId| {
        fleet.server.sql(&format!(
            "update pa.record set {set}, changed = pg_current_xact_id() where id = '{id}'"
        ));
    };
    touch(
        "sealed = set_byte(sealed, 90, get_byte(sealed, 90) # 1)",
        ids[0],
    );
    fleet.server.sql(&format!(
        "update pa.record r set sealed = o.sealed, changed = pg_current_xact_id() from pa.record o
         where r.id = '{}' and o.id = '{}'",
        ids[1], ids[3]
    ));
    touch(
        &format!("sealed = decode('{old}', 'hex'), generation = 1"),
        ids[2],
    );
    touch("gone_at = now()", ids[3]);
    fleet
        .server
        .sql(&format!("delete from pa.record where id = '{}'", ids[4]));
    // Who knew better puts back what it knew, and another host never sees anything else.
    let expected = ["a", "b", "c2", "d", "e"].map(|text| Some(text.to_owned()));
    let all = |vault: &Vault| {
        ids.iter()
            .map(|id| undamaged(vault, *id))
            .collect::<Vec<_>>()
    };
    let healed = fleet.process(1);
    wait_until("it is put back", || {
        let older = [undamaged(&one, ids[2]), undamaged(&healed, ids[2])];
        assert_eq!(older, [Some("c2".to_owned()), Some("c2".to_owned())]);
        all(&one) == expected && all(&healed) == expected
    });
    wait_until("everywhere", || {
        all(&one) == expected && all(&fleet.process(2)) == expected
    });
}

#[test]
fn what_one_host_finds_damaged_another_mends_unasked() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    let one = fleet.process(1);
    let (id, _) = one.create(1, b"good").unwrap();
    text(&one, id).unwrap();
    fleet.server.sql(&format!(
        "update pa.record set sealed = set_byte(sealed, 90, get_byte(sealed, 90) # 1) where id = '{id}'"
    ));
    let two = fleet.process(2);
    // The other may be faster than this answer.
    let found = |vault: &Vault| {
        assert!(matches!(
            vault.read(&id),
            Ok(Some(_)) | Err(VaultError::Corrupt { .. })
        ))
    };
    found(&two);
    let is_good = |vault: &Vault| undamaged(vault, id).as_deref() == Some("good");
    wait_until("it is mended", || is_good(&two));
    // One that comes back later does so too.
    drop(one);
    fleet.server.sql(&format!(
        "update pa.record set sealed = set_byte(sealed, 91, get_byte(sealed, 91) # 1),
           changed = pg_current_xact_id() where id = '{id}'"
    ));
    let three = fleet.process(3);
    found(&three);
    let _back = fleet.process(1);
    wait_until("it is mended again", || is_good(&three));
    assert_eq!(fleet.server.sql("select count(*) from pa.aside"), "2");
}

#[test]
fn what_stands_beside_good_bytes_is_mended_from_them() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    let (one, two) = (fleet.process(1), fleet.process(2));
    let (id, _) = one.create(1, b"first").unwrap();
    text(&one, id).unwrap();
    drop(one);
    wait_until("the other has it", || text(&two, id).is_some());
    renew(&two, claimed(&two, id, 1), 1, "second");
    drop(two);
    for wrong in [
        "gone_at = now()",
        "epoch = 7",
        "epoch = 5000000000",
        "generation = 90",
    ] {
        fleet.server.sql(&format!(
            "update pa.record set {wrong}, changed = pg_current_xact_id() where id = '{id}'"
        ));
        // It has seen the first generation only.
        let one = fleet.process(1);
        wait_until(wrong, || undamaged(&one, id).as_deref() == Some("second"));
        let row = "select concat_ws(' ', generation, epoch, gone_at is null) from pa.record";
        assert_eq!(fleet.server.sql(row), "2 1 t", "{wrong}");
    }
}

#[test]
fn a_rotation_reaches_every_host() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    let one = fleet.process(1);
    let (id, _) = one.create(1, b"first").unwrap();
    let (gone, _) = one.create(1, b"gone").unwrap();
    assert!(one.remove(one.lock(&gone).unwrap()).unwrap());
    let refused = one.rotate_key().unwrap_err();
    assert_eq!(refused.code(), "STORE_REFUSED", "{refused}");
    let admin = fleet.open("ann", 0, NewVault::Refused).unwrap();
    admin.rotate_key().unwrap();
    assert_eq!(
        fleet
            .server
            .sql("select max(epoch)::text || min(epoch) from pa.record"),
        "22"
    );
    // Its next write is under the new key.
    renew(&one, claimed(&one, id, 1), 1, "second");
    wait_until("all see it", || {
        text(&admin, id).as_deref() == Some("second")
    });
    assert_eq!(text(&fleet.process(2), id).unwrap(), "second");
    assert_eq!(text(&fleet.process(2), gone), None);
}

#[test]
fn a_name_that_is_mistyped_makes_no_vault() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    let mut options = fleet.options("ann", 0);
    options.url = fleet
        .server
        .url("ann")
        .replace("vault=team", "vault=flet")
        .into();
    let refused = fleet
        .open_as(options, fleet.dir(0), NewVault::Refused)
        .unwrap_err();
    assert_eq!(refused.code(), "STORE_REFUSED");
    assert!(refused.to_string().contains("store init"), "{refused}");
    assert_eq!(fleet.server.sql("select count(*) from pa.vault"), "2");
}

#[test]
fn the_status_says_how_the_store_stands() {
    let Some(fleet) = Fleet::start() else {
        return;
    };
    let one = fleet.process(1);
    let status = one.store_status().unwrap();
    assert_eq!(status.kind, "postgres");
    assert_eq!(
        status.place,
        format!("127.0.0.1:{}/postgres, vault fleet", fleet.server.port())
    );
    assert_eq!(
        (status.state, status.direct),
        (StoreState::Listening, Some(true))
    );
    assert_eq!((status.outbox, status.schema), (0, 1));
    assert!(status.hosts.is_some_and(|hosts| hosts >= 1));
    assert!(status.clock_offset.abs() < Duration::from_secs(60).as_millis() as i64);
}
