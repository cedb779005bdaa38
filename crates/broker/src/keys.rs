//! The vault's key, as a user handles it: made, exported, imported, renewed, and reached in more than one way.
//!
//! One such call at a time in this process; other processes are kept apart by the vault's own locks, and go on with
//! whatever the header says next.

use std::sync::Arc;

use provider_auth_vault::{Disk, ExistingKey, KeySecrets, KeySlot, KeySource, Options, Vault};
use secrecy::SecretString;

use crate::broker::{Broker, blocking};
use crate::error::BrokerError;
use crate::status::VaultStatus;

impl Broker {
    /// Creates the vault's key, and the vault. With [`ExistingKey::Replace`] the key of an existing vault is replaced
    /// and every record re-encrypted, or nothing is changed.
    pub async fn init_key(
        self: &Arc<Self>,
        key_source: Option<KeySource>,
        existing: ExistingKey,
    ) -> Result<VaultStatus, BrokerError> {
        let options = self.options_with(key_source)?;
        {
            let _alone = self.alone().await;
            match self.open_vault() {
                None => {
                    let entropy = self.vault_entropy();
                    let init = move || Vault::init(options, existing, Arc::new(Disk), entropy);
                    self.work_with(init).await?;
                }
                Some(vault) if existing == ExistingKey::Refuse => {
                    let dir = vault.dir().to_owned();
                    return Err(provider_auth_vault::VaultError::KeyExists { dir }.into());
                }
                Some(vault) => blocking(move || vault.replace_key(options)).await?,
            }
        }
        self.vault_status().await
    }

    /// The key in base64: with the vault's folder, all that is needed to read it.
    pub async fn export_key(self: &Arc<Self>) -> Result<SecretString, BrokerError> {
        let vault = self.opened_by_hand().await?;
        Ok(blocking(move || vault.export_key()).await?)
    }

    /// Opens the vault with an exported key and keeps that key where the source says. A key that does not open every
    /// record that is there is refused, and nothing is changed.
    pub async fn import_key(
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
            let _alone = self.alone().await;
            let entropy = self.vault_entropy();
            let work = move || Vault::import_key(options, &key, Arc::new(Disk), entropy);
            let imported = blocking(work).await?;
            let another = match self.open_vault() {
                Some(vault) => vault.reopen_as(imported),
                None => Some(imported),
            };
            if let Some(another) = another {
                self.work_with(move || Ok(another)).await?;
            }
        }
        self.vault_status().await
    }

    /// Re-encrypts every record under a new key. `given` has the keys of slots that the configuration does not give.
    pub async fn rotate_key(
        self: &Arc<Self>,
        given: KeySecrets,
    ) -> Result<VaultStatus, BrokerError> {
        let vault = self.opened_by_hand().await?;
        blocking(move || vault.rotate_key_with(&given)).await?;
        self.vault_status().await
    }

    /// Adds a way to the vault's key. What `given` leaves out comes from the configuration.
    pub async fn add_slot(
        self: &Arc<Self>,
        key_source: KeySource,
        given: KeySecrets,
    ) -> Result<KeySlot, BrokerError> {
        if matches!(key_source, KeySource::Auto | KeySource::Memory) {
            return Err(BrokerError::InvalidArgument(
                "keySource: expected keychain, env, passphrase or keyfile".to_owned(),
            ));
        }
        let vault = self.opened_by_hand().await?;
        let configured = self.vault_options().secrets;
        let asks_itself = given.passphrase.is_some();
        let secrets = KeySecrets {
            key: given.key.or(configured.key),
            passphrase: given.passphrase.or(configured.passphrase),
            passphrase_file: configured.passphrase_file.filter(|_| !asks_itself),
            credentials_directory: configured.credentials_directory,
        };
        Ok(blocking(move || vault.add_slot(key_source, &secrets)).await?)
    }

    /// Removes a way to the vault's key; false when there is none of that id.
    pub async fn remove_slot(self: &Arc<Self>, id: String) -> Result<bool, BrokerError> {
        let vault = self.opened_by_hand().await?;
        Ok(blocking(move || vault.remove_slot(&id)).await?)
    }

    /// The configured options, with another key source where one was chosen for this call.
    fn options_with(&self, key_source: Option<KeySource>) -> Result<Options, BrokerError> {
        let options = self.options_by_hand();
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
