//! What becomes of the files, and undoing.

use super::*;

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
    for source_action in [SourceAction::Keep, SourceAction::Remove] {
        let report = run(&world.process(), with(source_action)).await;
        assert_eq!(actions(&report), [EntryAction::Unchanged]);
        assert_eq!(process.token().await, "S3CRET-access-ann-2");
    }
    assert_eq!(accounts(&process).await, 1);
    assert_eq!(world.generation(id.as_str()), 2);
    assert!(!world.legacy_file("auth.json").exists());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_writes_nothing_and_makes_no_vault() {
    let (world, file) = world_with(&every_kind());
    let before = fs::read(&file).unwrap();
    for source_action in [
        SourceAction::Keep,
        SourceAction::Backup,
        SourceAction::Remove,
    ] {
        let options = MigrateOptions {
            dry_run: true,
            ..with(source_action)
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
        ..with(SourceAction::Remove)
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
    for source_action in [SourceAction::Remove, SourceAction::Backup] {
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
        let report = run(&process, with(source_action)).await;
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
        if source_action == SourceAction::Backup {
            let backup = report.sources[0].backup.as_ref().unwrap();
            assert_eq!(fs::read(backup).unwrap(), before);
        }
        // Nothing is left to do, and the copy is not doubled.
        let again = run(&process, with(source_action)).await;
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
            actions(&run(&process, with(source_action)).await),
            [EntryAction::Added; 4]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn undo_leaves_a_file_that_was_written_since_and_an_account_that_was_renewed() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    process
        .remove_account(&id, provider_auth_broker::Revoke::Locally)
        .await
        .unwrap();
    let mut auth = every_kind();
    let file = write(&world, "auth.json", &pretty(&auth));
    let report = run(&process, with(SourceAction::Remove)).await;
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
        run(one, with(SourceAction::Remove)),
        run(two, with(SourceAction::Remove)),
        run(three, with(SourceAction::Keep))
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
async fn a_file_that_holds_no_object_is_left_whole() {
    for text in [
        "",
        "[]",
        "{",
        "{\"acme\": {\"type\": \"api\", \"key\": \"S3CRET",
        "\u{feff}[]",
        "null",
    ] {
        let world = World::new();
        let file = write(&world, "auth.json", text);
        write(
            &world,
            "mcp-auth.json",
            &pretty(&json!({ "notes": mcp(1) })),
        );
        let report = run(&world.process(), with(SourceAction::Remove)).await;
        assert_eq!(report.skipped[0].key, "");
        assert_eq!(report.skipped[0].why, "it is no JSON object");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert_eq!(actions(&report), [EntryAction::Added]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_vault_in_memory_takes_accounts_and_no_files_place() {
    let (world, file) = world_with(&every_kind());
    let process = world.process_in(config(json!({})), "memory", &[]);
    let refused = process
        .migrate(with(SourceAction::Remove))
        .await
        .unwrap_err();
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
    let report = run(&process, with(SourceAction::Remove)).await;
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
