//! Renewing the token of one account for its user.

use std::sync::Arc;

use provider_auth_policy::Standing;

use super::AccountService;
use crate::error::BrokerError;
use crate::refresh::{Due, RefreshError};
use crate::store::Account;
use crate::store::secret::fingerprint;

/// Whether a token that is still good is renewed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Renew it all the same.
    EvenIfGood,
    /// Only when it is about to end.
    IfNeeded,
}

impl AccountService {
    /// Renews the token of one account for the user.
    pub(crate) async fn refresh_account(
        self: &Arc<Self>,
        id: &str,
        force: Force,
    ) -> Result<Account, BrokerError> {
        let vault = self.store.opened().await?;
        let entry = self.store.named_entry(id)?;
        let id = entry.view.id.as_str();
        if let Some(moved_at) = entry.credential.moved_at {
            return Err(BrokerError::moved(&entry.view, moved_at));
        }
        if !entry.view.refreshable {
            return Err(BrokerError::InvalidArgument(format!(
                "account {id} has nothing to refresh: it is an API key, a login without a refresh token, or one that another \
                 program made with a client of its own"
            )));
        }
        self.store.read_record(&vault, &entry.view.id).await?;
        let entry = self.store.entry(id)?;
        let due = match force {
            Force::EvenIfGood => Due::Asked {
                token: fingerprint(
                    entry
                        .bearer()
                        .ok_or_else(|| BrokerError::unknown_account(id))?,
                ),
            },
            Force::IfNeeded => Due::Stale,
        };
        let outcome = loop {
            let outcome = self.refresher.refresh(&entry.view.id, due, None).await;
            self.store.reread(&vault).await?;
            if outcome.is_err() || force == Force::IfNeeded {
                break outcome;
            }
            // An exchange that was begun for less may have found nothing to do.
            if self.store.entry(id)?.view.generation != entry.view.generation {
                break outcome;
            }
        };
        match outcome {
            Ok(()) => self.store.account(&entry.view.id),
            Err(RefreshError::NeedsLogin) => Err(BrokerError::NeedsLogin {
                provider: entry.credential.provider.clone(),
                account: Some(entry.view.id.clone()),
                standing: Standing::NeedsLogin,
                moved_at: None,
            }),
            Err(RefreshError::Failed(error)) => Err(error),
        }
    }
}
