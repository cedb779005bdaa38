//! Refreshes that fail: nothing is lost, no server is flooded, and what is dead is not tried again.

use std::fs;
use std::sync::Arc;

use provider_auth_broker::{Action, Broker, Filter, Force, HttpError, Reason};
use provider_auth_vault::{Claimed, Need, Pending, SendBy};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::server::{Answer, Lifetime};
use crate::world::{World, bearer, config, let_others_run, pass, record_id, request, retry_of};

const LIFE: u64 = 3600;

/// The code that a request of this process is refused with.
fn refusal(broker: &Arc<Broker>) -> JoinHandle<&'static str> {
    let broker = broker.clone();
    tokio::spawn(async move { broker.headers(&request()).await.err().unwrap().code() })
}

fn broken() -> Answer {
    Answer::Status(500, &[], b"oops".to_vec())
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_keeps_the_login_and_makes_all_processes_rest() {
    check(|| Answer::Status(500, &[], b"oops".to_vec()), 5).await;
    check(|| Answer::Status(408, &[], Vec::new()), 5).await;
    check(
        || Answer::Status(429, &[("retry-after", "60")], Vec::new()),
        60,
    )
    .await;
    check(
        || Answer::Status(429, &[("retry-after", "x")], Vec::new()),
        5,
    )
    .await;
    let page = || b"<html>Log in to the hotel's network</html>".to_vec();
    check(
        || Answer::Status(200, &[("content-type", "text/html")], page()),
        5,
    )
    .await;
    check(
        || Answer::Status(403, &[("content-type", "text/html")], page()),
        5,
    )
    .await;
    check(|| Answer::Status(200, &[], b"{}".to_vec()), 5).await;
    check(
        || Answer::Status(401, &[], br#"{"error":"invalid_client"}"#.to_vec()),
        5,
    )
    .await;
    // A server that is out of order is not believed when it calls a login dead.
    check(
        || Answer::Status(503, &[], br#"{"error":"invalid_grant"}"#.to_vec()),
        5,
    )
    .await;
    // What the client makes of 2 MiB.
    check(|| Answer::Failure(HttpError::TooLarge), 5).await;
    check(|| Answer::Failure(HttpError::Timeout), 5).await;
    check(|| Answer::Failure(HttpError::Connect), 5).await;

    async fn check(answer: impl Fn() -> Answer, rest: u64) {
        let world = World::new();
        let (one, two) = (world.impatient_process(), world.impatient_process());
        let id = one.log_in("ann").await;
        two.token().await;
        pass(LIFE + 1).await;
        world.server.script([answer()]);
        let failed = one.lend().await.err().unwrap();
        assert_eq!(failed.code(), "REFRESH_FAILED", "{failed}");
        let retry_at = failed.retry_at().unwrap();
        let wait = world.now().until(retry_at).as_secs_f64();
        assert!(
            (rest as f64..=rest as f64 * 1.1 + 5.0).contains(&wait),
            "{wait}"
        );
        assert_eq!(one.events(), ["account_added", "refresh_failed"]);

        for process in [&one, &two, &world.impatient_process()] {
            let resting = process.lend().await.err().unwrap();
            assert_eq!(resting.retry_at(), Some(retry_at), "{resting}");
            assert_eq!(process.state_of(&id).await, "cooling");
            // What it cools down from is shown, and said where the request is refused.
            let accounts = process.list_accounts(&Filter::default()).await.unwrap();
            let (scope, rest) = &accounts[0].cooldowns[0];
            assert_eq!(
                (scope.to_string().as_str(), rest.reason, rest.until),
                ("account", Reason::TokenExpired, retry_at)
            );
            if let Some(refusal) = resting.refusal() {
                assert_eq!(
                    (refusal.status, refusal.reason),
                    (503, Reason::TokenExpired)
                );
                assert!(
                    refusal.body.contains("token_renewal_failing"),
                    "{}",
                    refusal.body
                );
            }
            process.rest().await;
        }
        assert_eq!(world.server.refreshes(), 1);
        pass(wait.ceil() as u64).await;
        assert_eq!(two.token().await, "S3CRET-access-ann-2");
        assert!(!world.has_note(&id));
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_process_in_line_rests_too() {
    let world = World::new();
    let (one, two) = (world.impatient_process(), world.impatient_process());
    one.log_in("ann").await;
    two.token().await;
    pass(LIFE + 1).await;
    world.server.script([broken(), broken()]);
    world.server.hold();
    let first = refusal(&one);
    world.server.arrived(2).await;
    let second = refusal(&two);
    let_others_run().await;
    world.server.release();
    assert_eq!(first.await.unwrap(), "REFRESH_FAILED");
    // Who looks at the pool only now sees an account that rests.
    assert!(["REFRESH_FAILED", "EXHAUSTED"].contains(&second.await.unwrap()));
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_failure_doubles_the_rest() {
    let world = World::new();
    let process = world.impatient_process();
    process.log_in("ann").await;
    pass(LIFE + 1).await;
    for rest in [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0] {
        world.server.script([broken()]);
        let retry_at = process.lend().await.err().unwrap().retry_at().unwrap();
        let wait = world.now().until(retry_at).as_secs_f64();
        assert!((rest..rest * 1.11).contains(&wait), "{rest}: {wait}");
        pass(wait.ceil() as u64).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_the_next_try_when_it_comes_soon() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    pass(LIFE + 1).await;
    world.server.script([broken()]);
    let began = world.now();
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert!((5.0..6.0).contains(&began.until(world.now()).as_secs_f64()));
    assert_eq!(
        process.events(),
        [
            "account_added",
            "refresh_failed",
            "waiting",
            "refreshed",
            "served"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_still_lives_serves_while_its_refresh_fails() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    pass(LIFE - 20).await;
    world.server.script([broken()]);
    for _ in 0..5 {
        assert_eq!(process.token().await, "S3CRET-access-ann-1");
    }
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_a_note_and_no_storm() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    pass(LIFE - 20).await;
    world.server.script([Answer::Failure(HttpError::Timeout)]);
    for _ in 0..20 {
        assert_eq!(process.token().await, "S3CRET-access-ann-1");
    }
    assert!(world.has_note(&id));
    assert_eq!(world.server.refreshes(), 1);
    pass(6).await;
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert!(!world.has_note(&id));
}

#[tokio::test(start_paused = true)]
async fn a_dead_login_is_marked_kept_and_not_tried_again() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    let id = one.log_in("ann").await;
    two.token().await;
    pass(LIFE + 1).await;
    world.server.revoke_all();
    let ended = one.lend().await.err().unwrap();
    assert_eq!(
        (ended.code(), ended.account()),
        ("NEEDS_LOGIN", Some(id.as_str()))
    );
    for process in [&one, &two, &world.process()] {
        assert_eq!(process.lend().await.err().unwrap().code(), "NEEDS_LOGIN");
        assert_eq!(process.state_of(&id).await, "needs_login");
        let asked = process
            .refresh_account(&id, Force::IfNeeded)
            .await
            .unwrap_err();
        assert_eq!(asked.code(), "NEEDS_LOGIN");
        process.rest().await;
    }
    assert_eq!(world.server.refreshes(), 1);
    assert_eq!(world.generation(&id), 1);
    assert!(!world.has_note(&id));
    assert_eq!(one.events(), ["account_added", "needs_login"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_refresh_token_is_sent_once_however_many_processes_wait() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    one.log_in("ann").await;
    two.token().await;
    pass(LIFE + 1).await;
    world.server.revoke_all();
    world.server.hold();
    let first = refusal(&one);
    world.server.arrived(2).await;
    let second = refusal(&two);
    let_others_run().await;
    world.server.release();
    assert_eq!(
        (first.await.unwrap(), second.await.unwrap()),
        ("NEEDS_LOGIN", "NEEDS_LOGIN")
    );
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_login_lets_the_other_accounts_serve() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    process.add_key("spare").await;
    pass(LIFE + 1).await;
    world.server.revoke_all();
    assert_eq!(process.token().await, "S3CRET-key-spare");
}

#[tokio::test(start_paused = true)]
async fn what_keeps_one_account_from_its_refresh_lets_the_others_serve() {
    let world = World::new();
    let config = config(json!({ "clientSecret": "{env:ACME_SECRET}" }));
    let equipped = world.process_in(config.clone(), "env", &[("ACME_SECRET", "S3CRET-client")]);
    equipped.log_in("ann").await;
    // This one cannot speak to the server: the client's secret is not in its environment.
    let process = world.process_in(config, "env", &[]);
    pass(LIFE - 20).await;
    assert_eq!(process.token().await, "S3CRET-access-ann-1");
    pass(30).await;
    assert_eq!(process.lend().await.err().unwrap().code(), "INVALID_CONFIG");
    process.add_key("spare").await;
    assert_eq!(process.token().await, "S3CRET-key-spare");
    assert_eq!(world.server.refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_on_disk_is_not_used_and_not_lost() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    let before = fs::read(world.record_file(&id)).unwrap();
    pass(LIFE + 1).await;
    // While the server answers, the folder of records goes away.
    let (records, away) = (
        world.vault_dir().join("rec"),
        world.vault_dir().join("away"),
    );
    world.server.script([Answer::Once(Box::new({
        let (records, away) = (records.clone(), away.clone());
        move || fs::rename(records, away).unwrap()
    }))]);
    assert!(process.lend().await.is_err());
    assert!(!process.events().contains(&"refreshed"));
    fs::rename(&away, &records).unwrap();
    assert_eq!(fs::read(world.record_file(&id)).unwrap(), before);
    assert!(world.has_note(&id));

    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert_eq!(world.generation(&id), 2);
    assert!(!world.has_note(&id));
    // The refresh token in it is the new one.
    pass(LIFE + 1).await;
    assert_eq!(process.token().await, "S3CRET-access-ann-3");
    assert_eq!(world.server.refreshes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_was_cut_short_is_tried_again_at_once() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    pass(LIFE + 1).await;
    world.server.script([broken()]);
    let one = world.impatient_process();
    assert!(one.lend().await.is_err());
    // A process that dies now leaves its note behind.
    pass(1).await;
    note(&world, &id, 1);
    let two = world.impatient_process();
    two.state_of(&id).await;
    two.rest().await;
    assert_eq!(two.token().await, "S3CRET-access-ann-2");
    assert!(!world.has_note(&id));
    assert_eq!(world.server.refreshes(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_request_that_opens_the_vault_waits_for_that_second_try() {
    let world = World::new();
    let one = world.impatient_process();
    let id = one.log_in("ann").await;
    pass(LIFE + 1).await;
    world.server.script([broken()]);
    assert!(one.lend().await.is_err());
    pass(1).await;
    note(&world, &id, 1);
    // The account rests, and the call may not wait for that; but a refresh is under way.
    let two = world.impatient_process();
    assert_eq!(two.token().await, "S3CRET-access-ann-2");
    assert_eq!(world.server.refreshes(), 2);
}

#[tokio::test(start_paused = true)]
async fn opening_the_vault_retries_a_cut_short_refresh_of_a_good_token() {
    let world = World::new();
    let id = world.process().log_in("ann").await;
    note(&world, &id, 1);
    let two = world.process();
    two.state_of(&id).await;
    two.rest().await;
    assert_eq!(world.server.refreshes(), 1);
    assert_eq!(world.generation(&id), 2);
    assert!(!world.has_note(&id));
}

#[tokio::test(start_paused = true)]
async fn a_dead_login_found_while_opening_is_marked() {
    let world = World::new();
    let id = world.process().log_in("ann").await;
    note(&world, &id, 1);
    world.server.revoke_all();
    let two = world.process();
    two.state_of(&id).await;
    two.rest().await;
    assert_eq!(two.state_of(&id).await, "needs_login");
    assert_eq!(world.process().state_of(&id).await, "needs_login");
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_note_of_an_older_record_asks_for_nothing() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    process
        .refresh_account(&id, Force::EvenIfGood)
        .await
        .unwrap();
    note(&world, &id, 1);
    let two = world.process();
    assert_eq!(two.token().await, "S3CRET-access-ann-2");
    two.rest().await;
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restored_copy_serves_but_its_refresh_token_is_not_spent_unasked() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    let old = fs::read(world.record_file(&id)).unwrap();
    world.server.tokens_live(Lifetime::In(2 * LIFE));
    process
        .refresh_account(&id, Force::EvenIfGood)
        .await
        .unwrap();
    fs::write(world.record_file(&id), old).unwrap();
    note(&world, &id, 1);

    let restored = world.process();
    for passed in [LIFE - 100, 80] {
        pass(passed).await;
        assert_eq!(restored.token().await, "S3CRET-access-ann-1");
        restored.rest().await;
        assert_eq!(restored.state_of(&id).await, "rollback_suspected");
    }
    pass(21).await;
    assert_eq!(restored.lend().await.err().unwrap().code(), "NEEDS_LOGIN");
    assert_eq!(world.server.refreshes(), 1);
    // The user insists; here the server has moved on.
    let ended = restored
        .refresh_account(&id, Force::EvenIfGood)
        .await
        .unwrap_err();
    assert_eq!(ended.code(), "NEEDS_LOGIN");
    assert_eq!(world.server.refreshes(), 2);
    assert_eq!(restored.log_in("ann").await, id);
    assert_eq!(restored.state_of(&id).await, "ready");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_saw_more_notices_a_restored_record_and_state_and_passes_it_on() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    let state = world.vault_dir().join("state.json");
    let old = [world.record_file(&id), state].map(|file| (file.clone(), fs::read(file).unwrap()));
    world.server.tokens_live(Lifetime::In(2 * LIFE));
    process
        .refresh_account(&id, Force::EvenIfGood)
        .await
        .unwrap();
    for (file, content) in &old {
        fs::write(file, content).unwrap();
    }
    pass(2).await;
    assert_eq!(process.state_of(&id).await, "rollback_suspected");
    assert_eq!(process.token().await, "S3CRET-access-ann-1");
    process.rest().await;
    assert_eq!(world.process().state_of(&id).await, "rollback_suspected");
    assert_eq!(world.server.refreshes(), 1);
    // Signing in is what it asks for.
    assert_eq!(process.log_in("ann").await, id);
    for process in [&process, &world.process()] {
        assert_eq!(process.state_of(&id).await, "ready");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_whose_refresh_fails_goes_on_with_another_account() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    process.add_key("spare").await;
    let lease = process.lend().await.unwrap();
    world.server.script([broken()]);
    assert_eq!(process.answer(&lease, 401, &[]).await.action, Action::Retry);
    let next = process.headers(&retry_of(&lease)).await.unwrap();
    assert_eq!(bearer(&next), "S3CRET-key-spare");
}

/// Leaves the note of a process that began to spend the token of this generation, and died.
pub(crate) fn note(world: &World, id: &str, generation: u64) {
    let vault = world.vault();
    let guard = vault.lock(&record_id(id)).unwrap();
    let note = Pending {
        generation,
        refresh_hash: [0; 32],
        started_at: world.now().as_millis(),
        pid: 1,
        boot_id: "another".to_owned(),
    };
    assert_eq!(
        vault.claim(&guard, Need::Now, &note).unwrap(),
        Claimed::Yes(SendBy::FOR_EVER)
    );
}
