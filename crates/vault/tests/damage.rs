//! Every bit of every file turned over, every file cut at every length, and files in each other's
//! place: what is damaged is refused by name, what is not serves on, and nothing is ever read that
//! was not written.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use provider_auth_vault::{Claimed, Need, Outcome, Pending, RecordId, SendBy, Vault, VaultError};
use support::{SECRET, files, open, quick_folder, snapshot, with_key};

/// A vault with two records, of which the tests damage the first.
struct Subject {
    _outer: tempfile::TempDir,
    dir: PathBuf,
    hit: RecordId,
    spared: RecordId,
}

impl Subject {
    fn new() -> Self {
        let (outer, dir) = quick_folder();
        let vault = open(with_key(&dir)).unwrap();
        Self {
            hit: vault.create(1, SECRET.as_bytes()).unwrap().0,
            spared: vault.create(1, b"spared").unwrap().0,
            _outer: outer,
            dir,
        }
    }

    fn record(&self, id: RecordId) -> PathBuf {
        self.dir.join(format!("rec/{id}.rec"))
    }

    fn headers(&self) -> [PathBuf; 2] {
        ["vault.hdr", "vault.hdr.bak"].map(|name| self.dir.join(name))
    }

    #[track_caller]
    fn serves(&self, vault: &Vault, what: &str) {
        let contents = [(self.hit, SECRET.as_bytes()), (self.spared, b"spared")];
        for (id, content) in contents {
            let record = vault.read(&id).unwrap().unwrap();
            assert_eq!(record.plaintext(), content, "{what}");
        }
    }
}

/// A file in every damaged form: each bit of it turned over, each shorter length, one byte too
/// many.
fn damaged(whole: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let flipped = (0..whole.len() * 8).map(|bit| {
        let mut file = whole.to_vec();
        file[bit / 8] ^= 1 << (bit % 8);
        (format!("byte {}, bit {}", bit / 8, bit % 8), file)
    });
    let cut = (0..whole.len()).map(|length| (format!("cut to {length}"), whole[..length].to_vec()));
    let longer = ("longer".to_owned(), [whole, b"x"].concat());
    flipped.chain(cut).chain([longer])
}

#[test]
fn a_record_damaged_anywhere_is_refused_and_set_aside_alone() {
    let subject = Subject::new();
    let vault = open(with_key(&subject.dir)).unwrap();
    let file = subject.record(subject.hit);
    let whole = fs::read(&file).unwrap();
    for (what, damage) in damaged(&whole) {
        fs::write(&file, &damage).unwrap();
        let error = vault.read(&subject.hit).unwrap_err();
        assert_eq!(error.code(), "VAULT_CORRUPT", "{what}: {error:?}");
        // What may be of a newer version stays in its place.
        let is_newer = matches!(error, VaultError::NewerFormat { .. });
        assert_eq!(file.exists(), is_newer, "{what}: {error:?}");
        let spared = vault.read(&subject.spared).unwrap().unwrap();
        assert_eq!(spared.plaintext(), b"spared", "{what}");
    }
    fs::remove_file(&file).ok();
    assert_eq!(vault.ids().unwrap(), [subject.spared]);
    fs::write(&file, &whole).unwrap();
    subject.serves(&vault, "put back");
}

#[test]
fn two_records_in_each_others_place_are_both_refused() {
    let subject = Subject::new();
    let vault = open(with_key(&subject.dir)).unwrap();
    let files = [subject.hit, subject.spared].map(|id| subject.record(id));
    let [one, two] = files.each_ref().map(|file| fs::read(file).unwrap());
    fs::write(&files[0], two).unwrap();
    fs::write(&files[1], one).unwrap();
    for id in [subject.hit, subject.spared] {
        let error = vault.read(&id).unwrap_err();
        assert!(matches!(error, VaultError::Corrupt { .. }), "{error:?}");
    }
    assert_eq!(vault.quarantine().len(), 2);
}

