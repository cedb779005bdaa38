//! The vault and its key: whether it opens, why not, and what is to be known of it once it is open.

use std::error::Error as _;
use std::sync::Arc;

use provider_auth_vault::{KeySource, Shared, Vault, VaultError, VaultState, VaultStatus};

use super::finding::{Finding, relative};
use super::store as of_stores;
use crate::error::BrokerError;
use crate::host::blocking;
use crate::store::Store;

pub(super) async fn check(store: &Arc<Store>) -> Vec<Finding> {
    let (options, open) = (store.vault_options(), store.open_vault());
    let engine = store.engine();
    let looked = blocking(move || match open {
        Some(vault) => vault.status_now(),
        None => Vault::status(&options, engine?),
    });
    let status = match looked.await {
        Ok(status) => status,
        Err(error) => {
            let finding = of_stores::unusable(&error);
            return vec![finding.unwrap_or_else(|| unusable(&error))];
        }
    };
    let mut findings = vec![state(&status)];
    if status.state == VaultState::Empty {
        let options = store.vault_options();
        let place = blocking(move || Vault::place_for_key(&options)).await;
        // That comes first, before any login.
        findings = place.map_or_else(|error| vec![no_place_for_key(&error)], |()| findings);
    }
    let of_store = status.store.iter();
    findings.extend(of_store.flat_map(|it| of_stores::check(it, store.now().as_millis())));
    findings.extend(quarantine(&status, store.now().as_millis()));
    if status.state != VaultState::Open {
        return findings;
    }
    findings.extend(slots(&status));
    let vault = match store.opened().await {
        Ok(vault) => vault,
        Err(error) => {
            findings.push(unopened(&error));
            return findings;
        }
    };
    let unsaved = store.unsaved_ids();
    findings.extend(unsaved.iter().map(|id| {
        Finding::problem("vault.unsaved", format!("new tokens of account {id} are not on the disk"))
            .why("the provider has replaced the old ones: should this process end before, the login is lost")
            .remedy("make room on the disk, or make it writable; each second this process tries again")
            .with("accountId", id)
    }));
    findings.extend(blocking(move || kept(&vault)).await);
    findings
}

fn state(status: &VaultStatus) -> Finding {
    let source = status.key_source.name();
    let finding = match status.state {
        VaultState::Open => Finding::ok("vault.open", format!("the vault opens with the key from {source}")),
        VaultState::Empty => Finding::note("vault.empty", "there is no vault yet")
            .why("the first account makes one")
            .remedy("provider-auth login"),
        VaultState::Locked => Finding::problem("keychain.locked", "the keychain is locked")
            .why("the vault's key is in it, so no account can be used")
            .remedy("unlock it: log in to the desktop, or open your password manager"),
        VaultState::Timeout => Finding::problem("keychain.timeout", "the keychain does not answer")
            .why("the vault's key is in it, so no account can be used")
            .remedy("answer its prompt or restart it (gnome-keyring-daemon, kwalletd, KeePassXC); or add a way to the key that needs none: provider-auth key slot add passphrase (or keyfile, env)"),
        VaultState::Unavailable => Finding::problem("keychain.unavailable", "there is no keychain here")
            .why("the vault's key is in one, so no account can be used; over SSH and in containers there is often none")
            .remedy("start the keychain, or give the vault's key: PROVIDER_AUTH_KEY or PROVIDER_AUTH_PASSPHRASE; provider-auth key status tells the ways to it"),
        VaultState::KeyMissing | VaultState::KeyMismatch if status.key_source == KeySource::Host => {
            Finding::problem("vault.host_not_admitted", "this host was not admitted to the vault, or was revoked")
                .why("its own key opens no slot of it, so no account can be used")
                .remedy("provider-auth fleet join, and provider-auth fleet admit on a host that opens the vault")
        }
        VaultState::KeyMissing => Finding::problem("vault.key_missing", format!("the vault's key is not where it should be: {source}"))
            .why("without it no account can be used")
            .remedy("give it again: set the variable that had it, or provider-auth key import"),
        VaultState::KeyMismatch => Finding::problem("vault.key_mismatch", format!("the key from {source} does not open this vault"))
            .why("it is another vault's, or no key; without the right one no account can be used")
            .remedy("give the key that the vault was made with, or another folder with PROVIDER_AUTH_DIR"),
    };
    let finding = finding
        .with("file", status.dir.display())
        .with("keySource", source);
    let finding = match code(status.state) {
        Some(code) => finding.with("code", code),
        None => finding,
    };
    match status.key_id.as_str() {
        "" => finding,
        id => finding.with("keyId", id),
    }
}

