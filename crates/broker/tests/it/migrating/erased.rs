//! What becomes of the kept files when an account leaves the vault.

use provider_auth_broker::{Logins, PassphraseRule, Revoke};

use super::*;

/// The kind of a record that holds a file.
const KEPT_FILE: u8 = 5;

/// Everything that the vault holds in sealed form, opened.
fn sealed(world: &World) -> String {
    let vault = world.vault();
    let open = |id| {
        let record = vault.read(&id).unwrap().unwrap();
        String::from_utf8(record.plaintext().to_vec()).unwrap()
    };
    vault.ids().unwrap().into_iter().map(open).collect()
}

/// The contents of the kept files.
fn kept(world: &World) -> Vec<String> {
    let vault = world.vault();
    let read = |id| vault.read(&id).unwrap().unwrap();
    let records = vault.ids().unwrap().into_iter().map(read);
    let files = records.filter(|record| record.kind == KEPT_FILE);
    files
        .map(|file| {
            let text = String::from_utf8(file.plaintext().to_vec()).unwrap();
            text.split_once('\n').unwrap().1.to_owned()
        })
        .collect()
}

async fn remove(process: &Process, report: &MigrationReport, provider: &str) {
    let mut entries = report.imported.iter();
    let entry = entries.find(|entry| entry.provider == provider).unwrap();
    let id = entry.account.clone().unwrap();
    assert!(
        process
            .remove_account(id.as_str(), Revoke::Locally)
            .await
            .unwrap()
    );
}

fn without(auth: &Value, key: &str) -> String {
    let mut rest = auth.clone();
    rest.as_object_mut().unwrap().remove(key);
    pretty(&rest)
}

