//! The vault and its key.

use napi::bindgen_prelude::*;
use napi::{Env, sys};
use napi_derive::napi;
use provider_auth_broker as broker;
use provider_auth_broker::{ExposeSecret as _, KeySource};

use super::list;

#[napi(object, object_from_js = false)]
pub struct VaultStatus {
    pub dir: String,
    pub key_source: &'static str,
    pub key_id: String,
    pub state: &'static str,
    pub accounts: u32,
    pub slots: Vec<KeySlot>,
    pub quarantined: u32,
    pub quarantine: Vec<QuarantinedRecord>,
}

impl From<broker::VaultStatus> for VaultStatus {
    fn from(status: broker::VaultStatus) -> Self {
        Self {
            dir: status.dir,
            key_source: status.key_source,
            key_id: status.key_id,
            state: status.state,
            accounts: status.accounts as u32,
            slots: list(status.slots),
            quarantined: status.quarantined as u32,
            quarantine: list(status.quarantine),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct KeySlot {
    pub id: String,
    pub key_source: Option<&'static str>,
}

impl From<broker::KeySlot> for KeySlot {
    fn from(slot: broker::KeySlot) -> Self {
        Self {
            id: slot.id,
            key_source: slot.key_source.map(KeySource::name),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct QuarantinedRecord {
    pub account_id: String,
    pub generation: f64,
    pub at: f64,
}

impl From<broker::Quarantined> for QuarantinedRecord {
    fn from(record: broker::Quarantined) -> Self {
        Self {
            account_id: record.id.to_string(),
            generation: record.generation as f64,
            at: record.at as f64,
        }
    }
}

/// The vault's key, in base64.
pub(crate) struct ExportedKey(pub(crate) broker::SecretString);

impl ToNapiValue for ExportedKey {
    #[expect(
        unsafe_code,
        reason = "napi's trait declares it so; nothing in it is unsafe"
    )]
    unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        let env = Env::from_raw(env);
        let key = env.create_string_latin1(value.0.expose_secret())?;
        Ok(key.raw())
    }
}
