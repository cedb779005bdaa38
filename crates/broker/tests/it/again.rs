//! A request that is asked for again by its number is decided as if it were asked in full.

use std::sync::Arc;

use provider_auth_broker::config::RequestRotation;
use provider_auth_broker::{AccountChanges, AuthRequest, Filter, Lease, Report, Revoke};
use serde_json::json;
use tokio::runtime::Handle;

use crate::server::Lifetime;
use crate::world::{Process, World, bearer, config, let_others_run, pass, request};

/// The number that a request gets.
async fn number(process: &Process, asked: &AuthRequest) -> Option<u64> {
    now(process, asked).await.again
}

/// Headers that are at hand. A file that was just written may change once more without a trace, so
/// it takes a moment until they are.
async fn now(process: &Process, asked: &AuthRequest) -> Lease {
    for _ in 0..10_000 {
        if let Some(lease) = process.headers_now(asked, &Handle::current()) {
            return lease.unwrap();
        }
        process.headers(asked).await.unwrap();
        let_others_run().await;
    }
    panic!("the headers are never at hand");
}

fn again(process: &Process, number: Option<u64>) -> Option<Lease> {
    process.headers_again(number.unwrap(), &Handle::current())
}

fn served_again(process: &Process, number: Option<u64>) -> Option<String> {
    again(process, number).map(|lease| bearer(&lease))
}

/// How many requests and attempts were counted.
async fn figures(process: &Process) -> [u64; 2] {
    let pool = &process.pool_status(&Filter::default()).await.unwrap()[0];
    [pool.figures.requests, pool.figures.attempts]
}

fn enabled(enabled: bool) -> AccountChanges {
    AccountChanges {
        enabled: Some(enabled),
        ..AccountChanges::default()
    }
}

#[tokio::test(start_paused = true)]
async fn each_time_the_strategy_chooses_and_the_attempt_can_be_reported() {
    let world = World::new();
    let process = world.process_with(config(json!({ "rotation": { "strategy": "round-robin" } })));
    process.add_key("a").await;
    process.add_key("b").await;
    let first = now(&process, &request()).await;
    let before = figures(&process).await;
    let mut served = vec![bearer(&first)];
    for _ in 0..3 {
        let lease = again(&process, first.again).unwrap();
        served.push(bearer(&lease));
        let report = Report {
            attempt: lease.attempt,
            status: Some(200),
            ..Report::default()
        };
        process
            .report_now(&report, &Handle::current())
            .unwrap()
            .unwrap();
    }
    assert_eq!(
        [&served[0], &served[1]],
        [&served[2], &served[3]],
        "{served:?}"
    );
    assert_ne!(served[0], served[1]);
    let after = figures(&process).await;
    assert_eq!(after, before.map(|count| count + 3));
}

