//! What keeps the vault: the folder, or a store for many machines.

use std::sync::Arc;

use provider_auth_vault::{Engine, VaultError};

use super::Store;

impl Store {
    /// What keeps the vault, as configured.
    pub(crate) fn engine(&self) -> Result<Arc<dyn Engine>, VaultError> {
        match &self.settings().store {
            None => Ok(self.host.engine.clone()),
            Some(_) => Err(VaultError::StoreRefused {
                why: "this addon keeps vaults in folders alone: install provider-auth-postgres, or unset the store"
                    .to_owned(),
            }),
        }
    }
}
