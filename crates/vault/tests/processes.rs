//! Several processes on one vault: one key, no lost write, and nothing lost when one is killed.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use provider_auth_vault::{Vault, VaultError};
use support::{KEY, folder, open, program, with_key};

fn start(dir: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(program());
    command
        .arg(dir)
        .arg(KEY)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    line.trim().to_owned()
}

fn new_vault(content: &[u8]) -> (tempfile::TempDir, Vault, provider_auth_vault::RecordId) {
    let (outer, dir) = folder();
    let vault = open(with_key(&dir)).unwrap();
    let (id, _) = vault.create(1, content).unwrap();
    (outer, vault, id)
}

#[test]
fn eight_processes_that_create_one_vault_get_one_key() {
    let (_outer, dir) = folder();
    let mut children: Vec<_> = (0..8).map(|_| start(&dir, &["open"])).collect();
    let key_ids: Vec<_> = children.iter_mut().map(first_line).collect();
    assert!(
        children
            .iter_mut()
            .all(|child| child.wait().unwrap().success())
    );
    let vault = open(with_key(&dir)).unwrap();
    assert!(
        key_ids.iter().all(|key_id| *key_id == vault.key_id()),
        "{key_ids:?}"
    );
}

#[test]
fn four_processes_that_count_in_one_record_lose_no_step() {
    let (_outer, vault, id) = new_vault(b"");
    let mut children: Vec<_> = (0..4)
        .map(|_| start(vault.dir(), &["count", &id.to_string(), "25"]))
        .collect();
    assert!(
        children
            .iter_mut()
            .all(|child| child.wait().unwrap().success())
    );
    let record = vault.read(&id).unwrap().unwrap();
    assert_eq!((record.plaintext().len(), record.generation), (100, 101));
}

#[test]
fn killing_the_holder_of_a_lock_frees_it() {
    let (_outer, vault, id) = new_vault(b"x");
    let mut holder = start(vault.dir(), &["hold", &id.to_string()]);
    assert_eq!(first_line(&mut holder), "held");
    assert!(vault.try_lock(&id).unwrap().is_none());
    assert!(matches!(
        vault.lock_within(&id, Duration::from_millis(20)),
        Err(VaultError::Busy { .. })
    ));
    holder.kill().unwrap();
    vault.lock_within(&id, Duration::from_secs(20)).unwrap();
    holder.wait().unwrap();
}

#[test]
fn killing_a_writer_at_any_moment_leaves_a_whole_record() {
    let (_outer, vault, id) = new_vault(&0_u64.to_le_bytes().repeat(300));
    let mut last = 0;
    for round in 0..20_u32 {
        let mut writer = start(vault.dir(), &["churn", &id.to_string()]);
        assert_eq!(first_line(&mut writer), "churning");
        std::thread::park_timeout(Duration::from_micros(u64::from(round) * 700));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let record = vault.read(&id).unwrap().unwrap();
        let (words, rest) = record.plaintext().as_chunks::<8>();
        assert!(
            rest.is_empty() && words.len() == 300 && words.iter().all(|word| *word == words[0])
        );
        assert!(record.generation >= last, "a generation never goes back");
        last = record.generation;
    }
    assert!(last > 1, "something was written");
    assert_eq!(vault.quarantine().len(), 0);
}

#[test]
fn processes_that_rotate_and_write_at_once_lose_no_step() {
    let (_outer, vault, id) = new_vault(b"");
    for at in 0..5_u8 {
        vault.create(1, &[at]).unwrap();
    }
    let id = id.to_string();
    let count = ["count", &id, "50"];
    let deeds = [&count[..], &count, &["rotate", "8"], &["rotate", "8"]];
    let mut children: Vec<_> = deeds.iter().map(|deed| start(vault.dir(), deed)).collect();
    let mut created = Vec::new();
    let mut rounds = 0;
    while children
        .iter_mut()
        .any(|child| child.try_wait().unwrap().is_none())
    {
        rounds += 1;
        assert!(rounds < 1_000_000, "the processes do not end");
        if created.len() < 10 {
            created.push(vault.create(1, b"new").unwrap().0);
        }
        for id in vault.ids().unwrap() {
            assert!(vault.read(&id).unwrap().is_some());
        }
    }
    assert!(
        children
            .iter_mut()
            .all(|child| child.wait().unwrap().success())
    );
    let last = open(with_key(vault.dir())).unwrap();
    let record = last.read(&id.parse().unwrap()).unwrap().unwrap();
    assert_eq!((record.plaintext().len(), record.generation), (100, 101));
    assert!(created.len() > 1);
    for id in created {
        assert_eq!(last.read(&id).unwrap().unwrap().plaintext(), b"new");
    }
    assert_eq!(last.quarantine().len(), 0);
}

#[test]
fn killing_a_rotation_at_any_moment_loses_no_record() {
    let (_outer, vault, _) = new_vault(b"content");
    for _ in 0..9 {
        vault.create(1, b"content").unwrap();
    }
    let ids = vault.ids().unwrap();
    for round in 0..30_u32 {
        let mut rotation = start(vault.dir(), &["turn"]);
        assert_eq!(first_line(&mut rotation), "turning");
        std::thread::park_timeout(Duration::from_micros(u64::from(round) * 900));
        rotation.kill().unwrap();
        rotation.wait().unwrap();
        // One that had it open all along, and one that opens it now and goes on with the rotation.
        for reader in [&vault, &open(with_key(vault.dir())).unwrap()] {
            for id in &ids {
                let record = reader.read(id).unwrap().unwrap();
                assert_eq!(
                    (record.plaintext(), record.generation),
                    (&b"content"[..], 1)
                );
            }
        }
        let header = std::fs::read_to_string(vault.dir().join("vault.hdr")).unwrap();
        assert!(!header.contains("previous"), "round {round}");
    }
    assert_eq!(vault.quarantine().len(), 0);
}
