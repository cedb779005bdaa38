//! Accounts that travel between machines, sealed under a passphrase.
//!
//! An API key is copied. A login is moved, because two machines that spend the same single-use
//! refresh token end it for both (RFC 9700 §4.14.2): here its tokens are erased once the bundle is
//! sealed, and what stays is an account that needs a login. An account keeps its id and counts on,
//! so that an import knows an older copy from a newer one.

mod content;
mod export;
mod import;
mod relocate;

pub use export::{Logins, PassphraseRule};
pub use import::{Imported, ImportedAccount, Outcome};
pub use relocate::Relocated;

use std::sync::Arc;

use provider_auth_policy::AccountId;

use crate::error::BrokerError;
use crate::host::blocking;
use crate::migrate::MigrationService;
use crate::store::Store;
use crate::store::moved_bundle;

/// Takes accounts from one machine to another.
pub(crate) struct TransferService {
    store: Arc<Store>,
    migration: Arc<MigrationService>,
}

impl TransferService {
    pub(crate) fn new(store: Arc<Store>, migration: Arc<MigrationService>) -> Arc<Self> {
        Arc::new(Self { store, migration })
    }

    /// The last bundle that took logins along, as it was returned, for who did not receive it;
    /// `None` once it is not needed.
    pub(crate) async fn moved_bundle(self: &Arc<Self>) -> Result<Option<Vec<u8>>, BrokerError> {
        let vault = self.store.opened_interactive().await?;
        let kept = blocking(move || {
            moved_bundle::settle(&vault);
            vault.moved()
        });
        let kept = kept.await?;
        Ok(
            kept.and_then(|kept| match moved_bundle::parse(kept.plaintext()) {
                // On its way to another vault, without a passphrase.
                (Some(label), _) if label.to.is_some() => None,
                (_, bundle) => Some(bundle.to_vec()),
            }),
        )
    }
}

/// Records that were written, with the generations that they have now.
type Written = Vec<(AccountId, u64)>;
