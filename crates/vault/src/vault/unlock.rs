//! From the header to the data key: opening, making and repairing the header.

use crate::{
    Entropy, KeySource, Options, VaultError,
    backend::{Backend, Document, Lock},
    crypto::key::{Key, random},
    format::{
        header::{self, Header},
        record::VaultId,
        slot::{HeaderError, WrappingKey},
    },
    keys::finder::KeyFinder,
    limits,
};

/// The header and its backup, in the order in which they are believed.
pub(super) const HEADER_COPIES: [Document; 2] = [Document::Header, Document::HeaderBackup];

/// A header whose signature was checked, and the data key that checked it.
pub(super) struct Unlocked {
    pub(super) header: Header,
    /// The header's bytes.
    pub(super) file: Vec<u8>,
    pub(super) data_key: Key,
    /// The key that unwrapped it.
    pub(super) wrapping_key: Key,
    pub(super) key_source: KeySource,
    pub(super) from_backup: bool,
}

/// Opens the header, else its backup; `None` when there is no vault yet. Changes nothing.
///
/// The backup goes first when it is of a later epoch: a rotation was cut off between the two.
pub(super) fn unlock(
    options: &Options,
    backend: &dyn Backend,
) -> Result<Option<Unlocked>, VaultError> {
    let finder = KeyFinder::new(options, backend.host_disk());
    let unlock_copy =
        |copy: Document, file: &[u8]| unlock_file(&finder, &backend.document_name(copy), file);
    let file = backend.read_document(Document::Header)?;
    let spare = backend.read_document(Document::HeaderBackup)?;
    let spare = spare.filter(|spare| Some(spare) != file.as_ref());
    let unlock_spare = |spare: &[u8]| {
        unlock_copy(Document::HeaderBackup, spare).map(|unlocked| Unlocked {
            from_backup: true,
            ..unlocked
        })
    };
    let refusal = match &file {
        Some(file) => match unlock_copy(Document::Header, file) {
            Ok(unlocked) => {
                let ahead = spare.filter(|spare| is_behind(&unlocked.header, spare));
                let newer = ahead.and_then(|spare| unlock_spare(&spare).ok());
                return Ok(Some(newer.unwrap_or(unlocked)));
            }
            Err(error @ (VaultError::HeaderUnusable { .. } | VaultError::KeyMismatch { .. })) => {
                Some(error)
            }
            // A newer version would have signed what it wrote anew: this is damage to the number of
            // the format.
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

fn unlock_file(finder: &KeyFinder<'_>, name: &str, file: &[u8]) -> Result<Unlocked, VaultError> {
    let header = Header::parse(file)
        .map_err(|why| header_error(why, name.to_owned(), finder.configured()))?;
    let sources = finder.sources_of(&header.slots);
    let mut first = None;
    for source in sources {
        match unlock_slots(finder, name, file, &header, source) {
            Ok((data_key, wrapping_key)) => {
                let file = file.to_vec();
                return Ok(Unlocked {
                    header,
                    file,
                    data_key,
                    wrapping_key,
                    key_source: source,
                    from_backup: false,
                });
            }
            // Here a host was revoked, or not admitted yet: that a key is missing says less.
            Err(
                error @ VaultError::KeyMismatch {
                    key_source: KeySource::Host,
                },
            ) if matches!(first, Some(VaultError::KeyMissing { .. })) => first = Some(error),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or(VaultError::KeyMissing {
        key_source: finder.configured(),
    }))
}

/// Tries every slot of one source; returns the data key and the key that unwrapped it.
fn unlock_slots(
    finder: &KeyFinder<'_>,
    name: &str,
    file: &[u8],
    header: &Header,
    source: KeySource,
) -> Result<(Key, Key), VaultError> {
    let mut refusal = VaultError::KeyMismatch { key_source: source };
    let mut found = None;
    for slot in header
        .slots
        .iter()
        .filter(|slot| slot.source() == Some(source))
    {
        // A source has one key for all its slots, but for a passphrase, which each stretches anew.
        let wrapping_key = match found.take() {
            Some(key) if slot.kdf.is_none() => key,
            _ => finder.find(source, &header.vault, slot.kdf.as_ref())?,
        };
        match header.unlock(file, slot, &wrapping_key) {
            Ok(data_key) => return Ok((data_key, wrapping_key)),
            Err(why) => refusal = header_error(why, name.to_owned(), source),
        }
        found = slot.kdf.is_none().then_some(wrapping_key);
    }
    Err(refusal)
}

/// Says of a header, by its name, why it cannot be used.
pub(super) fn header_error(why: HeaderError, name: String, key_source: KeySource) -> VaultError {
    match why {
        HeaderError::Damaged(why) => VaultError::HeaderUnusable { name, why },
        HeaderError::Newer => VaultError::NewerFormat { name },
        HeaderError::WrongKey => VaultError::KeyMismatch { key_source },
    }
}

/// Refuses a place that has records but no header: a new key would orphan them.
pub(super) fn refuse_orphans(backend: &dyn Backend) -> Result<(), VaultError> {
    if backend.has_records()? {
        return Err(VaultError::HeaderUnusable {
            name: backend.document_name(Document::Header),
            why: "is missing though there are records",
        });
    }
    Ok(())
}

/// Makes a new vault's key and header, under [`Lock::Vault`]. The key is in its place before the
/// header that needs it is.
pub(super) fn create(
    options: &Options,
    backend: &dyn Backend,
    entropy: &dyn Entropy,
) -> Result<Unlocked, VaultError> {
    refuse_orphans(backend)?;
    let vault = random(entropy);
    let wrapping_key = KeyFinder::new(options, backend.host_disk()).make(&vault, entropy)?;
    let unlocked = Unlocked::new((vault, 1), wrapping_key, Key::random(entropy), entropy);
    write_first_header(backend, &unlocked.file)?;
    crate::line!(
        INFO,
        dir = backend.dir(),
        key_source = unlocked.key_source,
        "vault created"
    );
    Ok(unlocked)
}

impl Unlocked {
    /// Makes a header with one slot.
    pub(super) fn new(
        of: (VaultId, u32),
        wrapping_key: WrappingKey,
        data_key: Key,
        entropy: &dyn Entropy,
    ) -> Self {
        let header = Header::new(of, &wrapping_key, &data_key, entropy);
        Self {
            file: header.encode(&data_key),
            header,
            data_key,
            wrapping_key: wrapping_key.key,
            key_source: wrapping_key.source,
            from_backup: false,
        }
    }
}

/// Writes the header of a vault that had none, or none that could be used.
pub(super) fn write_first_header(backend: &dyn Backend, file: &[u8]) -> Result<(), VaultError> {
    backend.write_document(Document::Header, file)?;
    backend.write_document(Document::HeaderBackup, file)
}

/// Changes the header of a vault, under [`Lock::Vault`]. The backup goes first, so that at no
/// moment a record can be under a key that only one of the two has.
pub(super) fn write_header(backend: &dyn Backend, file: &[u8]) -> Result<(), VaultError> {
    backend.write_document(Document::HeaderBackup, file)?;
    backend.write_document(Document::Header, file)
}

/// Sweeps leftovers and renews the header's backup. A vault on a read-only disk serves without.
pub(super) fn tidy(backend: &dyn Backend, unlocked: &Unlocked) {
    backend.sweep();
    if let Err(error) = renew_backup(backend, unlocked) {
        crate::line!(
            DEBUG,
            dir = backend.dir(),
            error = error,
            "the header's backup could not be renewed"
        );
    }
}

/// Writes the backup if it is absent, damaged or old. One of another vault stays: then it is the
/// header that is out of place.
fn renew_backup(backend: &dyn Backend, unlocked: &Unlocked) -> Result<(), VaultError> {
    let spare = backend.read_document(Document::HeaderBackup)?;
    let serves = |spare: &[u8]| {
        spare == unlocked.file
            || Header::parse(spare).is_ok_and(|spare| spare.vault != unlocked.header.vault)
    };
    if spare.as_deref().is_some_and(serves) {
        return Ok(());
    }
    let _held = backend.lock(Lock::Vault, limits::VAULT_LOCK_TIMEOUT)?;
    let current = backend.read_document(Document::Header)?;
    if current.as_ref() == Some(&unlocked.file) {
        backend.write_document(Document::HeaderBackup, &unlocked.file)?;
    }
    Ok(())
}

/// Puts the backup in the header's place and sets the damaged header aside.
pub(super) fn restore_header(backend: &dyn Backend, backup: &Unlocked) -> Result<(), VaultError> {
    let old = backend.read_document(Document::Header)?;
    let is_whole = old
        .as_deref()
        .is_some_and(|old| Header::parse(old).is_ok_and(|old| is_behind(&old, &backup.file)));
    if let Some(old) = old.filter(|_| !is_whole) {
        backend.set_header_aside(&old)?;
    }
    backend.write_document(Document::Header, &backup.file)?;
    if !is_whole {
        crate::line!(
            WARN,
            dir = backend.dir(),
            "the vault's header was damaged; its backup took its place"
        );
    }
    Ok(())
}
