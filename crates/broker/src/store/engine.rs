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

use provider_auth_vault::{Engine, VaultError};

use super::Store;
use crate::config::StoreSettings;

impl Store {
    /// What keeps the vault, as configured. It may read files, and asks nobody.
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
        use provider_auth_backend_postgres::{Options, Times};

        let mut made = self.openings.engine.lock();
        if let Some(engine) = &*made {
            return Ok(engine.clone());
        }
        let (host, address) = (&self.host, &store.address);
        let extra = host
            .env
            .var("NODE_EXTRA_CA_CERTS")
            .map(std::path::PathBuf::from);
        let options = Options {
            url: address.url.clone(),
            password: password::source(store),
            tls: certificates::client_config(address, extra.as_deref())
                .map_err(|why| VaultError::StoreRefused { why })?,
            host: this_host::id(dir, &*host.entropy),
            name: this_host::name(&*host.env),
            times: Times::default(),
        };
        let runtime = tokio::runtime::Handle::current();
        let engine = postgres(
            options,
            host.engine.clone(),
            runtime,
            host.clock_offset.clone(),
        )?;
        *made = Some(engine.clone());
        Ok(engine)
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

/// The engine of vaults in PostgreSQL.
#[cfg(feature = "postgres")]
fn postgres(
    options: provider_auth_backend_postgres::Options,
    folder: Arc<dyn Engine>,
    runtime: tokio::runtime::Handle,
    clock_offset: Arc<std::sync::atomic::AtomicI64>,
) -> Result<Arc<dyn Engine>, VaultError> {
    use provider_auth_backend_postgres::{NewVault, Store, engine};

    engine(Store {
        options,
        folder,
        runtime,
        clock_offset,
        new_vault: NewVault::Refused,
    })
}
