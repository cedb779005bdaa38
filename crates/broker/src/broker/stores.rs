//! The calls about stores for many machines: one is set up, and a vault moves in and back.

use super::Broker;
use crate::error::BrokerError;
use crate::migrate::MigrationService;
use crate::store::StoreSetup;
use crate::transfer::{Relocated, TransferService};

impl Broker {
    /// How the configured store for many machines stands. Nothing is made.
    pub async fn store_setup(&self) -> Result<StoreSetup, BrokerError> {
        self.store.store_setup().await
    }

    /// Makes what is missing of a store's tables and vault, and lets roles in; again, it changes nothing.
    pub async fn init_store(&self, roles: Vec<String>) -> Result<StoreSetup, BrokerError> {
        self.store.init_store(roles).await
    }

    /// Brings a store's tables up to date.
    pub async fn migrate_store(&self) -> Result<StoreSetup, BrokerError> {
        self.store.migrate_store().await
    }

    /// The statements that [`Broker::init_store`] runs, but for those that make the vault; nobody is
    /// asked.
    pub async fn store_sql(&self, roles: Vec<String>) -> Result<String, BrokerError> {
        self.store.store_sql(roles).await
    }

    /// Moves the logins to another vault, and copies the API keys there: to a store's address, or a
    /// folder. Killed anywhere, it goes on where it is called again.
    pub async fn move_vault(&self, to: &str) -> Result<Relocated, BrokerError> {
        let there = self.store.elsewhere(to)?;
        let migration = MigrationService::new(there.clone());
        let target = TransferService::new(there, migration);
        self.transfer.relocate(target).await
    }
}
