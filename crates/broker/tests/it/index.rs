//! The index of accounts: a process that opens a vault of many reads no record before it is needed, and
//! sees what one sees that reads them all.

use std::fs;
use std::path::PathBuf;
use std::thread::park_timeout;
use std::time::Duration;

use provider_auth_broker::{AuthRequest, Filter, Logins, PassphraseRule, Revoke};
use provider_auth_vault::{RecordId, Seen, Stamp, Vault};
use serde_json::{Value, json};

use crate::world::{MARK, Process, World, bearer, let_others_run, pass, record_id, request};

/// Enough for an index.
const MANY: usize = 260;

/// A world with many API keys, and their ids; the first process has read them all and has written the
/// index.
async fn world() -> (World, Vec<String>) {
    let world = World::new();
    let first = world.process().add_key("0").await;
    let vault = world.vault();
    let record = vault.read(&record_id(&first)).unwrap().unwrap();
    let mut account: Value = serde_json::from_slice(record.plaintext()).unwrap();
    let mut ids = vec![first];
    for number in 1..MANY {
        account["label"] = json!(number.to_string());
        account["secret"]["key"] = json!(format!("{MARK}-key-{number}"));
        let plaintext = serde_json::to_vec(&account).unwrap();
        ids.push(vault.create(2, &plaintext).unwrap().0.to_string());
    }
    settle(&vault, &ids);
    index_of(&world).await;
    (world, ids)
}

/// Has a process write the index.
async fn index_of(world: &World) {
    let _ = fs::remove_file(file(world));
    let process = world.process();
    process.lend().await.unwrap();
    for _ in 0..1_000 {
        pass(1).await;
        let_others_run().await;
        if file(world).exists() {
            return;
        }
    }
    panic!("no index was written");
}

/// Waits until the stamps of these records tell something.
fn settle(vault: &Vault, ids: &[String]) {
    for id in ids {
        let look = || vault.read_unless(&record_id(id), None).unwrap();
        while !matches!(look(), Seen::Found(Stamp::Settled(_), _)) {
            park_timeout(Duration::from_millis(5));
        }
    }
}

fn file(world: &World) -> PathBuf {
    world.vault_dir().join("records.idx")
}

fn plain_index(world: &World) -> Vec<u8> {
    world.vault().read_index().unwrap().plaintext().to_vec()
}

/// Writes an index in which each `from` is `to`, which is as long.
fn lie(world: &World, from: &[u8], to: &[u8]) {
    let mut content = plain_index(world);
    let places: Vec<_> = (0..=content.len() - from.len())
        .filter(|at| content[*at..].starts_with(from))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        content[at..at + to.len()].copy_from_slice(to);
    }
    world.vault().write_index(&content).unwrap();
}

fn pinned(id: &str) -> AuthRequest {
    AuthRequest {
        account: Some(id.to_owned()),
        ..request()
    }
}

async fn listed(process: &Process) -> Vec<String> {
    let accounts = process.list_accounts(&Filter::default()).await.unwrap();
    accounts
        .iter()
        .map(|account| format!("{account:?}"))
        .collect()
}

async fn label_of(process: &Process, id: &str) -> String {
    let accounts = process.list_accounts(&Filter::default()).await.unwrap();
    let account = accounts.into_iter().find(|account| account.id == id);
    account.unwrap().label
}

