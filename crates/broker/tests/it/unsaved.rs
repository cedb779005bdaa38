//! New tokens that the disk does not take: they are not lost, and no process spends the old refresh
//! token meanwhile.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use provider_auth_broker::{Force, Revoke};
use provider_auth_vault::default_engine;
use serde_json::json;

use crate::backend::{Gate, Observed};
use crate::server::Answer;
use crate::world::{Process, World, config, let_others_run, pass, record_id};

const LIFE: u64 = 3600;

/// A record that cannot be written until it is mended: a folder is in its place.
struct Fault {
    record: PathBuf,
    aside: PathBuf,
}

impl Fault {
    fn mend(&self) {
        fs::remove_dir(&self.record).unwrap();
        fs::rename(&self.aside, &self.record).unwrap();
    }
}

/// Renews the token of a new account whose record cannot be written any more when the answer comes.
async fn unsaved(world: &World, process: &Process) -> (String, Fault) {
    let id = process.log_in("ann").await;
    let fault = Fault {
        record: world.record_file(&id),
        aside: world.vault_dir().join("aside"),
    };
    world.server.script([Answer::Once(Box::new({
        let (record, aside) = (fault.record.clone(), fault.aside.clone());
        move || {
            fs::rename(&record, aside).unwrap();
            fs::create_dir(record).unwrap();
        }
    }))]);
    pass(LIFE - 100).await;
    let refused = process.refresh_account(&id, Force::EvenIfGood).await;
    assert_eq!(refused.unwrap_err().code(), "VAULT_IO");
    assert!(!process.events().contains(&"refreshed"));
    (id, fault)
}

/// Whether any process could spend the account's refresh token.
fn is_locked(world: &World, id: &str) -> bool {
    world.vault().try_lock(&record_id(id)).unwrap().is_none()
}

/// Whether the note is there, but for the moments in which a try makes room with it.
async fn has_note(world: &World, id: &str) -> bool {
    for _ in 0..500 {
        if world.has_note(id) {
            return true;
        }
        let_others_run().await;
    }
    false
}

#[tokio::test(start_paused = true)]
async fn the_lock_stays_with_tokens_that_are_not_saved() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    let (id, fault) = unsaved(&world, &one).await;
    fault.mend();
    assert!(is_locked(&world, &id));
    // The old token still serves, and the other process leaves its renewal to the first.
    two.token().await;
    two.rest().await;
    one.rest().await;
    assert!(!is_locked(&world, &id));
    for process in [&one, &two] {
        assert_eq!(process.token().await, "S3CRET-access-ann-2");
        assert_eq!(process.state_of(&id).await, "ready");
    }
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_note_is_put_back_for_the_process_after_a_crash() {
    let world = World::new();
    let process = world.process();
    let (id, _fault) = unsaved(&world, &process).await;
    assert!(has_note(&world, &id).await);
}

#[tokio::test(start_paused = true)]
async fn they_are_written_as_soon_as_the_disk_takes_them() {
    let world = World::new();
    let process = world.process();
    let (id, fault) = unsaved(&world, &process).await;
    for _ in 0..3 {
        pass(1).await;
        let_others_run().await;
    }
    assert!(is_locked(&world, &id));
    assert!(has_note(&world, &id).await);
    fault.mend();
    for _ in 0..60 {
        if !is_locked(&world, &id) {
            break;
        }
        pass(1).await;
        let_others_run().await;
    }
    assert!(!is_locked(&world, &id), "they were written within a minute");
    assert_eq!(world.generation(&id), 2);
    assert!(!world.has_note(&id));
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert_eq!(process.events(), ["refreshed", "served"]);
    // The refresh token in it is the new one.
    pass(LIFE).await;
    assert_eq!(process.token().await, "S3CRET-access-ann-3");
    assert_eq!(world.server.refreshes(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_process_tries_once_more() {
    let world = World::new();
    let process = world.process();
    let (id, fault) = unsaved(&world, &process).await;
    fault.mend();
    process.rest().await;
    assert_eq!(world.generation(&id), 2);
    assert!(!world.has_note(&id));
    assert_eq!(world.process().token().await, "S3CRET-access-ann-2");
}

#[tokio::test(start_paused = true)]
async fn a_user_changes_the_account_with_its_new_tokens_in_it() {
    let world = World::new();
    let process = world.process();
    let (id, fault) = unsaved(&world, &process).await;
    fault.mend();
    let changes = provider_auth_broker::AccountChanges {
        label: Some("work".to_owned()),
        ..Default::default()
    };
    let account = process.update_account(&id, changes).await.unwrap();
    assert_eq!((account.label.as_str(), account.state), ("work", "ready"));
    assert_eq!(world.generation(&id), 3);
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_user_who_removes_the_account_revokes_the_new_tokens() {
    let world = World::new();
    let process = world.process_with(config(
        json!({ "revocationEndpoint": "https://id.acme.example/revoke" }),
    ));
    let (id, fault) = unsaved(&world, &process).await;
    fault.mend();
    assert!(
        process
            .remove_account(&id, Revoke::AtProvider)
            .await
            .unwrap()
    );
    assert_eq!(world.server.last("token"), "S3CRET-refresh-2");
    assert!(!is_locked(&world, &id) && !world.has_note(&id));
    assert_eq!(process.lend().await.err().unwrap().code(), "NO_ACCOUNT");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_keeps_no_other_account_and_not_the_end_waiting() {
    let gate = Arc::new(Gate::default());
    let hangs = Arc::new(Mutex::new(None));
    let engine = Observed::new(default_engine(), {
        let (gate, hangs) = (gate.clone(), hangs.clone());
        move |(call, record)| {
            if call == "bring" && record == *hangs.lock() {
                gate.pass();
            }
        }
    });
    let world = World::on(engine);
    let process = world.process();
    let [ann, bob] = [process.log_in("ann").await, process.log_in("bob").await];
    *hangs.lock() = Some(record_id(&ann));
    pass(LIFE - 100).await;
    gate.close();
    let broker = Arc::clone(&process);
    let account = ann.clone();
    let hung =
        tokio::spawn(async move { broker.refresh_account(&account, Force::EvenIfGood).await });
    while gate.waiting() == 0 {
        let_others_run().await;
    }
    for generation in [2, 3] {
        process
            .refresh_account(&bob, Force::EvenIfGood)
            .await
            .unwrap();
        assert_eq!(world.generation(&bob), generation);
    }
    let other = tokio::spawn({
        let (broker, account) = (Arc::clone(&process), ann.clone());
        async move { broker.refresh_account(&account, Force::IfNeeded).await }
    });
    process.token().await;
    process.rest().await;
    assert_eq!(
        gate.waiting(),
        1,
        "all that came to its end did so meanwhile"
    );
    gate.open();
    hung.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
    assert_eq!(world.generation(&ann), 2);
    assert_eq!(world.server.refreshes(), 3);
}
