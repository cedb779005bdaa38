//! Where a vault's key comes from: each source, in which order they are asked, and how each
//! answers.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::{
    Entropy, Options, VaultError,
    crypto::key::Key,
    error::io,
    folder::store::{Durability, Store},
    format::{
        record::VaultId,
        slot::{KdfParams, Slot, WrappingKey},
    },
    keys::{
        keychain,
        source::{KeySecrets, KeySource},
        text::{decoded, encoded},
    },
};

/// Looks for a wrapping key, which wraps the data key in a slot, in the place that a source names.
pub(crate) struct KeyFinder<'a> {
    source: KeySource,
    secrets: &'a KeySecrets,
    keyfile: PathBuf,
    /// Where the key of this host is, if its keychain does not have it.
    host_keyfile: PathBuf,
    /// The disk that the key files lie on.
    disk: &'a dyn Store,
    keychain_timeout: Duration,
    prompts: keychain::Prompts,
}

impl<'a> KeyFinder<'a> {
    pub(crate) fn new(options: &'a Options, disk: &'a dyn Store) -> Self {
        Self {
            source: options.key,
            secrets: &options.secrets,
            keyfile: options.keyfile(),
            host_keyfile: options.host_keyfile(),
            disk,
            keychain_timeout: options.keychain_timeout,
            prompts: if options.interactive {
                keychain::Prompts::Allowed
            } else {
                keychain::Prompts::Avoided
            },
        }
    }

    /// Returns the source that the options name, which may be `auto`.
    pub(crate) fn configured(&self) -> KeySource {
        self.source
    }

    /// Returns the sources to try on an existing vault, in order.
    pub(crate) fn sources_of(&self, slots: &[Slot]) -> Vec<KeySource> {
        let named = || slots.iter().filter_map(Slot::source);
        let mut sources = Vec::new();
        match self.chosen() {
            // The key of a host is in one of these too.
            Some(source @ (KeySource::Keychain | KeySource::Keyfile)) => {
                sources.push(source);
                sources.extend(named().find(|source| *source == KeySource::Host));
            }
            Some(source) => sources.push(source),
            None => {
                for source in named() {
                    if !sources.contains(&source) {
                        sources.push(source);
                    }
                }
            }
        }
        sources
    }

    /// Returns the key for a slot of an existing vault; makes none.
    pub(crate) fn find(
        &self,
        source: KeySource,
        vault: &VaultId,
        kdf: Option<&KdfParams>,
    ) -> Result<Key, VaultError> {
        let found = match source {
            KeySource::Keychain => self.find_in_keychain(&key_entry(vault), source)?,
            KeySource::Env => self.given_key()?,
            KeySource::Passphrase => match (self.given_passphrase()?, kdf) {
                (Some(passphrase), Some(kdf)) => Some(derived(&passphrase, kdf)?),
                _ => None,
            },
            KeySource::Keyfile => self.kept_key(&self.keyfile, source)?,
            KeySource::Host => self.host_key(vault)?,
            KeySource::Auto | KeySource::Memory => None,
        };
        found.ok_or(VaultError::KeyMissing { key_source: source })
    }

    /// Returns the key for a new vault; makes and stores a key where that is the source's way.
    pub(crate) fn make(
        &self,
        vault: &VaultId,
        entropy: &dyn Entropy,
    ) -> Result<WrappingKey, VaultError> {
        let Some(source) = self.chosen() else {
            return self.make_by_default(vault, entropy);
        };
        let missing = VaultError::NoKeyYet { key_source: source };
        let mut kdf = None;
        let key = match source {
            KeySource::Keychain => self.make_in_keychain(&key_entry(vault), entropy)?,
            KeySource::Env => self.given_key()?.ok_or(missing)?,
            KeySource::Passphrase => {
                let passphrase = self.given_passphrase()?.ok_or(missing)?;
                derived(&passphrase, kdf.insert(KdfParams::new(entropy)))?
            }
            KeySource::Keyfile => match self.kept_key(&self.keyfile, source)? {
                Some(key) => key,
                None => self.make_keyfile(&self.keyfile, entropy)?,
            },
            KeySource::Auto | KeySource::Host | KeySource::Memory => return Err(missing),
        };
        Ok(WrappingKey { key, source, kdf })
    }