async fn key_of(process: &Process, id: &str) -> String {
    bearer(&process.headers(&pinned(id)).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_at_once_has_written_the_index() {
    let (world, _) = world().await;
    fs::remove_file(file(&world)).unwrap();
    let process = world.process();
    process.lend().await.unwrap();
    assert!(!file(&world).exists(), "no call waits for it");
    process.rest().await;
    assert!(file(&world).exists());
}

#[tokio::test(start_paused = true)]
async fn who_opens_by_the_index_sees_and_lends_what_the_records_say() {
    let (world, ids) = world().await;
    let by_index = world.process();
    let seen = listed(&by_index).await;
    assert_eq!(seen.len(), MANY);
    let index = fs::read(file(&world)).unwrap();
    fs::remove_file(file(&world)).unwrap();
    assert_eq!(seen, listed(&world.process()).await);
    fs::write(file(&world), index).unwrap();
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(key_of(&by_index, id).await, format!("S3CRET-key-{number}"));
    }
    assert_eq!(seen, listed(&by_index).await);
}

#[tokio::test(start_paused = true)]
async fn it_holds_labels_and_no_secret() {
    let (world, _) = world().await;
    let login = world.process().log_in("ada").await;
    let vault = world.vault();
    settle(&vault, &[login]);
    index_of(&world).await;
    let content = String::from_utf8_lossy(&plain_index(&world)).into_owned();
    assert!(content.contains("259") && content.contains("ada"));
    assert!(!content.contains(MARK), "a secret is in the index");
    let sealed = fs::read(file(&world)).unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("ada"));
}

#[tokio::test(start_paused = true)]
async fn a_record_wins_over_what_the_index_says_of_it() {
    let (world, ids) = world().await;
    // It is believed until the record is read, and no longer.
    lie(&world, b"257", b"xyz");
    let process = world.process();
    let id = &ids[257];
    assert_eq!(label_of(&process, id).await, "xyz");
    assert_eq!(key_of(&process, id).await, "S3CRET-key-257");
    assert_eq!(label_of(&process, id).await, "257");
    assert_eq!(
        process
            .list_accounts(&Filter::default())
            .await
            .unwrap()
            .len(),
        MANY
    );
}

#[tokio::test(start_paused = true)]
async fn what_changed_after_it_was_written_is_read() {
    let (world, ids) = world().await;
    let old = fs::read(file(&world)).unwrap();
    let one = world.process();
    let added = one.add_key("added").await;
    let vault = world.vault();
    let replaced = record_id(&ids[3]);
    let record = vault.read(&replaced).unwrap().unwrap();
    let mut account: Value = serde_json::from_slice(record.plaintext()).unwrap();
    account["label"] = json!("renamed");
    account["secret"]["key"] = json!("S3CRET-new");
    let plaintext = serde_json::to_vec(&account).unwrap();
    vault
        .replace(&vault.lock(&replaced).unwrap(), &plaintext)
        .unwrap();
    one.remove_account(&ids[4], Revoke::Locally).await.unwrap();
    assert!(
        !file(&world).exists(),
        "it names the account that was removed"
    );
    // As a copy of it would come back with a backup.
    fs::write(file(&world), old).unwrap();
    let process = world.process();
    assert_eq!(label_of(&process, &ids[3]).await, "renamed");
    assert_eq!(key_of(&process, &ids[3]).await, "S3CRET-new");
    assert_eq!(key_of(&process, &added).await, "S3CRET-key-added");
    assert_eq!(process.state_of(&ids[4]).await, "absent");
    assert_eq!(key_of(&process, &ids[5]).await, "S3CRET-key-5");
}

