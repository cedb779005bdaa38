//! Where a vault's key comes from: each source, in which order they are asked, and how each answers.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{
    Entropy, VaultError,
    crypto::key::Key,
    error::io,
    folder::store::{Durability, Store},
    format::record::VaultId,
    format::slot::{Outer, Slot, Stretch},
    hex,
    keys::keychain,
};

/// Where the key of a vault lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// A key or passphrase that was given, else what the header records, else, for a new vault, the keychain.
    Auto,
    /// The keychain of the operating system.
    Keychain,
    /// 32 bytes that were given, in base64.
    Env,
    /// A passphrase that was given, stretched with Argon2id.
    Passphrase,
    /// A file of 32 bytes in base64, readable by its owner only.
    Keyfile,
    /// Nowhere: key and records live in this process only, and no file is written.
    Memory,
}

/// The text is not a key source's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key source: one of auto, keychain, env, passphrase, keyfile, memory was expected")]
pub struct NotAKeySource;

/// Secrets that were given, by environment or by systemd; each may be absent.
#[derive(Clone, Debug, Default)]
pub struct KeySecrets {
    /// 32 bytes in base64 (`PROVIDER_AUTH_KEY`).
    pub key: Option<SecretString>,
    /// `PROVIDER_AUTH_PASSPHRASE`.
    pub passphrase: Option<SecretString>,
    /// `PROVIDER_AUTH_PASSPHRASE_FILE`: its first line is the passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY` of systemd: its file `provider-auth` holds a key like `key`.
    pub credentials_directory: Option<PathBuf>,
}

impl KeySource {
    const ALL: [Self; 6] = [
        Self::Auto,
        Self::Keychain,
        Self::Env,
        Self::Passphrase,
        Self::Keyfile,
        Self::Memory,
    ];

    /// Those that open a vault on a disk.
    pub(crate) const KEPT: [Self; 4] = [Self::Keychain, Self::Env, Self::Passphrase, Self::Keyfile];

    /// Returns the name that configuration and header use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Keychain => "keychain",
            Self::Env => "env",
            Self::Passphrase => "passphrase",
            Self::Keyfile => "keyfile",
            Self::Memory => "memory",
        }
    }

    pub(crate) fn place(self) -> &'static str {
        match self {
            Self::Auto => "no source",
            Self::Keychain => "the keychain",
            Self::Env => "PROVIDER_AUTH_KEY",
            Self::Passphrase => "PROVIDER_AUTH_PASSPHRASE",
            Self::Keyfile => "the key file",
            Self::Memory => "memory",
        }
    }

    pub(crate) fn when_new(self) -> String {
        match self {
            Self::Passphrase => "the key is to come from a passphrase (PROVIDER_AUTH_KEY_SOURCE or keySource), and there is none: \
                                 set PROVIDER_AUTH_PASSPHRASE or PROVIDER_AUTH_PASSPHRASE_FILE"
                .to_owned(),
            Self::Env => format!(
                "the key is to come from PROVIDER_AUTH_KEY (PROVIDER_AUTH_KEY_SOURCE or keySource), which is not set. Make a key, \
                 and keep it: {MAKE_A_KEY}"
            ),
            other => other.when_missing().to_owned(),
        }
    }

    pub(crate) fn when_missing(self) -> &'static str {
        match self {
            Self::Keychain => {
                "the keychain holds no key for this vault: use the keychain it was made with, or restore that entry; \
                 no new key is made for an existing vault"
            }
            Self::Env => {
                "this vault opens with PROVIDER_AUTH_KEY, which is not set: set it to the key the vault was made with"
            }
            Self::Passphrase => {
                "this vault opens with a passphrase: set PROVIDER_AUTH_PASSPHRASE or PROVIDER_AUTH_PASSPHRASE_FILE"
            }
            Self::Keyfile => {
                "the key file of this vault is missing: put it back; no new key is made for an existing vault"
            }
            Self::Auto | Self::Memory => "this vault has no key slot that this version can use",
        }
    }
}

/// The command that makes a key where a person works.
pub(crate) const MAKE_A_KEY: &str = if cfg!(windows) {
    "$env:PROVIDER_AUTH_KEY = node -p \"crypto.randomBytes(32).toString('base64')\""
} else {
    "export PROVIDER_AUTH_KEY=\"$(openssl rand -base64 32)\""
};

impl fmt::Display for KeySource {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.pad(self.name())
    }
}

impl FromStr for KeySource {
    type Err = NotAKeySource;

