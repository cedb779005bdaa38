//! Making, exporting and importing a vault's key. *The key* is the data key of the present epoch,
//! which every slot wraps: it opens header and records without any slot, and no other vault.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::{
    Entropy, KeySource, Options, Vault, VaultError,
    backend::{Backend, Document, Engine, Lock},
    crypto::key::{Key, random},
    folder::store::Held,
    format::{
        header::Header,
        record::{self, RecordHeader, VaultId, record_key},
        slot::{Slot, WrappingKey},
    },
    keys::{
        finder::KeyFinder,
        text::{decoded, encoded},
    },
    limits,
    vault::{
        key_slots::open_slot,
        rotate::InUse,
        unlock::{self, HEADER_COPIES, Unlocked, header_error, unlock},
    },
};

/// What to do when a vault that is to get a key has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExistingKey {
    /// It is [`VaultError::KeyExists`].
    Refuse,
    /// Every record is re-encrypted under a new key in one new slot; the slots before it are gone.
    Replace,
}

impl Vault {
    /// Creates the key of a vault, and the vault; with [`ExistingKey::Replace`] also in the place
    /// of the one it has.
    ///
    /// Replacing needs a key that opens the vault, from any source that its slots name, unless it
    /// has no record. Where that fails nothing was changed. Processes that have the vault open go
    /// on only if they have the new slot's key at hand.
    pub fn init(
        options: Options,
        existing: ExistingKey,
        engine: Arc<dyn Engine>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        if options.key == KeySource::Memory {
            return Self::in_memory(options, entropy);
        }
        let ceremony = KeyCeremony::begin(engine.prepare(&options)?)?;
        let before = ceremony.header_before()?;
        let unlocked = {
            let _held = ceremony.lock_vault(&options)?;
            let is_new = ceremony.headers()?.is_empty();
            if !is_new && existing == ExistingKey::Refuse {
                return Err(VaultError::KeyExists {
                    dir: ceremony.backend.dir().to_owned(),
                });
            }
            if is_new {
                unlock::create(&options, &*ceremony.backend, &*entropy)?
            } else {
                ceremony.replace_key(&options, &*entropy)?
            }
        };
        let vault = ceremony.open_with(unlocked, entropy, options)?;
        vault.move_records(InUse::Wait)?;
        vault.forget_keychain(before.as_ref(), &vault.cached_keys().header);
        Ok(vault)
    }

    /// Puts a new key in the place of the one of this open vault, as [`Vault::init`] with
    /// [`ExistingKey::Replace`] does; the vault goes on with it.
    pub fn replace_key(&self, options: Options) -> Result<(), VaultError> {
        if self.key_source() == KeySource::Memory {
            return self.rotate_key();
        }
        let ceremony = KeyCeremony::begin(Arc::clone(&self.backend))?;
        let before = ceremony.header_before()?;
        let unlocked = {
            let _held = ceremony.lock_vault(&options)?;
            let old = match self.unlocked() {
                Ok(old) => old,
                Err(_) => unlock_any(&options, &*self.backend)?,
            };
            ceremony.replace_key_of(&old, &options, &*self.entropy)?
        };
        let replaced = ceremony.open_with(unlocked, Arc::clone(&self.entropy), options)?;
        // At once, so that what is written here meanwhile is written under the new key.
        drop(self.reopen_as(replaced));
        self.forget_old_headers();
        self.move_records(InUse::Wait)?;
        self.forget_keychain(before.as_ref(), &self.cached_keys().header);
        Ok(())
    }

    /// Goes on with the key of `other`, which is this vault opened anew; another vault is handed
    /// back.
    pub fn reopen_as(&self, other: Self) -> Option<Self> {
        if other.id != self.id {
            return Some(other);
        }
        *self.unlocked_with.lock() = other.unlocked_with.into_inner();
        *self.keys.lock() = other.keys.into_inner();
        None
    }

    /// Returns the data key of the present epoch in base64: with the vault's folder, all that is
    /// needed to read it.
    pub fn export_key(&self) -> Result<SecretString, VaultError> {
        let data_key = self.unlocked()?.data_key;
        Ok(SecretString::from(encoded(&data_key).as_str()))
    }

