//! The folder itself: who may write there, links, leftovers of crashes, a damaged or lost header.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod support;

use std::fs;

use provider_auth_vault::{Vault, VaultError, VaultState, default_engine};
use support::{KEY, folder, open, refused, snapshot, with_key};

#[test]
fn a_damaged_header_is_replaced_by_its_backup_and_kept_aside() {
    let (_outer, dir) = folder();
    let (id, _) = open(with_key(&dir)).unwrap().create(1, b"x").unwrap();
    let whole = fs::read(dir.join("vault.hdr")).unwrap();
    for damaged in [
        b"".as_slice(),
        b"junk",
        &whole[..whole.len() / 2],
        &[whole.as_slice(), b"x"].concat(),
    ] {
        fs::write(dir.join("vault.hdr"), damaged).unwrap();
        assert_eq!(
            Vault::status(&with_key(&dir), default_engine())
                .unwrap()
                .state,
            VaultState::Open
        );
        assert_eq!(
            fs::read(dir.join("vault.hdr")).unwrap(),
            damaged,
            "looking changes nothing"
        );
        assert!(open(with_key(&dir)).unwrap().read(&id).unwrap().is_some());
        assert_eq!(fs::read(dir.join("vault.hdr")).unwrap(), whole);
        assert!(
            snapshot(&dir.join("quarantine"))
                .iter()
                .any(|(_, content)| content == damaged)
        );
    }
    fs::remove_file(dir.join("vault.hdr")).unwrap();
    assert!(open(with_key(&dir)).unwrap().read(&id).unwrap().is_some());
    assert_eq!(fs::read(dir.join("vault.hdr")).unwrap(), whole);
}

#[test]
fn a_lost_or_damaged_backup_is_renewed_but_never_by_a_header_of_another_vault() {
    let (_outer, dir) = folder();
    let (_other_outer, other) = folder();
    let backup = dir.join("vault.hdr.bak");
    open(with_key(&dir)).unwrap();
    let whole = fs::read(&backup).unwrap();
    fs::remove_file(&backup).unwrap();
    open(with_key(&dir)).unwrap();
    assert_eq!(fs::read(&backup).unwrap(), whole);
    fs::write(&backup, "junk").unwrap();
    open(with_key(&dir)).unwrap();
    assert_eq!(fs::read(&backup).unwrap(), whole);
    open(with_key(&other)).unwrap();
    fs::copy(other.join("vault.hdr"), dir.join("vault.hdr")).unwrap();
    open(with_key(&dir)).unwrap();
    assert_eq!(fs::read(&backup).unwrap(), whole);
}

#[test]
fn a_flipped_byte_in_the_header_never_costs_a_record() {
    let (_outer, dir) = folder();
    let (id, _) = open(with_key(&dir)).unwrap().create(1, b"x").unwrap();
    let whole = fs::read(dir.join("vault.hdr")).unwrap();
    // Every byte is tried beside the header's own code; here a sample on the disk.
    for at in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(dir.join("vault.hdr"), &flipped).unwrap();
        match open(with_key(&dir)) {
            Ok(vault) => assert!(vault.read(&id).unwrap().is_some(), "byte {at}"),
            Err(error) => assert!(
                matches!(error, VaultError::NewerFormat { .. }),
                "byte {at}: {error:?}"
            ),
        }
        fs::write(dir.join("vault.hdr"), &whole).unwrap();
    }
}

#[test]
fn without_any_header_records_are_not_orphaned_by_a_new_key() {
    let (_outer, dir) = folder();
    open(with_key(&dir)).unwrap().create(1, b"x").unwrap();
    fs::remove_file(dir.join("vault.hdr")).unwrap();
    fs::remove_file(dir.join("vault.hdr.bak")).unwrap();
    let before = snapshot(&dir);
    let error = refused(with_key(&dir));
    assert!(
        matches!(error, VaultError::HeaderUnusable { .. }),
        "{error:?}"
    );
    assert_eq!(error.code(), "VAULT_CORRUPT");
    assert!(Vault::status(&with_key(&dir), default_engine()).is_err());
    assert_eq!(snapshot(&dir), before);
}

