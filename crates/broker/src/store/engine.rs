//! What keeps the vault: the folder, or a store for many machines.

#[cfg(feature = "postgres")]
mod certificates;
#[cfg(feature = "postgres")]
mod password;
#[cfg(feature = "postgres")]
mod password_command;
#[cfg(feature = "postgres")]
mod password_file;
#[cfg(feature = "postgres")]
mod this_host;

use std::sync::Arc;

#[cfg(feature = "postgres")]
use provider_auth_backend_postgres::{NewVault, Options, Times};
use provider_auth_vault::{Engine, VaultError};

use super::Store;
use crate::config::StoreSettings;

impl Store {
    /// What keeps the vault, as configured. It may read files, and makes no connection.
    pub(crate) fn engine(&self) -> Result<Arc<dyn Engine>, VaultError> {
        let settings = self.settings();
        match &settings.store {
            None => Ok(self.host.engine.clone()),
            Some(store) => self.engine_of(store, &settings.dir),
        }
    }

    /// The engine of a store, made once.
    #[cfg(feature = "postgres")]
    fn engine_of(
        &self,
        store: &StoreSettings,
        dir: &std::path::Path,
    ) -> Result<Arc<dyn Engine>, VaultError> {
        let mut made = self.openings.engine.lock();
        if let Some(engine) = &*made {
            return Ok(engine.clone());
        }
        let options = self.store_options(store)?;
        let engine = self.postgres(options, dir, NewVault::Refused)?;
        *made = Some(engine.clone());
        Ok(engine)
    }

    /// How a store is reached, and as whom; which of the hosts this is matters to no call that sets it
    /// up, and is not said. Nothing is made on this machine.
    #[cfg(feature = "postgres")]
    pub(super) fn store_options(&self, store: &StoreSettings) -> Result<Options, VaultError> {
        let (host, address) = (&self.host, &store.address);
        let extra = host
            .env
            .var("NODE_EXTRA_CA_CERTS")
            .map(std::path::PathBuf::from);
        Ok(Options {
            url: address.url.clone(),
            password: password::source(store),
            tls: certificates::client_config(address, extra.as_deref())
                .map_err(|why| VaultError::StoreRefused { why })?,
            host: uuid::Uuid::nil(),
            name: this_host::name(&*host.env),
            times: Times::default(),
        })
    }

    /// The engine of vaults in PostgreSQL.
    #[cfg(feature = "postgres")]
    pub(super) fn postgres(
        &self,
        options: Options,
        dir: &std::path::Path,
        new_vault: NewVault,
    ) -> Result<Arc<dyn Engine>, VaultError> {
        provider_auth_backend_postgres::engine(provider_auth_backend_postgres::Store {
            options: Options {
                host: this_host::id(dir, &*self.host.entropy),
                ..options
            },
            folder: self.host.engine.clone(),
            runtime: tokio::runtime::Handle::current(),
            clock: self.host.store_clock.clone(),
            new_vault,
        })
    }

    #[cfg(not(feature = "postgres"))]
    fn engine_of(
        &self,
        _: &StoreSettings,
        _: &std::path::Path,
    ) -> Result<Arc<dyn Engine>, VaultError> {
        Err(VaultError::StoreRefused {
            why: "this addon keeps vaults in folders alone: install provider-auth-postgres, or unset the store".to_owned(),
        })
    }
}