    /// Opens a vault with an exported key and keeps that key in a slot of the source that the
    /// options choose.
    ///
    /// For a folder that came without its keychain, or even without its header. A key that does not
    /// open every record that is there is [`VaultError::ImportRefused`]; a vault without records
    /// takes any key.
    pub fn import_key(
        options: Options,
        key: &SecretString,
        engine: Arc<dyn Engine>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        let data_key = decoded(key.expose_secret(), KeySource::Env).map_err(|_| {
            VaultError::ImportRefused {
                why: "it is not 32 bytes in base64",
            }
        })?;
        let ceremony = KeyCeremony::begin(engine.prepare(&options)?)?;
        let unlocked = {
            let _held = ceremony.lock_vault(&options)?;
            ceremony.adopt(&options, data_key, &*entropy)?
        };
        let vault = ceremony.open_with(unlocked, entropy, options)?;
        vault.move_records(InUse::Wait)?;
        Ok(vault)
    }
}

/// A change of a vault's keys: no other thread or process changes them meanwhile.
struct KeyCeremony {
    backend: Arc<dyn Backend>,
    _keys_lock: Held,
}

impl KeyCeremony {
    fn begin(backend: Arc<dyn Backend>) -> Result<Self, VaultError> {
        let keys_lock = backend.lock(Lock::Keys, limits::KEYS_LOCK_TIMEOUT)?;
        Ok(Self {
            backend,
            _keys_lock: keys_lock,
        })
    }

    fn lock_vault(&self, options: &Options) -> Result<Held, VaultError> {
        self.backend.lock(Lock::Vault, options.lock_timeout())
    }

    /// Opens the vault with its new key.
    fn open_with(
        &self,
        unlocked: Unlocked,
        entropy: Arc<dyn Entropy>,
        options: Options,
    ) -> Result<Vault, VaultError> {
        Vault::with_key(Arc::clone(&self.backend), entropy, options, unlocked)
    }

    /// Returns the header as it stands, unchecked; `None` when there is none that can be read.
    fn header_before(&self) -> Result<Option<Header>, VaultError> {
        let headers = self.headers()?;
        Ok(headers.iter().find_map(|file| Header::parse(file).ok()))
    }

    /// Returns the bytes of the header and of its backup.
    fn headers(&self) -> Result<Vec<Vec<u8>>, VaultError> {
        let read = |copy| self.backend.read_document(copy).transpose();
        HEADER_COPIES.into_iter().filter_map(read).collect()
    }

    fn replace_key(
        &self,
        options: &Options,
        entropy: &dyn Entropy,
    ) -> Result<Unlocked, VaultError> {
        match unlock_any(options, &*self.backend) {
            Ok(old) => self.replace_key_of(&old, options, entropy),
            Err(error) if is_about_the_key(&error) && !self.backend.has_records()? => {
                self.clear()?;
                unlock::create(options, &*self.backend, entropy)
            }
            Err(error) => Err(error),
        }
    }

    fn replace_key_of(
        &self,
        old: &Unlocked,
        options: &Options,
        entropy: &dyn Entropy,
    ) -> Result<Unlocked, VaultError> {
        let source = options.key.chosen(&options.secrets);
        let options = Options {
            key: source.unwrap_or(old.key_source),
            ..options.clone()
        };
        let wrapping_key = KeyFinder::new(&options, self.backend.host_disk())
            .find_or_make(&old.header.vault, entropy)?;
        let slots =
            |of: (&VaultId, u32), key: &Key| Ok(vec![Slot::new(of, &wrapping_key, key, entropy)]);
        let (header, data_key) = old.next_epoch(slots, entropy).map_err(|why| {
            let name = self.backend.document_name(Document::Header);
            header_error(why, name, old.key_source)
        })?;
        self.write(header, data_key, wrapping_key)
    }

