//! The configuration as it counts beside the accounts that are there.

use std::sync::Arc;

use super::accounts::Accounts;
use crate::config::{Provider, Settings};
use crate::error::BrokerError;
use crate::store::Store;

impl Store {
    /// The provider of this id: built in, configured, or defined by accounts that say themselves
    /// where they belong. One whose own file is wrong is of no use, and says so.
    pub(crate) fn provider(&self, id: &str) -> Result<Arc<Provider>, BrokerError> {
        let known = self.known_provider(id).unwrap_or_else(|| {
            let error = self.not_known(id);
            // Another process may have been told to trust the project's file.
            match self.learn_of_trust(&error) {
                true => self.known_provider(id).unwrap_or(Err(error)),
                false => Err(error),
            }
        })?;
        match &known.fault {
            Some(fault) => Err(fault.clone().into()),
            None => Ok(known),
        }
    }

    fn known_provider(&self, id: &str) -> Option<Result<Arc<Provider>, BrokerError>> {
        let accounts = self.accounts();
        let configured = self
            .settings
            .read()
            .provider(id, || accounts.are_taken(id))
            .map(|made| made.map_err(BrokerError::from));
        configured.or_else(|| accounts.defined(id).map(Ok))
    }

    /// The provider of this id under the configuration alone; `None` where it says nothing of it.
    pub(crate) fn configured_provider(
        &self,
        id: &str,
    ) -> Option<Result<Arc<Provider>, BrokerError>> {
        let accounts = self.accounts();
        let configured = self.settings.read().provider(id, || accounts.are_taken(id));
        configured.map(|made| made.map_err(BrokerError::from))
    }

    /// What is configured.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    /// Reads the configuration again for what it says of providers; all else stays as it was when
    /// the process began.
    pub(crate) fn reconfigure(&self) -> Result<Arc<Settings>, BrokerError> {
        let fresh = crate::config::load(&*self.host.env, &self.inline)?;
        let _one_at_a_time = self.state.reading();
        let settings = Arc::new(Settings {
            providers: fresh.providers,
            selections: fresh.selections,
            named: fresh.named,
            project: fresh.project,
            warnings: fresh.warnings,
            ..(*self.settings()).clone()
        });
        // Headers are made under the configuration, so all accounts are read as if for the first
        // time.
        let read = match self.open_vault() {
            Some(vault) => Accounts::read(&vault, &Accounts::default(), &settings)?,
            None => Accounts::default(),
        };
        *self.settings.write() = settings.clone();
        *self.accounts.write() = Arc::new(read);
        Ok(settings)
    }

    /// Another vault under the configuration of this one: a store's address, or a folder. Nobody
    /// listens to it.
    pub(crate) fn elsewhere(&self, to: &str) -> Result<Arc<Self>, BrokerError> {
        let is_store = to.starts_with("postgres://") || to.starts_with("postgresql://");
        let mut inline = self.inline.clone();
        match is_store {
            true => inline.store = Some(to.to_owned()),
            false => inline.dir = Some(to.into()),
        }
        let mut settings = crate::config::load(&*self.host.env, &inline)?;
        if !is_store {
            settings.store = None;
        }
        Ok(Self::of(
            self.host.clone(),
            &inline,
            settings,
            Arc::default(),
        ))
    }
}
