//! The index: it says what it was told under the vault's present key, or nothing.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::fs;

use provider_auth_vault::{Vault, limits};
use support::{SECRET, open, quick_folder, with_key};

fn vault() -> (tempfile::TempDir, Vault) {
    let (outer, dir) = quick_folder();
    let vault = open(with_key(&dir)).unwrap();
    (outer, vault)
}

fn index(vault: &Vault) -> Option<Vec<u8>> {
    Some(vault.read_index()?.plaintext().to_vec())
}

#[test]
fn it_is_sealed_and_comes_back_in_whichever_process_opens_the_vault() {
    let (_outer, vault) = vault();
    assert_eq!(index(&vault), None);
    for content in [SECRET, "", "the last one"] {
        vault.write_index(content.as_bytes()).unwrap();
        assert_eq!(index(&vault).unwrap(), content.as_bytes());
        let other = open(with_key(vault.dir())).unwrap();
        assert_eq!(index(&other).unwrap(), content.as_bytes());
    }
    vault.write_index(SECRET.as_bytes()).unwrap();
    let file = fs::read(vault.dir().join("records.idx")).unwrap();
    assert!(!String::from_utf8_lossy(&file).contains("S3CRET"));
}

#[test]
fn damage_anywhere_another_vaults_index_and_a_record_in_its_place_say_nothing() {
    let (_outer, vault) = vault();
    vault.write_index(b"index").unwrap();
    let file = vault.dir().join("records.idx");
    let whole = fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&file, flipped).unwrap();
        assert_eq!(index(&vault), None, "byte {at}");
        fs::write(&file, &whole[..at]).unwrap();
        assert_eq!(index(&vault), None, "cut to {at}");
    }
    let (id, _) = vault.create(0, b"record").unwrap();
    fs::copy(vault.dir().join(format!("rec/{id}.rec")), &file).unwrap();
    assert_eq!(index(&vault), None);
    let (_other_outer, other) = self::vault();
    other.write_index(b"of the other").unwrap();
    fs::copy(other.dir().join("records.idx"), &file).unwrap();
    assert_eq!(index(&vault), None);
    // An index is no record either, under whatever name.
    fs::write(vault.dir().join(format!("rec/{id}.rec")), &whole).unwrap();
    vault.read(&id).unwrap_err();
    fs::write(&file, &whole).unwrap();
    assert_eq!(index(&vault).unwrap(), b"index");
}

#[test]
fn a_new_key_and_a_removed_record_take_it_along() {
    let (_outer, vault) = vault();
    let (id, _) = vault.create(1, b"record").unwrap();
    let file = vault.dir().join("records.idx");
    vault.write_index(b"old").unwrap();
    let old = fs::read(&file).unwrap();
    vault.rotate_key().unwrap();
    assert!(!file.exists());
    // Put back, it does not open: not even its key is kept.
    fs::write(&file, &old).unwrap();
    assert_eq!(index(&vault), None);
    vault.write_index(b"new").unwrap();
    assert_eq!(
        index(&open(with_key(vault.dir())).unwrap()).unwrap(),
        b"new"
    );
    vault.remove(vault.lock(&id).unwrap()).unwrap();
    assert!(!file.exists());
}

#[test]
fn a_process_that_does_not_know_of_a_rotation_leaves_none_under_the_old_key() {
    let (_outer, vault) = vault();
    let late = open(with_key(vault.dir())).unwrap();
    vault.rotate_key().unwrap();
    late.write_index(b"late").unwrap();
    assert_eq!(index(&vault).unwrap(), b"late");
    vault.rotate_key().unwrap();
    assert_eq!(index(&late), None);
}

#[test]
fn one_that_is_longer_than_any_file_of_a_vault_is_not_written() {
    let (_outer, vault) = vault();
    vault.write_index(b"short").unwrap();
    let too_long = vec![b'x'; limits::LONGEST_FILE as usize];
    vault.write_index(&too_long).unwrap();
    assert_eq!(index(&vault).unwrap(), b"short");
}

#[test]
fn two_that_write_at_once_leave_one_of_theirs_whole() {
    let (_outer, vault) = vault();
    let other = open(with_key(vault.dir())).unwrap();
    let contents = [b'a', b'b'].map(|letter| vec![letter; 5_000]);
    std::thread::scope(|scope| {
        for (vault, content) in [&vault, &other].into_iter().zip(&contents) {
            scope.spawn(move || (0..50).for_each(|_| vault.write_index(content).unwrap()));
        }
        for _ in 0..50 {
            let read = index(&vault);
            assert!(read.is_none_or(|read| contents.contains(&read)));
        }
    });
    assert!(contents.contains(&index(&vault).unwrap()));
}

#[test]
fn where_it_cannot_be_written_or_read_the_vault_serves_without() {
    let (_outer, vault) = vault();
    let (id, _) = vault.create(1, b"record").unwrap();
    fs::create_dir_all(vault.dir().join("records.idx/in the way")).unwrap();
    vault.write_index(b"index").unwrap_err();
    let other = open(with_key(vault.dir())).unwrap();
    assert_eq!(index(&other), None);
    assert_eq!(other.read(&id).unwrap().unwrap().plaintext(), b"record");
}
