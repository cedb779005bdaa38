//! Providers, and their lists of models.

use napi_derive::napi;
use provider_auth_broker as broker;

use super::{list, millis};

#[napi(object, object_from_js = false)]
pub struct ModelList {
    pub models: Vec<Model>,
    pub fetched_at: f64,
    pub stale: bool,
}

impl From<broker::ModelList> for ModelList {
    fn from(models: broker::ModelList) -> Self {
        Self {
            models: list(models.models),
            fetched_at: millis(models.fetched_at),
            stale: models.stale,
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct Model {
    pub id: String,
    pub name: Option<String>,
    pub context_window: Option<f64>,
    pub owned_by: Option<String>,
}

impl From<broker::Model> for Model {
    fn from(model: broker::Model) -> Self {
        Self {
            id: model.id,
            name: model.name,
            context_window: model.context_window.map(|tokens| tokens as f64),
            owned_by: model.owned_by,
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct ProviderSummary {
    pub id: String,
    pub resource: Option<String>,
    pub origins: Vec<String>,
    pub methods: Vec<&'static str>,
    pub configured: bool,
    pub key_variables: Vec<&'static str>,
    pub registration: Option<ClientRegistration>,
    pub terms: Option<&'static str>,
}

#[napi(object, object_from_js = false)]
pub struct ClientRegistration {
    pub url: String,
    pub steps: Vec<String>,
    pub settings: Vec<Setting>,
}

#[napi(object, object_from_js = false)]
pub struct Setting {
    pub key: &'static str,
    pub value: &'static str,
}

impl From<(&'static str, &'static str)> for Setting {
    fn from((key, value): (&'static str, &'static str)) -> Self {
        Self { key, value }
    }
}

/// `KeyCheck`.
#[napi(object, object_from_js = false)]
pub struct KeyCheck {
    pub outcome: &'static str,
    pub status: Option<u32>,
    pub why: Option<String>,
}

impl From<broker::KeyCheck> for KeyCheck {
    fn from(check: broker::KeyCheck) -> Self {
        let (outcome, status, why) = match check {
            broker::KeyCheck::Accepted => ("accepted", None, None),
            broker::KeyCheck::Refused(status) => ("refused", Some(status.into()), None),
            broker::KeyCheck::Unclear(why) => ("unclear", None, Some(why)),
            _ => ("unclear", None, None),
        };
        Self {
            outcome,
            status,
            why,
        }
    }
}

impl From<broker::ProviderSummary> for ProviderSummary {
    fn from(provider: broker::ProviderSummary) -> Self {
        Self {
            id: provider.id,
            resource: provider.resource,
            origins: provider.origins,
            methods: provider.methods,
            configured: provider.configured,
            key_variables: provider.key_variables.to_vec(),
            registration: provider.registration.map(|it| ClientRegistration {
                url: it.url,
                steps: it.steps,
                settings: list(it.settings),
            }),
            terms: provider.terms,
        }
    }
}

/// Whose requests are ours, as far as that can be told.
#[napi(object, object_from_js = false)]
pub struct ClaimedProviders {
    pub with_accounts: Vec<String>,
    pub configured: Vec<String>,
    pub built_in: Vec<String>,
    pub may_lack: bool,
}

impl From<broker::Claims> for ClaimedProviders {
    fn from(claims: broker::Claims) -> Self {
        Self {
            with_accounts: list(claims.with_accounts),
            configured: list(claims.configured),
            built_in: list(claims.built_in),
            may_lack: claims.may_lack,
        }
    }
}
