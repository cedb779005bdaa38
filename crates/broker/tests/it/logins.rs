//! Logins: what the user has done counts, whatever else happens at that moment.

use std::time::Duration;

use provider_auth_broker::{LoginOptions, Method};

use crate::server::Answer;
use crate::world::{Process, World};

#[tokio::test(start_paused = true)]
async fn a_pasted_answer_of_another_login_leaves_this_one_open() {
    let world = World::new();
    let process = world.process();
    let (number, pasted) = process.started_login("ann").await;
    let forged = pasted.replace("state=", "state=x");
    let refused = process
        .finish_login(number, Some(forged))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "LOGIN_FAILED");
    assert_eq!(world.server.requests(), 0);
    let account = process.finish_login(number, Some(pasted)).await.unwrap();
    assert_eq!(
        (account.label.as_str(), account.state),
        ("ann@acme.example", "ready")
    );
    // Who asks late hears the same.
    assert_eq!(
        process.finish_login(number, None).await.unwrap().id,
        account.id
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_that_nobody_finishes_ends_in_time() {
    let world = World::new();
    let process = world.process();
    let (number, _) = process.started_login("ann").await;
    let began = world.now();
    assert_eq!(
        process.finish_login(number, None).await.unwrap_err().code(),
        "LOGIN_TIMEOUT"
    );
    assert_eq!(began.until(world.now()), Duration::from_mins(5));
}

#[tokio::test(start_paused = true)]
async fn a_login_is_called_off_as_often_as_one_likes() {
    let world = World::new();
    let process = world.process();
    let (number, pasted) = process.started_login("ann").await;
    let waiting = tokio::spawn({
        let broker = process.clone();
        async move {
            broker
                .finish_login(number, None)
                .await
                .map(|account| account.id)
        }
    });
    tokio::task::yield_now().await;
    process.cancel_login(number);
    process.cancel_login(number);
    assert_eq!(
        waiting.await.unwrap().unwrap_err().code(),
        "LOGIN_CANCELLED"
    );
    assert_eq!(
        process
            .finish_login(number, Some(pasted))
            .await
            .unwrap_err()
            .code(),
        "LOGIN_CANCELLED"
    );
    assert_eq!(world.server.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn neither_the_deadline_nor_a_cancel_loses_a_code_that_is_being_exchanged() {
    for cancels in [false, true] {
        let world = World::new();
        let process = world.process();
        let (number, pasted) = process.started_login("ann").await;
        // The answer comes after the login's own deadline.
        world.server.script([Answer::After(Duration::from_mins(6))]);
        let finishing = tokio::spawn({
            let broker = process.clone();
            async move {
                broker
                    .finish_login(number, Some(pasted))
                    .await
                    .map(|account| account.id)
            }
        });
        world.server.arrived(1).await;
        if cancels {
            process.cancel_login(number);
        }
        let id = finishing.await.unwrap().unwrap();
        assert_eq!(process.state_of(&id).await, "ready");
        assert_eq!(process.events(), ["account_added"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_says_so() {
    let world = World::new();
    let process = world.process();
    let (number, pasted) = process.started_login("ann").await;
    let denied = pasted.replace("code=code-of-ann", "error=access_denied");
    assert_eq!(refusal(&process, number, denied).await, "LOGIN_DENIED");
    let (number, pasted) = process.started_login("ann").await;
    let spent = pasted.replace("code-of-ann", "spent");
    assert_eq!(refusal(&process, number, spent).await, "LOGIN_FAILED");
    let (number, pasted) = process.started_login("ann").await;
    let page = Answer::Status(200, &[], b"<html>".to_vec());
    world.server.script([page]);
    assert_eq!(refusal(&process, number, pasted).await, "LOGIN_FAILED");
}

/// The code that what was pasted is refused with.
async fn refusal(process: &Process, number: u64, pasted: String) -> &'static str {
    let finished = process.finish_login(number, Some(pasted)).await;
    finished.unwrap_err().code()
}

#[tokio::test(start_paused = true)]
async fn a_device_login_polls_until_the_user_is_done_and_counts_from_the_last_poll() {
    let world = World::new();
    let process = world.process();
    let options = LoginOptions {
        provider: "acme".to_owned(),
        method: Some(Method::Device),
        ..LoginOptions::default()
    };
    let prompt = process.start_login(options).await.unwrap();
    assert_eq!(prompt.user_code.as_deref(), Some("ABCD"));
    let pending =
        |error: &str| Answer::Status(400, &[], format!("{{\"error\":\"{error}\"}}").into_bytes());
    world.server.script([
        pending("authorization_pending"),
        pending("slow_down"),
        pending("authorization_pending"),
    ]);
    let began = world.now();
    let account = process.finish_login(prompt.login, None).await.unwrap();
    // 5 s, 5 s, and 10 s each after `slow_down` (RFC 8628 §3.5).
    assert_eq!(
        began.until(world.now()),
        Duration::from_secs(5 + 5 + 10 + 10)
    );
    assert_eq!(
        account.expires_at,
        Some(world.now() + Duration::from_hours(1))
    );
    assert_eq!(account.label, "dora@acme.example");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_cannot_be_stored_says_so() {
    let world = World::new();
    let process = world.process();
    let (number, pasted) = process.started_login("ann").await;
    // The folder of locks has gone: nothing can be stored.
    let locks = world.vault_dir().join("lock");
    std::fs::rename(&locks, world.vault_dir().join("away")).unwrap();
    assert_eq!(
        process
            .finish_login(number, Some(pasted))
            .await
            .unwrap_err()
            .code(),
        "VAULT_IO"
    );
}
