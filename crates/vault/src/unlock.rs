//! From the header's file to the data key: opening, making and repairing the header.

use std::{path::Path, sync::Arc};

use crate::{
    Entropy, KeySource, Options, VaultError,
    error::io,
    header::{Header, Refused},
    key::{Key, random},
    limits,
    lock::WaitingRoom,
    source::KeyFinder,
    store::{Durability, Store},
    vault::{Paths, hold},
};

/// A header whose signature was checked, and the data key that checked it.
pub(crate) struct Unlocked {
    pub(crate) header: Header,
    /// The bytes of the header's file.
    pub(crate) file: Vec<u8>,
    pub(crate) data_key: Key,
    pub(crate) key_source: KeySource,
    pub(crate) from_backup: bool,
}

/// Opens the header, else its backup; `None` when this is no vault yet. Changes nothing.
pub(crate) fn unlock(
    options: &Options,
    store: &dyn Store,
    paths: &Paths,
) -> Result<Option<Unlocked>, VaultError> {
    let finder = options.finder(store);
    let header = paths.header();
    let file = store.read(&header).map_err(io("read", &header))?;
    let refusal = match &file {
        Some(file) => match unlock_file(&finder, &header, file) {
            Ok(unlocked) => return Ok(Some(unlocked)),
            Err(error @ (VaultError::HeaderUnusable { .. } | VaultError::KeyMismatch { .. })) => {
                Some(error)
            }
            Err(error) => return Err(error),
        },
        None => None,
    };
    let backup = paths.header_backup();
    let spare = store.read(&backup).map_err(io("read", &backup))?;
    if let Some(spare) = spare.filter(|spare| Some(spare) != file.as_ref())
        && let opened = unlock_file(&finder, &backup, &spare)
        && (opened.is_ok() || refusal.is_none())
    {
        return opened.map(|unlocked| {
            Some(Unlocked {
                from_backup: true,
                ..unlocked
            })
        });
    }
    refusal.map_or(Ok(None), Err)
}

fn unlock_file(finder: &KeyFinder<'_>, path: &Path, file: &[u8]) -> Result<Unlocked, VaultError> {
    let header = Header::parse(file).map_err(|refused| refusal(refused, path, finder.source))?;
    let sources = finder.sources_of(&header.slots);
    let mut first = None;
    for source in sources {
        match unlock_slots(finder, path, file, &header, source) {
            Ok(data_key) => {
                let file = file.to_vec();
                return Ok(Unlocked {
                    header,
                    file,
                    data_key,
                    key_source: source,
                    from_backup: false,
                });
            }
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or(VaultError::KeyMissing {
        key_source: finder.source,
    }))
}

/// Tries every slot of one source.
fn unlock_slots(
    finder: &KeyFinder<'_>,
    path: &Path,
    file: &[u8],
    header: &Header,
    source: KeySource,
) -> Result<Key, VaultError> {
    let mut outcome = Err(VaultError::KeyMismatch { key_source: source });
    for slot in header
        .slots
        .iter()
        .filter(|slot| slot.source() == Some(source))
    {
        let outer = finder.find(source, &header.vault, slot.stretch.as_ref())?;
        outcome = header
            .unlock(file, slot, &outer)
            .map_err(|refused| refusal(refused, path, source));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn refusal(refused: Refused, path: &Path, key_source: KeySource) -> VaultError {
    let path = path.to_owned();
    match refused {
        Refused::Damaged(why) => VaultError::HeaderUnusable { path, why },
        Refused::Newer => VaultError::NewerFormat { path },
        Refused::WrongKey => VaultError::KeyMismatch { key_source },
    }
}

/// Refuses a folder that has records but no header: a new key would orphan them.
pub(crate) fn refuse_orphans(store: &dyn Store, paths: &Paths) -> Result<(), VaultError> {
    let names = store
        .list(&paths.records())
        .map_err(io("list", paths.records()))?;
    if names.iter().any(|name| name.ends_with(".rec")) {
        return Err(VaultError::HeaderUnusable {
            path: paths.header(),
            why: "is missing though there are records",
        });
    }
    Ok(())
}

/// Makes a new vault's key and header, under `vault.lock`. The key is in its place before the header that needs it is.
pub(crate) fn create(
    options: &Options,
    store: &dyn Store,
    paths: &Paths,
    entropy: &dyn Entropy,
) -> Result<Unlocked, VaultError> {
    refuse_orphans(store, paths)?;
    let vault = random(entropy);
    let (outer, key_source, stretch) = options.finder(store).make(&vault, entropy)?;
    let data_key = Key::random(entropy);
    let header = Header::new(vault, key_source, stretch, &outer, &data_key, entropy);
    let file = header.encode(&data_key);
    for path in [paths.header(), paths.header_backup()] {
        store
            .replace(&path, &file, Durability::Durable)
            .map_err(io("write", &path))?;
    }
    tracing::info!(dir = %paths.dir.display(), %key_source, key_id = header.key_id(), "vault created");
    Ok(Unlocked {
        header,
        file,
        data_key,
        key_source,
        from_backup: false,
    })
}

/// Sweeps leftovers and renews the header's backup. A vault on a read-only disk serves without.
pub(crate) fn tidy(store: &dyn Store, room: &Arc<WaitingRoom>, paths: &Paths, unlocked: &Unlocked) {
    for folder in [paths.dir.clone(), paths.records()] {
        if let Err(error) = store.sweep(&folder) {
            tracing::debug!(folder = %folder.display(), %error, "leftovers could not be swept");
        }
    }
    if let Err(error) = renew_backup(store, room, paths, unlocked) {
        tracing::debug!(dir = %paths.dir.display(), %error, "the header's backup could not be renewed");
    }
}

/// Writes the backup if it is absent, damaged or old. One of another vault stays: then it is the header that is out of place.
fn renew_backup(
    store: &dyn Store,
    room: &Arc<WaitingRoom>,
    paths: &Paths,
    unlocked: &Unlocked,
) -> Result<(), VaultError> {
    let (header, backup) = (paths.header(), paths.header_backup());
    let spare = store.read(&backup).map_err(io("read", &backup))?;
    let serves = |spare: &[u8]| {
        spare == unlocked.file
            || Header::parse(spare).is_ok_and(|spare| spare.vault != unlocked.header.vault)
    };
    if spare.as_deref().is_some_and(serves) {
        return Ok(());
    }
    let _held = hold(room, &paths.vault_lock(), limits::VAULT_LOCK_WAIT)?;
    let current = store.read(&header).map_err(io("read", &header))?;
    if current.as_ref() == Some(&unlocked.file) {
        store
            .replace(&backup, &unlocked.file, Durability::Durable)
            .map_err(io("write", &backup))?;
    }
    Ok(())
}

/// Puts the backup in the header's place and sets the damaged header aside.
pub(crate) fn restore_header(
    store: &dyn Store,
    paths: &Paths,
    file: &[u8],
) -> Result<(), VaultError> {
    let header = paths.header();
    if let Some(damaged) = store.read(&header).map_err(io("read", &header))? {
        let aside = paths
            .quarantine()
            .join(format!("vault.{}.hdr", store.now()));
        store
            .create_folder(&paths.quarantine())
            .map_err(io("create", paths.quarantine()))?;
        store
            .replace(&aside, &damaged, Durability::Durable)
            .map_err(io("write", &aside))?;
    }
    store
        .replace(&header, file, Durability::Durable)
        .map_err(io("write", &header))?;
    tracing::warn!(dir = %paths.dir.display(), "the vault's header was damaged; its backup took its place");
    Ok(())
}
