//! Opening a vault, and making one where there is none.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    Entropy, KeySource, Memory, Options, Vault, VaultError,
    backend::{Backend, Document, Engine, Lock},
    crypto::key::{Key, random},
    format::slot::WrappingKey,
    vault::{
        UnlockContext,
        key_ring::{CheckedKeys, KeyRing},
        unlock::{self, Unlocked, header_error, unlock},
    },
};

impl Vault {
    /// Opens the vault, or creates it with a key of its own if there is none yet where the options
    /// say.
    ///
    /// Any number of processes may do so at once: they get one vault with one key. An existing
    /// vault never gets a new key. With [`KeySource::Memory`] neither `dir` nor `engine` is
    /// touched.
    pub fn open(
        options: Options,
        engine: Arc<dyn Engine>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        if options.key == KeySource::Memory {
            return Self::in_memory(options, entropy);
        }
        let backend = engine.prepare(&options)?;
        let unlocked = match unlock(&options, &*backend)? {
            Some(unlocked) if !unlocked.from_backup => unlocked,
            _ => {
                let _held = backend.lock(Lock::Vault, options.lock_timeout())?;
                // Another process may have been faster.
                match unlock(&options, &*backend)? {
                    Some(unlocked) => {
                        if unlocked.from_backup {
                            unlock::restore_header(&*backend, &unlocked)?;
                        }
                        unlocked
                    }
                    None => unlock::create(&options, &*backend, &*entropy)?,
                }
            }
        };
        unlock::tidy(&*backend, &unlocked);
        let vault = Self::with_key(backend, entropy, options, unlocked)?;
        vault.resume_rotation();
        if let Err(error) = vault.publish_key() {
            crate::line!(
                DEBUG,
                dir = vault.dir(),
                error = error,
                "the public half of the vault's key could not be put into its slot"
            );
        }
        if let Err(error) = vault.seal_moved() {
            crate::line!(
                WARN,
                dir = vault.dir(),
                error = error,
                "the bundle of an earlier version could not be sealed"
            );
        }
        Ok(vault)
    }

    pub(super) fn in_memory(
        options: Options,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        crate::line!(
            WARN,
            "the vault is in memory: every login ends with this process"
        );
        let backend = Arc::new(Memory::default()).prepare(&options)?;
        let wrapping_key = WrappingKey {
            key: Key::random(&*entropy),
            source: KeySource::Memory,
            kdf: None,
        };
        let id = random(&*entropy);
        let unlocked = Unlocked::new((id, 1), wrapping_key, Key::random(&*entropy), &*entropy);
        unlock::write_header(&*backend, &unlocked.file)?;
        Self::with_key(backend, entropy, options, unlocked)
    }

    pub(super) fn with_key(
        backend: Arc<dyn Backend>,
        entropy: Arc<dyn Entropy>,
        options: Options,
        unlocked: Unlocked,
    ) -> Result<Self, VaultError> {
        if unlocked.key_source == KeySource::Keyfile {
            // At each start, and as the user asked for it: no warning.
            crate::line!(
                INFO,
                "the vault key is in a file: anyone who can read that file and the vault's folder can read every login"
            );
        }
        let name = backend.document_name(Document::Header);
        let ring =
            KeyRing::of(&unlocked).map_err(|why| header_error(why, name, unlocked.key_source))?;
        Ok(Self {
            backend,
            entropy,
            id: unlocked.header.vault,
            keys: Mutex::new(CheckedKeys {
                file: Some(unlocked.file),
                ring: Arc::new(ring),
            }),
            unlocked_with: Mutex::new(Arc::new(UnlockContext {
                wrapping_key: unlocked.wrapping_key,
                key_source: unlocked.key_source,
                options,
            })),
            cache: Mutex::default(),
        })
    }
}
