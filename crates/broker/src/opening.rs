//! Opening the vault: one attempt at a time, whose outcome others share, and what is looked at before it is used.

use std::sync::Arc;

use parking_lot::Mutex;
use provider_auth_vault::{HighWater, RecordId, Vault, VaultError};

use crate::broker::blocking;
use crate::error::BrokerError;
use crate::moved;

/// The attempts to open the vault, one at a time.
#[derive(Default)]
pub(crate) struct Opening {
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// How many have failed, and why the last one did.
    failed: Mutex<(u64, Option<Arc<BrokerError>>)>,
}

impl Opening {
    pub(crate) fn failures(&self) -> u64 {
        self.failed.lock().0
    }

    /// Why the last attempt failed, if one did since there were `before` failures.
    pub(crate) fn refusal_since(&self, before: u64) -> Option<Arc<BrokerError>> {
        let failed = self.failed.lock();
        failed.1.clone().filter(|_| failed.0 > before)
    }

    pub(crate) fn refused(&self, error: BrokerError) -> Arc<BrokerError> {
        let error = Arc::new(error);
        let mut failed = self.failed.lock();
        *failed = (failed.0 + 1, Some(error.clone()));
        error
    }
}

/// A vault that was just opened, and what is to be known of it before it is used.
pub(crate) struct Opened {
    pub(crate) vault: Arc<Vault>,
    /// Refreshes that were cut short.
    pub(crate) cut_short: Vec<RecordId>,
    pub(crate) marks: HighWater,
}

/// Opens a vault and looks it through.
pub(crate) async fn looked_through(
    open: impl FnOnce() -> Result<Vault, VaultError> + Send + 'static,
) -> Result<Opened, VaultError> {
    blocking(move || {
        let vault = open()?;
        moved::settle(&vault);
        Ok(Opened {
            cut_short: vault.abandoned(),
            marks: vault.high_water(),
            vault: Arc::new(vault),
        })
    })
    .await
}
