//! What an entry is taken for, and which account it is of.

use super::*;

#[tokio::test(start_paused = true)]
async fn entries_of_every_kind_serve_where_they_belong() {
    let (world, _) = world_with(&every_kind());
    write(
        &world,
        "mcp-auth.json",
        &pretty(&json!({ "notes": mcp(1) })),
    );
    let process = world.process();
    let report = run(&process, MigrateOptions::default()).await;
    let kinds: Vec<_> = report
        .imported
        .iter()
        .map(|entry| (entry.provider.as_str(), entry.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            ("acme", AccountKind::Oauth),
            ("anthropic", AccountKind::Api),
            ("https://host.example", AccountKind::Wellknown),
            ("notes", AccountKind::Mcp),
        ]
    );
    assert_eq!(actions(&report), [EntryAction::Added; 4]);
    assert!(report.skipped.is_empty());
    for (provider, url, header, value) in [
        (
            "acme",
            crate::world::API,
            "authorization",
            "Bearer S3CRET-access-1",
        ),
        (
            "anthropic",
            "https://api.anthropic.com/v1/messages",
            "x-api-key",
            "S3CRET-key",
        ),
        (
            "https://host.example",
            "https://host.example/x",
            "authorization",
            "Bearer S3CRET-host",
        ),
        (
            "notes",
            "https://mcp-1.example/sse",
            "authorization",
            "Bearer S3CRET-mcp-1",
        ),
    ] {
        let headers = sent(&process, provider, url).await;
        let expected = (header.to_owned(), value.to_owned());
        assert!(headers.contains(&expected), "{provider}: {headers:?}");
    }
    for account in process.list_accounts(&Filter::default()).await.unwrap() {
        let is_login = matches!(account.kind, AccountKind::Oauth | AccountKind::Mcp);
        let ends_at = account.expires_at.map(|at| at.as_millis());
        assert_eq!(ends_at, is_login.then_some(IN_AN_HOUR), "{}", account.label);
    }
    no_file_of_the_vault_shows_a_secret(&world);
}

#[tokio::test(start_paused = true)]
async fn an_entry_with_later_tokens_updates_its_account_and_one_with_earlier_ones_does_not() {
    let (world, file) = world_with(&json!({ "acme": login(1) }));
    let process = world.process();
    let report = run(&process, MigrateOptions::default()).await;
    let id = report.imported[0].account.clone();
    for (ends_at, action, token) in [
        (IN_AN_HOUR - 1, EntryAction::Unchanged, "S3CRET-access-1"),
        (IN_AN_HOUR + 1, EntryAction::Updated, "S3CRET-access-2"),
    ] {
        let mut entry = login(2);
        entry["expires"] = ends_at.into();
        fs::write(&file, pretty(&json!({ "acme": entry }))).unwrap();
        let report = run(&process, MigrateOptions::default()).await;
        assert_eq!(actions(&report), [action]);
        assert_eq!(report.imported[0].account, id);
        assert_eq!(process.token().await, token);
    }
    assert_eq!(accounts(&process).await, 1);
    // What was here before that run is no longer anywhere else: it is not taken out again.
    let report = run(&process, undo()).await;
    assert!(report.imported.is_empty());
    assert!(report.skipped[0].why.contains("renewed or changed"));
}

