//! The exports, in the order of `index.d.ts`. Each reads its arguments, calls the broker, hands back a promise.

use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::threadsafe_function::{ThreadsafeFunctionCallMode, UnknownReturnValue};
use napi::{Env, Unknown};
use napi_derive::napi;
use provider_auth_broker::{
    AuthRequest, Broker, BrokerError, Event, ExistingKey, Force, Logins, OBSERVED_HEADERS,
    PassphraseRule, Revoke, SecretString, global,
};
use serde_json::Value;

use crate::arguments::{Options, Text, bytes, served_report, shown_files, text};
use crate::errors::to_js;
use crate::options::known;
use crate::promises::{Promised, later, settled};
use crate::values::{self, AtHand, AuthHeaders, ExportedKey, JsVerdict, Lent};

/// Reads arguments, or rejects: a call that returns a promise never throws.
macro_rules! read {
    ($env:expr, $arguments:expr) => {
        match $arguments {
            Ok(arguments) => arguments,
            Err(error) => return settled::<()>($env, Err(error)),
        }
    };
}

#[napi(catch_unwind)]
pub fn configure(env: &Env, options: Unknown<'_>) -> Result<()> {
    Options::inline(&options)
        .and_then(global::configure)
        .map_err(|error| to_js(env, &error))
}

/// `getAuthHeaders` of what is at hand: the attempt, beside another URL if there is one, or nothing when something must
/// be waited for.
///
/// The fields come one by one, and the headers once per version, with which the attempt ends: JavaScript takes objects
/// apart and puts them together faster than Node-API does, and this is the path of every request.
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
) -> Result<Option<AtHand>> {
    let Some(broker) = global::current() else {
        return Ok(None);
    };
    let read = || {
        Ok(AuthRequest {
            provider: provider.needed("provider")?,
            namespace: namespace.optional("namespace")?,
            url: url.needed("url")?,
            model: model.optional("model")?,
            session: session.optional("session")?,
            cache_ttl: cache_ttl.optional("cacheTtl")?,
            account: account.optional("account")?,
            bound_by: bound_by.optional("boundBy")?,
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

/// `[version, accountId, headers, strip]` of the account of an attempt; nothing when it is gone.
#[napi(catch_unwind)]
pub fn lent_headers(attempt: String) -> Option<Lent> {
    global::current()?.lent(&attempt).map(Lent)
}

/// What in a provider's requests only the account that made it can serve; nothing for a provider that is not known, which
/// the call for headers says.
#[napi(catch_unwind)]
pub fn bound_items(provider: Text) -> Option<Value> {
    let provider = provider.needed("provider").ok()?;
    let items = broker().ok()?.bound_items(&provider).ok()?;
    Some(values::bound_items(items))
}

/// How a provider's event streams look; nothing for a provider that is not known.
#[napi(catch_unwind)]
pub fn stream_shapes(provider: Text) -> Option<Value> {
    let provider = provider.needed("provider").ok()?;
    let shapes = broker().ok()?.stream_shapes(&provider).ok()?;
    Some(values::stream_shapes(shapes))
}

#[napi(catch_unwind)]
pub fn explain<'env>(env: &'env Env, request: Unknown<'env>) -> Result<Promised<'env>> {
    let options = read!(env, Options::of("explain", &request));
    let request = read!(env, options.auth_request());
    later(env, async move {
        broker()?
            .explain(&request)
            .await
            .map(|explained| values::explained(&explained))
    })
}

/// `wait` is the number under which `endWait` ends this call's waiting.
#[napi(catch_unwind)]
pub fn get_auth_headers<'env>(
    env: &'env Env,
    request: Unknown<'env>,
    wait: Option<f64>,
) -> Result<Promised<'env>> {
    let options = read!(env, Options::of("getAuthHeaders", &request));
    let request = read!(env, options.auth_request());
    let wait = wait.map(|wait| wait as u64);
    later(env, async move {
        let work = async { broker()?.headers(&request).await };
        global::waits().run(wait, work).await.map(AuthHeaders)
    })
}

#[napi(catch_unwind)]
pub fn end_wait(wait: f64) {
    global::waits().end(wait as u64);
}

#[napi(catch_unwind)]
pub fn begin_wait() -> f64 {
    global::waits().begin() as f64
}

/// `reportResponse` of a 2xx: true when it is taken, and the verdict is to deliver; false when `reportResponse` must judge.
/// `headers` are lines: name and value of each in turn.
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
    let report = read!(
        env,
        Options::of("reportResponse", &report).and_then(|report| report.report())
    );
    later(env, async move {
        broker()?.report(&report).await.map(JsVerdict)
    })
}

#[napi(catch_unwind)]
pub fn observed_headers() -> Vec<&'static str> {
    OBSERVED_HEADERS.to_vec()
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

#[napi(catch_unwind)]
pub fn start_login<'env>(
    env: &'env Env,
    options: Unknown<'env>,
    wait: Option<f64>,
) -> Result<Promised<'env>> {
    let options = read!(
        env,
        Options::of("startLogin", &options).and_then(|options| options.login())
    );
    let wait = wait.map(|wait| wait as u64);
    later(env, async move {
        let work = async { broker()?.start_login(options).await };
        match global::waits().run(wait, work).await {
            Err(BrokerError::Aborted) => Err(BrokerError::LoginCancelled),
            begun => begun.map(|prompt| values::prompt(&prompt)),
        }
    })
}

