//! Hosts that share the vault, and what came of revoking one.

use napi_derive::napi;
use provider_auth_broker as broker;
use provider_auth_broker::ToReplace;

use super::list;

#[napi(object, object_from_js = false)]
pub struct FleetHost {
    pub id: String,
    pub name: String,
    pub added_at: f64,
    pub revoked: Option<bool>,
}

impl From<broker::FleetHost> for FleetHost {
    fn from(host: broker::FleetHost) -> Self {
        Self {
            id: host.id,
            name: host.name,
            added_at: host.added as f64,
            revoked: host.revoked.then_some(true),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct HostRevocation {
    pub host: FleetHost,
    pub accounts: Vec<ExposedAccount>,
    pub sql: Option<String>,
}

impl From<broker::HostRevocation> for HostRevocation {
    fn from(revoked: broker::HostRevocation) -> Self {
        Self {
            host: revoked.host.into(),
            accounts: list(revoked.accounts),
            sql: revoked.sql,
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct ExposedAccount {
    pub account_id: String,
    pub provider: String,
    pub namespace: String,
    pub label: String,
    pub refreshed: bool,
    pub replace: Vec<&'static str>,
    pub code: Option<&'static str>,
    pub message: Option<String>,
}

impl From<broker::ExposedAccount> for ExposedAccount {
    fn from(account: broker::ExposedAccount) -> Self {
        Self {
            account_id: account.id,
            provider: account.provider,
            namespace: account.namespace,
            label: account.label,
            refreshed: account.refreshed,
            replace: account.replace.into_iter().map(ToReplace::as_str).collect(),
            code: account.error.as_ref().map(broker::BrokerError::code),
            message: account.error.map(|error| error.to_string()),
        }
    }
}
