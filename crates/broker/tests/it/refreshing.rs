//! One exchange for everybody, and no earlier and no later than it should be.

use std::sync::Arc;
use std::time::Duration;

use provider_auth_broker::{BrokerError, Force, Revoke, Waits};
use serde_json::json;

use crate::server::{Answer, Lifetime};
use crate::world::{START, World, bearer, let_others_run, pass, record_id, request};

/// Life of the server's tokens in seconds.
const LIFE: u64 = 3600;

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_with_an_expired_token_cause_one_refresh() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    pass(LIFE + 1).await;
    let asked: Vec<_> = (0..1000)
        .map(|_| {
            let broker = process.clone();
            tokio::spawn(async move { bearer(&broker.headers(&request()).await.unwrap()) })
        })
        .collect();
    for bearer in asked {
        assert_eq!(bearer.await.unwrap(), "S3CRET-access-ann-2");
    }
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_adopts_the_token_that_another_one_has_renewed() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    one.log_in("ann").await;
    assert_eq!(two.token().await, "S3CRET-access-ann-1");
    pass(LIFE + 1).await;
    assert_eq!(one.token().await, "S3CRET-access-ann-2");
    assert_eq!(two.token().await, "S3CRET-access-ann-2");
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_waits_for_the_exchange_of_another_one() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    one.log_in("ann").await;
    two.token().await;
    pass(LIFE + 1).await;
    world.server.hold();
    let first = tokio::spawn({
        let broker = one.clone();
        async move { bearer(&broker.headers(&request()).await.unwrap()) }
    });
    world.server.arrived(2).await;
    let second = tokio::spawn({
        let broker = two.clone();
        async move { bearer(&broker.headers(&request()).await.unwrap()) }
    });
    let_others_run().await;
    world.server.release();
    assert_eq!(first.await.unwrap(), "S3CRET-access-ann-2");
    assert_eq!(second.await.unwrap(), "S3CRET-access-ann-2");
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_soon_serves_while_it_is_renewed_behind() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    pass(LIFE - 100).await;
    assert_eq!(process.token().await, "S3CRET-access-ann-1");
    process.rest().await;
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_busy_lock_keeps_the_token_while_a_refresh_is_only_due() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    let vault = world.vault();
    let guard = vault.lock(&record_id(&id)).unwrap();
    pass(LIFE - 100).await;
    assert_eq!(process.token().await, "S3CRET-access-ann-1");
    process.rest().await;
    assert_eq!(world.server.refreshes(), 0);
    drop(guard);
    pass(5).await;
    process.token().await;
    process.rest().await;
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_behind_is_not_begun_again_and_again() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    let answers = (0..9).map(|_| Answer::Status(503, &[], Vec::new()));
    world.server.script(answers);
    pass(LIFE - 100).await;
    for _ in 0..20 {
        process.token().await;
        process.rest().await;
    }
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_life_of_a_token_counts_from_before_the_request() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    world
        .server
        .script([Answer::After(Duration::from_secs(20))]);
    pass(LIFE + 1).await;
    let asked_at = world.now();
    process.token().await;
    assert_eq!(asked_at.until(world.now()), Duration::from_secs(20));
    let account = process.refresh_account(&id, Force::IfNeeded).await.unwrap();
    assert_eq!(
        account.expires_at,
        Some(asked_at + Duration::from_secs(LIFE))
    );
}

#[tokio::test(start_paused = true)]
async fn no_refresh_is_tried_before_the_server_allows_it() {
    let world = World::new();
    let process = world.impatient_process();
    world
        .server
        .adds(json!({ "earliest_refresh_at": START + LIFE - 10 }));
    let id = process.log_in("ann").await;
    for left in [100, 20] {
        let until = START * 1000 + (LIFE - left) * 1000;
        pass((until - world.now().as_millis()) / 1000).await;
        assert_eq!(process.token().await, "S3CRET-access-ann-1");
        process.rest().await;
    }
    let refused = process
        .refresh_account(&id, Force::EvenIfGood)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "REFRESH_FAILED");
    assert_eq!(
        refused.retry_at().unwrap().as_millis(),
        (START + LIFE - 10) * 1000
    );
    assert_eq!(world.server.refreshes(), 0);
    pass(11).await;
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
}

