//! The places where the key of a vault may live, and the secrets that a caller gives for them.

use std::{fmt, path::PathBuf, str::FromStr};

use secrecy::SecretString;

/// Where the key of a vault lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// A key or passphrase that was given, else what the header records, else, for a new vault, the
    /// keychain.
    Auto,
    /// The keychain of the operating system.
    Keychain,
    /// 32 bytes that were given, in base64.
    Env,
    /// A passphrase that was given, stretched with Argon2id.
    Passphrase,
    /// A file of 32 bytes in base64, readable by its owner only.
    Keyfile,
    /// A key of this host alone, in its keychain or in a file, which another host has admitted. A
    /// vault is not made with it, and nobody chooses it: it is tried where the keychain or a key file
    /// is.
    Host,
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
    /// Those that can be chosen.
    const CHOICES: [Self; 6] = [
        Self::Auto,
        Self::Keychain,
        Self::Env,
        Self::Passphrase,
        Self::Keyfile,
        Self::Memory,
    ];

    /// Those that open a vault on a disk.
    pub(crate) const KEPT: [Self; 5] = [
        Self::Keychain,
        Self::Env,
        Self::Passphrase,
        Self::Keyfile,
        Self::Host,
    ];

    /// Returns the source that was chosen: by name, or by giving a secret.
    pub(crate) fn chosen(self, secrets: &KeySecrets) -> Option<Self> {
        match self {
            Self::Auto if secrets.key.is_some() => Some(Self::Env),
            Self::Auto if secrets.passphrase.is_some() || secrets.passphrase_file.is_some() => {
                Some(Self::Passphrase)
            }
            Self::Auto => None,
            source => Some(source),
        }
    }

    /// Returns the name that configuration and header use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Keychain => "keychain",
            Self::Env => "env",
            Self::Passphrase => "passphrase",
            Self::Keyfile => "keyfile",
            Self::Host => "host",
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
            Self::Host => "this host",
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

    pub(crate) fn when_mismatched(self) -> String {
        match self {
            Self::Host => {
                format!("this host was not admitted to the vault, or was revoked: {LET_IN}")
            }
            other => format!(
                "the key from {} does not open this vault: give the key that it was made with, or another folder (PROVIDER_AUTH_DIR)",
                other.place()
            ),
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
            Self::Host => {
                "this host has no key of its own for this vault: run `provider-auth fleet join`"
            }
            Self::Auto | Self::Memory => "this vault has no key slot that this version can use",
        }
    }
}

/// How a host gets to open a vault.
const LET_IN: &str =
    "run `provider-auth fleet join` here, and `provider-auth fleet admit` on a host that opens it";

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
        Self::CHOICES
            .into_iter()
            .find(|source| source.name() == text)
            .ok_or(NotAKeySource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_that_can_be_chosen_has_one_name() {
        for source in KeySource::CHOICES {
            assert_eq!(source.name().parse(), Ok(source));
        }
        for other in ["Keychain", KeySource::Host.name()] {
            assert_eq!(other.parse::<KeySource>(), Err(NotAKeySource));
        }
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
