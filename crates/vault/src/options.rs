//! How a vault is to be opened.

use std::{path::PathBuf, time::Duration};

use crate::{KeySecrets, KeySource, folder::store::NetworkFolders, limits};

/// How to open a vault.
#[derive(Clone, Debug)]
pub struct Options {
    /// The vault's folder on this machine; it may be a symbolic link, which is followed once.
    pub dir: PathBuf,
    /// Where its key lives.
    pub key: KeySource,
    /// Keys and passphrases that were given.
    pub secrets: KeySecrets,
    /// The key file; default: beside the folder, named like it with `.key` at the end, so that a
    /// copy of the folder is useless without it.
    pub keyfile: Option<PathBuf>,
    /// Open it on a network file system too: a matter of the folder engine.
    pub allow_network_fs: bool,
    /// A person is there to answer a keychain's prompt.
    pub interactive: bool,
    /// How long the keychain may take.
    pub keychain_timeout: Duration,
}

impl Options {
    /// Returns the defaults for a folder: key source `auto`, no secret given, no one there to
    /// answer a prompt.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            key: KeySource::Auto,
            secrets: KeySecrets::default(),
            keyfile: None,
            allow_network_fs: false,
            interactive: false,
            keychain_timeout: limits::KEYCHAIN_TIMEOUT,
        }
    }

    /// Returns the options for a call behind which a person waits: the keychain may show its
    /// prompt, and gets the time to have it answered.
    #[must_use]
    pub fn with_prompts(self) -> Self {
        Self {
            interactive: true,
            keychain_timeout: limits::KEYCHAIN_PROMPT_TIMEOUT,
            ..self
        }
    }

    pub(crate) fn network(&self) -> NetworkFolders {
        if self.allow_network_fs {
            NetworkFolders::Allowed
        } else {
            NetworkFolders::Refused
        }
    }

    /// How long to wait for [`Lock::Vault`](crate::Lock) while another process may be asking the
    /// keychain for a new vault's key.
    pub(crate) fn lock_timeout(&self) -> Duration {
        self.keychain_timeout + limits::VAULT_LOCK_TIMEOUT
    }

    /// Where the key file is, or would be.
    pub(crate) fn keyfile(&self) -> PathBuf {
        self.keyfile.clone().unwrap_or_else(|| {
            let mut name = self
                .dir
                .file_name()
                .unwrap_or("vault".as_ref())
                .to_os_string();
            name.push(".key");
            self.dir.with_file_name(name)
        })
    }

    /// Where the key of this host is, or would be, if not in the keychain: beside the key file, and
    /// ending in `.host.key`.
    pub(crate) fn host_keyfile(&self) -> PathBuf {
        self.keyfile().with_extension("host.key")
    }
}
