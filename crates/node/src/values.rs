//! What goes back to JavaScript, under the names of `index.d.ts`.

use napi::bindgen_prelude::*;
use napi::{Env, sys};
use provider_auth_broker as broker;
use provider_auth_broker::config::TrustState;
use provider_auth_broker::{
    Action, Chance, ExposeSecret as _, Lease, Outcome, Selection, Timestamp, Verdict,
};
use serde_json::Value;

/// Gives a type that knows how it looks in JavaScript its way there.
macro_rules! crosses {
    ($($type:ty),+) => {$(
        impl ToNapiValue for $type {
            #[expect(
                unsafe_code,
                reason = "napi's trait declares it so; nothing in it is unsafe"
            )]
            unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
                value.into_js(&Env::from_raw(env))
            }
        }
    )+};
}

crosses!(AuthHeaders, AtHand, Lent, JsVerdict, ExportedKey);

/// `AuthHeaders`.
pub(crate) struct AuthHeaders(pub(crate) Lease);

impl AuthHeaders {
    fn into_js(self, env: &Env) -> Result<sys::napi_value> {
        let lease = self.0;
        let mut object = Object::new(env)?;
        object.set_named_property("attempt", env.create_string_latin1(&lease.attempt)?)?;
        object.set_named_property("accountId", env.create_string_latin1(lease.account_id())?)?;
        object.set_named_property("headers", headers(env, &lease)?)?;
        object.set_named_property("strip", lease.strip().to_vec())?;
        if let Some(url) = &lease.url {
            object.set_named_property("url", env.create_string(url)?)?;
        }
        if let Some(explained) = &lease.trace {
            object.set_named_property("trace", trace(explained))?;
        }
        Ok(object.raw())
    }
}

/// What of a lease is new to a caller that knows the account's headers: the attempt, or `[attempt, url]`.
pub(crate) struct AtHand(pub(crate) Lease);

impl AtHand {
    fn into_js(self, env: &Env) -> Result<sys::napi_value> {
        let lease = self.0;
        let attempt = env.create_string_latin1(&lease.attempt)?;
        let Some(url) = &lease.url else {
            return Ok(attempt.raw());
        };
        let mut array = env.create_array(2)?;
        array.set(0, attempt)?;
        array.set(1, url.as_str())?;
        Ok(array.raw())
    }
}

/// What a lease is made of beside its attempt: `[version, accountId, headers, strip]`.
pub(crate) struct Lent(pub(crate) Lease);

impl Lent {
    fn into_js(self, env: &Env) -> Result<sys::napi_value> {
        let lease = self.0;
        let mut array = env.create_array(4)?;
        array.set(0, lease.version())?;
        array.set(1, lease.account_id())?;
        array.set(2, headers(env, &lease)?)?;
        array.set(3, lease.strip().to_vec())?;
        Ok(array.raw())
    }
}

fn headers<'env>(env: &'env Env, lease: &Lease) -> Result<Object<'env>> {
    let mut headers = Object::new(env)?;
    for (name, value) in lease.headers().iter() {
        // Header values are ASCII, which a Latin-1 string takes without decoding.
        headers.set_named_property(name, env.create_string_latin1(value)?)?;
    }
    Ok(headers)
}

/// `Verdict`.
pub(crate) struct JsVerdict(pub(crate) Verdict);

impl JsVerdict {
    fn into_js(self, env: &Env) -> Result<sys::napi_value> {
        let verdict = self.0;
        let mut object = Object::new(env)?;
        object.set_named_property("action", env.create_string_latin1(action(verdict.action))?)?;
        object.set_named_property("delayMs", verdict.delay.as_millis() as f64)?;
        object.set_named_property("reason", env.create_string_latin1(verdict.reason.as_str())?)?;
        if verdict.is_final {
            object.set_named_property("final", true)?;
        }
        if let Some(at) = verdict.cooldown_until {
            object.set_named_property("cooldownUntil", at.as_millis() as f64)?;
        }
        if let Some(at) = verdict.retry_at {
            object.set_named_property("retryAt", at.as_millis() as f64)?;
        }
        Ok(object.raw())
    }
}