#[test]
fn a_header_damaged_anywhere_gives_way_to_its_backup() {
    let subject = Subject::new();
    let [header, backup] = subject.headers();
    let whole = fs::read(&header).unwrap();
    for (what, damage) in damaged(&whole) {
        fs::write(&header, &damage).unwrap();
        let vault = open(with_key(&subject.dir));
        subject.serves(
            &vault.unwrap_or_else(|error| panic!("{what}: {error:?}")),
            &what,
        );
        // The case of a hex digit carries nothing: then it is the backup that is renewed.
        let [now, spare] = [&header, &backup].map(|file| fs::read(file).unwrap());
        assert_eq!(now, spare, "{what}");
        assert!(now == whole || now.eq_ignore_ascii_case(&whole), "{what}");
    }
    assert!(subject.dir.join("quarantine").exists());
}

#[test]
fn a_backup_damaged_anywhere_is_renewed() {
    let subject = Subject::new();
    let [header, backup] = subject.headers();
    let whole = fs::read(&header).unwrap();
    for (what, damage) in damaged(&whole) {
        fs::write(&backup, &damage).unwrap();
        subject.serves(&open(with_key(&subject.dir)).unwrap(), &what);
        assert_eq!(fs::read(&header).unwrap(), whole, "{what}");
    }
}

#[test]
fn a_header_damaged_together_with_its_backup_is_refused_and_left_as_it_is() {
    let subject = Subject::new();
    let whole = fs::read(&subject.headers()[0]).unwrap();
    let mut refusals = 0;
    for (what, damage) in damaged(&whole) {
        for file in subject.headers() {
            fs::write(file, &damage).unwrap();
        }
        let before = snapshot(&subject.dir);
        match open(with_key(&subject.dir)) {
            // The case of a hex digit carries nothing.
            Ok(vault) => {
                assert!(damage.eq_ignore_ascii_case(&whole), "{what}");
                subject.serves(&vault, &what);
            }
            Err(error) => {
                let code = error.code();
                let known = ["VAULT_CORRUPT", "VAULT_KEY_MISMATCH", "VAULT_KEY_MISSING"];
                assert!(known.contains(&code), "{what}: {error:?}");
                assert!(!format!("{error}{error:?}").contains(SECRET), "{what}");
                refusals += 1;
            }
        }
        assert_eq!(snapshot(&subject.dir), before, "{what}");
    }
    assert!(refusals > whole.len() * 8);
    for file in subject.headers() {
        fs::write(file, &whole).unwrap();
    }
    subject.serves(&open(with_key(&subject.dir)).unwrap(), "put back");
}

#[test]
fn a_note_damaged_anywhere_does_not_lock_its_record() {
    let subject = Subject::new();
    let vault = open(with_key(&subject.dir)).unwrap();
    let guard = vault.lock(&subject.hit).unwrap();
    let note = Pending {
        generation: 1,
        refresh_hash: [7; 32],
        started_at: 1_800_000_000_000,
        pid: 4711,
        boot_id: "boot".to_owned(),
    };
    assert_eq!(
        vault.claim(&guard, Need::Now, &note).unwrap(),
        Claimed::Yes(SendBy::FOR_EVER)
    );
    let file = subject.dir.join(format!("rec/{}.pending", subject.hit));
    let whole = fs::read(&file).unwrap();
    for (what, damage) in damaged(&whole) {
        fs::write(&file, &damage).unwrap();
        match vault.pending(&subject.hit) {
            Ok(note) => assert!(note.is_some(), "{what}"),
            Err(error) => assert_eq!(error.code(), "VAULT_CORRUPT", "{what}"),
        }
        subject.serves(&vault, &what);
    }
    vault.release(&guard, Outcome::Known).unwrap();
    assert!(!holds_notes(&subject.dir));
}

fn holds_notes(dir: &Path) -> bool {
    let is_note = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "pending");
    files(dir).iter().any(is_note)
}