    /// Like [`KeyFinder::make`] for a vault that is there already: a keychain may hold its key.
    pub(crate) fn find_or_make(
        &self,
        vault: &VaultId,
        entropy: &dyn Entropy,
    ) -> Result<WrappingKey, VaultError> {
        let source = KeySource::Keychain;
        let found = match self.chosen().unwrap_or(source) {
            KeySource::Keychain => self.find(source, vault, None),
            _ => return self.make(vault, entropy),
        };
        match found {
            Ok(key) => Ok(WrappingKey {
                key,
                source,
                kdf: None,
            }),
            // What follows from a keychain that cannot be used is decided there.
            Err(VaultError::KeyMissing { .. } | VaultError::KeychainUnavailable { .. }) => {
                self.make(vault, entropy)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns this host's key for a vault; makes one where there is none: in a file if that is what
    /// the options name, else in the keychain.
    pub(crate) fn find_or_make_host(
        &self,
        vault: &VaultId,
        entropy: &dyn Entropy,
    ) -> Result<Key, VaultError> {
        match self.host_key(vault)? {
            Some(key) => Ok(key),
            None if self.source == KeySource::Keyfile => {
                self.make_keyfile(&self.host_keyfile, entropy)
            }
            None => self.make_in_keychain(&host_entry(vault), entropy),
        }
    }

    /// Returns the source that was chosen: by name, or by giving a secret.
    pub(crate) fn chosen(&self) -> Option<KeySource> {
        self.source.chosen(self.secrets)
    }

    /// `auto` without a secret: the keychain, else what systemd handed over, else nothing. Never a
    /// weaker place.
    fn make_by_default(
        &self,
        vault: &VaultId,
        entropy: &dyn Entropy,
    ) -> Result<WrappingKey, VaultError> {
        let wrapping_key = |key, source| WrappingKey {
            key,
            source,
            kdf: None,
        };
        let refusal = match self.make_in_keychain(&key_entry(vault), entropy) {
            Ok(key) => return Ok(wrapping_key(key, KeySource::Keychain)),
            Err(refusal) => refusal,
        };
        if let Some(key) = self.given_key()? {
            return Ok(wrapping_key(key, KeySource::Env));
        }
        Err(match refusal {
            VaultError::KeychainUnavailable { why } => VaultError::NoKeySource { keychain: why },
            other => other,
        })
    }

    fn make_in_keychain(
        &self,
        entry: &keychain::Name,
        entropy: &dyn Entropy,
    ) -> Result<Key, VaultError> {
        let key = Key::random(entropy);
        keychain::keep(entry, encoded(&key), self.keychain_timeout, self.prompts)?;
        Ok(key)
    }

    pub(crate) fn forget_in_keychain(&self, vault: &VaultId) -> Result<(), VaultError> {
        keychain::forget(&key_entry(vault), self.keychain_timeout, self.prompts)
    }

    fn make_keyfile(&self, file: &Path, entropy: &dyn Entropy) -> Result<Key, VaultError> {
        let key = Key::random(entropy);
        let mut text = encoded(&key);
        text.push('\n');
        self.disk
            .replace(file, text.as_bytes(), Durability::Durable)
            .map_err(io("write", file))?;
        Ok(key)
    }

    fn kept_key(&self, file: &Path, source: KeySource) -> Result<Option<Key>, VaultError> {
        self.disk.owner_only(file)?;
        let Some(bytes) = self.disk.read(file).map_err(io("read", file))? else {
            return Ok(None);
        };
        let bytes = Zeroizing::new(bytes);
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        decoded(text, source).map(Some)
    }

    fn host_key(&self, vault: &VaultId) -> Result<Option<Key>, VaultError> {
        let source = KeySource::Host;
        if let Some(key) = self.kept_key(&self.host_keyfile, source)? {
            return Ok(Some(key));
        }
        match self.find_in_keychain(&host_entry(vault), source) {
            // Nothing says that a key of this host is in a keychain.
            Err(VaultError::KeychainUnavailable { .. }) => Ok(None),
            found => found,
        }
    }

    fn find_in_keychain(
        &self,
        entry: &keychain::Name,
        source: KeySource,
    ) -> Result<Option<Key>, VaultError> {
        let text = keychain::find(entry, self.keychain_timeout, self.prompts)?;
        text.map(|text| decoded(&text, source)).transpose()
    }

    fn given_key(&self) -> Result<Option<Key>, VaultError> {
        if let Some(key) = &self.secrets.key {
            return decoded(key.expose_secret(), KeySource::Env).map(Some);
        }
        let Some(folder) = &self.secrets.credentials_directory else {
            return Ok(None);
        };
        let Some(text) = outside_text(folder.join("provider-auth"))? else {
            return Ok(None);
        };
        decoded(&text, KeySource::Env).map(Some)
    }

    fn given_passphrase(&self) -> Result<Option<Zeroizing<String>>, VaultError> {
        let passphrase = match (&self.secrets.passphrase, &self.secrets.passphrase_file) {
            (Some(passphrase), _) => Some(Zeroizing::new(passphrase.expose_secret().to_owned())),
            (None, Some(file)) => outside_text(file.clone())?
                .map(|text| Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())),
            (None, None) => None,
        };
        match passphrase {
            Some(empty) if empty.is_empty() => Err(VaultError::KeyUnreadable {
                key_source: KeySource::Passphrase,
                why: "it is empty",
            }),
            given => Ok(given),
        }
    }
}

fn key_entry(vault: &VaultId) -> keychain::Name {
    keychain::Name::key(hex::encode(vault))
}

fn host_entry(vault: &VaultId) -> keychain::Name {
    keychain::Name::host_key(hex::encode(vault))
}

/// Reads a file that its owner pointed at: it may be a link or a pipe. `None` when absent.
fn outside_text(file: PathBuf) -> Result<Option<Zeroizing<String>>, VaultError> {
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", file)(error)),
    }
}

fn derived(passphrase: &str, kdf: &KdfParams) -> Result<Key, VaultError> {
    let why = "the header asks for more Argon2id work than any vault that is made here";
    kdf.apply(passphrase.as_bytes())
        .ok_or(VaultError::KeyUnreadable {
            key_source: KeySource::Passphrase,
            why,
        })
}
