//! What a store's errors are to a vault.

use provider_auth_vault::VaultError;

use crate::BackendError;

/// What a store's error is to a vault.
pub fn vault_error(error: BackendError) -> VaultError {
    match error {
        BackendError::Unavailable { retry_at } => VaultError::StoreUnavailable { retry_at },
        BackendError::Refused { why } => VaultError::StoreRefused { why },
        BackendError::Schema { found, wanted } => VaultError::StoreSchema { found, wanted },
        BackendError::Absent => VaultError::StoreRefused {
            why: "it has no vault of this name, or does not show it to this role: make it with `provider-auth store init`".into(),
        },
    }
}
