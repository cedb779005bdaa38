//! Which options each call knows. Another one is `INVALID_ARGUMENT`: a mistyped one would be an
//! option that has no effect.

use napi::ValueType;
use napi::bindgen_prelude::*;
use provider_auth_broker::BrokerError;
use provider_auth_broker::config::suggestion;

use super::objects::{is_plain, own_names, property};
use super::value::Read;

/// The options of each call, as `index.d.ts` has them.
const KNOWN: &[(&str, &[&str])] = &[
    (
        "configure",
        &[
            "dir",
            "keySource",
            "allowNetworkFs",
            "store",
            "config",
            "log",
        ],
    ),
    ("log", &["level", "file"]),
    (
        "rotation",
        &[
            "mode",
            "strategy",
            "rotate",
            "maxAttempts",
            "maxWaitMs",
            "holdUntilReset",
        ],
    ),
    ("getAuthHeaders", REQUEST),
    ("getCredential", REQUEST),
    ("explain", REQUEST),
    (
        "reportResponse",
        &["attempt", "status", "headers", "body", "failure"],
    ),
    (
        "createAuthFetch",
        &[
            "provider",
            "namespace",
            "account",
            "rotation",
            "fetch",
            "model",
            "session",
            "maxReplayBytes",
            "peekStream",
            "onTrace",
        ],
    ),
    ("providerAuth", &["session", "account", "model"]),
    ("login", LOGIN),
    ("startLogin", LOGIN),
    ("listAccounts", POOL),
    (
        "addApiKey",
        &["provider", "apiKey", "namespace", "label", "priority"],
    ),
    (
        "updateAccount",
        &["label", "enabled", "priority", "namespace"],
    ),
    ("removeAccount", &["revoke"]),
    ("refreshAccount", &["force"]),
    ("clearCooldowns", &["provider", "namespace", "account"]),
    ("poolStatus", POOL),
    ("stats", &["provider", "namespace", "since"]),
    ("initVaultKey", &["keySource", "force"]),
    ("importVaultKey", &["keySource"]),
    ("rotateVaultKey", &["passphrase", "key"]),
    ("addVaultSlot", &["keySource", "passphrase", "key"]),
    ("joinFleet", &["keySource"]),
    ("revokeHost", &["passphrase", "key"]),
    ("initStore", &["roles"]),
    ("storeSql", &["roles"]),
    ("exportVault", &["includeOAuth", "allowWeakPassphrase"]),
    (
        "migrate",
        &["from", "dir", "dryRun", "source", "entries", "env", "undo"],
    ),
    (
        "discoverModels",
        &["provider", "namespace", "account", "refresh", "signal"],
    ),
    ("diagnose", &["online", "fix", "signal"]),
    ("checkApiKey", &["provider", "apiKey", "signal"]),
];

const REQUEST: &[&str] = &[
    "provider",
    "namespace",
    "url",
    "model",
    "session",
    "cacheTtl",
    "account",
    "rotation",
    "retryOf",
    "boundBy",
    "explain",
    "signal",
];

const LOGIN: &[&str] = &[
    "provider",
    "resource",
    "method",
    "namespace",
    "label",
    "priority",
    "apiKey",
    "loginHint",
    "onPrompt",
    "confirmTrust",
    "readCode",
    "signal",
    "timeoutMs",
];

const POOL: &[&str] = &["provider", "namespace"];

/// Returns the options of a call.
pub(crate) fn known(call: &str) -> &'static [&'static str] {
    KNOWN
        .iter()
        .find(|(name, _)| *name == call)
        .map_or(&[], |(_, known)| known)
}

/// Returns how a message names the object that has them.
pub(super) fn name_of(call: &str) -> &str {
    match call {
        "getAuthHeaders" | "getCredential" | "explain" => "request",
        "reportResponse" => "report",
        "listAccounts" | "poolStatus" | "clearCooldowns" => "filter",
        "updateAccount" => "changes",
        "log" | "providerAuth" | "rotation" => call,
        _ => "options",
    }
}

/// Refuses an option that the call does not know. What is `undefined` is not there.
///
/// An instance of a class may hold what is its own business. Of it only what looks like a known
/// option is refused, and only where it has not that option.
pub(super) fn check(call: &str, object: &Object<'_>) -> Read<()> {
    let known = known(call);
    let unreadable =
        |_| BrokerError::InvalidArgument(format!("{call}: expected options that can be read"));
    let is_plain = is_plain(object).map_err(unreadable)?;
    for name in own_names(object).map_err(unreadable)? {
        if known.contains(&name.as_str()) || is_undefined(object, &name) {
            continue;
        }
        let is_refused = is_plain
            || name.starts_with(char::is_alphabetic)
                && suggestion(&name, known).is_some_and(|meant| !has(object, meant));
        if is_refused {
            return Err(BrokerError::unknown_option(call, &name, known));
        }
    }
    Ok(())
}

fn has(object: &Object<'_>, name: &str) -> bool {
    property(object, name).is_ok_and(|value| value.is_some())
}

fn is_undefined(object: &Object<'_>, name: &str) -> bool {
    object
        .get_named_property_unchecked::<Unknown<'_>>(name)
        .and_then(|value| value.get_type())
        .is_ok_and(|kind| kind == ValueType::Undefined)
}
