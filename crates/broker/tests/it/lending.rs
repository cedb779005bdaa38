//! Which account serves, and what follows from its answers.

use std::time::Duration;

use provider_auth_broker::{
    Action, AuthRequest, ExposeSecret as _, Failure, Filter, Reason, Report,
};
use serde_json::json;
use tokio::runtime::Handle;

use crate::server::Lifetime;
use crate::world::{World, bearer, config, pass, request, retry_of};

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_and_sent_again_once_and_then_another_account_serves() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    process.add_key("spare").await;
    process.events();

    let first = process.lend().await.unwrap();
    let verdict = process.answer(&first, 401, &[]).await;
    assert_eq!(
        (verdict.action, verdict.reason),
        (Action::Retry, Reason::TokenExpired)
    );
    let second = process.headers(&retry_of(&first)).await.unwrap();
    assert_eq!(bearer(&second), "S3CRET-access-ann-2");
    let verdict = process.answer(&second, 401, &[]).await;
    assert_eq!(
        (verdict.action, verdict.reason),
        (Action::Retry, Reason::TokenExpired)
    );
    assert!(verdict.cooldown_until.is_some());
    let third = process.headers(&retry_of(&second)).await.unwrap();
    assert_eq!(bearer(&third), "S3CRET-key-spare");
    assert_eq!(
        process.answer(&third, 200, &[]).await.action,
        Action::Deliver
    );
    assert_eq!(world.server.refreshes(), 1);
    assert_eq!(
        process.events(),
        ["refreshed", "cooldown", "rotated", "served"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_another_process_has_renewed_is_sent_again_without_a_refresh() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    let id = one.log_in("ann").await;
    let lease = two.lend().await.unwrap();
    one.refresh_account(&id, provider_auth_broker::Force::EvenIfGood)
        .await
        .unwrap();
    assert_eq!(two.answer(&lease, 401, &[]).await.action, Action::Retry);
    let again = two.headers(&retry_of(&lease)).await.unwrap();
    assert_eq!(bearer(&again), "S3CRET-access-ann-2");
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_api_key_needs_a_new_one_and_the_next_account_serves() {
    let world = World::new();
    let process = world.process();
    let first = process.add_key("a").await;
    let second = process.add_key("b").await;
    let lease = process.lend().await.unwrap();
    let refused = lease.account_id().to_owned();
    let verdict = process.refuse_key(&lease).await;
    assert_eq!(
        (verdict.action, verdict.reason),
        (Action::Retry, Reason::NeedsLogin)
    );
    let other = process.headers(&retry_of(&lease)).await.unwrap();
    assert_ne!(other.account_id(), refused);
    assert!([&first, &second].contains(&&refused));
    assert_eq!(process.state_of(&refused).await, "needs_login");
    assert_eq!(world.process().state_of(&refused).await, "needs_login");
    assert_eq!(world.server.requests(), 0);
    assert_eq!(
        process.events(),
        ["account_added", "account_added", "needs_login", "rotated"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_key_again_clears_what_was_held_against_it() {
    let world = World::new();
    let process = world.process();
    let id = process.add_key("a").await;
    let lease = process.lend().await.unwrap();
    process.refuse_key(&lease).await;
    assert_eq!(process.state_of(&id).await, "needs_login");
    assert_eq!(process.add_key("a").await, id);
    assert_eq!(process.token().await, "S3CRET-key-a");
}

#[tokio::test(start_paused = true)]
async fn a_limit_moves_the_session_and_nothing_pulls_it_back() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    process.add_key("b").await;
    let asked = AuthRequest {
        session: Some("talk".to_owned()),
        model: Some("m".to_owned()),
        ..request()
    };
    let lease = process.headers(&asked).await.unwrap();
    let first = lease.account_id().to_owned();
    let verdict = process.answer(&lease, 429, &[("retry-after", "30")]).await;
    assert_eq!(
        (verdict.action, verdict.reason),
        (Action::Retry, Reason::Throttled)
    );
    let next = process.headers(&retry_of(&lease)).await.unwrap();
    assert_ne!(next.account_id(), first);
    process.answer(&next, 200, &[]).await;
    pass(40).await;
    for _ in 0..20 {
        let lease = process.headers(&asked).await.unwrap();
        assert_ne!(lease.account_id(), first);
        process.answer(&lease, 200, &[]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_not_reported_is_forgotten_after_ten_minutes() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    let lease = process.lend().await.unwrap();
    let report = |status| Report {
        attempt: lease.attempt.clone(),
        status: Some(status),
        ..Report::default()
    };
    pass(599).await;
    process.lend().await.unwrap();
    process.report(&report(200)).await.unwrap();
    pass(2).await;
    process.lend().await.unwrap();
    assert_eq!(
        process.report(&report(200)).await.unwrap_err().code(),
        "UNKNOWN_ATTEMPT"
    );
    assert_eq!(
        process
            .headers(&retry_of(&lease))
            .await
            .err()
            .unwrap()
            .code(),
        "UNKNOWN_ATTEMPT"
    );
    // It is held against no account.
    let account = &process.list_accounts(&Filter::default()).await.unwrap()[0];
    assert_eq!(
        (account.successes, account.failures, account.state),
        (1, 0, "ready")
    );
}

#[tokio::test(start_paused = true)]
async fn a_handle_of_another_broker_or_of_none_is_unknown() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    one.add_key("a").await;
    let lease = one.lend().await.unwrap();
    for attempt in [
        lease.attempt.as_str(),
        "",
        "-",
        "x-1",
        "00000000-ffffffffffffffffffff",
    ] {
        let report = Report {
            attempt: attempt.to_owned(),
            status: Some(200),
            ..Report::default()
        };
        assert_eq!(
            two.report(&report).await.unwrap_err().code(),
            "UNKNOWN_ATTEMPT",
            "{attempt}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_after_its_200_is_not_replayed() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    let lease = process.lend().await.unwrap();
    process.answer(&lease, 200, &[]).await;
    let broke = Report {
        attempt: lease.attempt.clone(),
        status: Some(200),
        failure: Some(Failure::Stream),
        ..Report::default()
    };
    assert_eq!(
        process.report(&broke).await.unwrap().action,
        Action::Deliver
    );
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_waiting_settles_at_once() {
    let world = World::new();
    let process = world.process_in(config(json!({})), "memory", &[]);
    let here = Handle::current();
    assert!(
        process.headers_now(&request(), &here).is_none(),
        "the vault is not open yet"
    );
    process.add_key("a").await;
    process.lend().await.unwrap();
    let lease = process.headers_now(&request(), &here).unwrap().unwrap();
    let report = Report {
        attempt: lease.attempt.clone(),
        status: Some(200),
        ..Report::default()
    };
    let verdict = process.report_now(&report, &here).unwrap().unwrap();
    assert_eq!(
        (verdict.action, verdict.delay),
        (Action::Deliver, Duration::ZERO)
    );
    let limit = Report {
        status: Some(429),
        ..report
    };
    assert!(
        process.report_now(&limit, &here).is_none(),
        "a limit must reach the disk"
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_token_has_ended_is_renewed_and_then_sent() {
    let world = World::new();
    let process = world.impatient_process();
    world.server.tokens_live(Lifetime::In(300));
    process.log_in("ann").await;
    let lease = process.lend().await.unwrap();
    process
        .answer(&lease, 429, &[("retry-after", "18000")])
        .await;
    assert_eq!(process.lend().await.err().unwrap().code(), "EXHAUSTED");
    pass(330).await;
    let probe = process.lend().await.unwrap();
    assert_eq!(bearer(&probe), "S3CRET-access-ann-2");
    // One in the whole fleet.
    assert_eq!(
        world.impatient_process().lend().await.err().unwrap().code(),
        "EXHAUSTED"
    );
    process.answer(&probe, 200, &[]).await;
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_the_provider_closed_is_told_as_one_that_needs_a_person() {
    let world = World::new();
    let process = world.process();
    let id = process.add_key("a").await;
    let lease = process.lend().await.unwrap();
    let report = Report {
        attempt: lease.attempt.clone(),
        status: Some(403),
        body: Some(r#"{"error":{"code":"account_deactivated"}}"#.to_owned()),
        ..Report::default()
    };
    let verdict = process.report(&report).await.unwrap();
    assert_eq!(
        (verdict.action, verdict.reason),
        (Action::Deliver, Reason::BlockedByProvider)
    );
    assert_eq!(process.state_of(&id).await, "blocked_by_provider");
    assert_eq!(process.events(), ["account_added", "needs_login"]);
}

#[tokio::test(start_paused = true)]
async fn a_credential_without_a_url_is_one_that_may_go_to_some_origin_of_the_provider() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    let anywhere = AuthRequest {
        url: None,
        ..request()
    };
    let lease = process.headers(&anywhere).await.unwrap();
    let lent = lease.credential();
    assert_eq!(lent.value.expose_secret(), "S3CRET-key-a");
    assert_eq!((lent.header, lent.scheme), ("authorization", "Bearer"));
    assert_eq!(lent.expires_at, None);
    assert!(!format!("{lent:?}").contains("S3CRET"));

    // What was made for other origins goes to none of these.
    let elsewhere = world.process_with(config(json!({ "origins": ["https://other.example"] })));
    let error = elsewhere.headers(&anywhere).await.err().unwrap();
    assert_eq!(error.code(), "ORIGIN_NOT_ALLOWED");
    assert!(error.to_string().contains("any of its origins"), "{error}");

    // A provider without origins has nowhere to send one.
    let nowhere = AuthRequest {
        provider: "azure".to_owned(),
        ..anywhere
    };
    let error = process.headers(&nowhere).await.err().unwrap();
    assert_eq!(error.code(), "ORIGIN_NOT_ALLOWED");
    assert!(error.to_string().contains("no origins"), "{error}");
}