/// `Account`.
pub(crate) fn account(account: &broker::Account) -> Value {
    let identity = account.identity.as_ref().map(|identity| {
        present([
            ("issuer", identity.issuer.clone().into()),
            ("subject", identity.subject.clone().into()),
            ("organization", identity.organization.clone().into()),
            ("email", identity.email.clone().into()),
            ("plan", identity.plan.clone().into()),
        ])
    });
    present([
        ("id", account.id.clone().into()),
        ("provider", account.provider.clone().into()),
        ("namespace", account.namespace.clone().into()),
        ("label", account.label.clone().into()),
        ("kind", account.kind.as_str().into()),
        ("identity", identity.into()),
        ("state", account.state.into()),
        ("enabled", account.enabled.into()),
        ("priority", (account.priority as f64).into()),
        ("createdAt", millis(account.created_at)),
        ("updatedAt", millis(account.updated_at)),
        ("expiresAt", account.expires_at.map_or(Value::Null, millis)),
        ("refreshable", account.refreshable.into()),
        (
            "cooldowns",
            account.cooldowns.iter().map(cooldown).collect(),
        ),
        ("lastStatus", account.last_status.into()),
        ("successes", (account.successes as f64).into()),
        ("failures", (account.failures as f64).into()),
        ("movedAt", account.moved_at.map_or(Value::Null, millis)),
        ("quota", account.quota.iter().map(quota).collect()),
        (
            "metadata",
            match account.metadata.is_empty() {
                true => Value::Null,
                false => Value::Object(account.metadata.clone()),
            },
        ),
    ])
}

fn quota((window, usage): &(String, broker::Usage)) -> Value {
    present([
        ("window", window.clone().into()),
        ("usedPercent", usage.used_percent.into()),
        ("resetAt", millis(usage.reset_at)),
        ("observedAt", millis(usage.observed_at)),
    ])
}

fn cooldown((scope, block): &(broker::Scope, broker::Block)) -> Value {
    present([
        ("scope", scope.to_string().into()),
        ("until", millis(block.until)),
        ("reason", block.reason.as_str().into()),
        ("source", block.source.as_str().into()),
    ])
}

/// `PoolStatus`.
pub(crate) fn pool(pool: &broker::PoolStatus) -> Value {
    let broker::PoolFigures {
        requests,
        attempts,
        rotations,
        refreshes,
        refresh_failures,
        exhausted,
    } = pool.figures;
    present([
        ("provider", pool.provider.clone().into()),
        ("namespace", pool.namespace.clone().into()),
        ("accounts", pool.accounts.iter().map(account).collect()),
        ("requests", (requests as f64).into()),
        ("attempts", (attempts as f64).into()),
        ("rotations", (rotations as f64).into()),
        ("refreshes", (refreshes as f64).into()),
        ("refreshFailures", (refresh_failures as f64).into()),
        ("exhausted", (exhausted as f64).into()),
        ("retryAt", pool.retry_at.map_or(Value::Null, millis)),
    ])
}

/// The vault's key, in base64.
pub(crate) struct ExportedKey(pub(crate) broker::SecretString);

impl ExportedKey {
    fn into_js(self, env: &Env) -> Result<sys::napi_value> {
        let key = env.create_string_latin1(self.0.expose_secret())?;
        Ok(key.raw())
    }
}

/// `VaultStatus`.
pub(crate) fn vault(status: &broker::VaultStatus) -> Value {
    present([
        ("dir", status.dir.clone().into()),
        ("keySource", status.key_source.into()),
        ("keyId", status.key_id.clone().into()),
        ("state", status.state.into()),
        ("accounts", (status.accounts as f64).into()),
        ("slots", status.slots.iter().map(slot).collect()),
        ("quarantined", (status.quarantined as f64).into()),
        (
            "quarantine",
            status.quarantine.iter().map(quarantined).collect(),
        ),
    ])
}

/// `KeySlot`.
pub(crate) fn slot(slot: &broker::KeySlot) -> Value {
    present([
        ("id", slot.id.clone().into()),
        (
            "keySource",
            slot.key_source.map(broker::KeySource::name).into(),
        ),
    ])
}

fn quarantined(record: &broker::Quarantined) -> Value {
    present([
        ("accountId", record.id.to_string().into()),
        ("generation", (record.generation as f64).into()),
        ("at", (record.at as f64).into()),
    ])
}

/// `ImportReport`.
pub(crate) fn imported(imported: &broker::Imported) -> Value {
    let count = |wanted: fn(Outcome) -> bool| Value::from(imported.count(wanted) as f64);
    present([
        ("added", count(|outcome| outcome == Outcome::Added)),
        ("updated", count(|outcome| outcome == Outcome::Updated)),
        (
            "skipped",
            count(|outcome| matches!(outcome, Outcome::Skipped { .. })),
        ),
        (
            "accounts",
            imported.accounts.iter().map(imported_account).collect(),
        ),
    ])
}

