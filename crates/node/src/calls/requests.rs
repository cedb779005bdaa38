//! The fetch path: headers, reports, and what JavaScript has to know of a provider's requests.

use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::{Env, Unknown};
use napi_derive::napi;
use provider_auth_broker::config::RequestRotation;
use provider_auth_broker::{
    AuthRequest, OBSERVED_HEADERS, SESSION_HEADERS,
    global::{self, broker},
};

use super::in_wait;
use crate::arguments::{Options, Text, known, served_report};
use crate::errors::to_js;
use crate::promises::{Promised, call};
use crate::results::{
    AtHand, AtHandAgain, AuthHeaders, BoundItems, Credential, HeaderRules, Lent, StreamShape,
    Trace, Verdict, list,
};

/// What requests set of the rotation of their pool, as JavaScript holds it.
type Rotation = External<Arc<RequestRotation>>;

#[napi(catch_unwind)]
pub fn configure(env: &Env, options: Unknown<'_>) -> Result<()> {
    Options::inline(&options)
        .and_then(global::configure)
        .map_err(|error| to_js(env, &error))
}

/// `getAuthHeaders` of what is at hand: the attempt, beside another URL and a number for
/// `authHeadersAgain` if there are such, or nothing when something must be waited for.
///
/// The fields come one by one, and the headers once per version, with which the attempt ends:
/// JavaScript takes objects apart and puts them together faster than Node-API does, and this is the
/// path of every request.
#[napi(catch_unwind)]
pub fn auth_headers_now(
    env: &Env,
    provider: Text,
    namespace: Text,
    url: Text,
    model: Text,
    session: Text,
    account: Text,
    bound_by: Text,
    cache_ttl: Text,
    rotation: Option<&Rotation>,
) -> Result<Option<AtHand>> {
    let Some(broker) = global::current() else {
        return Ok(None);
    };
    let read = || {
        Ok(AuthRequest {
            provider: provider.needed("provider")?,
            namespace: namespace.optional("namespace")?,
            url: Some(url.needed("url")?),
            model: model.optional("model")?,
            session: session.optional("session")?,
            cache_ttl: cache_ttl.optional("cacheTtl")?,
            account: account.optional("account")?,
            bound_by: bound_by.optional("boundBy")?,
            rotation: rotation.map(|rotation| (**rotation).clone()),
            ..AuthRequest::default()
        })
    };
    let lease = read().and_then(|request| {
        broker
            .headers_now(&request, global::runtime().handle())
            .transpose()
    });
    match lease {
        Ok(lease) => Ok(lease.map(AtHand)),
        Err(error) => Err(to_js(env, &error)),
    }
}

/// `getAuthHeaders` of what is at hand for a request that was asked for before: the attempt, beside
/// another URL if there is one, or nothing when the request must be put in full.
#[napi(catch_unwind)]
pub fn auth_headers_again(again: f64) -> Option<AtHandAgain> {
    global::current()?
        .headers_again(again as u64, global::runtime().handle())
        .map(AtHandAgain)
}

/// `[version, accountId, headers, strip]` of the account of an attempt; nothing when it is gone.
#[napi(catch_unwind)]
pub fn lent_headers(attempt: String) -> Option<Lent> {
    global::current()?.lent(&attempt).map(Lent)
}

/// What in a provider's requests only the account that made it can serve; nothing for a provider
/// that is not known, which the call for headers says.
#[napi(catch_unwind)]
pub fn bound_items(provider: Text) -> Option<BoundItems> {
    let provider = provider.needed("provider").ok()?;
    let items = broker().ok()?.bound_items(&provider).ok()?;
    Some(items.into())
}

/// How a provider's event streams look; nothing for a provider that is not known.
#[napi(catch_unwind)]
pub fn stream_shapes(provider: Text) -> Option<Vec<StreamShape>> {
    let provider = provider.needed("provider").ok()?;
    let shapes = broker().ok()?.stream_shapes(&provider).ok()?;
    Some(list(shapes))
}

/// How a provider's headers go together with a caller's; nothing for a provider that is not known.
#[napi(catch_unwind)]
pub fn header_rules(provider: Text) -> Option<HeaderRules> {
    let provider = provider.needed("provider").ok()?;
    let rules = broker().ok()?.header_rules(&provider).ok()?;
    Some(rules.into())
}

