//! A credential goes where it was made for, whatever a configuration says later.

use provider_auth_broker::AuthRequest;
use serde_json::{Value, json};

use crate::world::{API, World, bearer, config, pass, request};

#[tokio::test(start_paused = true)]
async fn a_url_whose_host_programs_read_differently_gets_no_credential() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    for url in [
        r"https://api.acme.example\@evil.example/v1",
        r"https:\\api.acme.example\v1",
        "https://api.acme\t.example/v1",
        " https://api.acme.example/v1",
    ] {
        let asked = AuthRequest {
            url: Some(url.to_owned()),
            ..request()
        };
        let refused = process.headers(&asked).await.err().unwrap();
        assert_eq!(refused.code(), "INVALID_ARGUMENT", "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_url_outside_the_origins_gets_no_credential() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    process.add_key("a").await;
    for url in [
        "https://evil.example/v1",
        "http://api.acme.example/v1",
        "https://api.acme.example:8443/v1",
        "https://api.acme.example.evil.example/v1",
        "https://api.acme.example@evil.example/v1",
        "https://evil.example/https://api.acme.example/",
    ] {
        let asked = AuthRequest {
            url: Some(url.to_owned()),
            ..request()
        };
        assert_eq!(
            process.headers(&asked).await.err().unwrap().code(),
            "ORIGIN_NOT_ALLOWED",
            "{url}"
        );
    }
    for url in ["", "/v1", "api.acme.example"] {
        let asked = AuthRequest {
            url: Some(url.to_owned()),
            ..request()
        };
        assert_eq!(
            process.headers(&asked).await.err().unwrap().code(),
            "INVALID_ARGUMENT",
            "{url}"
        );
    }
    for url in [
        "https://api.acme.example",
        "HTTPS://API.ACME.EXAMPLE:443/x?y#z",
    ] {
        let asked = AuthRequest {
            url: Some(url.to_owned()),
            ..request()
        };
        process.headers(&asked).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_names_other_places_gets_no_credential() {
    check(
        json!({ "origins": ["https://evil.example"] }),
        "https://evil.example/v1",
    )
    .await;
    check(
        json!({ "tokenEndpoint": "https://evil.example/token" }),
        API,
    )
    .await;
    check(json!({ "clientId": "another" }), API).await;
    check(json!({ "issuer": "https://evil.example" }), API).await;

    async fn check(changes: Value, url: &str) {
        let world = World::new();
        let id = world.process().log_in("ann").await;
        let process = world.process_with(config(changes.clone()));
        let asked = AuthRequest {
            url: Some(url.to_owned()),
            ..request()
        };
        let before = world.server.requests();
        // Fresh, due, stale and ended: neither the token nor the refresh token leaves.
        for passed in [0, 3500, 80, 100] {
            pass(passed).await;
            assert_eq!(
                process.headers(&asked).await.err().unwrap().code(),
                "ORIGIN_NOT_ALLOWED",
                "{changes}"
            );
        }
        let forced = process
            .refresh_account(&id, provider_auth_broker::Force::EvenIfGood)
            .await;
        if changes.get("origins").is_none() {
            assert_eq!(
                forced.unwrap_err().code(),
                "ORIGIN_NOT_ALLOWED",
                "{changes}"
            );
            assert_eq!(world.server.requests(), before, "{changes}");
        }
        // It is not lost either: under the old configuration it serves on.
        world.process().lend().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn more_origins_change_nothing_for_the_old_ones() {
    let world = World::new();
    world.process().log_in("ann").await;
    let process = world.process_with(config(
        json!({ "origins": ["https://api.acme.example", "https://eu.acme.example"] }),
    ));
    process.lend().await.unwrap();
    let elsewhere = AuthRequest {
        url: Some("https://eu.acme.example/v1".to_owned()),
        ..request()
    };
    assert_eq!(
        process.headers(&elsewhere).await.err().unwrap().code(),
        "ORIGIN_NOT_ALLOWED"
    );
    // A key that was added under the new configuration may go there, so it serves.
    process.add_key("new").await;
    assert_eq!(
        bearer(&process.headers(&elsewhere).await.unwrap()),
        "S3CRET-key-new"
    );
}

#[tokio::test(start_paused = true)]
async fn signing_in_again_agrees_to_the_new_configuration() {
    let world = World::new();
    let id = world.process().log_in("ann").await;
    let process = world.process_with(config(json!({ "clientId": "another" })));
    assert_eq!(
        process.lend().await.err().unwrap().code(),
        "ORIGIN_NOT_ALLOWED"
    );
    assert_eq!(process.log_in("ann").await, id);
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
}
