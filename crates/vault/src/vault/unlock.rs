//! From the header's file to the data key: opening, making and repairing the header.

use std::{path::Path, sync::Arc};

use crate::{
    Entropy, KeySource, Options, VaultError,
    crypto::key::{Key, random},
    error::io,
    folder::lock_queue::WaitingRoom,
    folder::store::{Durability, Store},
    format::header::{self, Header, Refused},
    format::record::VaultId,
    format::slot::Outer,
    keys::finder::KeyFinder,
    limits,
    vault::{Paths, hold},
};

/// A header whose signature was checked, and the data key that checked it.
pub(crate) struct Unlocked {
    pub(crate) header: Header,
    /// The bytes of the header's file.
    pub(crate) file: Vec<u8>,
    pub(crate) data_key: Key,
    /// The key that unwrapped it.
    pub(crate) outer: Key,
    pub(crate) key_source: KeySource,
    pub(crate) from_backup: bool,
}

/// Opens the header, else its backup; `None` when this is no vault yet. Changes nothing.
///
/// The backup goes first when it is of a later epoch: a rotation was cut off between the two files.
pub(crate) fn unlock(
    options: &Options,
    store: &dyn Store,
    paths: &Paths,
) -> Result<Option<Unlocked>, VaultError> {
    let finder = options.finder(store);
    let header = paths.header();
    let file = store.read(&header).map_err(io("read", &header))?;
    let backup = paths.header_backup();
    let spare = store.read(&backup).map_err(io("read", &backup))?;
    let spare = spare.filter(|spare| Some(spare) != file.as_ref());
    let unlock_spare = |spare: &[u8]| {
        unlock_file(&finder, &backup, spare).map(|unlocked| Unlocked {
            from_backup: true,
            ..unlocked
        })
    };
    let refusal = match &file {
        Some(file) => match unlock_file(&finder, &header, file) {
            Ok(unlocked) => {
                let ahead = spare.filter(|spare| is_behind(&unlocked.header, spare));
                let newer = ahead.and_then(|spare| unlock_spare(&spare).ok());
                return Ok(Some(newer.unwrap_or(unlocked)));
            }
            Err(error @ (VaultError::HeaderUnusable { .. } | VaultError::KeyMismatch { .. })) => {
                Some(error)
            }
            // A newer version would have signed what it wrote anew: this is damage to the number of the format.
            Err(error @ VaultError::NewerFormat { .. })
                if spare
                    .as_deref()
                    .is_some_and(|spare| header::is_signed_like(file, spare)) =>
            {
                Some(error)
            }
            Err(error) => return Err(error),
        },
        None => None,
    };
    if let Some(spare) = spare
        && let opened = unlock_spare(&spare)
        && (opened.is_ok() || refusal.is_none())
    {
        return opened.map(Some);
    }
    refusal.map_or(Ok(None), Err)
}

/// Tells whether `file` is a later header of the same vault.
fn is_behind(header: &Header, file: &[u8]) -> bool {
    Header::parse(file).is_ok_and(|file| file.vault == header.vault && file.epoch > header.epoch)
}

