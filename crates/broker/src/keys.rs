//! The vault's key, as a user handles it: made, exported, imported, renewed, and reached in more
//! than one way.
//!
//! One such call at a time in this process; other processes are kept apart by the vault's own
//! locks, and go on with whatever the header says next.

use std::sync::Arc;

use provider_auth_vault::{ExistingKey, KeySecrets, KeySlot, KeySource, Options, Vault};
use secrecy::SecretString;

use crate::error::BrokerError;
use crate::host::blocking;
use crate::status::{StatusService, VaultStatus};
use crate::store::{Store, moved_bundle};

/// Handles the key of one vault.
pub(crate) struct KeyService {
    store: Arc<Store>,
    status: Arc<StatusService>,
}

impl KeyService {
    pub(crate) fn new(store: Arc<Store>, status: Arc<StatusService>) -> Arc<Self> {
        Arc::new(Self { store, status })
    }

    /// Creates the vault's key, and the vault. With [`ExistingKey::Replace`] the key of an existing
    /// vault is replaced and every record re-encrypted, or nothing is changed.
    pub(crate) async fn init_key(
        self: &Arc<Self>,
        key_source: Option<KeySource>,
        existing: ExistingKey,
    ) -> Result<VaultStatus, BrokerError> {
        let options = self.options_with(key_source)?;
        {
            let _locked = self.store.lock_openings().await;
            match self.store.open_vault() {
                None => {
                    let entropy = self.store.vault_entropy();
                    let engine = self.store.engine()?;
                    let init = move || Vault::init(options, existing, engine, entropy);
                    self.store.replace_vault(init).await?;
                }
                Some(vault) if existing == ExistingKey::Refuse => {
                    let dir = vault.dir().to_owned();
                    return Err(provider_auth_vault::VaultError::KeyExists { dir }.into());
                }
                Some(vault) => {
                    blocking(move || {
                        none_under_way(&vault)?;
                        Ok::<_, BrokerError>(vault.replace_key(options)?)
                    })
                    .await?;
                }
            }
        }
        self.status.vault_status().await
    }

    /// The key in base64: with the vault's folder, all that is needed to read it.
    pub(crate) async fn export_key(self: &Arc<Self>) -> Result<SecretString, BrokerError> {
        let vault = self.store.opened_interactive().await?;
        Ok(blocking(move || vault.export_key()).await?)
    }

    /// Opens the vault with an exported key and keeps that key where the source says. A key that
    /// does not open every record that is there is refused, and nothing is changed.
    pub(crate) async fn import_key(
        self: &Arc<Self>,
        key: SecretString,
        key_source: Option<KeySource>,
    ) -> Result<VaultStatus, BrokerError> {
        let options = self.options_with(key_source)?;
        if options.key == KeySource::Memory {
            return Err(BrokerError::InvalidArgument(
                "a vault in memory takes no key: configure another keySource (PROVIDER_AUTH_KEY_SOURCE)".to_owned(),
            ));
        }
        {
            let _locked = self.store.lock_openings().await;
            let entropy = self.store.vault_entropy();
            let engine = self.store.engine()?;
            let work = move || Vault::import_key(options, &key, engine, entropy);
            let imported = blocking(work).await?;
            let another = match self.store.open_vault() {
                Some(vault) => vault.reopen_as(imported),
                None => Some(imported),
            };
            if let Some(another) = another {
                self.store.replace_vault(move || Ok(another)).await?;
            }
        }
        self.status.vault_status().await
    }

    /// Re-encrypts every record under a new key. `given` has the keys of slots that the
    /// configuration does not give.
    pub(crate) async fn rotate_key(
        self: &Arc<Self>,
        given: KeySecrets,
    ) -> Result<VaultStatus, BrokerError> {
        let vault = self.store.opened_interactive().await?;
        blocking(move || {
            none_under_way(&vault)?;
            Ok::<_, BrokerError>(vault.rotate_key_with(&given)?)
        })
        .await?;
        self.status.vault_status().await
    }

    /// Adds a way to the vault's key. What `given` leaves out comes from the configuration.
    pub(crate) async fn add_slot(
        self: &Arc<Self>,
        key_source: KeySource,
        given: KeySecrets,
    ) -> Result<KeySlot, BrokerError> {
        if matches!(
            key_source,
            KeySource::Auto | KeySource::Host | KeySource::Memory
        ) {
            return Err(BrokerError::InvalidArgument(
                "keySource: expected keychain, env, passphrase or keyfile".to_owned(),
            ));
        }
        let vault = self.store.opened_interactive().await?;
        let configured = self.store.vault_options().secrets;
        let asks_itself = given.passphrase.is_some();
        let secrets = KeySecrets {
            key: given.key.or(configured.key),
            passphrase: given.passphrase.or(configured.passphrase),
            passphrase_file: configured.passphrase_file.filter(|_| !asks_itself),
            credentials_directory: configured.credentials_directory,
        };
        Ok(blocking(move || vault.add_slot(key_source, &secrets)).await?)
    }

    /// Removes a way to the vault's key; false when no slot has that id.
    pub(crate) async fn remove_slot(self: &Arc<Self>, id: String) -> Result<bool, BrokerError> {
        let vault = self.store.opened_interactive().await?;
        Ok(blocking(move || vault.remove_slot(&id)).await?)
    }

    /// The configured options, with another key source where one was chosen for this call.
    fn options_with(&self, key_source: Option<KeySource>) -> Result<Options, BrokerError> {
        let options = self.store.interactive_options();
        match key_source {
            Some(KeySource::Memory) if options.key != KeySource::Memory => {
                Err(BrokerError::InvalidArgument(
                    "keySource: a vault on the disk cannot keep its key in memory; configure keySource memory (PROVIDER_AUTH_KEY_SOURCE=memory) for a vault that \
                     ends with its process"
                        .to_owned(),
                ))
            }
            Some(_) if options.key == KeySource::Memory => Ok(options),
            Some(key) => Ok(Options { key, ..options }),
            None => Ok(options),
        }
    }
}

/// Refuses a new key while logins are on their way to another vault: what is kept of them goes with the
/// old key.
fn none_under_way(vault: &Vault) -> Result<(), BrokerError> {
    match moved_bundle::moved_to(vault)? {
        Some(moved) if moved.is_under_way => Err(moved.into()),
        _ => Ok(()),
    }
}
