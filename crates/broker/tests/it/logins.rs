//! Logins: what the user has done counts, whatever else happens at that moment.

use std::time::Duration;

use serde_json::json;

use provider_auth_broker::{Filter, HttpError, LoginOptions, LoginStep, Method};

use crate::server::Answer;
use crate::world::{Process, World, config, let_others_run, pass};

/// What a person does not feel.
const SOON: Duration = Duration::from_millis(50);

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
    let progress = process.login_progress(number).unwrap();
    assert_eq!(progress.step, LoginStep::Waiting);
    assert!(
        progress
            .note
            .unwrap()
            .starts_with("What was pasted last did not count: ")
    );
    let account = process.finish_login(number, Some(pasted)).await.unwrap();
    let progress = process.login_progress(number).unwrap();
    assert_eq!(progress.step, LoginStep::Storing);
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
async fn a_login_that_is_not_finished_ends_in_time() {
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
async fn the_deadline_and_a_cancel_are_told_at_once_and_lose_no_code_that_is_being_exchanged() {
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
        let began = world.now();
        let (code, after) = match cancels {
            true => {
                process.cancel_login(number);
                ("LOGIN_CANCELLED", Duration::ZERO)
            }
            false => ("LOGIN_TIMEOUT", Duration::from_mins(5)),
        };
        assert_eq!(finishing.await.unwrap().unwrap_err().code(), code);
        let waited = began.until(world.now()).saturating_sub(after);
        assert!(waited <= SOON, "{waited:?}");
        // The exchange goes on alone, and what it brings is kept.
        pass(6 * 60).await;
        let stored = async {
            while process.events() != ["account_added"] {
                let_others_run().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(10), stored)
            .await
            .unwrap();
        let accounts = process.list_accounts(&Filter::default()).await.unwrap();
        assert_eq!(accounts[0].state, "ready");
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

#[tokio::test(start_paused = true)]
async fn a_pasted_code_that_is_refused_leaves_the_login_open_for_the_right_one() {
    let refuse = |status, body: &str| Answer::Status(status, &[], body.as_bytes().to_vec());
    for refusal in [
        refuse(400, r#"{"error":"invalid_grant"}"#),
        refuse(400, r#"{"error":"invalid_request"}"#),
        refuse(403, r#"{"error":{"type":"forbidden"}}"#),
        refuse(503, ""),
        refuse(200, "<html>"),
        Answer::Failure(HttpError::Timeout),
    ] {
        let world = World::new();
        let process = world.process();
        let (number, pasted) = process.started_login("ann").await;
        world.server.script([refusal]);
        let wrong = pasted.replace("code-of-ann", "code-of-an-earlier-page");
        let refused = process.finish_login(number, Some(wrong)).await;
        assert_eq!(refused.unwrap_err().code(), "LOGIN_FAILED");
        let account = process.finish_login(number, Some(pasted)).await.unwrap();
        assert_eq!(account.label, "ann@acme.example");
    }
    // No other code helps a client that is not known.
    let world = World::new();
    let process = world.process();
    let (number, pasted) = process.started_login("ann").await;
    world
        .server
        .script([refuse(401, r#"{"error":"invalid_client"}"#)]);
    let refused = process.finish_login(number, Some(pasted.clone())).await;
    assert!(refused.unwrap_err().to_string().contains("invalid_client"));
    let after = process.finish_login(number, Some(pasted)).await;
    assert!(after.unwrap_err().to_string().contains("invalid_client"));
}

/// A login that has not begun yet, at each request that it makes before there is something to show.
#[tokio::test(start_paused = true)]
async fn a_login_that_begins_ends_with_its_time_and_with_a_word() {
    let mcp = json!({ "providers": { "acme": { "extends": "mcp", "resource": "https://mcp.notes.example/mcp" } } });
    let issuer = config(json!({ "issuer": "https://id.acme.example" }));
    for (config, method, requests) in [
        // The challenge, the description, the metadata, the registration.
        (&mcp, Method::Paste, 4),
        (&issuer, Method::Paste, 1),
        // The metadata, the device code.
        (&issuer, Method::Device, 2),
    ] {
        for request in 1..=requests {
            for cancels in [false, true] {
                let world = crate::mcp::world();
                world.server.serves(
                    "/.well-known/openid-configuration",
                    crate::mcp::login_server(json!({})),
                );
                let process = world.process_with(config.clone());
                // Answers come until then, and none from then on.
                world.server.hold_from(request);
                let options = LoginOptions {
                    provider: "acme".to_owned(),
                    method: Some(method),
                    timeout: Some(Duration::from_secs(7)),
                    ..LoginOptions::default()
                };
                let beginning = tokio::spawn({
                    let broker = process.clone();
                    async move { broker.start_login(options).await.map(drop) }
                });
                let began = world.now();
                world.server.arrived(request).await;
                if cancels {
                    beginning.abort();
                }
                let after = match (cancels, beginning.await) {
                    (true, ended) => {
                        assert!(ended.unwrap_err().is_cancelled());
                        Duration::ZERO
                    }
                    (false, ended) => {
                        let error = ended.unwrap().unwrap_err();
                        assert_eq!(error.code(), "LOGIN_TIMEOUT");
                        assert!(error.to_string().contains("had not said yet how to go on"));
                        Duration::from_secs(7)
                    }
                };
                let waited = began.until(world.now());
                assert!(waited <= after + SOON, "{method:?} {request}: {waited:?}");
                // Nothing goes on behind it.
                let_others_run().await;
                assert_eq!(world.server.requests(), request);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_under_way_ends_with_its_time_and_with_a_word() {
    for cancels in [false, true] {
        let world = World::new();
        let process = world.process();
        let options = LoginOptions {
            provider: "acme".to_owned(),
            method: Some(Method::Device),
            timeout: Some(Duration::from_secs(20)),
            ..LoginOptions::default()
        };
        let began = world.now();
        let prompt = process.start_login(options).await.unwrap();
        world.server.hold_from(2);
        let finishing = tokio::spawn({
            let broker = process.clone();
            async move { broker.finish_login(prompt.login, None).await.map(drop) }
        });
        world.server.arrived(2).await;
        let polled = began.until(world.now());
        if cancels {
            process.cancel_login(prompt.login);
        }
        let error = finishing.await.unwrap().unwrap_err();
        let (code, after) = match cancels {
            true => ("LOGIN_CANCELLED", polled),
            false => ("LOGIN_TIMEOUT", Duration::from_secs(20)),
        };
        assert_eq!(error.code(), code);
        let waited = began.until(world.now());
        assert!(waited <= after + SOON, "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_times_out_says_what_was_pasted_last_and_why_it_did_not_count() {
    let world = World::new();
    let process = world.process();
    let (number, pasted) = process.started_login("ann").await;
    let error = process.finish_login(number, None).await.unwrap_err();
    assert!(error.to_string().contains("No code was pasted"), "{error}");
    let (number, again) = process.started_login("ann").await;
    process
        .finish_login(number, Some(pasted))
        .await
        .unwrap_err();
    let error = process.finish_login(number, None).await.unwrap_err();
    assert_eq!(error.code(), "LOGIN_TIMEOUT");
    assert!(
        error
            .to_string()
            .contains("What was pasted last did not count: this answer belongs to another login"),
        "{error} {again}"
    );
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
