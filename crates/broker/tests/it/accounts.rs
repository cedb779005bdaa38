//! What a user does with accounts, and what becomes of what is known about them.

use provider_auth_broker::{AccountChanges, AccountKind, Filter, Force, MigrateOptions, Revoke};
use serde_json::{Value, json};

use crate::server::Answer;
use crate::world::{Process, START, World, config, pass, record_id};

#[tokio::test(start_paused = true)]
async fn another_label_does_not_revive_a_login_that_has_ended_and_a_second_login_does() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    let id = one.log_in("ann").await;
    pass(3601).await;
    world.server.revoke_all();
    assert_eq!(one.lend().await.err().unwrap().code(), "NEEDS_LOGIN");

    let changes = AccountChanges {
        label: Some("work".to_owned()),
        priority: Some(3),
        ..AccountChanges::default()
    };
    assert_eq!(
        one.update_account(&id, changes).await.unwrap().state,
        "needs_login"
    );
    for process in [&one, &two, &world.process()] {
        assert_eq!(process.state_of(&id).await, "needs_login");
        assert_eq!(process.lend().await.err().unwrap().code(), "NEEDS_LOGIN");
    }
    assert_eq!(world.server.refreshes(), 1);

    assert_eq!(two.log_in("ann").await, id);
    let account = &one.list_accounts(&Filter::default()).await.unwrap()[0];
    assert_eq!(
        (account.state, account.label.as_str(), account.priority),
        ("ready", "work", 3)
    );
    assert_eq!(one.token().await, "S3CRET-access-ann-2");
}

#[tokio::test(start_paused = true)]
async fn another_label_does_not_end_a_rest_of_refreshes() {
    let world = World::new();
    let process = world.impatient_process();
    let id = process.log_in("ann").await;
    pass(3601).await;
    world.server.script([Answer::Status(500, &[], Vec::new())]);
    let retry_at = process.lend().await.err().unwrap().retry_at();
    let changes = AccountChanges {
        label: Some("work".to_owned()),
        ..AccountChanges::default()
    };
    process.update_account(&id, changes).await.unwrap();
    assert_eq!(process.lend().await.err().unwrap().retry_at(), retry_at);
    assert_eq!(world.server.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_identities_are_two_accounts_and_one_identity_is_one() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    let (ann, bob) = (one.log_in("ann").await, two.log_in("bob").await);
    assert_ne!(ann, bob);
    assert_eq!(two.log_in("ann").await, ann);
    let listed = one.list_accounts(&Filter::default()).await.unwrap();
    let labels: Vec<_> = listed
        .iter()
        .map(|account| account.label.as_str())
        .collect();
    assert_eq!(listed.len(), 2);
    assert!(labels.contains(&"ann@acme.example") && labels.contains(&"bob@acme.example"));
    assert!(
        listed
            .iter()
            .all(|account| account.kind == AccountKind::Oauth && account.refreshable)
    );
}

#[tokio::test(start_paused = true)]
async fn two_logins_of_one_identity_at_once_end_in_one_record() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    let (first, second) = tokio::join!(one.log_in("ann"), two.log_in("ann"));
    assert_eq!(first, second);
    assert_eq!(world.generation(&first), 2);
    assert_eq!(one.token().await, two.token().await);
}