#[tokio::test(start_paused = true)]
async fn a_login_of_an_unknown_client_serves_until_its_token_ends() {
    let (world, _) = world_with(&json!({
        "anthropic": { "type": "oauth", "access": "S3CRET-plan", "refresh": "S3CRET-r", "expires": IN_AN_HOUR },
    }));
    let process = world.process();
    let report = run(&process, MigrateOptions::default()).await;
    let id = report.imported[0].account.clone().unwrap();
    assert!(report.terms["anthropic"].contains("reserves logins"));
    let url = "https://api.anthropic.com/v1/messages";
    let headers = sent(&process, "anthropic", url).await;
    assert!(
        headers
            .iter()
            .any(|(_, value)| value == "Bearer S3CRET-plan")
    );
    let asked = process
        .refresh_account(id.as_str(), Force::EvenIfGood)
        .await;
    assert_eq!(asked.err().unwrap().code(), "INVALID_ARGUMENT");
    assert_eq!(process.state_of(id.as_str()).await, "ready");
    pass(3601).await;
    let asked = AuthRequest {
        provider: "anthropic".to_owned(),
        url: Some(url.to_owned()),
        ..AuthRequest::default()
    };
    assert_eq!(
        process.headers(&asked).await.err().unwrap().code(),
        "NEEDS_LOGIN"
    );
    assert_eq!(process.state_of(id.as_str()).await, "needs_login");
    // With a key beside it the pool goes on.
    process
        .add_api_key("anthropic", "S3CRET-key".into(), None, None, None)
        .await
        .unwrap();
    let headers = sent(&process, "anthropic", url).await;
    assert!(headers.iter().any(|(_, value)| value == "S3CRET-key"));
    assert_eq!(world.server.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_left_with_its_reason_and_without_its_secret() {
    for (name, entry, why) in [
        ("groq", json!({ "type": "api", "key": "S3CRET" }), "origins"),
        (
            "azure",
            json!({ "type": "api", "key": "S3CRET" }),
            "origins",
        ),
        ("acme", json!({ "type": "api" }), "key is missing"),
        (
            "acme",
            json!({ "type": "api", "key": "" }),
            "key is missing",
        ),
        (
            "acme",
            json!({ "type": "api", "key": "S3CRET\nx" }),
            "header",
        ),
        (
            "acme",
            json!({ "type": "api", "key": { "S3CRET": 1 } }),
            "key is no text",
        ),
        ("acme", json!({ "type": "S3CRET" }), "not known"),
        ("acme", json!({ "key": "S3CRET" }), "no type"),
        ("acme", json!({ "type": 4 }), "type is no text"),
        ("acme", json!(["S3CRET"]), "no object"),
        ("acme", json!(null), "no object"),
        ("acme", json!({ "type": "oauth", "expires": 1 }), "no token"),
        (
            "acme",
            json!({ "type": "oauth", "access": "S3CRET", "expires": "S3CRET" }),
            "expires is no number",
        ),
        (
            "acme",
            json!({ "type": "oauth", "access": ["S3CRET"] }),
            "access is no text",
        ),
        (
            "__proto__",
            json!({ "type": "api", "key": "S3CRET" }),
            "origins",
        ),
        (
            "constructor",
            json!({ "type": "oauth", "access": "S3CRET" }),
            "origins",
        ),
        (
            "github-copilot",
            json!({ "type": "oauth", "access": "S3CRET", "enterpriseUrl": "corp.ghe.com" }),
            "enterprise",
        ),
        (
            "no url",
            json!({ "type": "wellknown", "key": "A", "token": "S3CRET" }),
            "no URL",
        ),
        (
            "http://host.example",
            json!({ "type": "wellknown", "key": "A", "token": "S3CRET" }),
            "https",
        ),
        (
            "https://u:S3CRET@host.example",
            json!({ "type": "wellknown", "key": "A", "token": "S3CRET" }),
            "user name",
        ),
    ] {
        let (world, file) = world_with(&json!({ name: entry }));
        let report = run(&world.process(), with(SourceAction::Remove)).await;
        assert!(report.imported.is_empty(), "{name} {entry}");
        let [skipped] = report.skipped.as_slice() else {
            panic!("{name} {entry}: {:?}", report.skipped);
        };
        assert!(skipped.why.contains(why), "{name} {entry}: {}", skipped.why);
        assert!(!skipped.why.contains(MARK), "{}", skipped.why);
        assert!(file.exists() && !world.vault_dir().exists());
    }
    for (entry, why) in [
        (json!({ "serverUrl": "https://mcp.example" }), "no tokens"),
        (
            json!({ "tokens": { "accessToken": "S3CRET" } }),
            "which server",
        ),
        (
            json!({ "tokens": {}, "serverUrl": "https://mcp.example" }),
            "accessToken is missing",
        ),
        (
            json!({ "tokens": "S3CRET", "serverUrl": "https://mcp.example" }),
            "tokens is no object",
        ),
        (
            json!({ "tokens": { "accessToken": "S3CRET" }, "serverUrl": "ftp://mcp.example" }),
            "https",
        ),
    ] {
        let world = World::new();
        write(&world, "mcp-auth.json", &pretty(&json!({ "notes": entry })));
        let report = run(&world.process(), with(SourceAction::Remove)).await;
        assert!(
            report.skipped[0].why.contains(why),
            "{entry}: {}",
            report.skipped[0].why
        );
        assert!(!report.skipped[0].why.contains(MARK));
    }
    let world = World::new();
    write(&world, "mcp-auth.json", &pretty(&json!({ "acme": mcp(1) })));
    let report = run(&world.process(), MigrateOptions::default()).await;
    assert!(report.skipped[0].why.contains("another name"));
}

#[tokio::test(start_paused = true)]
async fn a_project_does_not_say_where_a_key_goes() {
    let (world, file) = world_with(&json!({ "groq": { "type": "api", "key": "S3CRET" } }));
    let home = file.ancestors().nth(4).unwrap();
    let project = home.join("provider-auth.jsonc");
    let text = r#"{"providers":{"groq":{"origins":["https://evil.example"]}}}"#;
    fs::write(&project, text).unwrap();
    let report = run(&world.process(), MigrateOptions::default()).await;
    assert!(report.imported.is_empty());
    assert!(
        report.skipped[0].why.contains("project"),
        "{}",
        report.skipped[0].why
    );
    // The same in the user's own file is the user's word.
    let own = home.join(".config/provider-auth/config.jsonc");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::rename(&project, &own).unwrap();
    let report = run(&world.process(), MigrateOptions::default()).await;
    assert_eq!(actions(&report), [EntryAction::Added]);
}

#[tokio::test(start_paused = true)]
async fn of_two_entries_with_one_name_the_later_counts_as_in_opencode() {
    let world = World::new();
    let text = r#"{"acme":{"type":"api","key":"S3CRET-1"},"acme":{"type":"api","key":"S3CRET-2"}}"#;
    let file = write(&world, "auth.json", text);
    let process = world.process();
    let report = run(&process, with(SourceAction::Remove)).await;
    assert_eq!(report.skipped[0].key, "acme");
    assert_eq!(process.token().await, "S3CRET-2");
    let left = "{\n  \"acme\": {\"type\":\"api\",\"key\":\"S3CRET-1\"}\n}";
    assert_eq!(fs::read_to_string(&file).unwrap(), left);
}

#[tokio::test(start_paused = true)]
async fn the_variable_hides_entries_of_the_file_and_a_broken_one_hides_none() {
    let (world, _) = world_with(&json!({
        "acme": { "type": "api", "key": "S3CRET-file" },
        "openai": { "type": "api", "key": "S3CRET-openai" },
    }));
    let content = r#"{"acme":{"type":"api","key":"S3CRET-variable"}}"#;
    let with_content = |content| {
        world.process_in(
            config(json!({})),
            "env",
            &[("OPENCODE_AUTH_CONTENT", content)],
        )
    };
    let report = run(
        &with_content("{"),
        MigrateOptions {
            dry_run: true,
            ..MigrateOptions::default()
        },
    )
    .await;
    assert_eq!(actions(&report), [EntryAction::Added; 2]);
    assert_eq!(report.skipped[0].file, "OPENCODE_AUTH_CONTENT");
    let process = with_content(content);
    let report = run(&process, with(SourceAction::Remove)).await;
    assert_eq!(actions(&report), [EntryAction::Added; 2]);
    assert_eq!(process.token().await, "S3CRET-variable");
    assert!(report.skipped[0].why.contains("OPENCODE_AUTH_CONTENT"));
    assert_eq!(report.sources[0].state, SourceState::Rewritten);
    let left = fs::read_to_string(world.legacy_file("auth.json")).unwrap();
    assert!(left.contains("S3CRET-file") && !left.contains("S3CRET-openai"));
}

#[tokio::test(start_paused = true)]
async fn keys_come_from_variables_only_when_asked_for() {
    let world = World::new();
    let variables = [
        ("ANTHROPIC_API_KEY", "S3CRET-a"),
        ("GEMINI_API_KEY", "S3CRET-g"),
        ("GOOGLE_API_KEY", "S3CRET-g"),
        ("AZURE_API_KEY", "S3CRET-z"),
        ("MY_KEY", "S3CRET-m"),
    ];
    let process = world.process_in(config(json!({})), "env", &variables);
    assert!(
        run(&process, MigrateOptions::default())
            .await
            .files
            .is_empty()
    );
    assert!(!world.vault_dir().exists());
    let keys = |keys| MigrateOptions {
        keys,
        ..MigrateOptions::default()
    };
    let named = KeyVariables::Named(vec!["MY_KEY".to_owned(), "ANTHROPIC_API_KEY".to_owned()]);
    let report = run(&process, keys(named)).await;
    assert_eq!(report.files, ["ANTHROPIC_API_KEY"]);
    assert_eq!(report.skipped[0].file, "MY_KEY");
    let report = run(&process, keys(KeyVariables::Known)).await;
    assert_eq!(
        actions(&report),
        [
            EntryAction::Unchanged,
            EntryAction::Added,
            EntryAction::Unchanged
        ]
    );
    assert_eq!(report.imported[1].account, report.imported[2].account);
    assert_eq!(report.skipped[0].file, "AZURE_API_KEY");
    assert_eq!(accounts(&process).await, 2);
    no_file_of_the_vault_shows_a_secret(&world);
    assert_eq!(
        actions(&run(&process, undo()).await),
        [EntryAction::Removed; 2]
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_there_already_is_not_added_and_not_taken_out() {
    let (world, _) = world_with(&json!({ "acme": { "type": "api", "key": "S3CRET-key-a" } }));
    let process = world.process();
    let id = process.add_key("a").await;
    let changes = provider_auth_broker::AccountChanges {
        namespace: Some("team".to_owned()),
        ..Default::default()
    };
    process.update_account(&id, changes).await.unwrap();
    let report = run(&process, MigrateOptions::default()).await;
    assert_eq!(actions(&report), [EntryAction::Unchanged]);
    assert_eq!(report.imported[0].account.as_ref().unwrap().as_str(), id);
    assert!(run(&process, undo()).await.imported.is_empty());
    assert_eq!(accounts(&process).await, 1);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_say_who_signed_in_and_ids_of_opencode_are_known_again() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"ann"}"#);
    let token = |tail: &str| format!("e30.{claims}.{MARK}{tail}");
    let (world, file) = world_with(&json!({
        "openai": { "type": "oauth", "access": token("1"), "refresh": "r1", "expires": IN_AN_HOUR, "accountId": "org" },
        "alibaba": { "type": "api", "key": "S3CRET-q" },
        "github-copilot": { "type": "oauth", "access": "", "refresh": "S3CRET-gho", "expires": 0 },
    }));
    let process = world.process();
    let report = run(&process, MigrateOptions::default()).await;
    let providers: Vec<_> = report
        .imported
        .iter()
        .map(|entry| entry.provider.as_str())
        .collect();
    assert_eq!(providers, ["qwen", "github-copilot", "openai"]);
    let listed = process.list_accounts(&Filter::default()).await.unwrap();
    let openai = listed
        .iter()
        .find(|account| account.provider == "openai")
        .unwrap();
    let who = openai.identity.as_ref().unwrap();
    assert_eq!(
        (who.subject.as_deref(), who.organization.as_deref()),
        (Some("ann"), Some("org"))
    );
    // The same person under another name in the file.
    let later = json!({ "openai": { "type": "oauth", "access": token("2"), "refresh": "r2", "expires": IN_AN_HOUR + 1, "accountId": "org" } });
    fs::write(file.with_file_name("auth.json"), pretty(&later)).unwrap();
    let report = run(&process, MigrateOptions::default()).await;
    assert_eq!(actions(&report), [EntryAction::Updated]);
    let other = json!({ "openai": { "type": "oauth", "access": token("3"), "refresh": "r3", "expires": IN_AN_HOUR + 2, "accountId": "other" } });
    fs::write(&file, pretty(&other)).unwrap();
    let report = run(&process, MigrateOptions::default()).await;
    assert_eq!(actions(&report), [EntryAction::Added]);
}

#[tokio::test(start_paused = true)]
async fn what_stands_beside_a_key_is_carried_and_given_back() {
    let beside =
        json!({ "accountId": "0123456789abcdef", "gatewayId": "main", "depth": { "n": 1 } });
    let entry = json!({ "type": "api", "key": format!("{MARK}-key"), "metadata": beside });
    let (world, file) = world_with(&json!({ "anthropic": entry.clone() }));
    let whole = fs::read(&file).unwrap();
    let process = world.process();
    let report = run(&process, with(SourceAction::Remove)).await;
    assert_eq!(actions(&report), [EntryAction::Added]);
    assert!(!file.exists());
    let given =
        |accounts: &[provider_auth_broker::Account]| Value::Object(accounts[0].metadata.clone());
    let accounts = world.process().list_accounts(&Filter::default()).await;
    assert_eq!(given(&accounts.unwrap()), beside);
    // A key that comes with something else beside it is the same account.
    let mut later = entry;
    later["metadata"]["gatewayId"] = json!("other");
    write(&world, "auth.json", &pretty(&json!({ "anthropic": later })));
    let report = run(&process, with(SourceAction::Remove)).await;
    assert_eq!(actions(&report), [EntryAction::Updated]);
    let accounts = process.list_accounts(&Filter::default()).await.unwrap();
    assert_eq!(accounts.len(), 1);
    assert_eq!(given(&accounts)["gatewayId"], json!("other"));
    no_file_of_the_vault_shows_a_secret(&world);

    // An undo puts every byte where it was.
    let (world, file) =
        world_with(&json!({ "anthropic": { "type": "api", "key": "k", "metadata": beside } }));
    let process = world.process();
    let before = fs::read(&file).unwrap();
    assert_ne!(before, whole);
    run(&process, with(SourceAction::Remove)).await;
    run(&process, undo()).await;
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn an_entry_with_something_that_would_be_lost_stays_and_says_what() {
    for (key, entry, lost) in [
        (
            "anthropic",
            json!({ "type": "api", "key": "S3CRET", "accountId": "S3CRET-a", "gatewayId": "S3CRET-g" }),
            &["accountId", "gatewayId"][..],
        ),
        (
            "anthropic",
            json!({ "type": "api", "key": "S3CRET", "metadata": "S3CRET" }),
            &["metadata"],
        ),
        (
            "anthropic",
            json!({ "type": "api", "key": "S3CRET", "metadata": ["S3CRET"] }),
            &["metadata"],
        ),
        (
            "acme",
            json!({ "type": "oauth", "access": "S3CRET", "refresh": "S3CRET", "expires": IN_AN_HOUR, "projectId": "S3CRET" }),
            &["projectId"],
        ),
        (
            "acme",
            json!({ "type": "oauth", "access": "S3CRET", "expires": IN_AN_HOUR, "metadata": { "x": "S3CRET" } }),
            &["metadata"],
        ),
        (
            "https://host.example",
            json!({ "type": "wellknown", "key": "K", "token": "S3CRET", "region": "S3CRET" }),
            &["region"],
        ),
    ] {
        let (world, file) = world_with(&json!({ key: entry }));
        let before = fs::read(&file).unwrap();
        let report = run(&world.process(), with(SourceAction::Remove)).await;
        assert!(report.imported.is_empty(), "{entry}");
        let [skipped] = &report.skipped[..] else {
            panic!("{entry}: one entry is skipped");
        };
        assert_eq!(skipped.key, key);
        for name in lost {
            assert!(skipped.why.contains(name), "{}", skipped.why);
        }
        assert!(!skipped.why.contains(MARK), "{}", skipped.why);
        assert_eq!(fs::read(&file).unwrap(), before);
    }
    // A null, and what the vault knows, may go.
    let (world, file) = world_with(&json!({
        "anthropic": { "type": "api", "key": "k", "metadata": null, "gatewayId": null },
    }));
    let report = run(&world.process(), with(SourceAction::Remove)).await;
    assert_eq!((report.imported.len(), file.exists()), (1, false));
}

#[tokio::test(start_paused = true)]
async fn a_byte_order_mark_and_numbers_as_texts_are_understood() {
    let mut entry = login(1);
    entry["expires"] = json!(IN_AN_HOUR.to_string());
    let text = format!(
        "\u{feff}{}",
        pretty(&json!({ "acme": entry, "other": { "type": "api", "key": "k" } }))
    );
    let world = World::new();
    let file = write(&world, "auth.json", &text);
    let process = world.process();
    let report = run(&process, with(SourceAction::Remove)).await;
    assert_eq!(actions(&report), [EntryAction::Added]);
    let accounts = process.list_accounts(&Filter::default()).await.unwrap();
    assert_eq!(accounts[0].expires_at.unwrap().as_millis(), IN_AN_HOUR);
    let left: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(left, json!({ "other": { "type": "api", "key": "k" } }));
    run(&process, undo()).await;
    assert_eq!(fs::read(&file).unwrap(), text.as_bytes());
}