#[tokio::test(start_paused = true)]
async fn what_this_or_another_process_finds_out_counts_at_once() {
    for by_another in [false, true] {
        for change in ["a limit", "a refusal", "switched off", "removed"] {
            let world = World::new();
            let (one, two) = (world.process(), world.process());
            let first = one.add_key("a").await;
            one.add_key("b").await;
            let pinned = AuthRequest {
                account: Some("a".to_owned()),
                ..request()
            };
            let both = [&two, &one];
            let lease = two.headers(&pinned).await.unwrap();
            let lease_of_one = one.headers(&pinned).await.unwrap();
            let numbers = [number(&two, &pinned).await, number(&two, &request()).await];
            assert_eq!(served_again(&two, numbers[0]).unwrap(), "S3CRET-key-a");

            let acts = both[usize::from(by_another)];
            let lease = if by_another { lease_of_one } else { lease };
            match change {
                "a limit" => {
                    acts.answer(&lease, 429, &[("retry-after", "3000")]).await;
                }
                "a refusal" => {
                    acts.refuse_key(&lease).await;
                }
                "switched off" => {
                    acts.update_account(&first, enabled(false)).await.unwrap();
                }
                _ => {
                    acts.remove_account(&first, Revoke::Locally).await.unwrap();
                }
            }
            for number in numbers {
                let served = served_again(&two, number);
                assert_ne!(
                    served.as_deref(),
                    Some("S3CRET-key-a"),
                    "{change}, by another: {by_another}"
                );
            }
            assert!(two.headers(&pinned).await.is_err(), "{change}");
            assert_eq!(two.token().await, "S3CRET-key-b");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_is_renewed_first() {
    let world = World::new();
    world.server.tokens_live(Lifetime::In(300));
    let process = world.process();
    process.log_in("ann").await;
    process.lend().await.unwrap();
    let asked = number(&process, &request()).await;
    assert_eq!(
        served_again(&process, asked).unwrap(),
        "S3CRET-access-ann-1"
    );
    pass(290).await;
    assert_eq!(served_again(&process, asked), None);
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert_ne!(
        served_again(&process, asked).as_deref(),
        Some("S3CRET-access-ann-1")
    );
}

#[tokio::test(start_paused = true)]
async fn a_label_that_moves_to_another_account_takes_the_pin_along() {
    let process = World::new().process();
    let (first, second) = (process.add_key("a").await, process.add_key("b").await);
    let pinned = AuthRequest {
        account: Some("a".to_owned()),
        ..request()
    };
    process.headers(&pinned).await.unwrap();
    let asked = number(&process, &pinned).await;
    assert_eq!(served_again(&process, asked).unwrap(), "S3CRET-key-a");
    for (id, label) in [(&first, "z"), (&second, "a")] {
        let label = AccountChanges {
            label: Some(label.to_owned()),
            ..AccountChanges::default()
        };
        process.update_account(id, label).await.unwrap();
    }
    process.lend().await.unwrap();
    assert_eq!(served_again(&process, asked), None);
    assert_eq!(
        bearer(&process.headers(&pinned).await.unwrap()),
        "S3CRET-key-b"
    );
}

#[tokio::test(start_paused = true)]
async fn a_project_that_is_trusted_no_more_ends_what_was_asked_under_it() {
    let world = World::new();
    world.project_says(config(json!({})));
    let process = world.process_with(json!({}));
    process.trust_project(None).await.unwrap();
    process.add_key("a").await;
    process.lend().await.unwrap();
    let asked = number(&process, &request()).await;
    assert!(again(&process, asked).is_some());
    process.untrust_project().await.unwrap();
    assert_eq!(served_again(&process, asked), None);
    assert_eq!(
        process.lend().await.err().unwrap().code(),
        "PROJECT_NOT_TRUSTED"
    );
}

#[tokio::test(start_paused = true)]
async fn a_number_is_of_one_broker_and_the_oldest_are_forgotten() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    one.add_key("a").await;
    for process in [&one, &two] {
        process.lend().await.unwrap();
    }
    let asked = number(&one, &request()).await;
    number(&two, &request()).await;
    assert_eq!(served_again(&two, asked), None);
    assert_eq!(served_again(&two, Some(u64::MAX)), None);
    assert!(again(&one, asked).is_some());
    for _ in 0..4096 {
        number(&one, &request()).await;
    }
    assert_eq!(served_again(&one, asked), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_about_one_request_alone_and_a_url_with_a_key_get_no_number() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    let key = "S3CRET-key-g".into();
    process
        .add_api_key("google", key, None, None, None)
        .await
        .unwrap();
    let lease = process.lend().await.unwrap();
    let google = |query: &str| AuthRequest {
        provider: "google".to_owned(),
        url: Some(format!(
            "https://generativelanguage.googleapis.com/v1beta/models{query}"
        )),
        ..AuthRequest::default()
    };
    let rotation = json!({ "maxWaitMs": 0 });
    let table = [
        (request(), true),
        (
            AuthRequest {
                session: Some("s".to_owned()),
                cache_ttl: Some("1h".to_owned()),
                rotation: Some(Arc::new(RequestRotation::read(&rotation).unwrap())),
                ..request()
            },
            true,
        ),
        (
            AuthRequest {
                bound_by: Some("item".to_owned()),
                ..request()
            },
            false,
        ),
        (
            AuthRequest {
                explain: true,
                ..request()
            },
            false,
        ),
        (
            AuthRequest {
                retry_of: Some(lease.attempt.clone()),
                ..request()
            },
            false,
        ),
        (google("?alt=sse"), true),
        (google("?alt=sse&key=S3CRET"), false),
    ];
    process.answer(&lease, 500, &[]).await;
    pass(60).await;
    for (asked, has_number) in table {
        assert_eq!(
            number(&process, &asked).await.is_some(),
            has_number,
            "{asked:?}"
        );
    }
}