#[test]
fn a_header_of_another_vault_opens_none_of_the_records() {
    let (_outer, dir) = folder();
    let (_other_outer, other) = folder();
    let (id, _) = open(with_key(&dir)).unwrap().create(1, b"x").unwrap();
    open(with_key(&other)).unwrap();
    fs::copy(other.join("vault.hdr"), dir.join("vault.hdr")).unwrap();
    assert!(matches!(
        open(with_key(&dir)).unwrap().read(&id),
        Err(VaultError::Corrupt { .. })
    ));
}

#[test]
fn a_header_of_a_newer_version_is_left_alone() {
    let (_outer, dir) = folder();
    open(with_key(&dir)).unwrap();
    let header = fs::read_to_string(dir.join("vault.hdr")).unwrap();
    let (content, _) = header.split_once('\n').unwrap();
    let content = content.replacen("\"format\":1", "\"format\":2", 1);
    // It is signed anew: with the old signature it would be a damaged one.
    let newer = format!("{content}\n{}\n", "07".repeat(32));
    fs::write(dir.join("vault.hdr"), &newer).unwrap();
    assert!(matches!(
        refused(with_key(&dir)),
        VaultError::NewerFormat { .. }
    ));
    assert_eq!(fs::read_to_string(dir.join("vault.hdr")).unwrap(), newer);
}

#[test]
fn a_file_in_the_folders_place_is_refused() {
    let (_outer, dir) = folder();
    fs::write(&dir, "").unwrap();
    assert_eq!(refused(with_key(&dir)).code(), "VAULT_IO");
    assert_eq!(refused(with_key(&dir.join("below"))).code(), "VAULT_IO");
}

#[test]
fn fresh_leftovers_of_another_writer_are_kept_and_old_ones_swept() {
    let (_outer, dir) = folder();
    open(with_key(&dir)).unwrap();
    let [fresh, dead, stale] = [
        "a.rec.4194000-1.tmp",
        "b.rec.4194000-2.tmp",
        "c.rec.1-3.tmp",
    ]
    .map(|name| dir.join("rec").join(name));
    for (file, age) in [(&fresh, 0), (&dead, 120), (&stale, 4000)] {
        let file = fs::File::create(file).unwrap();
        let now = file.metadata().unwrap().modified().unwrap();
        file.set_modified(now - std::time::Duration::from_secs(age))
            .unwrap();
    }
    open(with_key(&dir)).unwrap();
    assert!(fresh.exists());
    assert!(!stale.exists());
    assert_eq!(
        dead.exists(),
        cfg!(windows),
        "a dead process needs its leftovers no more"
    );
}

#[cfg(unix)]
mod unix {
    use std::{
        os::unix::{
            fs::{MetadataExt, PermissionsExt, chown, symlink},
            process::CommandExt,
        },
        path::Path,
        process::Command,
    };

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn set_modes(dir: &Path, mode: u32) {
        for folder in [dir.join("rec"), dir.join("lock"), dir.to_owned()] {
            set_mode(&folder, mode);
        }
    }

