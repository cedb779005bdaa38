//! The calls on the vault's key, and on the hosts that have one of their own.

use provider_auth_vault::{ExistingKey, FleetHost, KeySecrets, KeySlot, KeySource};
use secrecy::SecretString;

use super::Broker;
use crate::error::BrokerError;
use crate::fleet::HostRevocation;
use crate::status::VaultStatus;

impl Broker {
    /// Creates the vault's key, and the vault. With [`ExistingKey::Replace`] the key of an existing
    /// vault is replaced and every record re-encrypted, or nothing is changed.
    pub async fn init_key(
        &self,
        key_source: Option<KeySource>,
        existing: ExistingKey,
    ) -> Result<VaultStatus, BrokerError> {
        self.keys.init_key(key_source, existing).await
    }

    /// The key in base64: with the vault's folder, all that is needed to read it.
    pub async fn export_key(&self) -> Result<SecretString, BrokerError> {
        self.keys.export_key().await
    }

    /// Opens the vault with an exported key and keeps that key where the source says. A key that
    /// does not open every record that is there is refused, and nothing is changed.
    pub async fn import_key(
        &self,
        key: SecretString,
        key_source: Option<KeySource>,
    ) -> Result<VaultStatus, BrokerError> {
        self.keys.import_key(key, key_source).await
    }

    /// Re-encrypts every record under a new key. `given` has the keys of slots that the
    /// configuration does not give.
    pub async fn rotate_key(&self, given: KeySecrets) -> Result<VaultStatus, BrokerError> {
        self.keys.rotate_key(given).await
    }

    /// Adds a way to the vault's key. What `given` leaves out comes from the configuration.
    pub async fn add_slot(
        &self,
        key_source: KeySource,
        given: KeySecrets,
    ) -> Result<KeySlot, BrokerError> {
        self.keys.add_slot(key_source, given).await
    }

    /// Removes a way to the vault's key; false when no slot has that id.
    pub async fn remove_slot(&self, id: String) -> Result<bool, BrokerError> {
        self.keys.remove_slot(id).await
    }

    /// Makes this host's own key for the vault, in the keychain or in a file (`place`), and returns
    /// the line with which a host that opens the vault admits it.
    pub async fn join_fleet(&self, place: Option<KeySource>) -> Result<String, BrokerError> {
        self.fleet.join(place).await
    }

    /// Lets a host open the vault; `key` is the line that it got.
    pub async fn admit_host(&self, key: String, name: String) -> Result<FleetHost, BrokerError> {
        self.fleet.admit(key, name).await
    }

    /// The hosts that were admitted, and then those whose revocation is not finished.
    pub async fn fleet_hosts(&self) -> Result<Vec<FleetHost>, BrokerError> {
        self.fleet.hosts().await
    }

    /// Takes a host out: the vault gets a new key, and every login is renewed once. `given` is as in
    /// [`Broker::rotate_key`]. Where this was cut off, the same call goes on.
    pub async fn revoke_host(
        &self,
        name: String,
        given: KeySecrets,
    ) -> Result<HostRevocation, BrokerError> {
        self.fleet.revoke(name, given).await
    }
}
