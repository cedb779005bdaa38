//! Accounts and pools.

use napi_derive::napi;
use provider_auth_broker as broker;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{list, millis};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[napi(object, object_from_js = false)]
pub struct Account {
    pub id: String,
    pub provider: String,
    pub namespace: String,
    pub label: String,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    pub state: &'static str,
    pub enabled: bool,
    pub priority: f64,
    pub created_at: f64,
    pub updated_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<f64>,
    pub refreshable: bool,
    pub cooldowns: Vec<Cooldown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_status: Option<u16>,
    pub successes: f64,
    pub failures: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    pub quota: Vec<QuotaWindow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

impl From<broker::Account> for Account {
    fn from(account: broker::Account) -> Self {
        Self {
            id: account.id,
            provider: account.provider,
            namespace: account.namespace,
            label: account.label,
            kind: account.kind.as_str(),
            identity: account.identity.map(Identity::from),
            state: account.state,
            enabled: account.enabled,
            priority: account.priority as f64,
            created_at: millis(account.created_at),
            updated_at: millis(account.updated_at),
            expires_at: account.expires_at.map(millis),
            refreshable: account.refreshable,
            cooldowns: list(account.cooldowns),
            last_status: account.last_status,
            successes: account.successes as f64,
            failures: account.failures as f64,
            moved_at: account.moved_at.map(millis),
            method: account.method,
            quota: list(account.quota),
            metadata: Some(account.metadata).filter(|metadata| !metadata.is_empty()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[napi(object, object_from_js = false)]
pub struct Identity {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

impl From<broker::Identity> for Identity {
    fn from(identity: broker::Identity) -> Self {
        Self {
            issuer: identity.issuer,
            subject: identity.subject,
            organization: identity.organization,
            email: identity.email,
            plan: identity.plan,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[napi(object, object_from_js = false)]
pub struct Cooldown {
    pub scope: String,
    pub until: f64,
    pub reason: &'static str,
    pub source: &'static str,
}

impl From<(broker::Scope, broker::Block)> for Cooldown {
    fn from((scope, block): (broker::Scope, broker::Block)) -> Self {
        Self {
            scope: scope.to_string(),
            until: millis(block.until),
            reason: block.reason.as_str(),
            source: block.source.as_str(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[napi(object, object_from_js = false)]
pub struct QuotaWindow {
    pub window: String,
    pub used_percent: u16,
    pub reset_at: f64,
    pub observed_at: f64,
}

impl From<(String, broker::Usage)> for QuotaWindow {
    fn from((window, usage): (String, broker::Usage)) -> Self {
        Self {
            window,
            used_percent: usage.used_percent,
            reset_at: millis(usage.reset_at),
            observed_at: millis(usage.observed_at),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[napi(object, object_from_js = false)]
pub struct PoolStatus {
    pub provider: String,
    pub namespace: String,
    pub accounts: Vec<Account>,
    pub requests: f64,
    pub attempts: f64,
    pub rotations: f64,
    pub refreshes: f64,
    pub refresh_failures: f64,
    pub exhausted: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<f64>,
}

impl From<broker::PoolStatus> for PoolStatus {
    fn from(pool: broker::PoolStatus) -> Self {
        let figures = pool.figures;
        Self {
            provider: pool.provider,
            namespace: pool.namespace,
            accounts: list(pool.accounts),
            requests: figures.requests as f64,
            attempts: figures.attempts as f64,
            rotations: figures.rotations as f64,
            refreshes: figures.refreshes as f64,
            refresh_failures: figures.refresh_failures as f64,
            exhausted: figures.exhausted as f64,
            retry_at: pool.retry_at.map(millis),
        }
    }
}
