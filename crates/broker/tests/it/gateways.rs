//! A gateway in front of a provider: it gets the credentials that were added since it is
//! configured, and a refusal says how.

use provider_auth_broker::{AuthRequest, BrokerError, Selection};
use serde_json::{Value, json};

use crate::world::*;

const GATEWAY: &str = "https://gateway.example";

fn to(url: &str) -> AuthRequest {
    AuthRequest {
        url: Some(format!("{url}/v1/chat")),
        ..request()
    }
}

fn extra() -> Value {
    config(json!({ "extraOrigins": [GATEWAY] }))
}

async fn refusal(process: &Process, asked: &AuthRequest) -> String {
    let error: BrokerError = process.headers(asked).await.err().unwrap();
    assert_eq!(error.code(), "ORIGIN_NOT_ALLOWED");
    error.to_string()
}

#[tokio::test(start_paused = true)]
async fn an_extra_origin_is_one_beside_the_others() {
    let world = World::new();
    let process = world.process_with(extra());
    process.add_key("a").await;
    process.headers(&to(GATEWAY)).await.unwrap();
    process.headers(&request()).await.unwrap();
    let refused = refusal(&process, &to("https://elsewhere.example")).await;
    assert!(refused.contains("providers.acme.origins"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_key_from_before_says_that_it_is_to_be_added_again() {
    let world = World::new();
    let before = world.process();
    let id = before.add_key("a").await;
    let process = world.process_with(extra());
    let said = refusal(&process, &to(GATEWAY)).await;
    assert!(
        said.contains("add the key again") && said.contains("addApiKey({ provider: \"acme\""),
        "{said}"
    );
    assert!(!said.contains("login("), "{said}");
    assert_eq!(process.add_key("a").await, id);
    process.headers(&to(GATEWAY)).await.unwrap();
    let login = process.log_in("ann").await;
    assert_ne!(login, id);
}

#[tokio::test(start_paused = true)]
async fn a_login_from_before_says_that_one_signs_in_again() {
    let world = World::new();
    world.process().log_in("ann").await;
    let process = world.process_with(extra());
    let said = refusal(&process, &to(GATEWAY)).await;
    assert!(
        said.contains("sign in again: login({ provider: \"acme\" })"),
        "{said}"
    );
    assert!(!said.contains("addApiKey"), "{said}");
    process.log_in("ann").await;
    process.headers(&to(GATEWAY)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_origin_is_explained_with_what_to_do() {
    let world = World::new();
    let id = world.process().add_key("a").await;
    let process = world.process_with(extra());
    for (url, part) in [
        (GATEWAY, "add the key again"),
        ("https://elsewhere.example", "providers.acme.origins"),
    ] {
        let explained = process.explain(&to(url)).await.unwrap();
        assert_eq!(explained.trace.selection, Selection::OriginRefused);
        let [prospect] = &explained.trace.accounts[..] else {
            panic!("{explained:?}");
        };
        assert_eq!(prospect.account.as_str(), id);
        assert_eq!(prospect.chance.as_str(), "origin_refused");
        let said = explained.refusal.unwrap();
        assert!(said.contains(part), "{said}");
    }
    let explained = process.explain(&request()).await.unwrap();
    assert_eq!(explained.refusal, None);
}
