//! A database, to look at and to set up.

use std::fmt::Write as _;
use std::sync::Arc;

use provider_auth_backend_postgres::{
    NewVault, Options, SCHEMA, admission, admit_host, install, lend_rights, look, vault_error,
};
use provider_auth_vault::{ExistingKey, Vault, VaultError};
use tokio::runtime::Handle;

use super::{Store, StoreSetup, refused};
use crate::error::BrokerError;

/// A database as its owner handles it. Its calls block.
pub(super) struct Database {
    options: Options,
    runtime: Handle,
    store: Arc<Store>,
}

impl Database {
    pub(super) fn of(store: &Arc<Store>) -> Result<Self, BrokerError> {
        let settings = store.settings();
        let address = settings.store.as_ref().expect("the caller has looked");
        Ok(Self {
            options: store.store_options(address)?,
            runtime: Handle::current(),
            store: store.clone(),
        })
    }

    pub(super) fn look(&self) -> Result<StoreSetup, VaultError> {
        let found = look(&self.options, &self.runtime).map_err(vault_error)?;
        Ok(StoreSetup {
            place: found.place,
            schema: found.schema,
            has_vault: found.has_vault,
            is_admin: found.is_admin,
            ..StoreSetup::default()
        })
    }

    pub(super) fn init(&self, roles: &[String]) -> Result<StoreSetup, BrokerError> {
        let before = self.look()?;
        if before.schema.is_none() {
            install(&self.options, &self.runtime).map_err(vault_error)?;
        }
        if !before.has_vault {
            self.make_vault()?;
        }
        let mut admitted = Vec::new();
        for role in roles {
            if admit_host(&self.options, &self.runtime, role).map_err(vault_error)? {
                admitted.push(role.clone());
            }
        }
        Ok(StoreSetup {
            installed: before.schema.is_none(),
            made: !before.has_vault,
            admitted,
            ..self.look()?
        })
    }

    fn make_vault(&self) -> Result<(), BrokerError> {
        let (vault, _runtime) = (self.store.interactive_options(), self.runtime.enter());
        let engine = self
            .store
            .postgres(self.options.clone(), &vault.dir, NewVault::Made)?;
        let entropy = self.store.vault_entropy();
        match Vault::init(vault, ExistingKey::Refuse, engine, entropy) {
            Ok(_) => Ok(()),
            Err(VaultError::Overtaken) => Err(refused(
                "it has a vault of this name and does not show it to this role: have an administrator of that vault run `provider-auth store init --role`",
            )),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn sql(&self, roles: &[String]) -> Result<String, BrokerError> {
        let mut sql = SCHEMA.trim_end().to_owned();
        sql.push('\n');
        for role in roles {
            let admission = admission(&self.options, role).map_err(vault_error)?;
            let _ = write!(
                sql,
                "\n{}\n-- By the role that made the vault, once `provider-auth store init` has made it:\n-- {admission}\n",
                lend_rights(role)
            );
        }
        Ok(sql)
    }
}
