//! What a request says of the rotation of its pool holds for it, and for no other.

use std::sync::Arc;

use provider_auth_broker::config::RequestRotation;
use provider_auth_broker::{Action, AuthRequest};
use serde_json::{Value, json};

use crate::world::{Process, World, bearer, config, request};

/// The usual request with this `rotation`.
fn with(rotation: Value) -> AuthRequest {
    AuthRequest {
        rotation: Some(Arc::new(RequestRotation::read(&rotation).unwrap())),
        ..request()
    }
}

async fn served_by(process: &Process, asked: &AuthRequest) -> String {
    let lease = process.headers(asked).await.unwrap();
    process.answer(&lease, 200, &[]).await;
    bearer(&lease)
}

#[tokio::test(start_paused = true)]
async fn two_requests_of_one_process_rotate_each_in_its_own_way() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    process.log_in("ann").await;
    let (keys, logins) = (
        with(json!({ "mode": "api" })),
        with(json!({ "mode": "subscription" })),
    );
    for _ in 0..3 {
        assert_eq!(served_by(&process, &keys).await, "S3CRET-key-a");
        assert_ne!(served_by(&process, &logins).await, "S3CRET-key-a");
        assert_ne!(process.token().await, "S3CRET-key-a");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_request_leaves_out_is_as_configured() {
    let configured = config(json!({ "rotation": { "mode": "api" } }));
    let process = World::new().process_with(configured);
    process.log_in("ann").await;
    for rotation in [json!({}), json!({ "maxWaitMs": 0 })] {
        let refused = process.headers(&with(rotation)).await.err().unwrap();
        assert_eq!(refused.code(), "NO_ACCOUNT");
    }
    let auto = with(json!({ "mode": "auto" }));
    assert!(process.headers(&auto).await.is_ok());
    assert_eq!(process.lend().await.err().unwrap().code(), "NO_ACCOUNT");
}

#[tokio::test(start_paused = true)]
async fn a_retry_keeps_the_rotation_of_its_first_attempt() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    process.add_key("b").await;
    let alone = process
        .headers(&with(json!({ "rotate": false })))
        .await
        .unwrap();
    let verdict = process.answer(&alone, 429, &[("retry-after", "600")]).await;
    assert_eq!(verdict.action, Action::Deliver);

    let limited = with(json!({ "maxAttempts": 1, "mode": "api" }));
    let first = process.headers(&limited).await.unwrap();
    assert_ne!(bearer(&first), bearer(&alone));
    let verdict = process.answer(&first, 500, &[]).await;
    assert_eq!(verdict.action, Action::Deliver);
}

#[test]
fn a_value_that_is_wrong_names_its_key_and_holds_nothing_of_it() {
    for (wrong, key) in [
        (json!({ "mode": "S3CRET" }), "rotation.mode: "),
        (json!({ "strategy": "round_robin" }), "rotation.strategy: "),
        (json!({ "rotate": "yes" }), "rotation.rotate: "),
        (json!({ "maxAttempts": 0 }), "rotation.maxAttempts: "),
        (json!({ "maxWaitMs": -1 }), "rotation.maxWaitMs: "),
        (json!({ "holdUntilReset": 1 }), "rotation.holdUntilReset: "),
        (json!("auto"), "rotation: "),
        (json!([]), "rotation: "),
    ] {
        let fault = RequestRotation::read(&wrong).unwrap_err().to_string();
        assert!(fault.starts_with(key), "{fault}");
        assert!(!fault.contains("S3CRET"), "{fault}");
    }
}
