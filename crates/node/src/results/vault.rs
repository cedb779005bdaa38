//! The vault and its key.

use napi::bindgen_prelude::*;
use napi::{Env, sys};
use napi_derive::napi;
use provider_auth_broker as broker;
use provider_auth_broker::{ExposeSecret as _, KeySource, StoreState};

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
    pub store: Option<StoreStatus>,
    pub moved_to: Option<MovedTo>,
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
            store: status.store.map(StoreStatus::from),
            moved_to: status.moved_to.map(MovedTo::from),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct StoreStatus {
    pub kind: &'static str,
    #[napi(js_name = "where")]
    pub place: String,
    pub state: &'static str,
    pub since: f64,
    pub direct: Option<bool>,
    pub schema: u32,
    pub hosts: Option<u32>,
    pub outbox: u32,
    pub clock_offset: f64,
}

impl From<broker::StoreStatus> for StoreStatus {
    fn from(status: broker::StoreStatus) -> Self {
        Self {
            kind: status.kind,
            place: status.place,
            state: match status.state {
                StoreState::Listening => "listening",
                StoreState::Polling => "polling",
                StoreState::Offline => "offline",
            },
            since: status.since as f64,
            direct: status.direct,
            schema: status.schema,
            hosts: status.hosts,
            outbox: status.outbox,
            clock_offset: status.clock_offset as f64,
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct MovedTo {
    #[napi(js_name = "where")]
    pub place: String,
    pub under_way: bool,
}

impl From<broker::MovedTo> for MovedTo {
    fn from(moved: broker::MovedTo) -> Self {
        Self {
            place: moved.place,
            under_way: moved.is_under_way,
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
