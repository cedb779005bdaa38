//! How a vault is to be opened.

use std::{path::PathBuf, time::Duration};

use crate::{
    KeySecrets, KeySource,
    folder::store::{NetworkFolders, Store},
    keys::finder::KeyFinder,
    keys::keychain::Prompts,
    limits,
};

/// How to open a vault.
#[derive(Clone, Debug)]
pub struct Options {
    /// The vault's folder; it may be a symbolic link, which is followed once.
    pub dir: PathBuf,
    /// Where its key lives.
    pub key: KeySource,
    /// Keys and passphrases that were given.
    pub secrets: KeySecrets,
    /// The key file; default: beside the folder, named like it with `.key` at the end, so that a copy of the folder is no use
    /// without it.
    pub keyfile: Option<PathBuf>,
    /// Open it on a network file system too.
    pub allow_network_fs: bool,
    /// A person is there to answer a keychain's prompt.
    pub interactive: bool,
    /// How long the keychain may take.
    pub keychain_deadline: Duration,
}

impl Options {
    /// Returns the defaults for a folder: key source `auto`, no secret given, nobody there to answer a prompt.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            key: KeySource::Auto,
            secrets: KeySecrets::default(),
            keyfile: None,
            allow_network_fs: false,
            interactive: false,
            keychain_deadline: limits::KEYCHAIN_DEADLINE,
        }
    }

    /// Returns the options for a call behind which a person waits: the keychain may show its prompt, and gets the time to have
    /// it answered.
    #[must_use]
    pub fn with_prompts(self) -> Self {
        Self {
            interactive: true,
            keychain_deadline: limits::KEYCHAIN_PROMPT_DEADLINE,
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

    /// How long to wait for `vault.lock` while another process may be asking the keychain for a new vault's key.
    pub(crate) fn patience(&self) -> Duration {
        self.keychain_deadline + limits::VAULT_LOCK_WAIT
    }

    fn keyfile(&self) -> PathBuf {
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

    pub(crate) fn finder<'a>(&'a self, store: &'a dyn Store) -> KeyFinder<'a> {
        KeyFinder {
            source: self.key,
            secrets: &self.secrets,
            keyfile: self.keyfile(),
            store,
            keychain_deadline: self.keychain_deadline,
            prompts: if self.interactive {
                Prompts::Allowed
            } else {
                Prompts::Avoided
            },
        }
    }
}
