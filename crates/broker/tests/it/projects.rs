//! A project's file, before and after a person trusted it.

use provider_auth_broker::config::TrustState;
use provider_auth_broker::{
    AuthRequest, BrokerError, Filter, Force, LoginOptions, Method, MigrateOptions, Revoke,
};
use serde_json::{Value, json};

use crate::world::{API, Process, World, bearer, config, pass, record_id, request};

/// What the usual provider is, said by the project's file.
fn says(world: &World, changes: Value) {
    world.project_says(config(changes));
}

fn elsewhere(world: &World) -> Process {
    world.process_with(json!({}))
}

async fn refused(process: &Process) -> BrokerError {
    process.lend().await.err().expect("a refusal")
}

async fn trust(process: &Process) {
    let project = process.trust_project(None).await.unwrap();
    let states: Vec<_> = project.files.iter().map(|file| file.state).collect();
    assert_eq!(states, [TrustState::Trusted]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_needs_an_untrusted_file_names_it_and_what_it_wants() {
    let world = World::new();
    says(
        &world,
        json!({ "clientSecret": "{file:~/.ssh/id_ed25519}", "revocationEndpoint": "https://evil.example/r" }),
    );
    let process = elsewhere(&world);
    let options = |method| LoginOptions {
        provider: "acme".to_owned(),
        method: Some(method),
        ..LoginOptions::default()
    };
    let mut refusals = vec![refused(&process).await];
    for method in [
        Method::Browser,
        Method::Paste,
        Method::Device,
        Method::ClientCredentials,
    ] {
        refusals.push(process.start_login(options(method)).await.unwrap_err());
    }
    let key = process.add_api_key("acme", "S3CRET-key".into(), None, None, None);
    refusals.push(key.await.unwrap_err());
    for refusal in refusals {
        assert_eq!(refusal.code(), "PROJECT_NOT_TRUSTED");
        assert_eq!(refusal.provider(), Some("acme"));
        assert!(refusal.file().unwrap().ends_with("provider-auth.jsonc"));
        let text = refusal.to_string();
        for part in [
            "provider-auth.jsonc",
            "https://api.acme.example (origins)",
            "https://id.acme.example (tokenEndpoint)",
            "https://evil.example (revocationEndpoint)",
            ".ssh/id_ed25519\" (clientSecret)",
            "trustProject()",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert_eq!(world.server.requests(), 0);
    assert!(
        process
            .list_accounts(&Filter::default())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn after_trust_the_file_counts_here_and_in_processes_that_run_already() {
    let world = World::new();
    says(&world, json!({}));
    let (here, there) = (elsewhere(&world), elsewhere(&world));
    assert_eq!(refused(&there).await.code(), "PROJECT_NOT_TRUSTED");
    trust(&here).await;
    here.log_in("ann").await;
    assert_eq!(there.token().await, "S3CRET-access-ann-1");
    // And when the file that defines them is gone, its accounts are kept, and it is said where they
    // serve.
    world.project_says(json!({}));
    let bare = elsewhere(&world);
    let refusal = refused(&bare).await;
    assert_eq!(refusal.code(), "UNKNOWN_PROVIDER");
    assert!(
        refusal
            .to_string()
            .contains("were made under the project file"),
        "{refusal}"
    );
    assert_eq!(
        bare.list_accounts(&Filter::default()).await.unwrap().len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn trust_ends_when_the_file_changes_and_its_accounts_wait_for_it() {
    let world = World::new();
    says(&world, json!({}));
    let process = elsewhere(&world);
    trust(&process).await;
    let login = process.log_in("ann").await;
    let key = process.add_key("k").await;
    says(
        &world,
        json!({ "origins": ["https://evil.example", "https://api.acme.example"] }),
    );
    let changed = elsewhere(&world);
    let refusal = refused(&changed).await;
    assert_eq!(refusal.code(), "PROJECT_NOT_TRUSTED");
    assert!(refusal.to_string().contains("in its present form"));
    let requests = world.server.requests();
    let refresh = changed.refresh_account(&login, Force::EvenIfGood).await;
    assert_eq!(refresh.unwrap_err().code(), "PROJECT_NOT_TRUSTED");
    assert_eq!(world.server.requests(), requests);

    // Trusted again, what was made before stays with the places that were shown then.
    trust(&changed).await;
    let evil = AuthRequest {
        url: Some("https://evil.example/v1".to_owned()),
        ..request()
    };
    assert_eq!(
        changed.headers(&evil).await.err().unwrap().code(),
        "ORIGIN_NOT_ALLOWED"
    );
    assert!(changed.lend().await.is_ok());
    for id in [login, key] {
        assert_eq!(changed.state_of(&id).await, "ready");
    }
}

#[tokio::test(start_paused = true)]
async fn what_shapes_requests_is_part_of_what_a_login_was_made_for() {
    let world = World::new();
    says(&world, json!({}));
    let process = elsewhere(&world);
    trust(&process).await;
    process.log_in("ann").await;
    for shape in [
        json!({ "dialect": { "fields": { "access_token": "refresh_token" } } }),
        json!({ "params": { "refresh": { "resource": "https://other.example" } } }),
        json!({ "header": "x-other" }),
        json!({ "headers": { "x-other": "1" } }),
    ] {
        says(&world, shape.clone());
        let changed = elsewhere(&world);
        trust(&changed).await;
        let requests = world.server.requests();
        assert_eq!(
            refused(&changed).await.code(),
            "ORIGIN_NOT_ALLOWED",
            "{shape}"
        );
        pass(3700).await;
        assert_eq!(
            refused(&changed).await.code(),
            "ORIGIN_NOT_ALLOWED",
            "{shape}"
        );
        assert_eq!(world.server.requests(), requests, "{shape}");
    }
    says(&world, json!({}));
    let back = elsewhere(&world);
    trust(&back).await;
    assert_eq!(back.token().await, "S3CRET-access-ann-2");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_has_accounts_is_not_a_projects_to_define_trusted_or_not() {
    let world = World::new();
    let users = world.process();
    let id = users.log_in("ann").await;
    says(
        &world,
        json!({ "origins": ["https://evil.example"], "tokenEndpoint": "https://evil.example/t", "dialect": { "fields": { "access_token": "refresh_token" } } }),
    );
    let beside = world.process();
    assert_eq!(beside.token().await, "S3CRET-access-ann-1");
    beside.trust_project(None).await.unwrap();
    assert_eq!(beside.token().await, "S3CRET-access-ann-1");
    pass(3700).await;
    assert_eq!(beside.token().await, "S3CRET-access-ann-2");

    // Not even where nothing else defines it by now.
    let alone = elsewhere(&world);
    let refusal = refused(&alone).await;
    assert_eq!(refusal.code(), "INVALID_CONFIG");
    assert!(
        refusal.to_string().contains("provider-auth.jsonc"),
        "{refusal}"
    );
    assert_eq!(alone.state_of(&id).await, "ready");
    assert_eq!(
        world.server.refreshes(),
        1,
        "what was sent went to the login's own server"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_made_under_a_project_serves_nowhere_else() {
    let world = World::new();
    // The user's own configuration names the issuer alone, the project's file where codes and
    // tokens go.
    let own = json!({ "providers": { "acme": {
        "issuer": "https://id.acme.example", "clientId": "client", "origins": ["https://api.acme.example"],
        "dialect": { "discovery": false },
    } } });
    let ours = || world.process_with(own.clone());
    says(
        &world,
        json!({ "revocationEndpoint": "https://id.acme.example/revoke" }),
    );
    let process = ours();
    trust(&process).await;
    let login = process.log_in("ann").await;
    let key = process.add_key("k").await;
    assert!(process.lend().await.is_ok());
    let requests = world.server.requests();
    process.untrust_project().await.unwrap();
    world.project_says(json!({}));
    for process in [process, ours()] {
        pass(3700).await;
        assert_eq!(refused(&process).await.code(), "ORIGIN_NOT_ALLOWED");
        for id in [&login, &key] {
            let refresh = process.refresh_account(id, Force::EvenIfGood).await;
            assert!(refresh.is_err());
        }
        let revoked = process.remove_account(&login, Revoke::AtProvider).await;
        let refusal = revoked.unwrap_err();
        assert_eq!(refusal.code(), "ORIGIN_NOT_ALLOWED");
        assert!(
            refusal.to_string().contains("provider-auth.jsonc"),
            "{refusal}"
        );
    }
    assert_eq!(world.server.requests(), requests);
}

#[tokio::test(start_paused = true)]
async fn trust_is_taken_back_by_place_be_the_file_there_or_not() {
    let world = World::new();
    says(&world, json!({}));
    let process = elsewhere(&world);
    trust(&process).await;
    world.project_is_gone();
    process.untrust_project().await.unwrap();
    says(&world, json!({}));
    assert!(process.project_trust().await.unwrap().files[0].asks_for_trust());
    trust(&process).await;
    world.project_reads("{ \"providers\": ");
    assert_eq!(
        process.untrust_project().await.unwrap_err().code(),
        "INVALID_CONFIG"
    );
    says(&world, json!({}));
    assert!(process.project_trust().await.unwrap().files[0].asks_for_trust());
}

#[tokio::test(start_paused = true)]
async fn who_misses_a_provider_reads_which_file_does_not_count() {
    let world = World::new();
    says(&world, json!({}));
    world.project_is_writable_by_all();
    let refusal = refused(&elsewhere(&world)).await;
    assert_eq!(refusal.code(), "UNKNOWN_PROVIDER");
    let text = refusal.to_string();
    assert!(
        text.contains("provider-auth.jsonc does not count: others can write to it"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn two_projects_may_define_one_provider_and_each_serves_its_own_accounts() {
    let world = World::new();
    says(&world, json!({}));
    let here = elsewhere(&world);
    trust(&here).await;
    let id = here.log_in("ann").await;
    // The other project's server says that the same person signed in.
    let there = world.process_at("home/other", json!({}), |folder| {
        let text = config(json!({ "clientId": "another" })).to_string();
        std::fs::write(folder.join("provider-auth.jsonc"), text).unwrap();
    });
    trust(&there).await;
    assert_eq!(refused(&there).await.code(), "ORIGIN_NOT_ALLOWED");
    let second = there.log_in("ann").await;
    assert_ne!(second, id, "no login was replaced");
    assert_eq!(there.token().await, "S3CRET-access-ann-2");
    let here = elsewhere(&world);
    assert_eq!(here.token().await, "S3CRET-access-ann-1");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_as_it_was_shown_is_not_trusted() {
    let world = World::new();
    says(&world, json!({}));
    let process = elsewhere(&world);
    let shown = process.project_trust().await.unwrap();
    let shown: Vec<_> = shown
        .files
        .iter()
        .map(|file| (file.file.clone(), file.shown.clone()))
        .collect();
    says(&world, json!({ "origins": ["https://evil.example"] }));
    let refused = process
        .trust_project(Some(shown.clone()))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "INVALID_ARGUMENT");
    assert!(refused.to_string().contains("not as it was shown"));
    assert!(process.project_trust().await.unwrap().files[0].asks_for_trust());
    says(&world, json!({}));
    process.trust_project(Some(shown)).await.unwrap();
    assert!(
        process
            .lend()
            .await
            .is_err_and(|error| error.code() == "NO_ACCOUNT")
    );
}

#[tokio::test(start_paused = true)]
async fn trust_that_is_taken_back_is_asked_for_again() {
    let world = World::new();
    says(&world, json!({}));
    let process = elsewhere(&world);
    trust(&process).await;
    process.log_in("ann").await;
    let project = process.untrust_project().await.unwrap();
    assert!(project.files[0].asks_for_trust());
    assert_eq!(refused(&process).await.code(), "PROJECT_NOT_TRUSTED");
    trust(&process).await;
    assert!(process.lend().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_project_chooses_pool_and_account_of_known_providers_without_trust() {
    let world = World::new();
    let users = world.process();
    let work = |key: &'static str, label: &'static str| {
        users.add_api_key(
            "acme",
            key.into(),
            Some("work".to_owned()),
            Some(label.to_owned()),
            None,
        )
    };
    users.add_key("home").await;
    let a = work("S3CRET-key-a", "a").await.unwrap();
    work("S3CRET-key-b", "b").await.unwrap();
    world.project_says(json!({ "providers": { "acme": { "namespace": "work", "account": "b" } } }));
    let process = world.process();
    assert_eq!(process.token().await, "S3CRET-key-b");
    let named = |namespace: Option<&str>, account: Option<&str>| AuthRequest {
        namespace: namespace.map(str::to_owned),
        account: account.map(str::to_owned),
        ..request()
    };
    // What the caller names counts before what is configured.
    let lend = async |asked| bearer(&process.headers(&asked).await.unwrap());
    assert_eq!(lend(named(Some("default"), None)).await, "S3CRET-key-home");
    assert_eq!(lend(named(None, Some(&a.id))).await, "S3CRET-key-a");
    // A pin that cannot serve fails, and no other account serves for it.
    world.project_says(json!({ "providers": { "acme": { "account": "nobody" } } }));
    let pinned = world.process();
    assert_eq!(refused(&pinned).await.code(), "UNKNOWN_ACCOUNT");
    // A key that names no pool joins the configured one.
    world.project_says(json!({ "providers": { "acme": { "namespace": "work" } } }));
    let process = world.process();
    process.add_key("c").await;
    let listed = process.list_accounts(&Filter::default()).await.unwrap();
    assert_eq!(listed.last().unwrap().namespace, "work");
}

#[tokio::test(start_paused = true)]
async fn what_is_only_said_of_the_choice_holds_for_accounts_that_define_their_provider() {
    let world = World::new();
    let server = "https://mcp.notes.example";
    for (label, token) in [("a", "S3CRET-a"), ("b", "S3CRET-b")] {
        let record = json!({
            "provider": "notes", "namespace": "default", "label": label, "enabled": true, "priority": 0,
            "createdAt": 1, "updatedAt": 1, "belongs": { "origins": [server], "resource": server },
            "secret": { "kind": "oauth", "access": token, "obtainedAt": 1 },
        });
        world
            .vault()
            .create(4, record.to_string().as_bytes())
            .unwrap();
    }
    let asked = AuthRequest {
        provider: "notes".to_owned(),
        url: Some(format!("{server}/mcp")),
        ..AuthRequest::default()
    };
    for label in ["a", "b"] {
        world.project_says(json!({ "providers": { "notes": { "account": label } } }));
        let process = elsewhere(&world);
        let lease = process.headers(&asked).await.unwrap();
        assert_eq!(bearer(&lease), format!("S3CRET-{label}"));
    }
    // And trust makes no other provider of them.
    world.project_says(json!({ "providers": { "notes": { "origins": ["https://evil.example"], "header": "x-evil" } } }));
    let process = elsewhere(&world);
    process.trust_project(None).await.unwrap();
    assert!(
        process
            .headers(&asked)
            .await
            .unwrap()
            .headers()
            .iter()
            .any(|(name, _)| name == "authorization")
    );
    let evil = AuthRequest {
        url: Some("https://evil.example/mcp".to_owned()),
        ..asked
    };
    assert_eq!(
        process.headers(&evil).await.err().unwrap().code(),
        "ORIGIN_NOT_ALLOWED"
    );
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_only_the_project_names_is_refused_by_its_file() {
    let world = World::new();
    world.process().add_key("a").await;
    world.project_says(json!({ "providers": { "openai": { "origins": ["https://gateway.example", "https://api.openai.com"] } } }));
    let process = world.process();
    let asked = |url: &str| AuthRequest {
        provider: "openai".to_owned(),
        url: Some(url.to_owned()),
        ..AuthRequest::default()
    };
    let code = async |url| process.headers(&asked(url)).await.err().unwrap().code();
    assert_eq!(
        code("https://gateway.example/v1").await,
        "PROJECT_NOT_TRUSTED"
    );
    assert_eq!(code("https://evil.example/v1").await, "ORIGIN_NOT_ALLOWED");
    assert_eq!(code("https://api.openai.com/v1").await, "NO_ACCOUNT");
    process.trust_project(None).await.unwrap();
    assert_eq!(code("https://gateway.example/v1").await, "NO_ACCOUNT");
    assert!(process.lend().await.is_ok(), "{API}");
}

#[tokio::test(start_paused = true)]
async fn a_migration_takes_nothing_over_for_a_provider_of_an_untrusted_file() {
    let world = World::new();
    says(&world, json!({}));
    let file = world.legacy_file("auth.json");
    std::fs::write(&file, r#"{"acme":{"type":"api","key":"S3CRET-key"}}"#).unwrap();
    let process = elsewhere(&world);
    let report = process.migrate(MigrateOptions::default()).await.unwrap();
    assert!(report.imported.is_empty());
    assert!(
        report.skipped[0]
            .why
            .contains("provider-auth.jsonc is not trusted"),
        "{}",
        report.skipped[0].why
    );
    trust(&process).await;
    let report = process.migrate(MigrateOptions::default()).await.unwrap();
    let [imported] = &report.imported[..] else {
        panic!("one account");
    };
    let id = imported.account.clone().unwrap();
    let record = world
        .vault()
        .read(&record_id(id.as_str()))
        .unwrap()
        .unwrap();
    let record: Value = serde_json::from_slice(record.plaintext()).unwrap();
    assert!(
        record["belongs"]["project"]
            .as_str()
            .unwrap()
            .ends_with("provider-auth.jsonc")
    );
    assert_eq!(process.token().await, "S3CRET-key");
}
