//! What another program kept in plain files, brought into the vault and back out again.

use std::fs;
use std::path::PathBuf;

use provider_auth_broker::{
    AccountKind, AuthRequest, EntryAction, Fate, Filter, Force, KeyVariables, MigrateOptions,
    MigrationReport, SourceState, Task,
};
use serde_json::{Value, json};

use crate::world::{MARK, Process, START, World, bearer, config, pass, request};

/// Milliseconds, as OpenCode writes the end of a token.
const IN_AN_HOUR: u64 = (START + 3600) * 1000;

fn login(number: u64) -> Value {
    json!({
        "type": "oauth", "refresh": format!("{MARK}-refresh-{number}"), "access": format!("{MARK}-access-{number}"),
        "expires": IN_AN_HOUR,
    })
}

fn every_kind() -> Value {
    json!({
        "acme": login(1),
        "anthropic": { "type": "api", "key": format!("{MARK}-key"), "metadata": { "x": "y" } },
        "https://host.example/": { "type": "wellknown", "key": "HOST_TOKEN", "token": format!("{MARK}-host") },
    })
}

fn mcp(number: u64) -> Value {
    json!({
        "tokens": { "accessToken": format!("{MARK}-mcp-{number}"), "refreshToken": format!("{MARK}-again"), "expiresAt": START + 3600, "scope": "a b" },
        "clientInfo": { "clientId": "mcp-client", "clientSecret": format!("{MARK}-client") },
        "serverUrl": format!("https://mcp-{number}.example/sse"),
    })
}

/// A world whose `auth.json` holds this.
fn world_with(auth: &Value) -> (World, PathBuf) {
    let world = World::new();
    let file = write(&world, "auth.json", &pretty(auth));
    (world, file)
}