#[napi(catch_unwind)]
pub fn explain<'env>(env: &'env Env, request: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || Options::of("explain", &request)?.request_anywhere();
    call(env, read, |request| async move {
        broker()?.explain(&request).await.map(Trace::from)
    })
}

/// `wait` is the number under which `endWait` ends this call's waiting; `rotation` stands for the
/// option of that name.
#[napi(catch_unwind)]
pub fn get_auth_headers<'env>(
    env: &'env Env,
    request: Unknown<'env>,
    wait: Option<f64>,
    rotation: Option<&Rotation>,
) -> Result<Promised<'env>> {
    let read = || {
        let mut request = Options::of("getAuthHeaders", &request)?.auth_request()?;
        if let Some(rotation) = rotation {
            request.rotation = Some((**rotation).clone());
        }
        Ok(request)
    };
    call(env, read, move |request| async move {
        let work = async { broker()?.headers(&request).await };
        in_wait(wait, work).await.map(AuthHeaders::from)
    })
}

/// `wait` is the number under which `endWait` ends this call's waiting.
#[napi(catch_unwind)]
pub fn get_credential<'env>(
    env: &'env Env,
    request: Unknown<'env>,
    wait: Option<f64>,
) -> Result<Promised<'env>> {
    let read = || Options::of("getCredential", &request)?.request_anywhere();
    call(env, read, move |request| async move {
        let work = async { broker()?.headers(&request).await };
        in_wait(wait, work).await.map(Credential::from)
    })
}

/// What the option `rotation` says, read once for many requests; nothing where it is not there.
#[napi(catch_unwind)]
pub fn request_rotation(env: &Env, options: Unknown<'_>) -> Result<Option<Rotation>> {
    match Options::new(&options, "options").and_then(|options| options.rotation()) {
        Ok(rotation) => Ok(rotation.map(External::new)),
        Err(error) => Err(to_js(env, &error)),
    }
}

#[napi(catch_unwind)]
pub fn begin_wait() -> f64 {
    global::waits().begin() as f64
}

#[napi(catch_unwind)]
pub fn end_wait(wait: f64) {
    global::waits().end(wait as u64);
}

/// `reportResponse` of a 2xx: true when it is taken, and the verdict is to deliver; false when
/// `reportResponse` must judge. `headers` are lines: name and value of each in turn.
#[napi(catch_unwind)]
pub fn report_served<'env>(
    env: &'env Env,
    attempt: Text,
    status: Unknown<'env>,
    headers: Text,
) -> Result<bool> {
    let Some(broker) = global::current() else {
        return Ok(false);
    };
    let taken = served_report(attempt, &status, headers).and_then(|report| {
        broker
            .report_now(&report, global::runtime().handle())
            .transpose()
    });
    match taken {
        Ok(verdict) => Ok(verdict.is_some()),
        Err(error) => Err(to_js(env, &error)),
    }
}

#[napi(catch_unwind)]
pub fn report_response<'env>(env: &'env Env, report: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || Options::of("reportResponse", &report)?.report();
    call(env, read, |report| async move {
        broker()?.report(&report).await.map(Verdict::from)
    })
}

#[napi(catch_unwind)]
pub fn observed_headers() -> Vec<&'static str> {
    OBSERVED_HEADERS.to_vec()
}

#[napi(catch_unwind)]
pub fn session_headers() -> Vec<&'static str> {
    SESSION_HEADERS.to_vec()
}

/// Refuses an option that the call does not know; leaves other values than objects to the call.
#[napi(catch_unwind)]
pub fn check_options(env: &Env, call: String, options: Unknown<'_>) -> Result<()> {
    if !matches!(options.get_type(), Ok(ValueType::Object)) {
        return Ok(());
    }
    match Options::of(&call, &options) {
        Ok(_) => Ok(()),
        Err(error) => Err(to_js(env, &error)),
    }
}

/// The options of a call.
#[napi(catch_unwind)]
pub fn option_names(call: String) -> Vec<&'static str> {
    known(&call).to_vec()
}