#[tokio::test(start_paused = true)]
async fn a_removed_account_leaves_no_token_behind_and_undo_brings_back_all_else_byte_for_byte() {
    for source_action in [
        SourceAction::Keep,
        SourceAction::Backup,
        SourceAction::Remove,
    ] {
        let auth = every_kind();
        let (world, file) = world_with(&auth);
        let process = world.process();
        let report = run(&process, with(source_action)).await;
        assert!(sealed(&world).contains("S3CRET-access-1"));
        remove(&process, &report, "acme").await;
        let left = sealed(&world);
        for token in ["S3CRET-access-1", "S3CRET-refresh-1"] {
            assert!(!left.contains(token), "{source_action:?}");
        }
        assert_eq!(kept(&world), [without(&auth, "acme")], "{source_action:?}");

        let undone = run(&process, undo()).await;
        let expected = match source_action {
            // The file was never touched, so it has what it had.
            SourceAction::Keep => (SourceState::Kept, pretty(&auth)),
            _ => (SourceState::Restored, without(&auth, "acme")),
        };
        let found = (undone.sources[0].state, fs::read_to_string(&file).unwrap());
        assert_eq!(found, expected, "{source_action:?}");
        assert_eq!(actions(&undone), [EntryAction::Removed; 2]);
        assert_eq!(undone.skipped.len(), 1);
        assert_eq!(undone.skipped[0].key, "acme");
        assert!(undone.skipped[0].why.contains("cannot be brought back"));
        assert_eq!(accounts(&process).await, 0);
        assert_eq!(kept(&world), Vec::<String>::new());
        // The copy that its owner asked for has the rest, and is named.
        let backup = undone.sources[0].backup.as_ref();
        assert_eq!(backup.is_some(), source_action == SourceAction::Backup);
        if let Some(backup) = backup {
            assert_eq!(fs::read_to_string(backup).unwrap(), pretty(&auth));
            assert!(undone.sources[0].warning.unwrap().contains("copy"));
        }
        // Nothing is left to do.
        let again = run(&process, undo()).await;
        assert!(again.sources.is_empty() && again.skipped.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_of_which_everything_was_removed_does_not_come_back() {
    let auth =
        json!({ "acme": login(1), "anthropic": { "type": "api", "key": format!("{MARK}-key") } });
    let (world, file) = world_with(&auth);
    let process = world.process();
    let report = run(&process, with(SourceAction::Remove)).await;
    remove(&process, &report, "acme").await;
    remove(&process, &report, "anthropic").await;
    assert!(!sealed(&world).contains(MARK));
    let undone = run(&process, undo()).await;
    assert_eq!(undone.sources[0].state, SourceState::Kept);
    assert_eq!(undone.skipped.len(), 2);
    assert!(!file.exists());
}

#[tokio::test(start_paused = true)]
async fn the_entry_is_erased_also_where_the_account_was_renewed_renamed_or_its_provider_is_gone() {
    for change in ["renewed", "renamed", "signed in", "gone"] {
        let (world, _) = world_with(&every_kind());
        let process = world.process();
        // A login that the server knows.
        let known = process.log_in("ann").await;
        process
            .remove_account(&known, Revoke::Locally)
            .await
            .unwrap();
        let report = run(&process, with(SourceAction::Remove)).await;
        let id = report.imported[0].account.clone().unwrap();
        let mut last = world.process();
        match change {
            "renewed" => {
                process
                    .refresh_account(id.as_str(), Force::EvenIfGood)
                    .await
                    .unwrap();
            }
            "renamed" => {
                let changes = provider_auth_broker::AccountChanges {
                    label: Some("mine".to_owned()),
                    namespace: Some("team".to_owned()),
                    ..Default::default()
                };
                process.update_account(id.as_str(), changes).await.unwrap();
            }
            "gone" => last = world.process_with(json!({})),
            // A migration of newer tokens of the same entry: the account is the same one.
            _ => {
                let mut auth = every_kind();
                auth["acme"] = login(2);
                auth["acme"]["expires"] = (IN_AN_HOUR + 1_000).into();
                write(&world, "auth.json", &pretty(&auth));
                let report = run(&process, with(SourceAction::Remove)).await;
                assert_eq!(actions(&report)[0], EntryAction::Updated);
            }
        }
        assert!(
            last.remove_account(id.as_str(), Revoke::Locally)
                .await
                .unwrap()
        );
        let left = sealed(&world);
        for token in ["access-1", "refresh-1", "access-2", "refresh-2"] {
            assert!(
                !left.contains(&format!("{MARK}-{token}")),
                "{change}: {token}"
            );
        }
        assert!(left.contains("S3CRET-host"), "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_of_the_account_stays_in_the_kept_file() {
    let mut auth = every_kind();
    // The same key for another provider, which is an account of its own; and what the takeover did
    // not understand.
    auth["openai"] = json!({ "type": "api", "key": format!("{MARK}-key") });
    auth["strange"] =
        json!({ "type": "passkey", "data": [1.50, { "deep": format!("{MARK}-key") }] });
    let (world, file) = world_with(&auth);
    let process = world.process();
    let report = run(&process, with(SourceAction::Remove)).await;
    assert_eq!(report.skipped[0].key, "strange");
    remove(&process, &report, "anthropic").await;
    assert_eq!(kept(&world), [without(&auth, "anthropic")]);
    // It is in the file itself, so an undo must not take it out of there.
    let undone = run(&process, undo()).await;
    assert_eq!(undone.sources[0].state, SourceState::Restored);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        without(&auth, "anthropic")
    );
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_the_token_that_was_never_taken_over_goes_too() {
    let text = format!(
        r#"{{ "acme": {0}, "copy": {{ "note": ["{MARK}-refresh-1"] }}, "acme": {0}, "anthropic": {{"type":"api","key":"{MARK}-key"}} }}"#,
        login(1)
    );
    let world = World::new();
    let file = write(&world, "auth.json", &text);
    let process = world.process();
    let report = run(&process, MigrateOptions::default()).await;
    remove(&process, &report, "acme").await;
    assert_eq!(
        kept(&world),
        [format!(
            r#"{{ "anthropic": {{"type":"api","key":"{MARK}-key"}} }}"#
        )]
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_moves_into_a_bundle_leaves_the_kept_file() {
    let (world, _) = world_with(&every_kind());
    let process = world.process();
    run(&process, with(SourceAction::Remove)).await;
    process
        .export_vault(
            "correct horse battery staple".into(),
            PassphraseRule::HardToGuess,
            Logins::Move,
        )
        .await
        .unwrap();
    let left = sealed(&world);
    assert!(!left.contains("S3CRET-access-1") && !left.contains("S3CRET-refresh-1"));
    assert!(left.contains("S3CRET-key"));
}

#[tokio::test(start_paused = true)]
async fn after_a_removal_the_next_migration_takes_the_account_over_again() {
    let (world, file) = world_with(&every_kind());
    let process = world.process();
    let report = run(&process, MigrateOptions::default()).await;
    remove(&process, &report, "acme").await;
    let again = run(&process, with(SourceAction::Remove)).await;
    assert_eq!(actions(&again)[0], EntryAction::Added);
    assert_eq!(kept(&world), [pretty(&every_kind())]);
    run(&process, undo()).await;
    assert_eq!(fs::read_to_string(&file).unwrap(), pretty(&every_kind()));
}
