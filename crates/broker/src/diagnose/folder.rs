//! The vault's folder: who can read it, whether locks hold, what crashes left, how much room there
//! is. Looked at whether the vault opens or not.

use std::path::{Path, PathBuf};

use provider_auth_policy::Timestamp;
use provider_auth_vault::{
    FolderFacts, FreeSpace, KeySource, LooseFile, Options, Privacy, free_space, look_at_folder,
    look_at_key_file, remove_leftover, tighten,
};

use super::clock;
use super::finding::{Finding, span};
use super::refresh;
use crate::host::blocking;
use crate::limits;
use crate::store::Store;

pub(super) async fn check(store: &Store, fix: bool) -> Vec<Finding> {
    let options = store.vault_options();
    if options.key == KeySource::Memory {
        return vec![Finding::note(
            "vault.memory",
            "nothing is kept on the disk: the key source is memory",
        )];
    }
    let now = store.now();
    blocking(move || look(&options, now, fix)).await
}

fn look(options: &Options, now: Timestamp, fix: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    match look_at_folder(&options.dir, limits::HELD_LOCK_PATIENCE) {
        Ok(None) => {}
        Ok(Some(facts)) => {
            findings.extend(privacy(&facts, fix));
            findings.extend(disk(&facts, options.allow_network_fs));
            findings.extend(locks(&facts));
            findings.extend(
                facts
                    .notes
                    .iter()
                    .filter_map(|note| refresh::found(note, now)),
            );
            findings.extend(leftovers(&facts.leftovers, fix));
        }
        Err(error) => findings.push(
            Finding::problem(
                "files.unreadable",
                format!("the vault's folder cannot be read: {error}"),
            )
            .why("no account can be used")
            .remedy("make it this user's own, or name another one with PROVIDER_AUTH_DIR")
            .with("file", options.dir.display()),
        ),
    }
    findings.extend(key_file(options, fix));
    findings.extend(free_space(&options.dir).map(|free| room(&options.dir, free)));
    findings
}

fn privacy(facts: &FolderFacts, fix: bool) -> Vec<Finding> {
    if facts.loose.is_empty() {
        let title = "only you can read the vault's folder and its files";
        return vec![Finding::ok("files.private", title).with("file", facts.dir.display())];
    }
    facts.loose.iter().map(|found| loose(found, fix)).collect()
}

fn loose(found: &LooseFile, fix: bool) -> Finding {
    let file = found.path.display();
    let finding = match (found.privacy, found.fault) {
        (Privacy::Foreign, _) => {
            return Finding::problem("files.foreign", format!("{file} belongs to another user"))
                .why("that user can replace it, so the vault may refuse to use it")
                .remedy("chown it if it is yours (was provider-auth run with sudo?)")
                .with("file", file);
        }
        (_, Some(fault)) => Finding::problem("files.unsafe", format!("{file}: {fault}"))
            .why("others could put their own accounts there, so the vault does not open"),
        _ => Finding::warning("files.loose", format!("other users can get at {file}"))
            .why("it tells them which accounts there are; secrets in it are encrypted"),
    };
    finding
        .remedy(format!("chmod go-rwx {file}"))
        .with("file", file)
        .fixable(fix && tighten(&found.path).is_ok())
}

fn key_file(options: &Options, fix: bool) -> Option<Finding> {
    let found = look_at_key_file(options)?;
    let file = found.path.display();
    let finding = Finding::problem(
        "vault.key_file",
        format!("other users can read the vault's key file {file}"),
    )
    .why("with the vault's folder, the key is all that is needed to read every login")
    .remedy(format!(
        "chmod 600 {file}, and provider-auth key rotate if somebody may have read it"
    ))
    .with("file", file);
    Some(match found.privacy {
        Privacy::Foreign => finding,
        _ => finding.fixable(fix && tighten(&found.path).is_ok()),
    })
}

