//! The header, and the vault that is made with its first one.

use provider_auth_vault::{VaultError, header_facts};
use uuid::Uuid;

use super::{error::vault_error, limits, process::Fleet};
use crate::{BackendError, Swapped};

impl Fleet {
    pub(super) fn write_header(&self, content: &[u8]) -> Result<(), VaultError> {
        let Some((vault, epoch)) = header_facts(content) else {
            return Err(VaultError::StoreRefused {
                why: "that is no header of a vault".into(),
            });
        };
        let version = self.header.lock().as_ref().map(|header| header.version);
        let Some(version) = version else {
            let options = &self.remote.keeper.options;
            let vault = Uuid::from_bytes(vault);
            let runtime = self.remote.runtime();
            let made = crate::create_vault(options, runtime, vault, epoch, content);
            return match made.map_err(vault_error)? {
                true => self.wait_for_vault(),
                false => Err(VaultError::Overtaken),
            };
        };
        let swapped = self.remote.swap_header(version, epoch, content);
        match swapped.map_err(vault_error)? {
            Swapped::Stored => self.fetch_header().map(drop),
            Swapped::Moved(there) => {
                *self.header.lock() = Some(there);
                Err(VaultError::Overtaken)
            }
        }
    }

    /// Waits until the connection finds the vault that was just made.
    fn wait_for_vault(&self) -> Result<(), VaultError> {
        let tries = limits::TRIES_FOR_A_NEW_VAULT;
        for _ in 0..tries {
            match self.remote.header() {
                Err(BackendError::Absent) => std::thread::park_timeout(limits::TRY_AGAIN),
                Err(error) => return Err(vault_error(error)),
                Ok(_) => return self.synchronize(),
            }
        }
        Err(vault_error(BackendError::Absent))
    }
}
