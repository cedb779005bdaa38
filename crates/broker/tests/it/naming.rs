//! Labels: no two of a pool are the same without a word, and calls take them for ids.

use provider_auth_broker::{AccountChanges, AuthRequest, Filter, Force, LoginOptions, Revoke};

use crate::world::*;

const KEYS: [&str; 4] = [
    "S3CRET-key-1",
    "S3CRET-key-2",
    "S3CRET-key-3",
    "S3CRET-key-4",
];

async fn add(process: &Process, key: &str, pool: Option<&str>, label: &str) -> (String, String) {
    let pool = pool.map(str::to_owned);
    let added = process.add_api_key("acme", key.into(), pool, Some(label.to_owned()), None);
    let account = added.await.unwrap();
    (account.id, account.label)
}

fn named(label: &str) -> AccountChanges {
    AccountChanges {
        label: Some(label.to_owned()),
        ..AccountChanges::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_label_that_is_taken_in_the_pool_gets_a_number() {
    let world = World::new();
    let process = world.process();
    let (first, label) = add(&process, KEYS[0], None, "bob").await;
    assert_eq!(label, "bob");
    let (second, label) = add(&process, KEYS[1], None, "bob").await;
    assert_eq!(label, "bob 2");
    assert_eq!(add(&process, KEYS[2], Some("team"), "bob").await.1, "bob");
    // Its own label is not taken.
    assert_eq!(
        add(&process, KEYS[0], None, "bob").await,
        (first.clone(), "bob".to_owned())
    );
    assert_eq!(add(&process, KEYS[1], None, "bob").await.1, "bob 2");
    let (third, label) = add(&process, KEYS[3], None, "eve").await;
    assert_eq!(label, "eve");
    // However it comes to share one: by another name, or by another pool.
    let renamed = process.update_account(&third, named("bob")).await.unwrap();
    assert_eq!(renamed.label, "bob 3");
    let same = process
        .update_account(&second, named("bob 2"))
        .await
        .unwrap();
    assert_eq!(same.label, "bob 2");
    let moved = AccountChanges {
        namespace: Some("team".to_owned()),
        ..AccountChanges::default()
    };
    let moved = process.update_account(&first, moved).await.unwrap();
    assert_eq!(moved.label, "bob 2");
}

#[tokio::test(start_paused = true)]
async fn a_key_without_a_label_is_called_by_its_end_and_a_short_one_by_its_provider() {
    let process = World::new().process();
    for (key, label) in [
        ("S3CRET-key-of-16-1234", "key …1234"),
        ("S3CRET-other-key-1234", "key …1234 2"),
        ("twenty-letters--.-/=", "key ….-/="),
        ("nineteen-letters-xy", "acme"),
        ("short", "acme 2"),
        ("1234", "acme 3"),
        ("ab", "acme 4"),
    ] {
        let added = process.add_api_key("acme", key.into(), None, None, None);
        assert_eq!(added.await.unwrap().label, label, "{key}");
        let again = process.add_api_key("acme", key.into(), None, None, None);
        assert_eq!(again.await.unwrap().label, label, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_import_numbers_a_label_that_is_taken() {
    let (here, there) = (World::new(), World::new());
    let (from, to) = (here.process(), there.process());
    add(&from, KEYS[0], None, "bob").await;
    add(&to, KEYS[1], None, "bob").await;
    let bundle = from
        .export_vault(
            "S3CRET-passphrase".into(),
            provider_auth_broker::PassphraseRule::Any,
            provider_auth_broker::Logins::Stay,
        )
        .await
        .unwrap();
    let imported = to
        .import_vault(bundle, "S3CRET-passphrase".into())
        .await
        .unwrap();
    assert_eq!(imported.accounts[0].label, "bob 2");
    let mut labels: Vec<_> = to.list_accounts(&Filter::default()).await.unwrap();
    labels.sort_by(|a, b| a.label.cmp(&b.label));
    assert_eq!(
        labels.iter().map(|a| a.label.as_str()).collect::<Vec<_>>(),
        ["bob", "bob 2"]
    );
}

#[tokio::test(start_paused = true)]
async fn calls_that_take_an_id_take_a_label_and_say_when_it_names_none_or_two() {
    let world = World::new();
    let process = world.process();
    let (one, _) = add(&process, KEYS[0], None, "bob").await;
    let (other, _) = add(&process, KEYS[1], Some("team"), "bob").await;
    add(&process, KEYS[2], None, "eve").await;
    let changed = process.update_account("eve", named("ann")).await.unwrap();
    assert_eq!(changed.label, "ann");
    let refreshed = process.refresh_account("ann", Force::IfNeeded).await;
    assert_eq!(refreshed.unwrap_err().code(), "INVALID_ARGUMENT");
    assert!(
        process
            .remove_account("ann", Revoke::Locally)
            .await
            .unwrap()
    );
    let told = |error: provider_auth_broker::BrokerError| (error.code(), error.to_string());
    for (name, code) in [("ann", "UNKNOWN_ACCOUNT"), ("bob", "INVALID_ARGUMENT")] {
        for (refusal, said) in [
            told(process.update_account(name, named("x")).await.unwrap_err()),
            told(
                process
                    .remove_account(name, Revoke::Locally)
                    .await
                    .unwrap_err(),
            ),
            told(
                process
                    .refresh_account(name, Force::IfNeeded)
                    .await
                    .unwrap_err(),
            ),
        ] {
            assert_eq!(refusal, code, "{said}");
            let names_both = said.contains(&one) && said.contains(&other);
            assert_eq!(names_both, code == "INVALID_ARGUMENT", "{said}");
        }
    }
    assert!(process.remove_account(&one, Revoke::Locally).await.unwrap());
    let gone = process
        .remove_account(&one, Revoke::Locally)
        .await
        .unwrap_err();
    assert_eq!(gone.code(), "UNKNOWN_ACCOUNT");
}

#[tokio::test(start_paused = true)]
async fn a_pin_that_names_two_accounts_is_refused_with_both() {
    let world = World::new();
    let process = world.process();
    let (one, _) = add(&process, KEYS[0], None, "bob").await;
    let (other, _) = add(&process, KEYS[1], None, "bob").await;
    // As vaults have it that were written before labels were numbered.
    let vault = world.vault();
    let guard = vault.lock(&record_id(&other)).unwrap();
    let record = vault.reread(&guard).unwrap().unwrap();
    let mut account: serde_json::Value = serde_json::from_slice(record.plaintext()).unwrap();
    account["label"] = "bob".into();
    vault
        .replace(&guard, account.to_string().as_bytes())
        .unwrap();
    drop(guard);
    let pinned = |pin: &str| AuthRequest {
        account: Some(pin.to_owned()),
        ..request()
    };
    let fresh = world.process();
    for refusal in [
        fresh.headers(&pinned("bob")).await.err().unwrap(),
        fresh.explain(&pinned("bob")).await.err().unwrap(),
    ] {
        let said = refusal.to_string();
        assert_eq!(refusal.code(), "INVALID_ARGUMENT");
        assert!(said.contains(&one) && said.contains(&other), "{said}");
    }
    fresh.headers(&pinned(&other)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_key_and_a_login_take_their_priority_when_they_are_added() {
    let world = World::new();
    let process = world.process();
    add(&process, KEYS[0], None, "first").await;
    let label = || Some("preferred".to_owned());
    let preferred = process.add_api_key("acme", KEYS[1].into(), None, label(), Some(-5));
    assert_eq!(preferred.await.unwrap().priority, -5);
    assert_eq!(process.token().await, KEYS[1]);
    // Adding it again keeps what was set, unless it says otherwise.
    let again = process.add_api_key("acme", KEYS[1].into(), None, label(), None);
    assert_eq!(again.await.unwrap().priority, -5);
    let again = process.add_api_key("acme", KEYS[1].into(), None, label(), Some(5));
    assert_eq!(again.await.unwrap().priority, 5);
    assert_eq!(process.token().await, KEYS[0]);
    let options = LoginOptions {
        priority: Some(7),
        ..login_options()
    };
    let (number, pasted) = process.started_login_with("ann", options).await;
    let account = process.finish_login(number, Some(pasted)).await.unwrap();
    assert_eq!(account.priority, 7);
}