#[tokio::test(start_paused = true)]
async fn a_login_without_refresh_token_serves_until_its_token_ends() {
    let world = World::new();
    let process = world.process();
    world.server.issues_no_refresh_tokens();
    let id = process.log_in("ann").await;
    for passed in [LIFE - 100, 80] {
        pass(passed).await;
        assert_eq!(process.token().await, "S3CRET-access-ann-1");
        process.rest().await;
        assert_eq!(process.state_of(&id).await, "ready");
    }
    pass(21).await;
    assert_eq!(process.lend().await.err().unwrap().code(), "NEEDS_LOGIN");
    assert_eq!(world.server.refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_dead_when_it_was_issued_does_not_refresh_for_ever() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    pass(LIFE + 1).await;
    // The server's clock, or ours, is two hours off.
    world.server.tokens_live(Lifetime::At(START - 3600));
    for _ in 0..5 {
        assert_eq!(process.token().await, "S3CRET-access-ann-2");
    }
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_on_its_way_is_lent_after_two_tries() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    pass(LIFE + 1).await;
    world.server.tokens_live(Lifetime::In(1));
    let slow = || Answer::After(Duration::from_secs(3));
    world.server.script([slow(), slow(), slow(), slow()]);
    process.lend().await.unwrap();
    assert_eq!(world.server.refreshes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_user_refreshes_a_good_token_when_it_is_asked_for_and_only_then() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    process.refresh_account(&id, Force::IfNeeded).await.unwrap();
    assert_eq!(world.server.refreshes(), 0);
    process
        .refresh_account(&id, Force::EvenIfGood)
        .await
        .unwrap();
    assert_eq!(world.server.refreshes(), 1);
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    let key = process.add_key("k").await;
    let refused = process
        .refresh_account(&key, Force::EvenIfGood)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "INVALID_ARGUMENT");
}

#[tokio::test(start_paused = true)]
async fn an_asked_for_refresh_is_not_satisfied_by_one_that_did_nothing() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    // Both are under way at once: the one finds nothing to do, and the other must not take that for
    // an answer.
    let (lazy, forced) = tokio::join!(
        process.refresh_account(&id, Force::IfNeeded),
        process.refresh_account(&id, Force::EvenIfGood),
    );
    lazy.unwrap();
    forced.unwrap();
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn ending_a_wait_does_not_end_the_exchange() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    pass(LIFE + 1).await;
    world.server.hold();
    let dropped = tokio::spawn({
        let broker = process.clone();
        async move { broker.headers(&request()).await.map(|_| ()) }
    });
    let waits = Arc::new(Waits::default());
    let wait = waits.begin();
    let aborted = tokio::spawn({
        let (broker, waits) = (process.clone(), waits.clone());
        async move {
            waits
                .run(Some(wait), broker.headers(&request()))
                .await
                .map(|_| ())
        }
    });
    world.server.arrived(2).await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    waits.end(wait);
    assert!(matches!(aborted.await.unwrap(), Err(BrokerError::Aborted)));
    world.server.release();
    process.rest().await;
    assert_eq!(world.generation(&id), 2);
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_removed_during_its_refresh_fails_only_its_own_requests() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    let id = one.log_in("ann").await;
    one.add_key("spare").await;
    two.token().await;
    pass(LIFE + 1).await;
    // The lock keeps the refresh waiting while the record disappears.
    let vault = world.vault();
    let guard = vault.lock(&record_id(&id)).unwrap();
    let waiting = tokio::spawn({
        let broker = two.clone();
        async move { bearer(&broker.headers(&request()).await.unwrap()) }
    });
    let_others_run().await;
    vault.remove(guard).unwrap();
    assert_eq!(waiting.await.unwrap(), "S3CRET-key-spare");
    let gone = one.remove_account(&id, Revoke::Locally).await.unwrap_err();
    assert_eq!(gone.code(), "UNKNOWN_ACCOUNT");
    assert_eq!(world.server.refreshes(), 0);
}