fn imported_account(account: &broker::ImportedAccount) -> Value {
    let (action, why) = match account.outcome {
        Outcome::Added => ("added", None),
        Outcome::Updated => ("updated", None),
        Outcome::Skipped { why } => ("skipped", Some(why)),
    };
    present([
        (
            "accountId",
            account.id.as_ref().map(|id| id.as_str()).into(),
        ),
        ("provider", account.provider.clone().into()),
        ("label", account.label.clone().into()),
        ("action", action.into()),
        ("why", why.into()),
    ])
}

/// `MigrationReport`.
pub(crate) fn migration(report: &broker::MigrationReport) -> Value {
    present([
        ("files", report.files.clone().into()),
        ("imported", report.imported.iter().map(migrated).collect()),
        (
            "skipped",
            report
                .skipped
                .iter()
                .map(|entry| {
                    present([
                        ("file", entry.file.clone().into()),
                        ("key", entry.key.clone().into()),
                        ("why", entry.why.clone().into()),
                    ])
                })
                .collect(),
        ),
        (
            "sources",
            report
                .sources
                .iter()
                .map(|source| {
                    present([
                        ("file", source.file.clone().into()),
                        ("state", source.state.as_str().into()),
                        ("backup", source.backup.clone().into()),
                        ("warning", source.warning.into()),
                    ])
                })
                .collect(),
        ),
        (
            "terms",
            report
                .terms
                .iter()
                .map(|(provider, terms)| (provider.clone(), Value::from(*terms)))
                .collect(),
        ),
    ])
}

fn migrated(entry: &broker::ImportedEntry) -> Value {
    present([
        ("provider", entry.provider.clone().into()),
        ("kind", entry.kind.as_str().into()),
        (
            "accountId",
            entry.account.as_ref().map(|id| id.as_str()).into(),
        ),
        ("action", entry.action.as_str().into()),
    ])
}

/// `AuthEvent`.
pub(crate) fn event(event: &broker::Event) -> Value {
    present([
        ("type", event.kind.as_str().into()),
        ("at", millis(event.at)),
        ("provider", (*event.provider).into()),
        ("namespace", (*event.namespace).into()),
        (
            "accountId",
            event.account.as_ref().map(|id| id.as_str()).into(),
        ),
        ("model", event.model.clone().into()),
        ("reason", event.reason.map(broker::Reason::as_str).into()),
        ("until", event.until.map_or(Value::Null, millis)),
        ("attempt", event.attempt.clone().into()),
        ("rule", event.rule.map(broker::Rule::as_str).into()),
        ("action", event.action.map(action).into()),
    ])
}

/// `Trace` of `explain`.
pub(crate) fn explained(explained: &broker::Explained) -> Value {
    let mut told = trace(&explained.trace);
    if let (Some(told), Some(refusal)) = (told.as_object_mut(), &explained.refusal) {
        told.insert("refusal".to_owned(), refusal.clone().into());
    }
    told
}

/// `Trace`.
pub(crate) fn trace(trace: &broker::Trace) -> Value {
    let reason = match &trace.selection {
        Selection::Exhausted { reason, .. } => Some(reason.as_str()),
        _ => None,
    };
    let (outcome, account, rule, until) = match &trace.selection {
        Selection::Serve { account, rule } => ("serve", Some(account), Some(rule.as_str()), None),
        Selection::Wait { until, account } => ("wait", account.as_ref(), None, Some(*until)),
        Selection::Exhausted { retry_at, .. } => ("exhausted", None, None, *retry_at),
        Selection::NeedsLogin { accounts, .. } => ("needs_login", accounts.first(), None, None),
        Selection::OriginRefused => ("origin_refused", None, None, None),
        Selection::NoAccount => ("no_account", None, None, None),
        Selection::UnknownAccount => ("unknown_account", None, None, None),
    };
    present([
        ("at", millis(trace.at)),
        ("outcome", outcome.into()),
        ("accountId", account.map(|id| id.as_str()).into()),
        ("rule", rule.into()),
        ("until", until.map_or(Value::Null, millis)),
        ("reason", reason.into()),
        ("strategy", trace.strategy.as_str().into()),
        (
            "boundTo",
            trace.bound_to.as_ref().map(|id| id.as_str()).into(),
        ),
        ("boundUntil", trace.bound_until.map_or(Value::Null, millis)),
        ("accounts", trace.accounts.iter().map(prospect).collect()),
    ])
}