    fn from_str(text: &str) -> Result<Self, NotAKeySource> {
        Self::ALL
            .into_iter()
            .find(|source| source.name() == text)
            .ok_or(NotAKeySource)
    }
}

/// Looks for the outer key, which wraps the data key in a slot, in the place that a source names.
pub(crate) struct KeyFinder<'a> {
    pub(crate) source: KeySource,
    pub(crate) secrets: &'a KeySecrets,
    pub(crate) keyfile: PathBuf,
    pub(crate) store: &'a dyn Store,
    pub(crate) keychain_deadline: Duration,
    pub(crate) prompts: keychain::Prompts,
}

impl KeyFinder<'_> {
    /// Returns the sources to try on an existing vault, in order.
    pub(crate) fn sources_of(&self, slots: &[Slot]) -> Vec<KeySource> {
        match self.asked_for() {
            Some(source) => vec![source],
            None => slots.iter().filter_map(Slot::source).collect(),
        }
    }

    /// Returns the key for a slot of an existing vault; makes none.
    pub(crate) fn find(
        &self,
        source: KeySource,
        vault: &VaultId,
        stretch: Option<&Stretch>,
    ) -> Result<Key, VaultError> {
        let found = match source {
            KeySource::Keychain => {
                keychain::find(&key_entry(vault), self.keychain_deadline, self.prompts)?
                    .map(|text| decoded(&text, source))
                    .transpose()?
            }
            KeySource::Env => self.given_key()?,
            KeySource::Passphrase => match (self.given_passphrase()?, stretch) {
                (Some(passphrase), Some(stretch)) => Some(stretched(&passphrase, stretch)?),
                _ => None,
            },
            KeySource::Keyfile => self.kept_key()?,
            KeySource::Auto | KeySource::Memory => None,
        };
        found.ok_or(VaultError::KeyMissing { key_source: source })
    }

    /// Returns the key for a new vault; makes and stores a key where that is the source's way.
    pub(crate) fn make(&self, vault: &VaultId, entropy: &dyn Entropy) -> Result<Outer, VaultError> {
        let Some(source) = self.asked_for() else {
            return self.make_unasked(vault, entropy);
        };
        let missing = VaultError::NoKeyYet { key_source: source };
        let mut stretch = None;
        let key = match source {
            KeySource::Keychain => self.make_in_keychain(vault, entropy)?,
            KeySource::Env => self.given_key()?.ok_or(missing)?,
            KeySource::Passphrase => {
                let passphrase = self.given_passphrase()?.ok_or(missing)?;
                stretched(&passphrase, stretch.insert(Stretch::new(entropy)))?
            }
            KeySource::Keyfile => match self.kept_key()? {
                Some(key) => key,
                None => self.make_keyfile(entropy)?,
            },
            KeySource::Auto | KeySource::Memory => return Err(missing),
        };
        Ok(Outer {
            key,
            source,
            stretch,
        })
    }

    /// Like [`KeyFinder::make`] for a vault that is there already: a keychain may hold its key.
    pub(crate) fn find_or_make(
        &self,
        vault: &VaultId,
        entropy: &dyn Entropy,
    ) -> Result<Outer, VaultError> {
        let source = KeySource::Keychain;
        let found = match self.asked_for().unwrap_or(source) {
            KeySource::Keychain => self.find(source, vault, None),
            _ => return self.make(vault, entropy),
        };
        match found {
            Ok(key) => Ok(Outer {
                key,
                source,
                stretch: None,
            }),
            // What follows from a keychain that cannot be used is decided there.
            Err(VaultError::KeyMissing { .. } | VaultError::KeychainUnavailable { .. }) => {
                self.make(vault, entropy)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the source that was chosen: by name, or by giving a secret.
    pub(crate) fn asked_for(&self) -> Option<KeySource> {
        match self.source {
            KeySource::Auto if self.secrets.key.is_some() => Some(KeySource::Env),
            KeySource::Auto
                if self.secrets.passphrase.is_some() || self.secrets.passphrase_file.is_some() =>
            {
                Some(KeySource::Passphrase)
            }
            KeySource::Auto => None,
            source => Some(source),
        }
    }

    /// `auto` without a secret: the keychain, else what systemd handed over, else nothing. Never a weaker place.
    fn make_unasked(&self, vault: &VaultId, entropy: &dyn Entropy) -> Result<Outer, VaultError> {
        let outer = |key, source| Outer {
            key,
            source,
            stretch: None,
        };
        let refusal = match self.make_in_keychain(vault, entropy) {
            Ok(key) => return Ok(outer(key, KeySource::Keychain)),
            Err(refusal) => refusal,
        };
        if let Some(key) = self.given_key()? {
            return Ok(outer(key, KeySource::Env));
        }
        Err(match refusal {
            VaultError::KeychainUnavailable { why } => VaultError::NoKeySource { keychain: why },
            other => other,
        })
    }

    fn make_in_keychain(&self, vault: &VaultId, entropy: &dyn Entropy) -> Result<Key, VaultError> {
        let key = Key::random(entropy);
        keychain::keep(
            &key_entry(vault),
            encoded(&key),
            self.keychain_deadline,
            self.prompts,
        )?;
        Ok(key)
    }

    pub(crate) fn forget_in_keychain(&self, vault: &VaultId) -> Result<(), VaultError> {
        keychain::forget(&key_entry(vault), self.keychain_deadline, self.prompts)
    }

    fn make_keyfile(&self, entropy: &dyn Entropy) -> Result<Key, VaultError> {
        let key = Key::random(entropy);
        let mut text = encoded(&key);
        text.push('\n');
        self.store
            .replace(&self.keyfile, text.as_bytes(), Durability::Durable)
            .map_err(io("write", &self.keyfile))?;
        Ok(key)
    }

    fn kept_key(&self) -> Result<Option<Key>, VaultError> {
        self.store.owner_only(&self.keyfile)?;
        let Some(bytes) = self
            .store
            .read(&self.keyfile)
            .map_err(io("read", &self.keyfile))?
        else {
            return Ok(None);
        };
        let bytes = Zeroizing::new(bytes);
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        decoded(text, KeySource::Keyfile).map(Some)
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

/// Reads a file that its owner pointed at: it may be a link or a pipe. `None` when absent.
fn outside_text(file: PathBuf) -> Result<Option<Zeroizing<String>>, VaultError> {
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", file)(error)),
    }
}

fn stretched(passphrase: &str, stretch: &Stretch) -> Result<Key, VaultError> {
    let why = "the header asks for more work than any vault of ours";
    stretch
        .apply(passphrase.as_bytes())
        .ok_or(VaultError::KeyUnreadable {
            key_source: KeySource::Passphrase,
            why,
        })
}

/// Either alphabet, with or without padding: people paste keys from many tools.
pub(crate) fn decoded(text: &str, key_source: KeySource) -> Result<Key, VaultError> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    let bytes = GeneralPurpose::new(alphabet, lenient)
        .decode(text.trim())
        .map(Zeroizing::new);
    let key = bytes.ok().and_then(|bytes| Key::from_slice(&bytes));
    key.ok_or(VaultError::KeyUnreadable {
        key_source,
        why: "it is not 32 bytes in base64",
    })
}

pub(crate) fn encoded(key: &Key) -> Zeroizing<String> {
    Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(key.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_in_either_alphabet_and_with_or_without_padding() {
        let key = Key::from_slice(&[0xfb; 32]).unwrap();
        let text = encoded(&key);
        let url_safe = text.replace('+', "-").replace('/', "_");
        for form in [
            text.as_str(),
            &url_safe,
            text.trim_end_matches('='),
            &format!("  {}\n", text.as_str()),
        ] {
            assert_eq!(
                decoded(form, KeySource::Env).ok().unwrap().bytes(),
                key.bytes()
            );
        }
    }

    #[test]
    fn a_bad_key_is_refused_without_being_quoted() {
        for bad in ["", "S3CRET", "S3CRET!!", &"A".repeat(42), &"A".repeat(44)] {
            let error = decoded(bad, KeySource::Env).err().unwrap();
            assert_eq!(error.code(), "VAULT_KEY_MISMATCH");
            assert!(!format!("{error}{error:?}").contains("S3CRET"));
        }
    }

    #[test]
    fn every_source_has_one_name() {
        for source in KeySource::ALL {
            assert_eq!(source.name().parse(), Ok(source));
        }
        assert_eq!("Keychain".parse::<KeySource>(), Err(NotAKeySource));
    }

    #[test]
    fn given_secrets_do_not_print() {
        let secrets = KeySecrets {
            key: Some("S3CRET".into()),
            passphrase: Some("S3CRET".into()),
            ..KeySecrets::default()
        };
        assert!(!format!("{secrets:?}").contains("S3CRET"));
    }
}
