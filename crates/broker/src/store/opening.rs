//! Attempts to open the vault: one at a time, whose outcome others share, and what is looked at
//! before it is used.

use std::sync::Arc;

use parking_lot::Mutex;
use provider_auth_vault::{HighWater, RecordId, Vault, VaultError};

use super::moved_bundle;
use crate::error::BrokerError;
use crate::host::blocking;

/// The attempts to open the vault under way.
#[derive(Default)]
pub(super) struct Openings {
    /// What keeps the vault, where that is a store for many machines and was asked for.
    #[cfg(feature = "postgres")]
    pub(super) engine: Mutex<Option<Arc<dyn provider_auth_vault::Engine>>>,
    pub(super) unattended: Opening,
    /// Apart: a call without a person does not wait for another call's prompt.
    pub(super) interactive: Opening,
}

/// One attempt at a time.
#[derive(Default)]
pub(super) struct Opening {
    pub(super) turn: tokio::sync::Mutex<()>,
    /// How many have failed, and why the last one did.
    failed: Mutex<(u64, Option<Arc<BrokerError>>)>,
}

impl Opening {
    pub(super) fn failures(&self) -> u64 {
        self.failed.lock().0
    }

    /// Why the last attempt failed, if one did since there were `before` failures.
    pub(super) fn refusal_since(&self, before: u64) -> Option<Arc<BrokerError>> {
        let failed = self.failed.lock();
        failed.1.clone().filter(|_| failed.0 > before)
    }

    pub(super) fn refused(&self, error: BrokerError) -> Arc<BrokerError> {
        let error = Arc::new(error);
        let mut failed = self.failed.lock();
        *failed = (failed.0 + 1, Some(error.clone()));
        error
    }
}

/// A vault that was just opened, and what is to be known of it before it is used.
pub(super) struct Opened {
    pub(super) vault: Arc<Vault>,
    /// Refreshes that were cut short.
    pub(super) cut_short: Vec<RecordId>,
    pub(super) marks: HighWater,
}

/// Opens a vault and looks it through.
pub(super) async fn looked_through(
    open: impl FnOnce() -> Result<Vault, VaultError> + Send + 'static,
) -> Result<Opened, VaultError> {
    blocking(move || {
        let vault = open()?;
        moved_bundle::settle(&vault);
        Ok(Opened {
            cut_short: vault.abandoned(),
            marks: vault.high_water(),
            vault: Arc::new(vault),
        })
    })
    .await
}
