//! Single entries of `auth.json`: what is not named stays as it is.

use super::*;

fn named(names: &[&str], source_action: SourceAction) -> MigrateOptions {
    MigrateOptions {
        entries: Some(names.iter().map(|name| name.to_string()).collect()),
        ..with(source_action)
    }
}

fn read(file: &PathBuf) -> Value {
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn providers(report: &MigrationReport) -> Vec<&str> {
    let entries = report.imported.iter();
    entries.map(|entry| entry.provider.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn one_entry_moves_and_all_else_stays_in_file_and_vault() {
    let mut auth = every_kind();
    auth["ours"] = json!({ "type": "api", "key": "kept-by-provider-auth" });
    let (world, file) = world_with(&auth);
    let servers = write(
        &world,
        "mcp-auth.json",
        &pretty(&json!({ "notes": mcp(1) })),
    );
    let before = fs::read(&servers).unwrap();
    let process = world.process();
    let report = run(&process, named(&["acme"], SourceAction::Remove)).await;
    assert_eq!(providers(&report), ["acme"]);
    assert_eq!(actions(&report), [EntryAction::Added]);
    assert!(report.skipped.is_empty());
    assert_eq!(report.files, [file.to_str().unwrap()]);
    assert_eq!(report.sources[0].state, SourceState::Rewritten);
    auth.as_object_mut().unwrap().remove("acme");
    assert_eq!(read(&file), auth);
    assert_eq!(fs::read(&servers).unwrap(), before);
    assert_eq!(accounts(&process).await, 1);
    assert_eq!(process.token().await, "S3CRET-access-1");
    no_file_of_the_vault_shows_a_secret(&world);

    let again = run(&process, named(&["acme"], SourceAction::Remove)).await;
    assert!(again.imported.is_empty());
    assert_eq!(again.skipped[0].key, "acme");
    assert!(again.skipped[0].why.contains("no entry of this name"));
    assert_eq!(read(&file), auth);
}

#[tokio::test(start_paused = true)]
async fn the_only_entry_takes_its_file_along_and_undo_brings_it_back() {
    let (world, file) = world_with(&json!({ "acme": login(1) }));
    let process = world.process();
    let before = fs::read(&file).unwrap();
    let report = run(&process, named(&["acme", "acme"], SourceAction::Remove)).await;
    assert_eq!(report.sources[0].state, SourceState::Removed);
    assert!(!file.exists());
    let undone = run(&process, undo()).await;
    assert_eq!(actions(&undone), [EntryAction::Removed]);
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(accounts(&process).await, 0);
}

#[tokio::test(start_paused = true)]
async fn entry_after_entry_undo_brings_the_last_one_back_and_no_account_is_lost() {
    let (world, file) = world_with(&every_kind());
    let process = world.process();
    run(&process, named(&["acme"], SourceAction::Remove)).await;
    let after_one = fs::read(&file).unwrap();
    run(&process, named(&["anthropic"], SourceAction::Remove)).await;
    let undone = run(&process, undo()).await;
    assert_eq!(fs::read(&file).unwrap(), after_one);
    assert_eq!(providers(&undone), ["anthropic"]);
    assert_eq!(process.token().await, "S3CRET-access-1");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_and_a_copy_and_a_file_that_stays_are_as_in_a_whole_migration() {
    let (world, file) = world_with(&every_kind());
    let process = world.process();
    let before = fs::read(&file).unwrap();
    let dry = MigrateOptions {
        dry_run: true,
        ..named(&["anthropic"], SourceAction::Remove)
    };
    let report = run(&process, dry).await;
    assert_eq!(providers(&report), ["anthropic"]);
    assert_eq!(report.imported[0].account, None);
    assert!(!world.vault_dir().exists());
    run(&process, named(&["anthropic"], SourceAction::Keep)).await;
    assert_eq!(fs::read(&file).unwrap(), before);
    let report = run(&process, named(&["anthropic"], SourceAction::Backup)).await;
    assert_eq!(actions(&report), [EntryAction::Unchanged]);
    let backup = report.sources[0].backup.clone().unwrap();
    assert_eq!(fs::read(backup).unwrap(), before);
    assert!(read(&file).get("anthropic").is_none());
    assert!(read(&file).get("acme").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_the_variable_hides_the_one_of_the_file_here_too() {
    let (world, file) = world_with(&json!({ "acme": login(1), "anthropic": login(3) }));
    let content = json!({ "acme": login(2) }).to_string();
    let process = world.process_in(
        config(json!({})),
        "env",
        &[
            ("OPENCODE_AUTH_CONTENT", &content),
            ("ANTHROPIC_API_KEY", "S3CRET-key"),
        ],
    );
    let before = fs::read(&file).unwrap();
    let report = run(&process, named(&["acme"], SourceAction::Remove)).await;
    assert_eq!(providers(&report), ["acme"]);
    assert!(report.skipped[0].why.contains("OPENCODE_AUTH_CONTENT"));
    assert_eq!(process.token().await, "S3CRET-access-2");
    assert_eq!(fs::read(&file).unwrap(), before);

    let with_key = MigrateOptions {
        keys: KeyVariables::Named(vec!["ANTHROPIC_API_KEY".to_owned()]),
        ..named(&[], SourceAction::Keep)
    };
    let report = run(&process, with_key).await;
    assert_eq!(providers(&report), ["anthropic"]);
    assert_eq!(report.imported[0].kind, AccountKind::Api);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_called_by_its_end_and_a_login_by_its_provider() {
    let key = json!({ "type": "api", "key": "S3CRET-key-of-openai-1234" });
    let (world, _) = world_with(&json!({ "acme": login(1), "openai": key }));
    let process = world.process();
    run(&process, named(&["acme", "openai"], SourceAction::Keep)).await;
    let accounts = process.list_accounts(&Filter::default()).await.unwrap();
    let labels: Vec<_> = accounts.iter().map(|one| one.label.as_str()).collect();
    assert_eq!(labels, ["acme", "key …1234"]);
}

#[tokio::test(start_paused = true)]
async fn no_name_and_a_file_that_is_no_object_and_undo_change_nothing() {
    let (world, file) = world_with(&every_kind());
    let process = world.process();
    let before = fs::read(&file).unwrap();
    let report = run(&process, named(&[], SourceAction::Remove)).await;
    assert!(report.imported.is_empty() && report.skipped.is_empty());
    let whole = MigrateOptions {
        direction: Direction::Undo,
        ..named(&["acme"], SourceAction::Keep)
    };
    let refused = process.migrate(whole).await.err().unwrap();
    assert_eq!(refused.code(), "INVALID_ARGUMENT");
    assert!(refused.to_string().starts_with("entries: "), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(!world.vault_dir().exists());

    fs::write(&file, "[").unwrap();
    let report = run(&process, named(&["acme"], SourceAction::Remove)).await;
    let reasons: Vec<_> = report.skipped.iter().map(|entry| &*entry.why).collect();
    assert_eq!(reasons, ["it is no JSON object"]);
}
