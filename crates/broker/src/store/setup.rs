//! Makes a store for many machines ready: its tables, a vault in it, the roles of its hosts.

use std::sync::Arc;

use provider_auth_vault::VaultError;

use super::Store;
use crate::error::BrokerError;

/// How a store stands, and what a call changed of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreSetup {
    /// Names servers, database and vault, without user and password.
    pub place: String,
    /// The version of its tables; `None` where there are none.
    pub schema: Option<u32>,
    /// Whether it has the vault, and shows it to this role.
    pub has_vault: bool,
    /// Whether this role may make vaults, admit roles to them and change their keys.
    pub is_admin: bool,
    /// Whether the call made the tables.
    pub installed: bool,
    /// Whether it made the vault.
    pub made: bool,
    /// The roles that it let in.
    pub admitted: Vec<String>,
}

impl Store {
    /// How the configured store stands. Nothing is made.
    pub(crate) async fn store_setup(self: &Arc<Self>) -> Result<StoreSetup, BrokerError> {
        self.at_store(|database| Ok(database.look()?)).await
    }

    /// Makes what is missing of tables and vault, and lets roles in; again, it changes nothing. The role
    /// of the address may make schemas and roles where there are no tables yet, and is an administrator.
    pub(crate) async fn init_store(
        self: &Arc<Self>,
        roles: Vec<String>,
    ) -> Result<StoreSetup, BrokerError> {
        self.at_store(move |database| database.init(&roles)).await
    }

    /// Brings the tables up to date. There is one version of them so far: it tells whether they are there.
    pub(crate) async fn migrate_store(self: &Arc<Self>) -> Result<StoreSetup, BrokerError> {
        let found = self.store_setup().await?;
        if found.schema.is_none() {
            return Err(refused(
                "it has no tables yet: make them with `provider-auth store init`",
            ));
        }
        Ok(found)
    }

    /// The statements that [`Store::init_store`] runs, but for those that make the vault; nobody is asked.
    pub(crate) async fn store_sql(
        self: &Arc<Self>,
        roles: Vec<String>,
    ) -> Result<String, BrokerError> {
        self.at_store(move |database| database.sql(&roles)).await
    }

    async fn at_store<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&database::Database) -> Result<T, BrokerError> + Send + 'static,
    ) -> Result<T, BrokerError> {
        if self.settings().store.is_none() {
            return Err(BrokerError::InvalidArgument(
                "store: no store is configured: set PROVIDER_AUTH_STORE".to_owned(),
            ));
        }
        let database = database::Database::of(self)?;
        crate::host::blocking(move || work(&database)).await
    }
}

fn refused(why: &str) -> BrokerError {
    let why = why.to_owned();
    VaultError::StoreRefused { why }.into()
}

#[cfg(feature = "postgres")]
#[path = "setup/postgres.rs"]
mod database;

/// In an addon that has no store.
#[cfg(not(feature = "postgres"))]
mod database {
    use std::sync::Arc;

    use super::{Store, StoreSetup};
    use crate::error::BrokerError;

    pub(super) enum Database {}

    impl Database {
        pub(super) fn of(store: &Arc<Store>) -> Result<Self, BrokerError> {
            match store.engine() {
                Ok(_) => Err(BrokerError::InvalidArgument(
                    "no store is configured".to_owned(),
                )),
                Err(error) => Err(error.into()),
            }
        }

        pub(super) fn look(&self) -> Result<StoreSetup, provider_auth_vault::VaultError> {
            match *self {}
        }

        pub(super) fn init(&self, _: &[String]) -> Result<StoreSetup, BrokerError> {
            match *self {}
        }

        pub(super) fn sql(&self, _: &[String]) -> Result<String, BrokerError> {
            match *self {}
        }
    }
}
