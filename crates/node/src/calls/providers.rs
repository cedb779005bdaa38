//! Providers: their models, what is configured, which project's files are trusted, and how files
//! are read that a host configures its own in.

use napi::bindgen_prelude::*;
use napi::{Env, Unknown};
use napi_derive::napi;
use provider_auth_broker::config;
use provider_auth_broker::global::{self, broker};

use super::in_wait;
use crate::arguments::{Options, Text, shown_files};
use crate::errors::to_js;
use crate::promises::{Promised, call, later};
use crate::results::{
    ClaimedProviders, ConfigReport, KeyCheck, LogFile, ModelList, ProjectTrust, ProviderSummary,
    list, plain_value,
};

/// `wait` is the number under which `endWait` ends this call's waiting.
#[napi(catch_unwind)]
pub fn discover_models<'env>(
    env: &'env Env,
    options: Unknown<'env>,
    wait: Option<f64>,
) -> Result<Promised<'env>> {
    let read = || Options::of("discoverModels", &options)?.models_request();
    call(env, read, move |request| async move {
        let work = async { broker()?.discover_models(&request).await };
        let models = in_wait(wait, work).await?;
        Ok(ModelList::from(models))
    })
}

/// `wait` is the number under which `endWait` ends this call's waiting.
#[napi(catch_unwind)]
pub fn check_api_key<'env>(
    env: &'env Env,
    options: Unknown<'env>,
    wait: Option<f64>,
) -> Result<Promised<'env>> {
    let read = || {
        let options = Options::of("checkApiKey", &options)?;
        Ok((options.needed_text("provider")?, options.secret("apiKey")?))
    };
    call(env, read, move |(provider, key)| async move {
        let work = async { broker()?.check_api_key(&provider, key).await };
        in_wait(wait, work).await.map(KeyCheck::from)
    })
}

#[napi(catch_unwind)]
pub fn configured_providers(env: &Env) -> Result<Promised<'_>> {
    later(env, async {
        Ok(list::<ProviderSummary, _>(broker()?.providers()))
    })
}

#[napi(catch_unwind)]
pub fn inspect_config(env: &Env) -> Result<Promised<'_>> {
    later(env, async {
        Ok(ConfigReport::from(global::inspect_config().await))
    })
}

#[napi(catch_unwind)]
pub fn log_files(env: &Env) -> Result<Promised<'_>> {
    later(env, async { Ok(list::<LogFile, _>(global::log_files()?)) })
}

/// What a text of JSON with comments and trailing commas holds, read as our config files are.
#[napi(catch_unwind)]
pub fn parse_jsonc<'env>(env: &'env Env, text: Text) -> Result<Unknown<'env>> {
    let parsed = text
        .needed("text")
        .and_then(|text| Ok(config::parse_jsonc(&text)?));
    match parsed {
        Ok(node) => plain_value(env, &node),
        Err(error) => Err(to_js(env, &error)),
    }
}

#[napi(catch_unwind)]
pub fn project_trust(env: &Env) -> Result<Promised<'_>> {
    later(env, async {
        broker()?.project_trust().await.map(ProjectTrust::from)
    })
}

#[napi(catch_unwind)]
pub fn trust_project<'env>(env: &'env Env, shown: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || shown_files(&shown);
    call(env, read, |shown| async move {
        broker()?.trust_project(shown).await.map(ProjectTrust::from)
    })
}

#[napi(catch_unwind)]
pub fn untrust_project(env: &Env) -> Result<Promised<'_>> {
    later(env, async {
        broker()?.untrust_project().await.map(ProjectTrust::from)
    })
}

/// Settles whatever is wrong with the configuration or the vault.
#[napi(catch_unwind)]
pub fn claimed_providers(env: &Env) -> Result<Promised<'_>> {
    later(env, async {
        Ok(ClaimedProviders::from(global::claims().await))
    })
}
