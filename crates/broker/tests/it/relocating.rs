//! A vault that moves to another place: killed at each step, it loses no login and leaves none in two.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use provider_auth_broker::{AccountChanges, Logins, PassphraseRule, Revoke};
use provider_auth_vault::default_engine;
use serde_json::json;
use tempfile::TempDir;

use crate::backend::{Call, Observed};
use crate::world::{Process, World, config};

/// Calls that change something.
const STEPS: [&str; 5] = [
    "bring",
    "create_record",
    "write_document",
    "remove_document",
    "release",
];

/// Copies of both vaults, as a kill before each of these calls would leave them.
#[derive(Default)]
struct Kills {
    vaults: Option<[PathBuf; 2]>,
    copies: Vec<TempDir>,
}

impl Kills {
    fn take(&mut self, (call, _): Call) {
        let Some(vaults) = self.vaults.as_ref().filter(|_| STEPS.contains(&call)) else {
            return;
        };
        let copies = TempDir::new().unwrap();
        for (number, vault) in vaults.iter().enumerate() {
            copy(vault, &copies.path().join(number.to_string()));
        }
        self.copies.push(copies);
    }
}

fn copy(from: &Path, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else {
        return;
    };
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in entries {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            // What is written as it is copied is renamed into its place meanwhile.
            false => drop(fs::copy(entry.path(), to.join(entry.file_name()))),
        }
    }
}

/// Both vaults as a kill left them.
fn restore(vaults: &[PathBuf; 2], copies: &TempDir) {
    for (number, vault) in vaults.iter().enumerate() {
        fs::remove_dir_all(vault).unwrap();
        copy(&copies.path().join(number.to_string()), vault);
    }
}

/// A world in which two logins and a key have moved, its two vaults, and what kills would have left.
async fn moved() -> (World, [String; 2], [PathBuf; 2], Vec<TempDir>) {
    let kills = Arc::new(Mutex::new(Kills::default()));
    let taken = kills.clone();
    let engine = Observed::new(default_engine(), move |call| taken.lock().take(call));
    let world = World::on(engine);
    let process = world.process();
    let ids = [process.log_in("ada").await, process.log_in("bob").await];
    process.add_key("work").await;
    let vaults = [world.vault_dir(), elsewhere(&world)];
    kills.lock().vaults = Some(vaults.clone());
    let moved = process
        .move_vault(vaults[1].to_str().unwrap())
        .await
        .unwrap();
    kills.lock().vaults = None;
    assert_eq!(moved.imported.accounts.len(), 3);
    process.close();
    let copies = std::mem::take(&mut kills.lock().copies);
    (world, ids, vaults, copies)
}

fn elsewhere(world: &World) -> PathBuf {
    world.vault_dir().with_file_name("elsewhere")
}

/// A process on the vault that accounts move to.
fn there(world: &World) -> Process {
    let dir = elsewhere(world);
    let dir = ("PROVIDER_AUTH_DIR", dir.to_str().unwrap());
    world.process_in(config(json!({})), "env", &[dir])
}

#[tokio::test]
async fn a_move_that_is_killed_at_any_step_loses_no_login_and_leaves_none_in_two_places() {
    let (world, ids, vaults, copies) = moved().await;
    is_moved(&world, &ids).await;
    assert!(copies.len() > 8, "{} steps", copies.len());
    let mut was_under_way = 0;
    for copies in copies {
        restore(&vaults, &copies);
        let process = world.process();
        for id in &ids {
            let at = [&process, &there(&world)];
            let [here, there] = [at[0].state_of(id).await, at[1].state_of(id).await];
            assert!(here != "ready" || there != "ready", "{here}, {there}");
        }
        let status = process.vault_status().await.unwrap();
        let is_under_way = status.moved_to.is_some_and(|moved| moved.is_under_way);
        was_under_way += usize::from(is_under_way);
        process
            .move_vault(vaults[1].to_str().unwrap())
            .await
            .unwrap();
        is_moved(&world, &ids).await;
    }
    assert!(was_under_way > 2, "{was_under_way}");
}

/// Holds that the logins are there and not here, and that nothing is under way.
async fn is_moved(world: &World, ids: &[String]) {
    let (here, there) = (world.process(), there(world));
    for id in ids {
        assert_eq!(here.state_of(id).await, "needs_login");
        assert_eq!(there.state_of(id).await, "ready");
    }
    let moved = here.vault_status().await.unwrap().moved_to.unwrap();
    assert!(!moved.is_under_way);
    assert_eq!(moved.place, elsewhere(world).to_str().unwrap());
    assert!(here.moved_bundle().await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_under_way_is_not_lost_to_another_export_a_new_key_or_a_removal() {
    let (world, ids, vaults, copies) = moved().await;
    let mut was_under_way = false;
    for copies in copies {
        restore(&vaults, &copies);
        let process = world.process();
        let mut states = Vec::new();
        for id in &ids {
            states.push((process.state_of(id).await, there(&world).state_of(id).await));
        }
        // Both have left, and none has arrived.
        if states != [("needs_login", "absent"); 2] {
            continue;
        }
        was_under_way = true;
        let third = process.log_in("eve").await;
        let exported = process.export_vault("any".into(), PassphraseRule::Any, Logins::Move);
        assert_eq!(exported.await.unwrap_err().code(), "INVALID_ARGUMENT");
        assert_eq!(process.state_of(&third).await, "ready");
        let rotated = process.rotate_key(Default::default()).await;
        assert_eq!(rotated.unwrap_err().code(), "INVALID_ARGUMENT");
        let other = vaults[1].with_file_name("third");
        let elsewhere = process.move_vault(other.to_str().unwrap()).await;
        assert_eq!(elsewhere.unwrap_err().code(), "INVALID_ARGUMENT");
        let changes = AccountChanges {
            label: Some("renamed".to_owned()),
            ..AccountChanges::default()
        };
        process.update_account(&ids[1], changes).await.unwrap();
        process
            .remove_account(&ids[0], Revoke::Locally)
            .await
            .unwrap();

        process
            .move_vault(vaults[1].to_str().unwrap())
            .await
            .unwrap();
        let there = there(&world);
        assert_eq!(there.state_of(&ids[0]).await, "absent");
        assert_eq!(there.state_of(&ids[1]).await, "ready");
        assert_eq!(there.state_of(&third).await, "ready");
        break;
    }
    assert!(was_under_way);
}