fn unlock_file(finder: &KeyFinder<'_>, path: &Path, file: &[u8]) -> Result<Unlocked, VaultError> {
    let header = Header::parse(file).map_err(|refused| refusal(refused, path, finder.source))?;
    let sources = finder.sources_of(&header.slots);
    let mut first = None;
    for source in sources {
        match unlock_slots(finder, path, file, &header, source) {
            Ok((data_key, outer)) => {
                let file = file.to_vec();
                return Ok(Unlocked {
                    header,
                    file,
                    data_key,
                    outer,
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

/// Tries every slot of one source; returns the data key and the key that unwrapped it.
fn unlock_slots(
    finder: &KeyFinder<'_>,
    path: &Path,
    file: &[u8],
    header: &Header,
    source: KeySource,
) -> Result<(Key, Key), VaultError> {
    let mut outcome = Err(VaultError::KeyMismatch { key_source: source });
    for slot in header
        .slots
        .iter()
        .filter(|slot| slot.source() == Some(source))
    {
        let outer = finder.find(source, &header.vault, slot.stretch.as_ref())?;
        outcome = header
            .unlock(file, slot, &outer)
            .map(|data_key| (data_key, outer))
            .map_err(|refused| refusal(refused, path, source));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

pub(crate) fn refusal(refused: Refused, path: &Path, key_source: KeySource) -> VaultError {
    let path = path.to_owned();
    match refused {
        Refused::Damaged(why) => VaultError::HeaderUnusable { path, why },
        Refused::Newer => VaultError::NewerFormat { path },
        Refused::WrongKey => VaultError::KeyMismatch { key_source },
    }
}

/// Refuses a folder that has records but no header: a new key would orphan them.
pub(crate) fn refuse_orphans(store: &dyn Store, paths: &Paths) -> Result<(), VaultError> {
    if has_records(store, paths)? {
        return Err(VaultError::HeaderUnusable {
            path: paths.header(),
            why: "is missing though there are records",
        });
    }
    Ok(())
}

pub(crate) fn has_records(store: &dyn Store, paths: &Paths) -> Result<bool, VaultError> {
    let names = store
        .list(&paths.records())
        .map_err(io("list", paths.records()))?;
    Ok(names.iter().any(|name| name.ends_with(".rec")))
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
    let outer = options.finder(store).make(&vault, entropy)?;
    let unlocked = Unlocked::made((vault, 1), outer, Key::random(entropy), entropy);
    write_first_header(store, paths, &unlocked.file)?;
    let key_id = unlocked.header.key_id();
    tracing::info!(dir = %paths.dir.display(), key_source = %unlocked.key_source, key_id, "vault created");
    Ok(unlocked)
}

impl Unlocked {
    /// Makes a header with one slot.
    pub(crate) fn made(
        of: (VaultId, u32),
        outer: Outer,
        data_key: Key,
        entropy: &dyn Entropy,
    ) -> Self {
        let header = Header::new(of, &outer, &data_key, entropy);
        Self {
            file: header.encode(&data_key),
            header,
            data_key,
            outer: outer.key,
            key_source: outer.source,
            from_backup: false,
        }
    }
}

/// Writes the header of a vault that had none, or none that could be used.
pub(crate) fn write_first_header(
    store: &dyn Store,
    paths: &Paths,
    file: &[u8],
) -> Result<(), VaultError> {
    for path in [paths.header(), paths.header_backup()] {
        store
            .replace(&path, file, Durability::Durable)
            .map_err(io("write", &path))?;
    }
    Ok(())
}

/// Changes the header of a vault, under `vault.lock`. The backup goes first, so that at no moment a record can be under a key
/// that only one of the two files has.
pub(crate) fn write_header(
    store: &dyn Store,
    paths: &Paths,
    file: &[u8],
) -> Result<(), VaultError> {
    for path in [paths.header_backup(), paths.header()] {
        store
            .replace(&path, file, Durability::Durable)
            .map_err(io("write", &path))?;
    }
    Ok(())
}

/// Sweeps leftovers and renews the header's backup. A vault on a read-only disk serves without.
pub(crate) fn tidy(store: &dyn Store, room: &Arc<WaitingRoom>, paths: &Paths, unlocked: &Unlocked) {
    for folder in [paths.dir.clone(), paths.records(), paths.cache()] {
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
    backup: &Unlocked,
) -> Result<(), VaultError> {
    let header = paths.header();
    let old = store.read(&header).map_err(io("read", &header))?;
    let is_whole = old
        .as_deref()
        .is_some_and(|old| Header::parse(old).is_ok_and(|old| is_behind(&old, &backup.file)));
    if let Some(old) = old.filter(|_| !is_whole) {
        set_aside(store, paths, &old)?;
    }
    store
        .replace(&header, &backup.file, Durability::Durable)
        .map_err(io("write", &header))?;
    if !is_whole {
        tracing::warn!(dir = %paths.dir.display(), "the vault's header was damaged; its backup took its place");
    }
    Ok(())
}

/// Keeps a header that no longer serves.
pub(crate) fn set_aside(store: &dyn Store, paths: &Paths, header: &[u8]) -> Result<(), VaultError> {
    let folder = paths.quarantine();
    let aside = folder.join(format!("vault.{}.hdr", store.now()));
    store
        .create_folder(&folder)
        .map_err(io("create", &folder))?;
    store
        .replace(&aside, header, Durability::Durable)
        .map_err(io("write", &aside))
}