fn prospect(prospect: &broker::TracedAccount) -> Value {
    let (until, reason) = match prospect.chance {
        Chance::Resting { until, reason } => (Some(until), Some(reason.as_str())),
        _ => (None, None),
    };
    let (scope, status) = match &prospect.charged {
        Some((scope, status)) => (Some(scope.clone()), *status),
        None => (None, None),
    };
    present([
        ("accountId", prospect.account.as_str().into()),
        ("chance", prospect.chance.as_str().into()),
        ("until", until.map_or(Value::Null, millis)),
        ("reason", reason.into()),
        ("scope", scope.into()),
        ("status", status.into()),
        ("usedPercent", prospect.used_percent.into()),
    ])
}

/// `ModelList`.
pub(crate) fn model_list(list: &broker::ModelList) -> Value {
    present([
        ("models", list.models.iter().map(model).collect()),
        ("fetchedAt", millis(list.fetched_at)),
        ("stale", list.stale.into()),
    ])
}

fn model(model: &broker::Model) -> Value {
    let window = model.context_window.map(|tokens| tokens as f64);
    present([
        ("id", model.id.clone().into()),
        ("name", model.name.clone().into()),
        ("contextWindow", window.into()),
        ("ownedBy", model.owned_by.clone().into()),
    ])
}

/// What `npm/src/bound.ts` looks for in a request.
pub(crate) fn bound_items(items: &broker::BoundItems) -> Value {
    serde_json::json!({ "fields": items.fields, "paths": items.paths })
}

/// What `npm/src/sse.ts` looks for in a stream.
pub(crate) fn stream_shapes(shapes: &[broker::StreamShape]) -> Value {
    let shape = |shape: &broker::StreamShape| {
        serde_json::json!({
            "silent": shape.silent, "failed": shape.failed, "chunks": shape.chunks, "labels": shape.labels
        })
    };
    shapes.iter().map(shape).collect()
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Deliver => "deliver",
        Action::Retry => "retry",
    }
}

/// `LoginPrompt`, and the number of the login.
pub(crate) fn prompt(prompt: &broker::LoginPrompt) -> Value {
    present([
        ("login", (prompt.login as f64).into()),
        ("method", prompt.method.as_str().into()),
        ("url", prompt.url.clone().into()),
        ("userCode", prompt.user_code.clone().into()),
        ("instructions", prompt.instructions.clone().into()),
        ("expiresAt", millis(prompt.expires_at)),
    ])
}

/// `ProviderSummary`.
pub(crate) fn provider(provider: &broker::ProviderSummary) -> Value {
    present([
        ("id", provider.id.clone().into()),
        ("resource", provider.resource.clone().into()),
        ("origins", provider.origins.clone().into()),
        ("methods", provider.methods.clone().into()),
    ])
}

/// `ProjectTrust`.
pub(crate) fn project_trust(project: &broker::config::Project) -> Value {
    let files = project.files.iter();
    present([
        (
            "trusted",
            (!files
                .clone()
                .any(broker::config::ProjectFile::asks_for_trust))
            .into(),
        ),
        ("files", files.map(project_file).collect()),
    ])
}

fn project_file(file: &broker::config::ProjectFile) -> Value {
    let why = match file.state {
        TrustState::Ignored(why) => Value::from(why),
        _ => Value::Null,
    };
    present([
        ("file", file.file.to_string_lossy().into()),
        ("state", file.state.as_str().into()),
        ("why", why),
        ("sha256", file.sha256.clone().into()),
        ("shown", file.shown.clone().into()),
        ("providers", file.providers.iter().map(want).collect()),
    ])
}

fn want(want: &broker::config::ProjectProvider) -> Value {
    let host = |host: &broker::config::HostUse| {
        present([
            ("origin", host.origin.clone().into()),
            ("role", host.role.into()),
            ("gets", host.gets.into()),
        ])
    };
    let read = |read: &broker::config::SecretUse| {
        present([
            ("kind", read.kind.into()),
            ("name", read.name.clone().into()),
            ("role", read.role.into()),
            ("refusal", read.refusal.clone().into()),
        ])
    };
    present([
        ("id", want.provider.clone().into()),
        ("known", want.known.into()),
        ("sets", want.sets.clone().into()),
        ("hosts", want.hosts.iter().map(host).collect()),
        ("reads", want.reads.iter().map(read).collect()),
        ("methods", want.methods.clone().into()),
    ])
}

/// `ClaimedProviders` of `npm/src/native.ts`.
pub(crate) fn claims(claims: &broker::Claims) -> Value {
    serde_json::json!({ "ids": claims.providers, "mayLack": claims.may_lack })
}

/// Unix milliseconds, as the number that they are in JavaScript.
fn millis(at: Timestamp) -> Value {
    (at.as_millis() as f64).into()
}

/// An object of the fields that are there.
fn present<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(
        fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}
