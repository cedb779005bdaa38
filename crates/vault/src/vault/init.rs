//! Making, exporting and importing a vault's key. *The key* is the data key of the present epoch, which every slot wraps: it
//! opens header and records without any slot, and no other vault.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::{
    Entropy, KeySource, Options, Vault, VaultError,
    crypto::key::{Key, random},
    error::io,
    folder::lock_queue::WaitingRoom,
    folder::store::{Durability, Held, Store},
    format::header::Header,
    format::record::{self, RecordHeader, VaultId, record_key},
    format::slot::{Outer, Slot},
    keys::finder::{decoded, encoded},
    limits,
    vault::rotate::InUse,
    vault::slots::open_slot,
    vault::unlock::{self, Unlocked, has_records, refusal, unlock},
    vault::{Paths, create_folders, hold},
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
    /// Creates the key of a vault, and the vault; with [`ExistingKey::Replace`] also in the place of the one it has.
    ///
    /// Replacing needs a key that opens the vault, from any source that its slots name, unless it has no record. Where that
    /// fails nothing was changed. Processes that have the vault open go on only if they have the new slot's key at hand.
    pub fn init(
        options: Options,
        existing: ExistingKey,
        store: Arc<dyn Store>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        if options.key == KeySource::Memory {
            return Self::in_memory(options, entropy);
        }
        let site = Site::prepare(&options, &store)?;
        let before = site.header_before()?;
        let unlocked = {
            let _held = site.hold(&options)?;
            let is_new = site.headers()?.is_empty();
            if !is_new && existing == ExistingKey::Refuse {
                return Err(VaultError::KeyExists {
                    dir: site.paths.dir,
                });
            }
            if is_new {
                unlock::create(&options, &*store, &site.paths, &*entropy)?
            } else {
                site.replace_key(&options, &*entropy)?
            }
        };
        let vault = Self::with_key(site.paths, store, entropy, site.room, options, unlocked)?;
        vault.move_records(InUse::Wait)?;
        vault.forget_keychain(before.as_ref(), &vault.known_keys().header);
        Ok(vault)
    }

    /// Puts a new key in the place of the one of this open vault, as [`Vault::init`] with [`ExistingKey::Replace`] does; the
    /// vault goes on with it.
    pub fn replace_key(&self, options: Options) -> Result<(), VaultError> {
        if self.key_source() == KeySource::Memory {
            return self.rotate_key();
        }
        let site = Site::prepare(&options, &self.store)?;
        let before = site.header_before()?;
        let unlocked = {
            let _held = site.hold(&options)?;
            let old = match self.unlocked() {
                Ok(old) => old,
                Err(_) => unlock_any(&options, &*self.store, &site.paths)?,
            };
            site.replace_key_of(&old, &options, &*self.entropy)?
        };
        let room = Arc::clone(&site.room);
        let (store, entropy) = (Arc::clone(&self.store), Arc::clone(&self.entropy));
        let replaced = Self::with_key(site.paths.clone(), store, entropy, room, options, unlocked)?;
        // At once, so that what is written here meanwhile is written under the new key.
        drop(self.reopen_as(replaced));
        self.forget_old_headers();
        self.move_records(InUse::Wait)?;
        self.forget_keychain(before.as_ref(), &self.known_keys().header);
        Ok(())
    }

    /// Goes on with the key of `other`, which is this vault opened anew; another vault is handed back.
    pub fn reopen_as(&self, other: Self) -> Option<Self> {
        if other.id != self.id {
            return Some(other);
        }
        *self.opener.lock() = other.opener.into_inner();
        *self.keys.lock() = other.keys.into_inner();
        None
    }

    /// Returns the data key of the present epoch in base64: with the vault's folder, all that is needed to read it.
    pub fn export_key(&self) -> Result<SecretString, VaultError> {
        let data_key = self.unlocked()?.data_key;
        Ok(SecretString::from(encoded(&data_key).as_str()))
    }

    /// Opens a vault with an exported key and keeps that key in a slot of the source that the options choose.
    ///
    /// For a folder that came without its keychain, or even without its header. A key that does not open every record that
    /// is there is [`VaultError::ImportRefused`]; a vault without records takes any key.
    pub fn import_key(
        options: Options,
        key: &SecretString,
        store: Arc<dyn Store>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        let data_key = decoded(key.expose_secret(), KeySource::Env).map_err(|_| {
            VaultError::ImportRefused {
                why: "it is not 32 bytes in base64",
            }
        })?;
        let site = Site::prepare(&options, &store)?;
        let unlocked = {
            let _held = site.hold(&options)?;
            site.adopt(&options, data_key, &*entropy)?
        };
        let vault = Self::with_key(site.paths, store, entropy, site.room, options, unlocked)?;
        vault.move_records(InUse::Wait)?;
        Ok(vault)
    }
}

/// A vault's folder whose keys nobody else changes meanwhile.
struct Site {
    paths: Paths,
    room: Arc<WaitingRoom>,
    store: Arc<dyn Store>,
    _alone: Held,
}

impl Site {
    fn prepare(options: &Options, store: &Arc<dyn Store>) -> Result<Self, VaultError> {
        let paths = create_folders(options, &**store)?;
        let room = WaitingRoom::new(Arc::clone(store));
        let alone = hold(&room, &paths.keys_lock(), limits::KEYS_LOCK_WAIT)?;
        Ok(Self {
            paths,
            room,
            store: Arc::clone(store),
            _alone: alone,
        })
    }

    fn hold(&self, options: &Options) -> Result<Held, VaultError> {
        hold(&self.room, &self.paths.vault_lock(), options.patience())
    }