    fn adopt(
        &self,
        options: &Options,
        data_key: Key,
        entropy: &dyn Entropy,
    ) -> Result<Unlocked, VaultError> {
        let finder = KeyFinder::new(options, self.backend.host_disk());
        let headers = self.headers()?;
        let parsed = |file: &Vec<u8>| Header::parse(file).ok();
        let is_its_own = |(header, file): &(Header, &Vec<u8>)| {
            header.has_data_key(&data_key) && header.verify(file, &data_key).is_ok()
        };
        let known = headers
            .iter()
            .filter_map(|file| Some((parsed(file)?, file)))
            .find(is_its_own);
        let of = match &known {
            Some((header, _)) => Some((header.vault, header.epoch)),
            None => self.under_which_header(&data_key)?,
        };
        let of = of.unwrap_or_else(|| (random(entropy), 1));
        let is_newer = |header: Header| header.vault == of.0 && header.epoch > of.1;
        if headers.iter().filter_map(parsed).any(is_newer) {
            return Err(NOT_ITS_KEY);
        }
        if let Some((mut header, _)) = known {
            let open = open_slot(&finder, &header)?;
            let wrapping_key = match open {
                Some((_, wrapping_key)) => wrapping_key,
                None => {
                    let wrapping_key = finder.find_or_make(&of.0, entropy)?;
                    header.add_slot(&wrapping_key, &data_key, entropy);
                    wrapping_key
                }
            };
            return self.write(header, data_key, wrapping_key);
        }
        let wrapping_key = finder.find_or_make(&of.0, entropy)?;
        self.clear()?;
        let unlocked = Unlocked::new(of, wrapping_key, data_key, entropy);
        unlock::write_first_header(&*self.backend, &unlocked.file)?;
        Ok(unlocked)
    }

    /// Returns the vault and epoch that all records name, which `data_key` must open; `None` when
    /// there is no record.
    fn under_which_header(&self, data_key: &Key) -> Result<Option<(VaultId, u32)>, VaultError> {
        let mut of = None;
        for id in self.backend.ids()? {
            let file = self.backend.read_record(id)?.unwrap_or_default();
            let header = RecordHeader::parse(&file).map_err(|_| NOT_ITS_KEY)?;
            let here = *of.get_or_insert((header.vault, header.epoch));
            let key = record_key(data_key, here.1);
            let key_of = |epoch| (epoch == here.1).then_some(&key);
            record::open(key_of, &here.0, header.id, &file).map_err(|_| NOT_ITS_KEY)?;
        }
        // What cannot be read by its name may be opened by another key.
        if of.is_none() && self.backend.has_records()? {
            return Err(NOT_ITS_KEY);
        }
        Ok(of)
    }

    fn write(
        &self,
        header: Header,
        data_key: Key,
        wrapping_key: WrappingKey,
    ) -> Result<Unlocked, VaultError> {
        let file = header.encode(&data_key);
        unlock::write_header(&*self.backend, &file)?;
        Ok(Unlocked {
            header,
            file,
            data_key,
            wrapping_key: wrapping_key.key,
            key_source: wrapping_key.source,
            from_backup: false,
        })
    }

    /// Sets aside a header that opens nothing, so that another can take its place.
    fn clear(&self) -> Result<(), VaultError> {
        for header in self.headers()? {
            self.backend.set_header_aside(&header)?;
        }
        self.backend
            .remove_document(Document::HeaderBackup)
            .map(drop)
    }
}

const NOT_ITS_KEY: VaultError = VaultError::ImportRefused {
    why: "it does not open the records that are there",
};

/// Opens the vault with any of its slots: with the source that was chosen, else with those that its
/// header names.
fn unlock_any(options: &Options, backend: &dyn Backend) -> Result<Unlocked, VaultError> {
    let gone = || VaultError::HeaderUnusable {
        name: backend.document_name(Document::Header),
        why: "is gone",
    };
    let first = match unlock(options, backend) {
        Ok(unlocked) => return unlocked.ok_or_else(gone),
        Err(error) => error,
    };
    for key in KeySource::KEPT {
        let options = Options {
            key,
            ..options.clone()
        };
        if let Ok(Some(unlocked)) = unlock(&options, backend) {
            return Ok(unlocked);
        }
    }
    Err(first)
}

/// Tells whether a vault will never open, because its key or its header is missing or wrong.
fn is_about_the_key(error: &VaultError) -> bool {
    matches!(
        error,
        VaultError::KeyMissing { .. }
            | VaultError::KeyMismatch { .. }
            | VaultError::KeyUnreadable { .. }
            | VaultError::HeaderUnusable { .. }
    )
}