    #[test]
    fn everything_is_its_owners_alone() {
        let (_outer, dir) = folder();
        let vault = open(with_key(&dir)).unwrap();
        let (id, _) = vault.create(1, b"x").unwrap();
        drop(vault.lock(&id).unwrap());
        support::merge_state(&vault, |_| b"{}".to_vec()).unwrap();
        for inner in ["", "rec", "lock"] {
            assert_eq!(mode(&dir.join(inner)), 0o700, "{inner}");
        }
        for file in support::files(&dir) {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused_with_the_remedy() {
        let (_outer, dir) = folder();
        open(with_key(&dir)).unwrap();
        for inner in ["", "rec", "lock"] {
            for loose in [0o720, 0o702] {
                set_mode(&dir.join(inner), loose);
                let error = refused(with_key(&dir));
                assert!(error.to_string().contains("chmod go-w"), "{inner}: {error}");
                assert!(Vault::status(&with_key(&dir), default_engine()).is_err());
            }
            set_mode(&dir.join(inner), 0o700);
        }
        open(with_key(&dir)).unwrap();
    }

    #[test]
    fn a_record_that_others_could_read_is_tightened() {
        let (_outer, dir) = folder();
        let vault = open(with_key(&dir)).unwrap();
        let (id, _) = vault.create(1, b"x").unwrap();
        let record = dir.join(format!("rec/{id}.rec"));
        set_mode(&record, 0o644);
        assert!(vault.read(&id).unwrap().is_some());
        assert_eq!(mode(&record), 0o600);
    }

    #[test]
    fn the_folder_may_be_a_link_but_nothing_in_it() {
        let (outer, dir) = folder();
        let vault = open(with_key(&dir)).unwrap();
        let (id, _) = vault.create(1, b"x").unwrap();
        let link = outer.path().join("link");
        symlink(&dir, &link).unwrap();
        let by_link = open(with_key(&link)).unwrap();
        assert_eq!(by_link.dir(), fs::canonicalize(&dir).unwrap());
        assert!(by_link.read(&id).unwrap().is_some());

        let record = dir.join(format!("rec/{id}.rec"));
        let elsewhere = outer.path().join("elsewhere.rec");
        fs::rename(&record, &elsewhere).unwrap();
        symlink(&elsewhere, &record).unwrap();
        assert!(matches!(by_link.read(&id), Err(VaultError::Unsafe { .. })));

        let lock = dir.join("lock/vault.lock");
        let _ = fs::remove_file(&lock);
        symlink(outer.path().join("nowhere"), &lock).unwrap();
        assert!(matches!(
            support::merge_state(&by_link, |_| Vec::new()),
            Err(VaultError::Unsafe { .. })
        ));

        fs::rename(dir.join("rec"), outer.path().join("rec")).unwrap();
        symlink(outer.path().join("rec"), dir.join("rec")).unwrap();
        assert!(matches!(refused(with_key(&dir)), VaultError::Unsafe { .. }));
    }

    /// Runs a test's second half as a user without privileges, because root may write everywhere.
    fn as_nobody(dir: &Path, outer: &Path) -> std::process::Output {
        const NOBODY: u32 = 65534;
        let program = outer.join("vault_process");
        fs::copy(support::program(), &program).unwrap();
        let mut command = Command::new(program);
        command.arg(dir).arg(KEY).arg("open");
        if fs::metadata(outer).unwrap().uid() == 0 {
            set_mode(outer, 0o755);
            for path in [dir.to_owned(), dir.join("rec"), dir.join("lock")]
                .into_iter()
                .chain(support::files(dir))
            {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
            command.uid(NOBODY).gid(NOBODY);
        }
        command.output().unwrap()
    }

    #[test]
    fn a_vault_on_a_read_only_disk_still_opens() {
        let (outer, dir) = folder();
        let vault = open(with_key(&dir)).unwrap();
        set_modes(&dir, 0o500);
        let output = as_nobody(&dir, outer.path());
        set_modes(&dir, 0o700);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            vault.key_id(),
            "{output:?}"
        );
    }

    #[test]
    fn a_vault_that_cannot_be_created_says_where_and_leaves_nothing() {
        let (outer, dir) = folder();
        for inner in ["rec", "lock"] {
            fs::create_dir_all(dir.join(inner)).unwrap();
        }
        set_modes(&dir, 0o500);
        let output = as_nobody(&dir, outer.path());
        set_modes(&dir, 0o700);
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("Io") && said.contains("vault"), "{said}");
        assert!(support::files(&dir).is_empty());
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        let (outer, dir) = folder();
        fs::create_dir(&dir).unwrap();
        if fs::metadata(&dir).unwrap().uid() == 0 {
            chown(&dir, Some(65534), None).unwrap();
            assert!(matches!(refused(with_key(&dir)), VaultError::Unsafe { .. }));
        } else {
            assert!(matches!(
                refused(with_key(Path::new("/"))),
                VaultError::Unsafe { .. }
            ));
        }
        drop(outer);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_of_the_disk() {
        assert_eq!(
            refused(with_key(Path::new("/dev/null/vault"))).code(),
            "VAULT_IO"
        );
    }
}