    /// Returns the header as it stands, unchecked; `None` when there is none that can be read.
    fn header_before(&self) -> Result<Option<Header>, VaultError> {
        let headers = self.headers()?;
        Ok(headers.iter().find_map(|file| Header::parse(file).ok()))
    }

    /// Returns the files of the header and of its backup.
    fn headers(&self) -> Result<Vec<Vec<u8>>, VaultError> {
        let paths = [self.paths.header(), self.paths.header_backup()];
        let read = |path| self.store.read(path).map_err(io("read", path));
        paths
            .iter()
            .filter_map(|path| read(path).transpose())
            .collect()
    }

    fn replace_key(
        &self,
        options: &Options,
        entropy: &dyn Entropy,
    ) -> Result<Unlocked, VaultError> {
        let store = &*self.store;
        match unlock_any(options, store, &self.paths) {
            Ok(old) => self.replace_key_of(&old, options, entropy),
            Err(error) if is_about_the_key(&error) && !has_records(store, &self.paths)? => {
                self.clear()?;
                unlock::create(options, store, &self.paths, entropy)
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
        let store = &*self.store;
        let mut options = options.clone();
        options.key = options.finder(store).asked_for().unwrap_or(old.key_source);
        let outer = options
            .finder(store)
            .find_or_make(&old.header.vault, entropy)?;
        let slots = |of: (&VaultId, u32), key: &Key| vec![Slot::new(of, &outer, key, entropy)];
        let (header, data_key) = old
            .next_epoch(slots, entropy)
            .map_err(|why| refusal(why, &self.paths.header(), old.key_source))?;
        self.write(header, data_key, outer)
    }

    fn adopt(
        &self,
        options: &Options,
        data_key: Key,
        entropy: &dyn Entropy,
    ) -> Result<Unlocked, VaultError> {
        let finder = options.finder(&*self.store);
        let headers = self.headers()?;
        let parsed = |file: &Vec<u8>| Header::parse(file).ok();
        let is_its_own = |(header, file): &(Header, &Vec<u8>)| {
            header.is_under(&data_key) && header.verify(file, &data_key).is_ok()
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
            let outer = match open {
                Some((_, outer)) => outer,
                None => {
                    let outer = finder.find_or_make(&of.0, entropy)?;
                    header.add_slot(&outer, &data_key, entropy);
                    outer
                }
            };
            return self.write(header, data_key, outer);
        }
        let outer = finder.find_or_make(&of.0, entropy)?;
        self.clear()?;
        let unlocked = Unlocked::made(of, outer, data_key, entropy);
        unlock::write_first_header(&*self.store, &self.paths, &unlocked.file)?;
        Ok(unlocked)
    }

    /// Returns the vault and epoch that all records name, which `data_key` must open; `None` when there is no record.
    fn under_which_header(&self, data_key: &Key) -> Result<Option<(VaultId, u32)>, VaultError> {
        let mut of = None;
        let folder = self.paths.records();
        let names = self.store.list(&folder).map_err(io("list", &folder))?;
        for name in names.iter().filter(|name| name.ends_with(".rec")) {
            let path = folder.join(name);
            let file = self.store.read(&path).map_err(io("read", &path))?;
            let file = file.unwrap_or_default();
            let header = RecordHeader::parse(&file).map_err(|_| NOT_ITS_KEY)?;
            let here = *of.get_or_insert((header.vault, header.epoch));
            let key = record_key(data_key, here.1);
            let key_of = |epoch| (epoch == here.1).then_some(&key);
            record::open(key_of, &here.0, header.id, &file).map_err(|_| NOT_ITS_KEY)?;
        }
        Ok(of)
    }

    fn write(&self, header: Header, data_key: Key, outer: Outer) -> Result<Unlocked, VaultError> {
        let file = header.encode(&data_key);
        unlock::write_header(&*self.store, &self.paths, &file)?;
        Ok(Unlocked {
            header,
            file,
            data_key,
            outer: outer.key,
            key_source: outer.source,
            from_backup: false,
        })
    }

    /// Sets aside a header that opens nothing, so that another can take its place.
    fn clear(&self) -> Result<(), VaultError> {
        for header in self.headers()? {
            unlock::set_aside(&*self.store, &self.paths, &header)?;
        }
        let backup = self.paths.header_backup();
        self.store
            .remove(&backup, Durability::Durable)
            .map(drop)
            .map_err(io("remove", backup))
    }
}

const NOT_ITS_KEY: VaultError = VaultError::ImportRefused {
    why: "it does not open the records that are there",
};

/// Opens the vault with any of its slots: with the source that was asked for, else with those that its header names.
fn unlock_any(options: &Options, store: &dyn Store, paths: &Paths) -> Result<Unlocked, VaultError> {
    let gone = || VaultError::HeaderUnusable {
        path: paths.header(),
        why: "is gone",
    };
    let first = match unlock(options, store, paths) {
        Ok(unlocked) => return unlocked.ok_or_else(gone),
        Err(error) => error,
    };
    for key in KeySource::KEPT {
        let options = Options {
            key,
            ..options.clone()
        };
        if let Ok(Some(unlocked)) = unlock(&options, store, paths) {
            return Ok(unlocked);
        }
    }
    Err(first)
}

/// Tells whether a vault does not open for want of its key or its header, for good.
fn is_about_the_key(error: &VaultError) -> bool {
    matches!(
        error,
        VaultError::KeyMissing { .. }
            | VaultError::KeyMismatch { .. }
            | VaultError::KeyUnreadable { .. }
            | VaultError::HeaderUnusable { .. }
    )
}