fn write(world: &World, name: &str, text: &str) -> PathBuf {
    let file = world.legacy_file(name);
    fs::write(&file, text).unwrap();
    file
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn with(fate: Fate) -> MigrateOptions {
    MigrateOptions {
        fate,
        ..MigrateOptions::default()
    }
}

fn undo() -> MigrateOptions {
    MigrateOptions {
        task: Task::Undo,
        ..MigrateOptions::default()
    }
}

async fn run(process: &Process, options: MigrateOptions) -> MigrationReport {
    process.migrate(options).await.unwrap()
}

fn actions(report: &MigrationReport) -> Vec<EntryAction> {
    report.imported.iter().map(|entry| entry.action).collect()
}

async fn accounts(process: &Process) -> usize {
    process
        .list_accounts(&Filter::default())
        .await
        .unwrap()
        .len()
}

async fn sent(process: &Process, provider: &str, url: &str) -> Vec<(String, String)> {
    let asked = AuthRequest {
        provider: provider.to_owned(),
        url: url.to_owned(),
        ..AuthRequest::default()
    };
    let lease = process.headers(&asked).await.unwrap();
    lease
        .headers()
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn no_file_of_the_vault_shows_a_secret(world: &World) {
    for (path, bytes) in world.files() {
        let marked = bytes
            .windows(MARK.len())
            .any(|part| part == MARK.as_bytes());
        assert!(!marked, "{}", path.display());
    }
}

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
async fn a_second_run_changes_nothing_also_after_a_refresh_here() {
    let world = World::new();
    let process = world.process();
    // The tokens of a login that the server knows, as OpenCode would have them.
    let id = process.log_in("ann").await;
    process
        .remove_account(&id, provider_auth_broker::Revoke::Locally)
        .await
        .unwrap();
    write(&world, "auth.json", &pretty(&json!({ "acme": login(1) })));
    run(&process, MigrateOptions::default()).await;
    let before = world.files();
    let report = run(&world.process(), MigrateOptions::default()).await;
    assert_eq!(actions(&report), [EntryAction::Unchanged]);
    assert_eq!(world.files(), before);

    let id = report.imported[0].account.clone().unwrap();
    process
        .refresh_account(id.as_str(), Force::EvenIfGood)
        .await
        .unwrap();
    assert_eq!(world.server.last("refresh_token"), "S3CRET-refresh-1");
    for fate in [Fate::Keep, Fate::Remove] {
        let report = run(&world.process(), with(fate)).await;
        assert_eq!(actions(&report), [EntryAction::Unchanged]);
        assert_eq!(process.token().await, "S3CRET-access-ann-2");
    }
    assert_eq!(accounts(&process).await, 1);
    assert_eq!(world.generation(id.as_str()), 2);
    assert!(!world.legacy_file("auth.json").exists());
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
async fn a_dry_run_writes_nothing_and_makes_no_vault() {
    let (world, file) = world_with(&every_kind());
    let before = fs::read(&file).unwrap();
    for fate in [Fate::Keep, Fate::Backup, Fate::Remove] {
        let options = MigrateOptions {
            dry_run: true,
            ..with(fate)
        };
        let report = run(&world.process(), options).await;
        assert_eq!(actions(&report), [EntryAction::Added; 3]);
        assert!(report.imported.iter().all(|entry| entry.account.is_none()));
        assert!(!world.vault_dir().exists());
    }
    let process = world.process();
    run(&process, MigrateOptions::default()).await;
    let vault = world.files();
    let options = MigrateOptions {
        dry_run: true,
        ..with(Fate::Remove)
    };
    let report = run(&process, options).await;
    assert_eq!(actions(&report), [EntryAction::Unchanged; 3]);
    assert_eq!(report.sources[0].state, SourceState::Removed);
    let options = MigrateOptions {
        dry_run: true,
        ..undo()
    };
    assert_eq!(
        actions(&run(&process, options).await),
        [EntryAction::Removed; 3]
    );
    assert_eq!(world.files(), vault);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn only_what_was_understood_is_taken_out_of_a_file_and_undo_puts_it_back() {
    for fate in [Fate::Remove, Fate::Backup] {
        let mut auth = every_kind();
        auth["acme"] = login(1);
        auth["strange"] =
            json!({ "type": "passkey", "data": [1.50, { "deep": format!("{MARK}-x") }] });
        auth["groq"] = json!({ "type": "api", "key": format!("{MARK}-groq") });
        auth["azure"] = json!({ "type": "api", "key": "kept-by-provider-auth" });
        let (world, file) = world_with(&auth);
        let only = write(
            &world,
            "mcp-auth.json",
            &pretty(&json!({ "notes": mcp(1) })),
        );
        let (before, only_before) = (fs::read(&file).unwrap(), fs::read(&only).unwrap());
        let process = world.process();
        let report = run(&process, with(fate)).await;
        let states: Vec<_> = report.sources.iter().map(|source| source.state).collect();
        assert_eq!(states, [SourceState::Rewritten, SourceState::Removed]);
        let left: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let mut expected = auth.clone();
        for taken in ["acme", "anthropic", "https://host.example/"] {
            expected.as_object_mut().unwrap().remove(taken);
        }
        assert_eq!(left, expected);
        assert!(!only.exists());
        let skipped: Vec<_> = report
            .skipped
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        assert_eq!(skipped, ["groq", "strange"]);
        if fate == Fate::Backup {
            let backup = report.sources[0].backup.as_ref().unwrap();
            assert_eq!(fs::read(backup).unwrap(), before);
        }
        // Nothing is left to do, and the copy is not doubled.
        let again = run(&process, with(fate)).await;
        assert!(again.imported.is_empty());
        assert_eq!(again.sources[0].state, SourceState::Kept);

        // The sealed copies are under each new key of the vault too.
        world.vault().rotate_key().unwrap();
        let report = run(&world.process(), undo()).await;
        let states: Vec<_> = report.sources.iter().map(|source| source.state).collect();
        assert_eq!(states, [SourceState::Restored; 2]);
        assert_eq!(actions(&report), [EntryAction::Removed; 4]);
        assert_eq!(fs::read(&file).unwrap(), before);
        assert_eq!(fs::read(&only).unwrap(), only_before);
        let names = fs::read_dir(file.parent().unwrap()).unwrap().count();
        assert_eq!((accounts(&process).await, names), (0, 2));
        no_file_of_the_vault_shows_a_secret(&world);
        let report = run(&process, undo()).await;
        assert!(report.imported.is_empty() && report.sources.is_empty());
        assert_eq!(
            actions(&run(&process, with(fate)).await),
            [EntryAction::Added; 4]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn undo_leaves_a_file_that_somebody_has_written_since_and_an_account_that_was_renewed() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    process
        .remove_account(&id, provider_auth_broker::Revoke::Locally)
        .await
        .unwrap();
    let mut auth = every_kind();
    let file = write(&world, "auth.json", &pretty(&auth));
    let report = run(&process, with(Fate::Remove)).await;
    fs::write(&file, "{}").unwrap();
    let undone = run(&process, undo()).await;
    assert_eq!(undone.sources[0].state, SourceState::Changed);
    assert!(undone.imported.is_empty());
    assert_eq!(undone.skipped.len(), 3);
    assert_eq!(fs::read(&file).unwrap(), b"{}");
    assert_eq!(accounts(&process).await, 3);

    fs::remove_file(&file).unwrap();
    let id = report.imported[0].account.clone().unwrap();
    process
        .refresh_account(id.as_str(), Force::EvenIfGood)
        .await
        .unwrap();
    let undone = run(&process, undo()).await;
    assert_eq!(undone.sources[0].state, SourceState::Restored);
    assert_eq!(actions(&undone), [EntryAction::Removed; 2]);
    assert_eq!(undone.skipped[0].key, "acme");
    assert!(undone.skipped[0].why.contains("renewed"));
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
    assert_eq!(fs::read_to_string(&file).unwrap(), pretty(&auth));
    // Nor does the next migration put the spent token over the new one.
    auth["acme"]["access"] = "other".into();
    fs::write(&file, pretty(&auth)).unwrap();
    run(&process, MigrateOptions::default()).await;
    assert_eq!(process.token().await, "S3CRET-access-ann-2");
}

#[tokio::test(start_paused = true)]
async fn two_migrations_at_once_double_nothing() {
    let (world, file) = world_with(&every_kind());
    let servers: serde_json::Map<String, Value> = (0..40)
        .map(|number| (format!("server-{number}"), mcp(number)))
        .collect();
    write(&world, "mcp-auth.json", &pretty(&servers.into()));
    let processes = [world.process(), world.process(), world.process()];
    let [one, two, three] = &processes;
    let reports = tokio::join!(
        run(one, with(Fate::Remove)),
        run(two, with(Fate::Remove)),
        run(three, with(Fate::Keep))
    );
    let added = [&reports.0, &reports.1, &reports.2]
        .into_iter()
        .flat_map(actions)
        .filter(|action| *action == EntryAction::Added)
        .count();
    assert_eq!(added, 43);
    assert_eq!(accounts(&world.process()).await, 43);
    assert!(!file.exists());
}

#[tokio::test(start_paused = true)]
async fn a_login_whose_client_nobody_knows_serves_until_its_token_ends() {
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
        url: url.to_owned(),
        ..AuthRequest::default()
    };
    assert_eq!(
        process.headers(&asked).await.err().unwrap().code(),
        "NEEDS_LOGIN"
    );
    assert_eq!(process.state_of(id.as_str()).await, "needs_login");
    // With a key beside it the pool goes on.
    process
        .add_api_key("anthropic", "S3CRET-key".into(), None, None)
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
        let report = run(&world.process(), with(Fate::Remove)).await;
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
        let report = run(&world.process(), with(Fate::Remove)).await;
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
async fn a_file_that_holds_no_object_is_left_whole() {
    for text in [
        "",
        "[]",
        "{",
        "{\"acme\": {\"type\": \"api\", \"key\": \"S3CRET",
        "\u{feff}{}",
        "null",
    ] {
        let world = World::new();
        let file = write(&world, "auth.json", text);
        write(
            &world,
            "mcp-auth.json",
            &pretty(&json!({ "notes": mcp(1) })),
        );
        let report = run(&world.process(), with(Fate::Remove)).await;
        assert_eq!(report.skipped[0].key, "");
        assert_eq!(report.skipped[0].why, "it is no JSON object");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert_eq!(actions(&report), [EntryAction::Added]);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_entries_with_one_name_the_later_counts_as_in_opencode() {
    let world = World::new();
    let text = r#"{"acme":{"type":"api","key":"S3CRET-1"},"acme":{"type":"api","key":"S3CRET-2"}}"#;
    let file = write(&world, "auth.json", text);
    let process = world.process();
    let report = run(&process, with(Fate::Remove)).await;
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
    let report = run(&process, with(Fate::Remove)).await;
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
async fn a_vault_in_memory_takes_accounts_and_no_files_place() {
    let (world, file) = world_with(&every_kind());
    let process = world.process_in(config(json!({})), "memory", &[]);
    let refused = process.migrate(with(Fate::Remove)).await.unwrap_err();
    assert_eq!(refused.code(), "INVALID_ARGUMENT");
    assert!(file.exists());
    run(&process, MigrateOptions::default()).await;
    assert_eq!(
        process
            .headers(&request())
            .await
            .map(|lease| bearer(&lease))
            .unwrap(),
        "S3CRET-access-1"
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_is_an_error_before_anything_is_done() {
    let (world, _) = world_with(&every_kind());
    let folder = world.legacy_file("mcp-auth.json");
    fs::create_dir(&folder).unwrap();
    let refused = world
        .process()
        .migrate(MigrateOptions::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "VAULT_IO");
    assert!(refused.to_string().contains("mcp-auth.json is not a file"));
    assert!(!world.vault_dir().exists());
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_link_is_followed_to_the_file_and_a_file_that_others_can_read_is_told_of() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let (world, link) = world_with(&json!({}));
    let file = link.with_file_name("elsewhere.json");
    fs::remove_file(&link).unwrap();
    symlink(&file, &link).unwrap();
    let text = pretty(&json!({ "acme": login(1), "x": 1 }));
    fs::write(&file, &text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let process = world.process();
    let report = run(&process, with(Fate::Remove)).await;
    assert!(report.sources[0].warning.unwrap().contains("chmod 600"));
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\n  \"x\": 1\n}");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    run(&process, undo()).await;
    assert_eq!(fs::read_to_string(&link).unwrap(), text);
    assert!(link.is_symlink());
}