fn disk(facts: &FolderFacts, allowed: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if facts.is_network {
        let title = "the vault's folder is on a network file system";
        let why = "locks may not hold there: two processes could renew one login at the same time, which ends it";
        let remedy = "name a folder on a local disk with PROVIDER_AUTH_DIR";
        let finding = match allowed {
            true => Finding::warning("disk.network", title),
            false => Finding::problem("disk.network", title),
        };
        findings.push(finding.why(why).remedy(remedy));
    }
    match &facts.trial {
        Ok(trial) => {
            findings.push(match trial.locks_exclude {
                true => Finding::ok("disk.locks", "the disk takes files, and its locks hold"),
                false => Finding::problem("disk.locks", "the disk does not keep a lock that is held")
                    .why("two processes could renew one login at the same time, which ends it")
                    .remedy("name a folder on another disk with PROVIDER_AUTH_DIR"),
            });
            findings.push(clock::of_files(trial.ahead_ms));
        }
        Err(error) => findings.push(
            Finding::problem("disk.write", format!("nothing can be written to the vault's folder: {error}"))
                .why("new tokens cannot be kept; a login whose refresh token is good for one use is lost with the process")
                .remedy("make room, or make the folder writable again")
                .with("file", facts.dir.display()),
        ),
    }
    findings
}

fn locks(facts: &FolderFacts) -> Vec<Finding> {
    if facts.held.is_empty() {
        return vec![Finding::ok("locks.free", "no lock is held for long")];
    }
    let patience = span(limits::HELD_LOCK_PATIENCE.as_millis() as u64);
    let held = facts.held.iter().map(|lock| {
        let holder = lock
            .pid
            .map_or(String::new(), |pid| format!(" by process {pid}"));
        let title = format!("{} is held{holder} for more than {patience}", lock.name);
        let finding = match lock.name.as_str() {
            "keys.lock" => Finding::note("locks.keys", title)
                .why("the vault's key is being changed; that may take minutes"),
            _ => Finding::warning("locks.held", title)
                .why("accounts cannot be added or changed meanwhile, and other processes wait")
                .remedy("look whether that process hangs or was stopped, and end it"),
        };
        let finding = finding.with("lock", &lock.name);
        match lock.pid {
            Some(pid) => finding.with("pid", pid),
            None => finding,
        }
    });
    held.collect()
}

fn leftovers(files: &[PathBuf], fix: bool) -> Option<Finding> {
    let (first, count) = (files.first()?, files.len());
    let removed = fix && files.iter().all(|file| remove_leftover(file).is_ok());
    let title = match count {
        1 => "a crashed process left a temporary file".to_owned(),
        _ => format!("crashed processes left {count} temporary files"),
    };
    Some(
        Finding::note("files.leftovers", title)
            .why("they take room and are of no other use")
            .remedy("provider-auth doctor --fix removes them, and so does the next opening of the vault")
            .with("file", first.display())
            .fixable(removed),
    )
}

fn room(dir: &Path, free: FreeSpace) -> Finding {
    let mib = free.bytes / (1024 * 1024);
    let files = free.files.unwrap_or(u64::MAX);
    let is_full = free.bytes < limits::FULL_DISK || files < limits::FULL_DISK_FILES;
    let is_low = free.bytes < limits::LOW_DISK || files < limits::LOW_DISK_FILES;
    let left = match free.files {
        Some(files) if files < limits::LOW_DISK_FILES => format!("{files} files"),
        _ => format!("{mib} MiB"),
    };
    let title = format!("the vault's disk has room for {left} more");
    let finding = match (is_full, is_low) {
        (true, _) => Finding::problem("disk.space", title),
        (_, true) => Finding::warning("disk.space", title),
        _ => Finding::ok("disk.space", title),
    };
    let finding = finding
        .with("file", dir.display())
        .with("freeBytes", free.bytes);
    match is_low {
        true => finding
            .why("a new token that the disk does not take is lost with the process, and with it the login")
            .remedy("make room on this disk"),
        false => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_told_by_what_it_lacks() {
        let state = |bytes, files| room(Path::new("/v"), FreeSpace { bytes, files }).state;
        const GIB: u64 = 1 << 30;
        assert_eq!(state(GIB, None), State::Ok);
        assert_eq!(state(GIB, Some(1_000_000)), State::Ok);
        assert_eq!(state(20 << 20, None), State::Warning);
        assert_eq!(state(0, None), State::Problem);
        assert_eq!(state(GIB, Some(3)), State::Problem);
        let title = room(
            Path::new("/v"),
            FreeSpace {
                bytes: GIB,
                files: Some(3),
            },
        )
        .title;
        assert!(title.contains("3 files"), "{title}");
    }
}
