//! A backend whose locks can be lost: a record moves on while it is worked on, or another host has
//! the claim on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use provider_auth_broker::{AccountChanges, Filter, Force};
use provider_auth_vault::{Holder, Memory, RecordGuard};
use serde_json::Value;

use crate::backend::{Answer, Call, Observed};
use crate::world::{Process, World, pass, record_id};

const LIFE: u64 = 3600;

/// A process with one login whose token has ended, and the backend under it.
async fn ended() -> (Arc<World>, Process, String, Arc<Observed>) {
    let engine = Observed::new(Arc::new(Memory::default()), |_| {});
    let world = Arc::new(World::on(engine.clone()));
    let process = world.process();
    let id = process.log_in("ann").await;
    pass(LIFE).await;
    (world, process, id, engine)
}

/// Answers the calls of this name by what `answer` says of each, counted from 0.
fn answer(
    engine: &Observed,
    name: &'static str,
    answer: impl Fn(usize) -> Option<Answer> + Send + Sync + 'static,
) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    engine.answer({
        let count = count.clone();
        move |(call, _): Call| {
            (call == name)
                .then(|| count.fetch_add(1, Ordering::SeqCst))
                .and_then(&answer)
        }
    });
    count
}

/// Has another host renew the tokens just before the first such call.
fn renewed_before(
    engine: &Observed,
    call: &'static str,
    world: &Arc<World>,
    id: &str,
) -> Arc<AtomicUsize> {
    let (world, id) = (world.clone(), id.to_owned());
    answer(engine, call, move |count| {
        (count == 0).then(|| {
            elsewhere(&world, &id, renewed(&world));
            Answer::Moved
        })
    })
}

/// Writes a record as another host does, which has no part in the locks of this one.
pub(crate) fn elsewhere(world: &World, id: &str, change: impl Fn(&mut Value)) {
    let (vault, id) = (world.vault(), record_id(id));
    let record = vault.read(&id).unwrap().unwrap();
    let mut account: Value = serde_json::from_slice(record.plaintext()).unwrap();
    change(&mut account);
    let guard = RecordGuard::new(id, Box::new(()));
    vault
        .replace(&guard, account.to_string().as_bytes())
        .unwrap();
}

/// The name of the first account.
pub(crate) async fn label(process: &Process) -> String {
    let accounts = process.list_accounts(&Filter::default()).await.unwrap();
    accounts[0].label.clone()
}

fn renewed(world: &World) -> impl Fn(&mut Value) + use<> {
    let ends = (world.now().as_millis() / 1000 + LIFE) * 1000;
    move |account| {
        let secret = &mut account["secret"];
        secret["access"] = "S3CRET-access-elsewhere".into();
        secret["refresh"] = "S3CRET-refresh-elsewhere".into();
        secret["expiresAt"] = ends.into();
    }
}