#[napi(catch_unwind)]
pub fn finish_login<'env>(
    env: &'env Env,
    login: f64,
    code: Unknown<'env>,
) -> Result<Promised<'env>> {
    let code = match code.get_type()? {
        ValueType::Undefined | ValueType::Null => None,
        _ => Some(read!(env, text(&code, "code"))),
    };
    later(env, async move {
        broker()?
            .finish_login(login as u64, code)
            .await
            .map(|account| values::account(&account))
    })
}

#[napi(catch_unwind)]
pub fn cancel_login(login: f64) {
    if let Some(broker) = global::current() {
        broker.cancel_login(login as u64);
    }
}

#[napi(catch_unwind)]
pub fn open_browser(url: String) -> bool {
    global::open_browser(&url).is_ok()
}

#[napi(catch_unwind)]
pub fn list_accounts<'env>(env: &'env Env, filter: Unknown<'env>) -> Result<Promised<'env>> {
    let filter = read!(
        env,
        Options::of("listAccounts", &filter).and_then(|filter| filter.filter())
    );
    later(env, async move {
        let accounts = broker()?.list_accounts(&filter).await?;
        Ok(accounts.iter().map(values::account).collect::<Value>())
    })
}

#[napi(catch_unwind)]
pub fn add_api_key<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let options = read!(env, Options::of("addApiKey", &options));
    let provider = read!(env, options.needed_text("provider"));
    let key: SecretString = read!(env, options.secret("apiKey"));
    let namespace = read!(env, options.text("namespace"));
    let label = read!(env, options.text("label"));
    let priority = read!(env, options.priority());
    later(env, async move {
        let account = broker()?
            .add_api_key(&provider, key, namespace, label, priority)
            .await?;
        Ok(values::account(&account))
    })
}

#[napi(catch_unwind)]
pub fn update_account<'env>(
    env: &'env Env,
    id: Unknown<'env>,
    changes: Unknown<'env>,
) -> Result<Promised<'env>> {
    let id = read!(env, text(&id, "id"));
    let changes = read!(
        env,
        Options::of("updateAccount", &changes).and_then(|changes| changes.changes())
    );
    later(env, async move {
        broker()?
            .update_account(&id, changes)
            .await
            .map(|account| values::account(&account))
    })
}

#[napi(catch_unwind)]
pub fn remove_account<'env>(
    env: &'env Env,
    id: Unknown<'env>,
    options: Unknown<'env>,
) -> Result<Promised<'env>> {
    let id = read!(env, text(&id, "id"));
    let revoke = match read!(
        env,
        Options::of("removeAccount", &options).and_then(|options| options.flag("revoke"))
    ) {
        Some(true) => Revoke::AtProvider,
        _ => Revoke::Locally,
    };
    later(
        env,
        async move { broker()?.remove_account(&id, revoke).await },
    )
}

