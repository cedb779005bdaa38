//! Clocks that differ, clocks that are set, and lives of tokens that make no sense: a login stays,
//! and no server is flooded.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use provider_auth_broker::{AuthRequest, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::server::{Answer, Lifetime};
use crate::world::{Process, START, World, pass, request};

const LIFE: u64 = 3600;
const DAY: i64 = 86_400;

/// Five minutes, either way.
const SKEWS: [i64; 3] = [-300, 0, 300];

async fn ends_at(process: &Process) -> Option<Timestamp> {
    let accounts = process.list_accounts(&Default::default()).await.unwrap();
    accounts[0].expires_at
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_token_is_by_the_clock_of_the_server_that_states_it() {
    for skew in SKEWS {
        let world = World::new();
        world.server_shows_time(skew);
        world.server.tokens_live(Lifetime::EndsIn(LIFE));
        let process = world.process();
        process.log_in("ann").await;
        let end = world.now() + Duration::from_secs(LIFE);
        // A `Date` is in whole seconds.
        let stated = ends_at(&process).await.unwrap();
        assert!(stated.until(end) <= Duration::from_secs(1), "{skew}");
        assert!(end.until(stated).is_zero(), "{skew}");

        pass(LIFE - 130).await;
        assert_eq!(process.token().await, "S3CRET-access-ann-1");
        process.rest().await;
        assert_eq!(world.server.refreshes(), 0, "{skew}");
        pass(20).await;
        assert_eq!(process.token().await, "S3CRET-access-ann-1");
        process.rest().await;
        assert_eq!(process.token().await, "S3CRET-access-ann-2");
        assert_eq!(world.server.refreshes(), 1, "{skew}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_claim_of_a_token_is_its_end_where_nothing_else_is_said() {
    for skew in SKEWS {
        let world = World::new();
        world.server_shows_time(skew);
        let end = (START + LIFE).saturating_add_signed(skew);
        let claims = URL_SAFE_NO_PAD.encode(json!({ "exp": end }).to_string());
        world.server.adds(json!({
            "access_token": format!("e30.{claims}.S3CRET"),
            "expires_in": null,
        }));
        let process = world.process();
        process.log_in("ann").await;
        let end = Timestamp::from_millis((START + LIFE) * 1000);
        let claimed = ends_at(&process).await.unwrap();
        assert!(
            claimed.until(end).max(end.until(claimed)) <= Duration::from_secs(1),
            "{skew}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_that_makes_no_sense_is_ignored() {
    let ten_years = 10 * 365 * 24 * 3600;
    for (said, life) in [
        (json!(3600), Some(3600)),
        (json!("3600"), Some(3600)),
        (json!(3600.7), Some(3600)),
        (json!(1e18), Some(ten_years)),
        (json!("99999999999999999999"), Some(ten_years)),
        (Value::Null, None),
        (json!(0), None),
        (json!(-3600), None),
        (json!("-1"), None),
        (json!("soon"), None),
        (json!([3600]), None),
    ] {
        let world = World::new();
        world.server.adds(json!({ "expires_in": said }));
        let process = world.process();
        process.log_in("ann").await;
        let expect = life.map(|seconds| Timestamp::from_millis((START + seconds) * 1000));
        assert_eq!(ends_at(&process).await, expect, "{said}");
        for _ in 0..5 {
            assert_eq!(process.token().await, "S3CRET-access-ann-1", "{said}");
            process.rest().await;
        }
        assert_eq!(world.server.refreshes(), 0, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_before_which_no_refresh_is_allowed_does_not_outlast_the_token() {
    for earliest in [
        json!(u64::MAX),
        json!("18446744073709551615"),
        json!(START * 9),
    ] {
        let world = World::new();
        world
            .server
            .adds(json!({ "earliest_refresh_at": earliest }));
        let process = world.process();
        process.log_in("ann").await;
        pass(LIFE - 20).await;
        assert_eq!(process.token().await, "S3CRET-access-ann-1");
        assert_eq!(world.server.refreshes(), 0);
        pass(21).await;
        assert_eq!(process.token().await, "S3CRET-access-ann-2");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_and_back_costs_two_refreshes_and_no_request() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    world.set_clock(DAY);
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    world.set_clock(-DAY);
    // It is from tomorrow: it serves, and is renewed behind.
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    process.rest().await;
    for process in [&process, &world.process()] {
        assert_eq!(process.token().await, "S3CRET-access-ann-3");
        process.rest().await;
    }
    assert_eq!(world.server.refreshes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_does_not_make_a_token_live_longer() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    world.set_clock(-DAY);
    assert_eq!(process.token().await, "S3CRET-access-ann-1");
    process.rest().await;
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert_eq!(world.server.refreshes(), 1);
    pass(LIFE + 1).await;
    assert_eq!(process.token().await, "S3CRET-access-ann-3");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_ended_by_a_clock_that_was_set_back_is_past_the_time_of_its_refresh() {
    let world = World::new();
    world
        .server
        .adds(json!({ "earliest_refresh_at": START + LIFE - 10 }));
    let process = world.process();
    process.log_in("ann").await;
    world.set_clock(-DAY);
    let lease = process.lend().await.unwrap();
    process.rest().await;
    assert_eq!(world.server.refreshes(), 0);
    process.answer(&lease, 401, &[]).await;
    let retry = AuthRequest {
        retry_of: Some(lease.attempt.clone()),
        ..request()
    };
    process.headers(&retry).await.unwrap();
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rest_from_a_time_that_is_yet_to_come_outranks_no_later_one() {
    let world = World::new();
    let process = world.impatient_process();
    process.log_in("ann").await;
    let broken = || Answer::Status(500, &[], Vec::new());
    world.server.script([broken(), broken()]);
    world.set_clock(DAY);
    assert!(process.lend().await.is_err());
    world.set_clock(-DAY);
    pass(LIFE + 1).await;
    for _ in 0..5 {
        let resting = process.lend().await.err().unwrap();
        let wait = world.now().until(resting.retry_at().unwrap());
        assert!(wait < Duration::from_secs(12), "{wait:?}");
    }
    assert_eq!(world.server.refreshes(), 2);
}

#[tokio::test(start_paused = true)]
async fn attempts_in_flight_survive_a_clock_that_is_set() {
    for jump in [DAY, -DAY] {
        let world = World::new();
        let process = world.process();
        process.add_key("a").await;
        let lease = process.lend().await.unwrap();
        world.set_clock(jump);
        process.lend().await.unwrap();
        process.answer(&lease, 200, &[]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_in_time_however_the_clock_is_set() {
    for jump in [DAY, -DAY] {
        let world = World::new();
        let process = world.process();
        process.add_key("a").await;
        let lease = process.lend().await.unwrap();
        process.answer(&lease, 429, &[("retry-after", "20")]).await;
        let began = Instant::now();
        let waiting = tokio::spawn({
            let broker = process.clone();
            async move { broker.headers(&request()).await.map(drop) }
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.set_clock(jump);
        waiting.await.unwrap().unwrap();
        assert!(began.elapsed() <= Duration::from_secs(22), "{jump}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_until_a_date_is_by_the_clock_of_the_server_that_states_it() {
    for skew in SKEWS {
        let world = World::new();
        world.server_shows_time(skew);
        let process = world.impatient_process();
        process.log_in("ann").await;
        let headers = || -> &'static [(&'static str, &'static str)] {
            let (date, until) = (world.server.date_in(0), world.server.date_in(40));
            vec![("date", date), ("retry-after", until)].leak()
        };
        let in_time = |retry_at: Timestamp| {
            let wait = world.now().until(retry_at).as_secs();
            assert!((39..=45).contains(&wait), "{skew}: {wait}");
        };
        let lease = process.lend().await.unwrap();
        process.answer(&lease, 429, headers()).await;
        in_time(process.lend().await.err().unwrap().retry_at().unwrap());

        pass(LIFE + 1).await;
        world
            .server
            .script([Answer::Status(503, headers(), Vec::new())]);
        in_time(process.lend().await.err().unwrap().retry_at().unwrap());
    }
}