fn holder() -> Answer {
    Answer::Held(Holder {
        by: "ci-8".to_owned(),
        since: 1_800_003_600_000 - 2_000,
        until: 1_800_003_600_000 + 118_000,
    })
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_renewed_elsewhere_before_the_claim_is_not_asked_for() {
    let (world, process, id, engine) = ended().await;
    let claims = renewed_before(&engine, "claim", &world, &id);
    assert_eq!(process.token().await, "S3CRET-access-elsewhere");
    assert_eq!(world.server.refreshes(), 0);
    assert_eq!(claims.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_renamed_before_the_claim_is_claimed_as_it_is_then() {
    let (world, process, id, engine) = ended().await;
    let claims = answer(&engine, "claim", {
        let (world, id) = (world.clone(), id.clone());
        move |count| {
            (count == 0).then(|| {
                elsewhere(&world, &id, |account| account["label"] = "work".into());
                Answer::Moved
            })
        }
    });
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert_eq!(claims.load(Ordering::SeqCst), 2);
    assert_eq!(world.generation(&id), 3);
}

#[tokio::test(start_paused = true)]
async fn who_holds_the_claim_is_waited_for() {
    let (world, process, id, engine) = ended().await;
    let claims = answer(&engine, "claim", {
        let (world, id) = (world.clone(), id.clone());
        move |count| {
            if count == 2 {
                elsewhere(&world, &id, renewed(&world));
            }
            (count < 3).then(holder)
        }
    });
    assert_eq!(process.token().await, "S3CRET-access-elsewhere");
    assert_eq!(world.server.refreshes(), 0);
    assert_eq!(claims.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn who_holds_the_claim_for_too_long_is_named() {
    let (world, process, id, engine) = ended().await;
    answer(&engine, "claim", |_| Some(holder()));
    let before = world.now();
    let refused = process.refresh_account(&id, Force::EvenIfGood).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), "REFRESH_FAILED");
    assert!(refused.to_string().contains("ci-8"), "{refused}");
    let waited = before.until(world.now()).as_secs();
    assert!((40..=45).contains(&waited), "{waited} s");
    assert_eq!(world.server.refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_sent_any_more_is_claimed_again() {
    let (world, process, id, engine) = ended().await;
    let claims = answer(&engine, "claim", |count| {
        (count < 3).then_some(Answer::Late)
    });
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert_eq!(claims.load(Ordering::SeqCst), 4);
    assert_eq!(world.server.refreshes(), 1);
    assert_eq!(world.generation(&id), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_vault_has_a_new_key_for_is_sealed_anew() {
    let (world, process, id, engine) = ended().await;
    let brought = answer(&engine, "bring", |count| {
        (count < 2).then_some(Answer::Rekeyed)
    });
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert_eq!(brought.load(Ordering::SeqCst), 3);
    assert_eq!(world.generation(&id), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_still_serves_waits_for_no_claim() {
    let engine = Observed::new(Arc::new(Memory::default()), |_| {});
    let world = World::on(engine.clone());
    let process = world.process();
    process.log_in("ann").await;
    pass(LIFE - 100).await;
    let claims = answer(&engine, "claim", |_| Some(holder()));
    assert_eq!(process.token().await, "S3CRET-access-ann-1");
    process.rest().await;
    assert_eq!(claims.load(Ordering::SeqCst), 1);
    assert_eq!(world.server.refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn new_tokens_go_into_a_record_that_was_renamed_meanwhile() {
    let (world, process, id, engine) = ended().await;
    answer(&engine, "bring", {
        let (world, id) = (world.clone(), id.clone());
        move |count| {
            (count == 0).then(|| {
                elsewhere(&world, &id, |account| account["label"] = "work".into());
                Answer::Moved
            })
        }
    });
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert_eq!(world.generation(&id), 3);
    assert_eq!(label(&process).await, "work");
    // The refresh token in it is the new one.
    pass(LIFE).await;
    assert_eq!(process.token().await, "S3CRET-access-ann-3");
}

#[tokio::test(start_paused = true)]
async fn newer_tokens_than_ours_stay() {
    let (world, process, id, engine) = ended().await;
    renewed_before(&engine, "bring", &world, &id);
    assert_eq!(process.token().await, "S3CRET-access-elsewhere");
    assert_eq!(world.generation(&id), 2);
    assert_eq!(process.state_of(&id).await, "ready");
}

#[tokio::test(start_paused = true)]
async fn a_name_goes_into_a_record_that_was_renewed_meanwhile() {
    let (world, process, id, engine) = ended().await;
    renewed_before(&engine, "bring", &world, &id);
    let changes = AccountChanges {
        label: Some("work".to_owned()),
        ..AccountChanges::default()
    };
    process.update_account(&id, changes).await.unwrap();
    assert_eq!(label(&process).await, "work");
    assert_eq!(process.token().await, "S3CRET-access-elsewhere");
    assert_eq!(world.server.refreshes(), 0);
}