#[napi(catch_unwind)]
pub fn refresh_account<'env>(
    env: &'env Env,
    id: Unknown<'env>,
    options: Unknown<'env>,
) -> Result<Promised<'env>> {
    let id = read!(env, text(&id, "id"));
    let force = match read!(
        env,
        Options::of("refreshAccount", &options).and_then(|options| options.flag("force"))
    ) {
        Some(true) => Force::EvenIfGood,
        _ => Force::IfNeeded,
    };
    later(env, async move {
        broker()?
            .refresh_account(&id, force)
            .await
            .map(|account| values::account(&account))
    })
}

#[napi(catch_unwind)]
pub fn clear_cooldowns<'env>(env: &'env Env, filter: Unknown<'env>) -> Result<Promised<'env>> {
    let filter = read!(
        env,
        Options::of("clearCooldowns", &filter).and_then(|filter| filter.filter())
    );
    later(env, async move {
        broker()?
            .clear_cooldowns(&filter)
            .await
            .map(|count| count as f64)
    })
}

#[napi(catch_unwind)]
pub fn pool_status<'env>(env: &'env Env, filter: Unknown<'env>) -> Result<Promised<'env>> {
    let filter = read!(
        env,
        Options::of("poolStatus", &filter).and_then(|filter| filter.filter())
    );
    later(env, async move {
        let pools = broker()?.pool_status(&filter).await?;
        Ok(pools.iter().map(values::pool).collect::<Value>())
    })
}

/// Tells `listener` of each decision, without keeping the process alive. Returns a number for `unsubscribe`.
#[napi(catch_unwind)]
pub fn subscribe(listener: Function<'_, Value, UnknownReturnValue>) -> Result<f64> {
    let listener = listener
        .build_threadsafe_function::<Value>()
        .weak::<true>()
        .build()?;
    let listener = Arc::new(listener);
    let number = global::events().subscribe(Arc::new(move |event: &Event| {
        listener.call(
            values::event(event),
            ThreadsafeFunctionCallMode::NonBlocking,
        );
    }));
    Ok(number as f64)
}

#[napi(catch_unwind)]
pub fn unsubscribe(listener: f64) {
    global::events().unsubscribe(listener as u64);
}

#[napi(catch_unwind)]
pub fn vault_status(env: &Env) -> Result<Promised<'_>> {
    later(env, async move {
        broker()?
            .vault_status()
            .await
            .map(|status| values::vault(&status))
    })
}

#[napi(catch_unwind)]
pub fn init_vault_key<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let options = read!(env, Options::of("initVaultKey", &options));
    let key_source = read!(env, options.key_source());
    let existing = match read!(env, options.flag("force")) {
        Some(true) => ExistingKey::Replace,
        _ => ExistingKey::Refuse,
    };
    later(env, async move {
        let status = broker()?.init_key(key_source, existing).await?;
        Ok(values::vault(&status))
    })
}

#[napi(catch_unwind)]
pub fn export_vault_key(env: &Env) -> Result<Promised<'_>> {
    later(
        env,
        async move { broker()?.export_key().await.map(ExportedKey) },
    )
}

#[napi(catch_unwind)]
pub fn import_vault_key<'env>(
    env: &'env Env,
    key: Unknown<'env>,
    options: Unknown<'env>,
) -> Result<Promised<'env>> {
    let key = SecretString::from(read!(env, text(&key, "key")));
    let options = read!(env, Options::of("importVaultKey", &options));
    let key_source = read!(env, options.key_source());
    later(env, async move {
        let status = broker()?.import_key(key, key_source).await?;
        Ok(values::vault(&status))
    })
}

#[napi(catch_unwind)]
pub fn rotate_vault_key<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let given = read!(
        env,
        Options::of("rotateVaultKey", &options).and_then(|options| options.key_secrets())
    );
    later(env, async move {
        let status = broker()?.rotate_key(given).await?;
        Ok(values::vault(&status))
    })
}

#[napi(catch_unwind)]
pub fn add_vault_slot<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let options = read!(env, Options::of("addVaultSlot", &options));
    let key_source = read!(env, options.needed_key_source());
    let given = read!(env, options.key_secrets());
    later(env, async move {
        let slot = broker()?.add_slot(key_source, given).await?;
        Ok(values::slot(&slot))
    })
}

