//! What is in a bundle, as text and as accounts. Fields and kinds of a later version are left
//! alone.

use provider_auth_policy::{AccountId, Timestamp};
use provider_auth_vault::{VaultError, open_bundle};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::BrokerError;
use crate::store::HeaderSet;
use crate::store::accounts::{checked_name, record_id};
use crate::store::credential::Credential;
use crate::store::secret::Secret;

const FORMAT: &str = "provider-auth bundle";
const VERSION: u32 = 1;

/// The content of a bundle.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bundle {
    format: String,
    version: u32,
    exported_at: Timestamp,
    pub(super) accounts: Vec<Packed>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Packed {
    Account(Box<Item>),
    /// Of a kind that a later version knows.
    Unknown(#[serde(skip_serializing)] IgnoredAny),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) generation: u64,
    pub(super) account: Credential,
}

impl Bundle {
    /// The content for these accounts.
    pub(super) fn of(items: impl Iterator<Item = Item>, exported_at: Timestamp) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            exported_at,
            accounts: items.map(Box::new).map(Packed::Account).collect(),
        }
    }

    pub(super) fn plaintext(&self) -> Zeroizing<Vec<u8>> {
        // Sized ahead, as in `Credential::plaintext`.
        let size = 16 * 1024 * (self.accounts.len() + 1);
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        serde_json::to_writer(&mut *bytes, self).expect("a bundle has only string keys");
        bytes
    }

    /// Opens a bundle that was sealed under a passphrase.
    pub(super) fn open(passphrase: &SecretString, bundle: &[u8]) -> Result<Self, BrokerError> {
        Self::read(open_bundle(passphrase, bundle)?.expose_secret())
    }

    /// Reads what [`Bundle::plaintext`] returned.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BrokerError> {
        #[derive(Deserialize)]
        struct Kind {
            format: String,
            version: u32,
        }
        let kind: Kind = serde_json::from_slice(bytes).map_err(|_| unusable(NOT_OURS))?;
        if kind.format != FORMAT {
            return Err(unusable(NOT_OURS));
        }
        if kind.version != VERSION {
            return Err(unusable("it was made by a newer version"));
        }
        serde_json::from_slice(bytes).map_err(|_| unusable(NOT_OURS))
    }
}

const NOT_OURS: &str = "it holds something else than accounts";

pub(super) fn unusable(why: &'static str) -> BrokerError {
    VaultError::BundleUnusable { why }.into()
}

impl Item {
    /// Refuses what no call of ours could have stored.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let Credential {
            provider,
            namespace,
            label,
            ..
        } = &self.account;
        let is_name = |name: &String| checked_name("", Some(name.clone())).is_ok();
        if self.generation == 0 || record_id(&AccountId::from(self.id.as_str())).is_err() {
            return Err("invalid record id or generation");
        }
        if ![provider, namespace, label].into_iter().all(is_name) {
            return Err("its provider, namespace or label is no name");
        }
        match &self.account.secret {
            // A login that another program had obtained and not used yet: its first request brings
            // the access token.
            Secret::Oauth {
                access,
                refresh: Some(_),
                ..
            } if access.expose_secret().is_empty() => Ok(()),
            _ => HeaderSet::check_key(self.account.bearer())
                .map_err(|_| "its secret cannot be sent in a header"),
        }
    }
}
