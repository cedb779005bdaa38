//! Revoking a host: what it knew of logins is spent, and what is left for a person is told.

use provider_auth_broker::{KeySecrets, KeySource, ToReplace};
use provider_auth_vault::{Options, Vault};
use serde_json::{Value, json};

use crate::server::Answer;
use crate::world::{Process, World, let_others_run, record_id};

/// Admits a host of that name, which has its key in a file.
async fn admit(world: &World, process: &Process, name: &str) {
    let options = Options {
        key: KeySource::Keyfile,
        keyfile: Some(world.vault_dir().with_file_name(name).with_extension("key")),
        ..Options::new(world.vault_dir())
    };
    let of_its_own = name.bytes().last().unwrap();
    let entropy = move |bytes: &mut [u8]| bytes.fill(of_its_own);
    let line = Vault::join(&options, provider_auth_vault::default_engine(), &entropy).unwrap();
    let host = process.admit_host(line, name.to_owned()).await.unwrap();
    assert_eq!(
        (host.name.as_str(), host.added / 1_000_000_000_000),
        (name, 1)
    );
}

/// Gives an account a field in its secret.
fn say_of_secret(world: &World, id: &str, name: &str, value: Value) {
    let (vault, id) = (world.vault(), record_id(id));
    let guard = vault.lock(&id).unwrap();
    let record = vault.read(&id).unwrap().unwrap();
    let mut credential: Value = serde_json::from_slice(record.plaintext()).unwrap();
    credential["secret"][name] = value;
    let plaintext = serde_json::to_vec(&credential).unwrap();
    vault.replace(&guard, &plaintext).unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_login_is_renewed_once_and_what_only_its_owner_can_replace_is_told() {
    let world = World::new();
    let process = world.process();
    let ended = process.log_in("ann").await;
    world.server.revoke_all();
    let good = process.log_in("bob").await;
    let with_client = process.log_in("cid").await;
    say_of_secret(&world, &with_client, "clientSecret", json!("S3CRET-client"));
    let lasting = process.log_in("dot").await;
    say_of_secret(&world, &lasting, "refresh", Value::Null);
    let key = process.add_key("ada").await;
    admit(&world, &process, "ci-7").await;
    admit(&world, &process, "ci-8").await;
    let asked = world.server.refreshes();

    let revoked = process
        .revoke_host("ci-7".to_owned(), KeySecrets::default())
        .await
        .unwrap();
    assert_eq!(revoked.host.name, "ci-7");
    assert_eq!(revoked.sql, None);
    let told: Vec<_> = revoked
        .accounts
        .iter()
        .map(|account| {
            let code = account.error.as_ref().map(|error| error.code());
            (
                account.id.as_str(),
                account.refreshed,
                account.replace.clone(),
                code,
            )
        })
        .collect();
    let expected = [
        (
            ended.as_str(),
            false,
            vec![ToReplace::Login],
            Some("NEEDS_LOGIN"),
        ),
        (&good, true, vec![], None),
        (&with_client, true, vec![ToReplace::ClientSecret], None),
        (&lasting, false, vec![ToReplace::Token], None),
        (&key, false, vec![ToReplace::ApiKey], None),
    ];
    assert_eq!(told, expected);
    assert_eq!(world.server.refreshes() - asked, 3);
    assert_eq!(world.generation(&good), 2);
    let left = process.fleet_hosts().await.unwrap();
    assert_eq!(left.len(), 1);

    let error = process
        .revoke_host("ci-7".to_owned(), KeySecrets::default())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "INVALID_ARGUMENT");
    assert_eq!(world.server.refreshes() - asked, 3, "nothing was renewed");
}

#[tokio::test(start_paused = true)]
async fn of_many_logins_a_few_are_renewed_at_a_time() {
    let world = World::new();
    let process = world.process();
    for number in 0..20 {
        process.log_in(&format!("user{number}")).await;
    }
    admit(&world, &process, "ci-7").await;
    world.server.hold();
    let asked = world.server.requests();
    let broker = process.clone();
    let revoking = tokio::spawn(async move {
        broker
            .revoke_host("ci-7".to_owned(), KeySecrets::default())
            .await
    });
    world.server.arrived(asked + 8).await;
    let_others_run().await;
    assert_eq!(world.server.requests() - asked, 8);
    world.server.release();
    let revoked = revoking.await.unwrap().unwrap();
    assert!(revoked.accounts.iter().all(|account| account.refreshed));
    assert_eq!(world.server.requests() - asked, 20);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_was_cut_off_is_told_and_goes_on() {
    let world = World::new();
    let process = world.process();
    let login = process.log_in("ann").await;
    process.add_key("ada").await;
    admit(&world, &process, "ci-7").await;
    // All that is done by a process that is killed before it renews a login.
    let given = KeySecrets::default();
    world.vault().revoke_host("ci-7", &given).unwrap();

    let next = world.process();
    let revoke = async || {
        next.revoke_host("ci-7".to_owned(), KeySecrets::default())
            .await
    };
    let hosts = async || {
        let hosts = next.fleet_hosts().await.unwrap();
        let facts = hosts.into_iter().map(|host| (host.name, host.revoked));
        facts.collect::<Vec<_>>()
    };
    assert_eq!(hosts().await, [("ci-7".to_owned(), true)]);
    world.server.script([Answer::Status(503, &[], Vec::new())]);
    let tried = revoke().await.unwrap();
    assert_eq!(
        (tried.host.revoked, tried.accounts[0].refreshed),
        (true, false)
    );
    assert_eq!(
        hosts().await,
        [("ci-7".to_owned(), true)],
        "not all is done"
    );
    let revoked = revoke().await.unwrap();
    assert_eq!(
        (revoked.host.name.as_str(), revoked.host.revoked),
        ("ci-7", false)
    );
    assert_eq!(revoked.accounts.len(), 2);
    assert_eq!(
        (&revoked.accounts[0].id, revoked.accounts[0].refreshed),
        (&login, true)
    );
    assert_eq!(hosts().await, []);
    assert_eq!(revoke().await.unwrap_err().code(), "INVALID_ARGUMENT");
}
