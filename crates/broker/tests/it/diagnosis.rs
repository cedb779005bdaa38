//! What a diagnosis finds, and what it mends.

use provider_auth_broker::config::ConfigReport;
use provider_auth_broker::{DiagnoseOptions, Diagnosis, Finding, State};
use provider_auth_vault::{Disk, Store as _};
use serde_json::json;

use crate::setbacks::note;
use crate::world::{MARK, Process, World, config, pass};

async fn diagnose(process: &Process, fix: bool) -> Diagnosis {
    let options = DiagnoseOptions { online: false, fix };
    let found = process.diagnose(options, &ConfigReport::default()).await;
    assert!(!format!("{found:?}").contains(MARK), "{found:?}");
    found
}

fn find<'a>(diagnosis: &'a Diagnosis, id: &str) -> Option<&'a Finding> {
    diagnosis.findings.iter().find(|finding| finding.id == id)
}

fn state(diagnosis: &Diagnosis, id: &str) -> Option<State> {
    find(diagnosis, id).map(|finding| finding.state)
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_was_cut_short_is_told_and_brought_to_its_end() {
    let world = World::new();
    let id = world.process().log_in("ann").await;
    note(&world, &id, world.generation(&id));
    let found = diagnose(&world.process(), true).await;
    let orphaned = find(&found, "refresh.orphaned").unwrap();
    assert_eq!(orphaned.details["accountId"], id);
    assert!(orphaned.fixable && orphaned.fixed, "{orphaned:?}");
    assert!(!world.has_note(&id));
    assert_eq!(world.server.refreshes(), 1);
    let after = diagnose(&world.process(), false).await;
    assert_eq!(state(&after, "refresh.orphaned"), None);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_over_is_a_problem_alone_and_a_warning_beside_another() {
    let world = World::new();
    let process = world.impatient_process();
    let id = process.log_in("ann").await;
    world.server.revoke_all();
    pass(4000).await;
    let _ = process.lend().await;
    let found = diagnose(&process, false).await;
    let needs = find(&found, "pool.needs_login").unwrap();
    assert_eq!(needs.state, State::Problem);
    assert!(needs.why.as_ref().unwrap().contains(&id), "{needs:?}");
    assert_eq!(needs.remedy.as_deref(), Some("provider-auth login acme"));
    process.add_key("spare").await;
    let found = diagnose(&process, false).await;
    assert_eq!(state(&found, "pool.serves"), Some(State::Ok));
    let account = find(&found, "account.needs_login").unwrap();
    assert_eq!(account.state, State::Warning);
    assert_eq!(account.details["accountId"], id);
}

#[tokio::test(start_paused = true)]
async fn accounts_that_were_made_for_other_origins_are_told() {
    let world = World::new();
    world.process().log_in("ann").await;
    let moved = config(json!({ "origins": ["https://new.acme.example"] }));
    let found = diagnose(&world.process_with(moved), false).await;
    assert_eq!(state(&found, "pool.origin_refused"), Some(State::Problem));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_renewed_is_told_before_it_ends() {
    let world = World::new();
    world.server.issues_no_refresh_tokens();
    let process = world.process();
    let id = process.log_in("ann").await;
    let found = diagnose(&process, false).await;
    let ends = find(&found, "account.ends").unwrap();
    assert_eq!(ends.details["accountId"], id);
    assert!(ends.title.ends_with("ends in 1 h"), "{}", ends.title);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_nobody_can_sign_in_to_is_told() {
    let world = World::new();
    let mut without = config(json!({}));
    without["providers"]["acme"]
        .as_object_mut()
        .unwrap()
        .remove("clientId");
    let found = diagnose(&world.process_with(without), false).await;
    assert_eq!(state(&found, "config.no_client"), Some(State::Note));
    assert_eq!(state(&found, "vault.empty"), Some(State::Note));
    assert!(!world.vault_dir().exists(), "nothing is made");
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_somebody_holds_is_told_with_the_process() {
    let world = World::new();
    let process = world.process();
    process.add_key("spare").await;
    assert_eq!(
        state(&diagnose(&process, false).await, "locks.free"),
        Some(State::Ok)
    );
    let file = world.vault_dir().join("lock/marks.lock");
    let _held = Disk.try_lock(&file).unwrap().unwrap();
    let found = diagnose(&process, false).await;
    let held = find(&found, "locks.held").unwrap();
    assert_eq!(held.state, State::Warning);
    assert_eq!(held.details["lock"], "marks.lock");
    if cfg!(target_os = "linux") {
        assert_eq!(held.details["pid"], std::process::id().to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_pool_that_rests_it_is_told_until_when_and_why() {
    let world = World::new();
    let process = world.impatient_process();
    let id = process.add_key("spare").await;
    let lease = process.lend().await.unwrap();
    process.answer(&lease, 429, &[("retry-after", "600")]).await;
    let found = diagnose(&process, false).await;
    let rests = find(&found, "pool.exhausted").unwrap();
    assert_eq!(rests.state, State::Warning);
    assert!(
        rests.title.contains("the soonest serves in 10 min"),
        "{}",
        rests.title
    );
    let why = rests.why.as_ref().unwrap();
    assert!(
        why.starts_with(&format!("{id} rests and serves again in 10 min")),
        "{why}"
    );
}

#[tokio::test(start_paused = true)]
async fn counts_that_cannot_be_read_are_told() {
    let world = World::new();
    let process = world.process();
    process.add_key("spare").await;
    assert!(find(&diagnose(&process, false).await, "vault.stats").is_none());
    std::fs::create_dir(world.vault_dir().join("stats.json")).unwrap();
    let found = diagnose(&process, false).await;
    let unreadable = find(&found, "vault.stats").unwrap();
    assert_eq!(unreadable.state, State::Warning);
    let remedy = unreadable.remedy.as_ref().unwrap();
    assert!(remedy.contains("stats.json"), "{remedy}");
}