#[napi(catch_unwind)]
pub fn remove_vault_slot<'env>(env: &'env Env, id: Unknown<'env>) -> Result<Promised<'env>> {
    let id = read!(env, text(&id, "id"));
    later(env, async move { broker()?.remove_slot(id).await })
}

#[napi(catch_unwind)]
pub fn export_vault<'env>(
    env: &'env Env,
    passphrase: Unknown<'env>,
    options: Unknown<'env>,
) -> Result<Promised<'env>> {
    let passphrase = SecretString::from(read!(env, text(&passphrase, "passphrase")));
    let options = read!(env, Options::of("exportVault", &options));
    let logins = match read!(env, options.flag("includeOAuth")) {
        Some(true) => Logins::Move,
        _ => Logins::Stay,
    };
    let rule = match read!(env, options.flag("allowWeakPassphrase")) {
        Some(true) => PassphraseRule::Any,
        _ => PassphraseRule::HardToGuess,
    };
    later(env, async move {
        let bundle = broker()?.export_vault(passphrase, rule, logins).await?;
        Ok(Uint8Array::from(bundle))
    })
}

#[napi(catch_unwind)]
pub fn moved_bundle(env: &Env) -> Result<Promised<'_>> {
    later(env, async move {
        let bundle = broker()?.moved_bundle().await?;
        Ok(match bundle {
            Some(bundle) => Either::A(Uint8Array::from(bundle)),
            None => Either::B(()),
        })
    })
}

#[napi(catch_unwind)]
pub fn import_vault<'env>(
    env: &'env Env,
    bundle: Unknown<'env>,
    passphrase: Unknown<'env>,
) -> Result<Promised<'env>> {
    let bundle = read!(env, bytes(bundle, "bundle"));
    let passphrase = SecretString::from(read!(env, text(&passphrase, "passphrase")));
    later(env, async move {
        let imported = broker()?.import_vault(bundle, passphrase).await?;
        Ok(values::imported(&imported))
    })
}

#[napi(catch_unwind)]
pub fn migrate<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let options = read!(
        env,
        Options::of("migrate", &options).and_then(|options| options.migration())
    );
    later(env, async move {
        let report = broker()?.migrate(options).await?;
        Ok(values::migration(&report))
    })
}

/// `wait` is the number under which `endWait` ends this call's waiting.
#[napi(catch_unwind)]
pub fn discover_models<'env>(
    env: &'env Env,
    options: Unknown<'env>,
    wait: Option<f64>,
) -> Result<Promised<'env>> {
    let options = read!(env, Options::of("discoverModels", &options));
    let request = read!(env, options.models_request());
    let wait = wait.map(|wait| wait as u64);
    later(env, async move {
        let work = async { broker()?.discover_models(&request).await };
        let list = global::waits().run(wait, work).await?;
        Ok(values::model_list(&list))
    })
}

#[napi(catch_unwind)]
pub fn configured_providers(env: &Env) -> Result<Promised<'_>> {
    later(env, async move {
        Ok(broker()?
            .providers()
            .iter()
            .map(values::provider)
            .collect::<Value>())
    })
}

#[napi(catch_unwind)]
pub fn project_trust(env: &Env) -> Result<Promised<'_>> {
    later(env, async move {
        let project = broker()?.project_trust().await?;
        Ok(values::project_trust(&project))
    })
}

#[napi(catch_unwind)]
pub fn trust_project<'env>(env: &'env Env, shown: Unknown<'env>) -> Result<Promised<'env>> {
    let shown = read!(env, shown_files(&shown));
    later(env, async move {
        let project = broker()?.trust_project(shown).await?;
        Ok(values::project_trust(&project))
    })
}

#[napi(catch_unwind)]
pub fn untrust_project(env: &Env) -> Result<Promised<'_>> {
    later(env, async move {
        let project = broker()?.untrust_project().await?;
        Ok(values::project_trust(&project))
    })
}

/// `ClaimedProviders` of `npm/src/native.ts`. Settles whatever is wrong with the configuration or the vault.
#[napi(catch_unwind)]
pub fn claimed_providers(env: &Env) -> Result<Promised<'_>> {
    later(
        env,
        async move { Ok(values::claims(&global::claims().await)) },
    )
}

fn broker() -> std::result::Result<Arc<Broker>, BrokerError> {
    global::broker()
}
