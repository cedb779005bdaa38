//! The open vault: who needs it opens it, and all calls share one.

use std::sync::Arc;

use provider_auth_vault::{Entropy, KeySecrets, Options, RecordId, Vault, VaultError};
use tokio::sync::MutexGuard;

use super::Store;
use super::opening::{Opened, looked_through};
use crate::error::BrokerError;
use crate::host::{has_display, logging};

impl Store {
    /// Whether the vault is open, from when on the settings are fixed.
    pub(crate) fn is_open(&self) -> bool {
        self.vault.read().is_some()
    }

    /// The vault, if it is open already.
    pub(crate) fn open_vault(&self) -> Option<Arc<Vault>> {
        self.vault.read().clone()
    }

    /// The vault, which is open: the caller was handed an account from it.
    pub(crate) fn vault(&self) -> Arc<Vault> {
        self.open_vault()
            .expect("accounts are read from an open vault only")
    }

    /// The vault, opened if need be, with accounts and shared state as they are on disk now.
    pub(crate) async fn opened(self: &Arc<Self>) -> Result<Arc<Vault>, BrokerError> {
        self.opened_with(self.vault_options()).await
    }

    /// Like [`Store::opened`], for a call behind which a person waits: where there is a display,
    /// the keychain may ask them.
    pub(crate) async fn opened_interactive(self: &Arc<Self>) -> Result<Arc<Vault>, BrokerError> {
        self.opened_with(self.interactive_options()).await
    }

    /// The options of a call behind which a person waits.
    pub(crate) fn interactive_options(&self) -> Options {
        let options = self.vault_options();
        if has_display(&*self.host.env) {
            options.with_prompts()
        } else {
            options
        }
    }

    /// How the vault is opened, as configured.
    pub(crate) fn vault_options(&self) -> Options {
        let settings = self.settings();
        let key = &settings.key;
        Options {
            key: settings.key_source,
            secrets: KeySecrets {
                key: key.key.clone(),
                passphrase: key.passphrase.clone(),
                passphrase_file: key.passphrase_file.clone(),
                credentials_directory: key.credentials_directory.clone(),
            },
            allow_network_fs: settings.allow_network_fs,
            ..Options::new(&settings.dir)
        }
    }

    pub(crate) fn vault_entropy(&self) -> Arc<dyn Entropy> {
        let entropy = self.host.entropy.clone();
        Arc::new(move |bytes: &mut [u8]| entropy.fill(bytes))
    }

    async fn opened_with(self: &Arc<Self>, options: Options) -> Result<Arc<Vault>, BrokerError> {
        let vault = match self.open_vault() {
            Some(vault) if self.equals_memory(&vault) => return Ok(vault),
            Some(vault) => vault,
            None => self.open(options).await?,
        };
        self.reread(&vault).await?;
        Ok(vault)
    }

    /// Opens the vault. Calls that come meanwhile share the outcome, so that all together wait once
    /// for the keychain's deadline.
    async fn open(self: &Arc<Self>, options: Options) -> Result<Arc<Vault>, BrokerError> {
        let opening = if options.interactive {
            &self.openings.interactive
        } else {
            &self.openings.unattended
        };
        let failed_before = opening.failures();
        let _one_at_a_time = opening.turn.lock().await;
        if let Some(vault) = self.open_vault() {
            return Ok(vault);
        }
        if let Some(refusal) = opening.refusal_since(failed_before) {
            return Err(BrokerError::Shared(refusal));
        }
        let entropy = self.vault_entropy();
        let engine = self.engine()?;
        let open = move || Vault::open(options, engine, entropy);
        let opened = match looked_through(open).await {
            Ok(opened) => opened,
            Err(error) => return Err(BrokerError::Shared(opening.refused(error.into()))),
        };
        let Opened {
            vault,
            cut_short,
            marks,
        } = opened;
        {
            let mut open = self.vault.write();
            if let Some(first) = &*open {
                return Ok(first.clone());
            }
            self.marks.adopt(marks);
            *open = Some(vault.clone());
        }
        // Its folder may just have been made.
        logging::flush();
        self.recover(&cut_short);
        Ok(vault)
    }

    /// Keeps other calls from opening the vault, for one that changes its key.
    pub(crate) async fn lock_openings(&self) -> [MutexGuard<'_, ()>; 2] {
        [
            self.openings.interactive.turn.lock().await,
            self.openings.unattended.turn.lock().await,
        ]
    }

    /// Puts the vault that `open` returns in the place of the open one. The caller holds
    /// [`Store::lock_openings`].
    pub(crate) async fn replace_vault(
        self: &Arc<Self>,
        open: impl FnOnce() -> Result<Vault, VaultError> + Send + 'static,
    ) -> Result<(), BrokerError> {
        let Opened {
            vault,
            cut_short,
            marks,
        } = looked_through(open).await?;
        self.marks.adopt(marks);
        *self.vault.write() = Some(vault);
        self.changes.forget();
        self.state.forget_mark();
        self.recover(&cut_short);
        Ok(())
    }

    fn recover(&self, cut_short: &[RecordId]) {
        if let Some(recover) = self.on_cut_short.get() {
            recover(cut_short);
        }
    }
}