/// With what every call that needs the vault is refused.
fn code(state: VaultState) -> Option<&'static str> {
    match state {
        VaultState::Open | VaultState::Empty => None,
        VaultState::Locked => Some("VAULT_LOCKED"),
        VaultState::Timeout => Some("KEYCHAIN_TIMEOUT"),
        VaultState::Unavailable => Some("KEYCHAIN_UNAVAILABLE"),
        VaultState::KeyMissing => Some("VAULT_KEY_MISSING"),
        VaultState::KeyMismatch => Some("VAULT_KEY_MISMATCH"),
    }
}

/// A new vault could not be made, since its key would have nowhere to go.
fn no_place_for_key(error: &VaultError) -> Finding {
    Finding::problem(
        "keychain.no_place_for_key",
        format!("no vault can be made here: {error}"),
    )
    .why("the key of a new vault goes into the system's keychain; over SSH and in containers there is often none")
    .remedy("provider-auth key init --source keyfile (a file beside the vault), or --source env (a key that you keep); on a desktop, start or unlock the keychain")
    .with("code", error.code())
}

/// The vault, of which not even the state can be told.
fn unusable(error: &VaultError) -> Finding {
    let id = match error {
        VaultError::Unsafe { .. } => "vault.unsafe",
        _ if error.code() == "VAULT_CORRUPT" => "vault.corrupt",
        _ => "vault.unusable",
    };
    // What the system said.
    let title = match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    Finding::problem(id, title)
        .why("no account can be used")
        .remedy(match id {
            "vault.corrupt" => "restore the folder from a backup; its records are still there, and provider-auth key import opens them with an exported key",
            "vault.unsafe" => "name a folder of your own with PROVIDER_AUTH_DIR, or mend this one: provider-auth doctor --fix mends modes",
            _ => "name a folder of your own with PROVIDER_AUTH_DIR, or make this one readable and writable for this user",
        })
        .with("code", error.code())
}

fn unopened(error: &BrokerError) -> Finding {
    Finding::problem(
        "vault.unusable",
        format!("the vault does not open: {error}"),
    )
    .why("no account can be used")
    .remedy("provider-auth key status tells the ways to its key; see what is said here of its folder and its files")
    .with("code", error.code())
}

fn slots(status: &VaultStatus) -> Vec<Finding> {
    let mut findings = Vec::new();
    let names = status.slots.iter().map(|slot| {
        let source = slot.key_source.map_or("a newer version's", KeySource::name);
        format!("{} ({source})", slot.id)
    });
    let names: Vec<_> = names.collect();
    if let [only] = names.as_slice() {
        findings.push(
            Finding::note(
                "vault.one_slot",
                format!("one way leads to the vault's key: {only}"),
            )
            .why("should it be lost, every account has to be added again")
            .remedy("add a recovery passphrase: provider-auth key slot add passphrase"),
        );
    } else if !names.is_empty() {
        findings.push(Finding::ok(
            "vault.slots",
            format!(
                "{} ways lead to the vault's key: {}",
                names.len(),
                names.join(", ")
            ),
        ));
    }
    findings
}

fn quarantine(status: &VaultStatus, now: u64) -> Vec<Finding> {
    let records = status.quarantined.iter().map(|record| {
        let id = record.id.to_string();
        let title = format!("the record of account {id} was damaged and set aside {}", relative(record.at, now));
        Finding::warning("vault.quarantine", title)
            .why("it cannot be decrypted: a disk that loses data, or a file that was changed by hand")
            .remedy(format!("sign in to that account again; then provider-auth remove {id} removes the copy"))
            .with("accountId", id)
    });
    records.collect()
}

/// What lies in the vault besides records.
fn kept(vault: &Vault) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Ok(Some(_)) = vault.moved() {
        findings.push(
            Finding::note("vault.moved_bundle", "the last bundle that took logins along is still kept here")
                .why("its logins wait to be imported; here they are signed out")
                .remedy("if the bundle has not arrived: provider-auth vault export <file> --again; else import it where it belongs: provider-auth vault import <file>"),
        );
    }
    for (shared, file) in [
        (Shared::State, "state.json"),
        (Shared::News, "news.json"),
        (Shared::History, "history.json"),
    ] {
        let Err(error) = vault.read_shared(shared) else {
            continue;
        };
        findings.push(
            Finding::warning(
                "vault.state",
                format!("the state that processes share cannot be read: {error}"),
            )
            .why("each process finds out for itself which account rests")
            .remedy(format!(
                "make {file} in the vault's folder readable, or remove it"
            )),
        );
    }
    // One that is too long begins afresh.
    if let Err(error) = vault.read_stats()
        && !error.is_too_long()
    {
        findings.push(
            Finding::warning(
                "vault.stats",
                format!("the counts of the report cannot be read: {error}"),
            )
            .why("provider-auth report fails, and nothing more is counted")
            .remedy("make stats.json in the vault's folder readable, or remove it"),
        );
    }
    findings
}