#[tokio::test(start_paused = true)]
async fn names_are_checked_and_unknown_accounts_are_named() {
    let world = World::new();
    let process = world.process();
    let id = process.add_key("a").await;
    for label in ["", " ", "a\nb", "\u{1b}[31m"] {
        let changes = AccountChanges {
            label: Some(label.to_owned()),
            ..AccountChanges::default()
        };
        assert_eq!(
            process
                .update_account(&id, changes)
                .await
                .unwrap_err()
                .code(),
            "INVALID_ARGUMENT"
        );
    }
    let nobody = Filter {
        account: Some("nobody".to_owned()),
        ..Filter::default()
    };
    assert_eq!(
        process.clear_cooldowns(&nobody).await.unwrap_err().code(),
        "UNKNOWN_ACCOUNT"
    );
    let missing = process
        .refresh_account("nobody", Force::IfNeeded)
        .await
        .unwrap_err();
    assert_eq!(missing.code(), "UNKNOWN_ACCOUNT");
    for key in ["", "a b", "a\nb", "schlüssel"] {
        let refused = process
            .add_api_key("acme", key.into(), None, None, None)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), "INVALID_ARGUMENT");
        assert!(key.is_empty() || !refused.to_string().contains(key));
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_is_a_pool_of_its_own() {
    let world = World::new();
    let process = world.process();
    let id = process.add_key("a").await;
    let changes = AccountChanges {
        namespace: Some("team".to_owned()),
        ..AccountChanges::default()
    };
    process.update_account(&id, changes).await.unwrap();
    assert_eq!(process.lend().await.err().unwrap().code(), "NO_ACCOUNT");
    let asked = provider_auth_broker::AuthRequest {
        namespace: Some("team".to_owned()),
        ..crate::world::request()
    };
    process.headers(&asked).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_login_is_revoked_before_it_is_removed_and_kept_when_that_fails() {
    let world = World::new();
    let with_endpoint = config(json!({ "revocationEndpoint": "https://id.acme.example/revoke" }));
    let process = world.process_with(with_endpoint);
    let id = process.log_in("ann").await;
    world.server.script([Answer::Status(503, &[], Vec::new())]);
    let failed = process
        .remove_account(&id, Revoke::AtProvider)
        .await
        .unwrap_err();
    assert_eq!(failed.code(), "NETWORK");
    assert_eq!(process.state_of(&id).await, "ready");
    world.server.script([Answer::Status(200, &[], Vec::new())]);
    assert!(
        process
            .remove_account(&id, Revoke::AtProvider)
            .await
            .unwrap()
    );
    assert_eq!(process.lend().await.err().unwrap().code(), "NO_ACCOUNT");
    assert_eq!(process.events(), ["account_added", "account_removed"]);
}

#[tokio::test(start_paused = true)]
async fn a_login_is_not_renewed_while_it_is_revoked() {
    let world = World::new();
    let process = world.process_with(config(
        json!({ "revocationEndpoint": "https://id.acme.example/revoke" }),
    ));
    let id = process.log_in("ann").await;
    // What another process has renewed is what is revoked.
    let other = world.process();
    other.refresh_account(&id, Force::EvenIfGood).await.unwrap();
    let vault = world.vault();
    let record = record_id(&id);
    world.server.script([Answer::Once(Box::new(move || {
        assert!(vault.try_lock(&record).unwrap().is_none());
    }))]);
    assert!(
        process
            .remove_account(&id, Revoke::AtProvider)
            .await
            .unwrap()
    );
    assert_eq!(world.server.last("token"), "S3CRET-refresh-2");
    let gone = other.remove_account(&id, Revoke::AtProvider).await;
    assert_eq!(gone.unwrap_err().code(), "UNKNOWN_ACCOUNT");
}

#[tokio::test(start_paused = true)]
async fn the_use_of_a_quota_is_shown_until_its_window_resets() {
    let world = World::new();
    let process = world.process();
    process.add_key("one").await;
    let lease = process.lend().await.unwrap();
    let reset = format!("{}", START + 600).leak();
    let headers: [(&str, &str); 4] = [
        ("anthropic-ratelimit-unified-5h-status", "allowed"),
        ("anthropic-ratelimit-unified-5h-utilization", "0.429"),
        ("anthropic-ratelimit-unified-5h-reset", reset),
        ("x-codex-secondary-used-percent", "12"),
    ];
    process.answer(&lease, 200, &headers).await;
    process.rest().await;
    let quota = async |process: &Process| {
        let accounts = process.list_accounts(&Default::default()).await.unwrap();
        accounts[0].quota.clone()
    };
    for process in [&process, &world.process()] {
        let windows = quota(process).await;
        let [(window, usage)] = &windows[..] else {
            panic!("{windows:?}")
        };
        assert_eq!((window.as_str(), usage.used_percent), ("5h", 42));
        assert_eq!(usage.reset_at.as_millis() / 1000, START + 600);
    }
    pass(601).await;
    assert!(quota(&process).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_account_keeps_how_its_secret_came_and_an_early_record_does_not_say() {
    let world = World::new();
    let process = world.process();
    let login = process.log_in("ann").await;
    let key = process.add_key("one").await;
    let entry = json!({ "anthropic": { "type": "api", "key": "S3CRET-key" } });
    std::fs::write(world.legacy_file("auth.json"), entry.to_string()).unwrap();
    let report = process.migrate(MigrateOptions::default()).await.unwrap();
    let migrated = report.imported[0].account.clone().unwrap().to_string();
    let method = async |process: &Process, id: &str| {
        let accounts = process.list_accounts(&Filter::default()).await.unwrap();
        let account = accounts.into_iter().find(|account| account.id == id);
        account.unwrap().method
    };
    process
        .refresh_account(&login, Force::EvenIfGood)
        .await
        .unwrap();
    let told = [
        (&login, "paste"),
        (&key, "api-key"),
        (&migrated, "migrated"),
    ];
    for (id, expected) in told {
        let found = method(&world.process(), id).await;
        assert_eq!(found.as_deref(), Some(expected));
    }

    // As records have it that were written before this was kept.
    {
        let vault = world.vault();
        let guard = vault.lock(&record_id(&login)).unwrap();
        let record = vault.reread(&guard).unwrap().unwrap();
        let mut early: Value = serde_json::from_slice(record.plaintext()).unwrap();
        assert!(early.as_object_mut().unwrap().remove("method").is_some());
        vault.replace(&guard, early.to_string().as_bytes()).unwrap();
    }
    assert_eq!(method(&process, &login).await, None);
    process.log_in("ann").await;
    assert_eq!(method(&process, &login).await.as_deref(), Some("paste"));
}