#[tokio::test(start_paused = true)]
async fn damage_to_it_costs_time_and_nothing_else() {
    let (world, ids) = world().await;
    let whole = fs::read(file(&world)).unwrap();
    let (other, _) = self::world().await;
    let of_other = fs::read(file(&other)).unwrap();
    let places = (0..8).map(|part| part * whole.len() / 8);
    let damaged = places.flat_map(|at| {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        [flipped, whole[..at].to_vec()]
    });
    for (number, content) in damaged.chain([of_other]).enumerate() {
        fs::write(file(&world), content).unwrap();
        let process = world.process();
        assert_eq!(key_of(&process, &ids[7]).await, "S3CRET-key-7", "{number}");
        assert_eq!(listed(&process).await.len(), MANY, "{number}");
    }
    // Sealed, and of another format.
    for content in [&b""[..], b"\xff", &plain_index(&other)[..40]] {
        world.vault().write_index(content).unwrap();
        assert_eq!(key_of(&world.process(), &ids[7]).await, "S3CRET-key-7");
    }
    fs::remove_file(file(&world)).unwrap();
    fs::create_dir_all(file(&world).join("in the way")).unwrap();
    let process = world.process();
    assert_eq!(key_of(&process, &ids[7]).await, "S3CRET-key-7");
    pass(1).await;
    let_others_run().await;
    assert_eq!(key_of(&process, &ids[8]).await, "S3CRET-key-8");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_damaged_since_is_set_aside_alone() {
    let (world, ids) = world().await;
    let process = world.process();
    assert_eq!(listed(&process).await.len(), MANY);
    let record = world.record_file(&ids[9]);
    let mut content = fs::read(&record).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs::write(&record, content).unwrap();
    // Nothing tells of it before the record is read.
    let late = world.process();
    assert_eq!(listed(&late).await.len(), MANY);
    for process in [late, process, world.process()] {
        let refused = process.headers(&pinned(&ids[9])).await.err().unwrap();
        assert_eq!(refused.code(), "UNKNOWN_ACCOUNT");
        assert_eq!(key_of(&process, &ids[10]).await, "S3CRET-key-10");
        assert_eq!(listed(&process).await.len(), MANY - 1);
        assert_eq!(process.vault_status().await.unwrap().quarantined, 1);
    }
    assert!(!record.exists());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_there_is_known_again_and_every_key_is_exported() {
    let (world, ids) = world().await;
    let again = world.process();
    assert_eq!(again.add_key("11").await, ids[11]);
    assert_eq!(listed(&again).await.len(), MANY);
    let bundle = world
        .process()
        .export_vault("any".into(), PassphraseRule::Any, Logins::Stay)
        .await
        .unwrap();
    let other = World::new();
    other.process().add_key("12").await;
    let imported = other.process().import_vault(bundle, "any".into()).await;
    assert_eq!(imported.unwrap().accounts.len(), MANY);
    let process = other.process();
    assert_eq!(listed(&process).await.len(), MANY);
    assert_eq!(key_of(&process, &ids[13]).await, "S3CRET-key-13");
}

#[tokio::test(start_paused = true)]
async fn a_login_is_renewed_by_who_knows_it_from_the_index() {
    let (world, ids) = world().await;
    let login = world.process().log_in("ada").await;
    settle(&world.vault(), std::slice::from_ref(&login));
    index_of(&world).await;
    let process = world.process();
    let before = key_of(&process, &login).await;
    pass(24 * 3600).await;
    let after = key_of(&process, &login).await;
    assert_ne!(before, after);
    // By another one that has not read it, and whose index has the old generation.
    pass(24 * 3600).await;
    let late = world.process();
    let renewed = key_of(&late, &login).await;
    assert!(renewed != after && world.generation(&login) == 3);
    assert_eq!(key_of(&process, &login).await, renewed);
    let record: RecordId = record_id(&ids[0]);
    assert!(world.vault().read(&record).unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_new_key_of_the_vault_makes_it_anew() {
    let (world, ids) = world().await;
    let old = fs::read(file(&world)).unwrap();
    let vault = world.vault();
    vault.rotate_key().unwrap();
    assert!(!file(&world).exists());
    fs::write(file(&world), old).unwrap();
    assert!(vault.read_index().is_none());
    settle(&vault, &ids);
    index_of(&world).await;
    assert_eq!(key_of(&world.process(), &ids[6]).await, "S3CRET-key-6");
}

#[tokio::test(start_paused = true)]
async fn a_vault_of_few_has_none() {
    let world = World::new();
    let id = world.process().add_key("few").await;
    settle(&world.vault(), std::slice::from_ref(&id));
    let process = world.process();
    assert_eq!(key_of(&process, &id).await, "S3CRET-key-few");
    for _ in 0..20 {
        pass(1).await;
        let_others_run().await;
    }
    assert!(!file(&world).exists());
}
