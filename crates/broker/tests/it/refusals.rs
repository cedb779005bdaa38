//! Refresh tokens that are dead under another name than `invalid_grant`.

use std::time::Duration;

use provider_auth_broker::HttpError;

use crate::server::Answer;
use crate::world::{World, pass};

/// The life of a token, and more.
const LONG: u64 = 3601;

fn refusals() -> Vec<(u16, &'static str)> {
    vec![
        (400, r#"{"error":"invalid_request"}"#),
        (403, r#"{"error":"unauthorized_client"}"#),
        (401, r#"{"error":"invalid_token"}"#),
        (401, r#"{"error":"invalid_client"}"#),
        (400, r#"{"error":{"type":"bad_refresh"}}"#),
        (404, r#"{"message":"gone"}"#),
        (200, r#"{"error":"bad_refresh_token"}"#),
    ]
}

fn answer(status: u16, body: &str) -> Answer {
    Answer::Status(status, &[], body.as_bytes().to_vec())
}

#[tokio::test(start_paused = true)]
async fn two_refusals_a_minute_apart_end_a_login_and_nothing_waits_meanwhile() {
    for (status, body) in refusals() {
        let world = World::new();
        let process = world.process();
        let id = process.log_in("ann").await;
        pass(LONG).await;
        world.server.script((0..9).map(|_| answer(status, body)));
        let began = world.now();
        // Within the minute each request is told at once, whether the server is asked or not.
        for _ in 0..5 {
            let asked_at = world.now();
            let error = process.lend().await.err().unwrap();
            assert_eq!(error.code(), "REFRESH_FAILED", "{body}");
            assert_eq!(asked_at.until(world.now()), Duration::ZERO, "{body}");
            assert_ne!(process.state_of(&id).await, "needs_login");
            pass(11).await;
        }
        assert!(began.until(world.now()) < Duration::from_secs(60));
        pass(60).await;
        let error = process.lend().await.err().unwrap();
        assert_eq!(error.code(), "NEEDS_LOGIN", "{body}");
        assert_eq!(process.state_of(&id).await, "needs_login");
        // In every process, and without asking again.
        let asked = world.server.refreshes();
        assert_eq!(
            world.process().lend().await.err().unwrap().code(),
            "NEEDS_LOGIN"
        );
        assert_eq!(world.server.refreshes(), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn one_refusal_or_a_token_that_still_serves_ends_nothing() {
    // A passing failure in between is none of the two.
    let world = World::new();
    let process = world.impatient_process();
    let id = process.log_in("ann").await;
    pass(LONG).await;
    let refuse = || answer(400, r#"{"error":"invalid_request"}"#);
    world.server.script([
        refuse(),
        answer(503, ""),
        Answer::Failure(HttpError::Timeout),
    ]);
    for _ in 0..3 {
        process.lend().await.err().unwrap();
        assert_ne!(process.state_of(&id).await, "needs_login");
        pass(70).await;
    }
    // A new token makes the next refusal the first one.
    process.token().await;
    pass(LONG).await;
    world.server.script([refuse()]);
    process.lend().await.err().unwrap();
    assert_ne!(process.state_of(&id).await, "needs_login");
    pass(70).await;
    process.token().await;
    assert_eq!(process.state_of(&id).await, "ready");

    // As long as the access token serves, refusals of another are of no weight.
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    pass(3600 - 250).await;
    world.server.script([refuse(), refuse(), refuse()]);
    for _ in 0..2 {
        process.token().await;
        process.rest().await;
        pass(80).await;
    }
    assert_eq!(process.state_of(&id).await, "ready");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_of_the_server_is_no_refusal() {
    for (status, body) in [
        (403, "<html>blocked"),
        (400, r#"{"error":"temporarily_unavailable"}"#),
        (500, r#"{"error":"invalid_request"}"#),
        (429, r#"{"error":"invalid_request"}"#),
    ] {
        let world = World::new();
        let process = world.impatient_process();
        let id = process.log_in("ann").await;
        pass(LONG).await;
        world.server.script((0..9).map(|_| answer(status, body)));
        for _ in 0..4 {
            process.lend().await.err().unwrap();
            assert_ne!(process.state_of(&id).await, "needs_login", "{body}");
            pass(90).await;
        }
    }
}
