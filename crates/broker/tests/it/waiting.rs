//! When no account can serve: fail with the time, or wait for it; and end the wait as soon as one
//! can.

use std::sync::Arc;
use std::time::Duration;

use provider_auth_broker::{Action, Broker, BrokerError, Filter, Waits};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::server::Answer;
use crate::world::{Process, World, bearer, config, pass, request};

/// Turns of the runtime for what takes some hundred on a quiet machine: a few seconds of them.
const MOST_TURNS: u32 = 20_000_000;

#[tokio::test(start_paused = true)]
async fn when_all_rest_the_error_says_until_when_and_nothing_is_sent() {
    let world = World::new();
    let process = world.impatient_process();
    process.add_key("a").await;
    process.add_key("b").await;
    limit_all(&process, "60").await;
    process.events();
    let exhausted = process.lend().await.err().unwrap();
    assert_eq!(exhausted.code(), "EXHAUSTED");
    let wait = world.now().until(exhausted.retry_at().unwrap());
    assert!((60..=63).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!(process.events(), ["exhausted"]);
    let status = &process.pool_status(&Filter::default()).await.unwrap()[0];
    assert_eq!(status.retry_at, exhausted.retry_at());
    assert_eq!((status.figures.requests, status.figures.attempts), (3, 2));
    pass(wait.as_secs() + 1).await;
    process.lend().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_the_soonest_account_and_says_so_once() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    limit_all(&process, "20").await;
    process.events();
    let began = world.now();
    assert_eq!(process.token().await, "S3CRET-key-a");
    assert!((20..=22).contains(&began.until(world.now()).as_secs()));
    assert_eq!(process.events(), ["waiting", "served"]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_is_not_begun() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    limit_all(&process, "40").await;
    let began = world.now();
    assert_eq!(process.lend().await.err().unwrap().code(), "EXHAUSTED");
    assert_eq!(began, world.now());
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_added_ends_the_wait() {
    let world = World::new();
    let process = world.process();
    let waiting = held(&world, &process).await;
    process.add_key("b").await;
    assert_served(&world, waiting, "S3CRET-key-b", 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_switched_on_ends_the_wait() {
    let world = World::new();
    let process = world.process();
    let other = process.add_key("b").await;
    let off = provider_auth_broker::AccountChanges {
        enabled: Some(false),
        ..Default::default()
    };
    process.update_account(&other, off).await.unwrap();
    let waiting = held(&world, &process).await;
    let on = provider_auth_broker::AccountChanges {
        enabled: Some(true),
        ..Default::default()
    };
    process.update_account(&other, on).await.unwrap();
    assert_served(&world, waiting, "S3CRET-key-b", 1).await;
}

#[tokio::test(start_paused = true)]
async fn lifting_the_cooldowns_ends_the_wait() {
    let world = World::new();
    let process = world.process();
    let waiting = held(&world, &process).await;
    assert_eq!(
        process.clear_cooldowns(&Filter::default()).await.unwrap(),
        1
    );
    assert_served(&world, waiting, "S3CRET-key-a", 1).await;
}

#[tokio::test(start_paused = true)]
async fn another_process_ends_the_wait_within_moments() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    let waiting = held(&world, &one).await;
    assert_eq!(two.clear_cooldowns(&Filter::default()).await.unwrap(), 1);
    assert_served(&world, waiting, "S3CRET-key-a", 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_ends_its_wait_and_no_other() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    limit_all(&process, "20").await;
    let waits = Arc::new(Waits::default());
    let (one, two) = (waits.begin(), waits.begin());
    let ask = |number| {
        let (broker, waits) = (process.clone(), waits.clone());
        tokio::spawn(async move {
            waits
                .run(Some(number), broker.headers(&request()))
                .await
                .map(|lease| bearer(&lease))
        })
    };
    let (first, second) = (ask(one), ask(two));
    waits_begun(&process, 2).await;
    let began = world.now();
    waits.end(one);
    waits.end(99);
    assert_eq!(first.await.unwrap().unwrap_err().code(), "ABORTED");
    assert_eq!(began, world.now());
    assert_eq!(second.await.unwrap().unwrap(), "S3CRET-key-a");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_asked_for_it_is_held_until_the_reset() {
    let world = World::new();
    let process = world.process_with(config(json!({ "rotation": { "holdUntilReset": true } })));
    process.add_key("a").await;
    limit_all(&process, "600").await;
    process.events();
    let began = world.now();
    assert_eq!(process.token().await, "S3CRET-key-a");
    assert!(began.until(world.now()) <= Duration::from_secs(606));
    let waits = process
        .events()
        .into_iter()
        .filter(|event| *event == "waiting")
        .count();
    assert!((1..=2).contains(&waits), "{waits}");
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_refresh_and_for_a_cooldown_are_of_one_budget() {
    let world = World::new();
    let patience = |millis: u64| config(json!({ "rotation": { "maxWaitMs": millis } }));
    for (millis, expect) in [(8_000, Action::Deliver), (12_000, Action::Retry)] {
        let process = world.process_with(patience(millis));
        process.log_in("ann").await;
        pass(3601).await;
        // 5 s of rest before the second try.
        world.server.script([Answer::Status(500, &[], Vec::new())]);
        let lease = process.lend().await.unwrap();
        let verdict = process.answer(&lease, 429, &[("retry-after", "4")]).await;
        assert_eq!(verdict.action, expect, "{millis}");
        pass(60).await;
    }
}

/// Has every account answer 429 with this `retry-after`.
async fn limit_all(process: &Process, retry_after: &str) {
    let accounts = process.list_accounts(&Filter::default()).await.unwrap();
    for account in accounts.iter().filter(|account| account.enabled) {
        let asked = provider_auth_broker::AuthRequest {
            account: Some(account.id.clone()),
            ..request()
        };
        let lease = process.headers(&asked).await.unwrap();
        process
            .answer(&lease, 429, &[("retry-after", retry_after)])
            .await;
    }
}

/// A request that waits for the one account, which rests for 25 s.
async fn held(world: &World, process: &Process) -> JoinHandle<String> {
    process.add_key("a").await;
    limit_all(process, "25").await;
    process.events();
    let broker: Arc<Broker> = Arc::clone(process);
    let waiting = tokio::spawn(async move { bearer(&broker.headers(&request()).await.unwrap()) });
    let began = world.now();
    waits_begun(process, 1).await;
    assert_eq!(began, world.now());
    waiting
}

/// Lets the others run until so many requests wait for an account. It passes no time of the world's
/// clock.
async fn waits_begun(process: &Process, count: usize) {
    let waiting = || {
        let events = process.seen();
        let kinds = events.iter().map(|event| event.kind.as_str());
        kinds.filter(|kind| *kind == "waiting").count()
    };
    let mut turns = 0;
    while waiting() < count {
        assert!(turns < MOST_TURNS, "only {} wait", waiting());
        turns += 1;
        tokio::task::yield_now().await;
    }
}

async fn assert_served(world: &World, waiting: JoinHandle<String>, by: &str, within: u64) {
    let began = world.now();
    assert_eq!(waiting.await.unwrap(), by);
    let wait = began.until(world.now());
    assert!(wait <= Duration::from_secs(within), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_called_off_before_it_begins_never_runs() {
    let waits = Waits::default();
    let wait = waits.begin();
    waits.end(wait);
    let outcome = waits.run(Some(wait), async { Ok(()) }).await;
    assert!(matches!(outcome, Err(BrokerError::Aborted)));
}
