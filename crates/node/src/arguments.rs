//! Reads what JavaScript passes in. A wrong type is `INVALID_ARGUMENT` and names the option.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use napi::bindgen_prelude::*;
use napi::{JsString, ValueType, sys};
use provider_auth_broker::config::{ConfigError, Inline};
use provider_auth_broker::{
    AccountChanges, AuthRequest, BrokerError, Direction, Failure, Filter, KeySecrets, KeySource,
    KeyVariables, LoginOptions, Method, MigrateOptions, ModelsRequest, RefreshModels, Report,
    SecretString, SourceAction,
};
use serde_json::Value;

use crate::objects::{own_entries, plain, property};

type Read<T> = std::result::Result<T, BrokerError>;

/// The options object of a call. `undefined` and `null` stand for an empty one.
pub(crate) struct Options<'env>(pub(crate) Option<Object<'env>>);

impl<'env> Options<'env> {
    pub(crate) fn new(value: &Unknown<'env>, what: &str) -> Read<Self> {
        match value.get_type() {
            Ok(ValueType::Undefined | ValueType::Null) => Ok(Self(None)),
            Ok(ValueType::Object) => {
                let object = value
                    .coerce_to_object()
                    .map_err(|_| expected(what, "an object"))?;
                Ok(Self(Some(object)))
            }
            _ => Err(expected(what, "an object")),
        }
    }

    fn get(&self, name: &str) -> Read<Option<Unknown<'env>>> {
        let Some(object) = &self.0 else {
            return Ok(None);
        };
        // A getter or a proxy may throw: that is a bad argument too.
        let value = property(object, name).map_err(|_| expected(name, "a readable value"))?;
        let Some(value) = value else { return Ok(None) };
        match value.get_type() {
            Ok(ValueType::Undefined | ValueType::Null) => Ok(None),
            Ok(_) => Ok(Some(value)),
            Err(_) => Err(expected(name, "a readable value")),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Read<Option<String>> {
        self.get(name)?.map(|value| text(&value, name)).transpose()
    }

    pub(crate) fn needed_text(&self, name: &str) -> Read<String> {
        self.text(name)?.ok_or_else(|| expected(name, "a string"))
    }

    fn number(&self, name: &str) -> Read<Option<f64>> {
        let Some(value) = self.get(name)? else {
            return Ok(None);
        };
        number(&value, name).map(Some)
    }

    pub(crate) fn flag(&self, name: &str) -> Read<Option<bool>> {
        let Some(value) = self.get(name)? else {
            return Ok(None);
        };
        match value.get_type() {
            Ok(ValueType::Boolean) => value
                .coerce_to_bool()
                .map(Some)
                .map_err(|_| expected(name, "true or false")),
            _ => Err(expected(name, "true or false")),
        }
    }

    fn whole(&self, name: &str, least: f64, most: f64) -> Read<Option<f64>> {
        match self.number(name)? {
            Some(number) if number.fract() != 0.0 || !(least..=most).contains(&number) => Err(
                expected(name, &format!("a whole number from {least} to {most}")),
            ),
            number => Ok(number),
        }
    }

    pub(crate) fn auth_request(&self) -> Read<AuthRequest> {
        let retry_of = self.text("retryOf")?;
        Ok(AuthRequest {
            provider: self.needed_text("provider")?,
            namespace: self.text("namespace")?,
            url: self.needed_text("url")?,
            model: self.text("model")?,
            session: self.text("session")?,
            cache_ttl: self.text("cacheTtl")?,
            account: self.text("account")?,
            retry_of,
            bound_by: self.text("boundBy")?,
            explain: self.flag("explain")?.unwrap_or_default(),
        })
    }

    pub(crate) fn models_request(&self) -> Read<ModelsRequest> {
        Ok(ModelsRequest {
            provider: self.needed_text("provider")?,
            namespace: self.text("namespace")?,
            refresh: match self.flag("refresh")? {
                Some(true) => RefreshModels::Always,
                _ => RefreshModels::WhenOld,
            },
        })
    }

    pub(crate) fn report(&self) -> Read<Report> {
        Ok(Report {
            attempt: self.needed_text("attempt")?,
            // Out of range is no status; the attempt then counts as one without a response.
            status: self.number("status")?.and_then(status_code),
            headers: match self.get("headers")? {
                Some(headers) => header_map(&headers)?,
                None => BTreeMap::new(),
            },
            body: self.text("body")?,
            failure: match self.text("failure")?.as_deref() {
                None => None,
                Some("network") => Some(Failure::Network),
                Some("timeout") => Some(Failure::Timeout),
                Some("stream") => Some(Failure::Stream),
                Some(_) => return Err(expected("failure", "network, timeout or stream")),
            },
        })
    }

    pub(crate) fn filter(&self) -> Read<Filter> {
        Ok(Filter {
            provider: self.text("provider")?,
            namespace: self.text("namespace")?,
            account: self.text("account")?,
        })
    }

    pub(crate) fn changes(&self) -> Read<AccountChanges> {
        Ok(AccountChanges {
            label: self.text("label")?,
            enabled: self.flag("enabled")?,
            priority: self.priority()?,
            namespace: self.text("namespace")?,
        })
    }

    pub(crate) fn priority(&self) -> Read<Option<i64>> {
        let priority = self.whole("priority", -1e6, 1e6)?;
        Ok(priority.map(|priority| priority as i64))
    }

    pub(crate) fn secret(&self, name: &str) -> Read<SecretString> {
        self.needed_text(name).map(SecretString::from)
    }

    pub(crate) fn key_source(&self) -> Read<Option<KeySource>> {
        let source = self.text("keySource")?;
        let read = source.map(|name| name.parse().map_err(|why| expected_source(&why)));
        read.transpose()
    }

    pub(crate) fn needed_key_source(&self) -> Read<KeySource> {
        let missing = || expected("keySource", "the name of a key source");
        self.key_source()?.ok_or_else(missing)
    }

    /// Keys and passphrases that a call is given.
    pub(crate) fn key_secrets(&self) -> Read<KeySecrets> {
        Ok(KeySecrets {
            key: self.text("key")?.map(SecretString::from),
            passphrase: self.text("passphrase")?.map(SecretString::from),
            ..KeySecrets::default()
        })
    }

    pub(crate) fn login(&self) -> Read<LoginOptions> {
        let method = match self.text("method")?.as_deref() {
            None => None,
            Some("browser") => Some(Method::Browser),
            Some("device") => Some(Method::Device),
            Some("paste") => Some(Method::Paste),
            Some("api-key") => Some(Method::ApiKey),
            Some("assertion") => Some(Method::Assertion),
            Some("client-credentials") => Some(Method::ClientCredentials),
            Some(_) => {
                return Err(expected(
                    "method",
                    "browser, device, paste, api-key, assertion or client-credentials",
                ));
            }
        };
        Ok(LoginOptions {
            provider: self.needed_text("provider")?,
            resource: self.text("resource")?,
            method,
            namespace: self.text("namespace")?,
            label: self.text("label")?,
            priority: self.priority()?,
            login_hint: self.text("loginHint")?,
            timeout: self
                .whole("timeoutMs", 1.0, 86_400_000.0)?
                .map(|millis| Duration::from_millis(millis as u64)),
        })
    }

    pub(crate) fn migration(&self) -> Read<MigrateOptions> {
        if self.text("from")?.is_some_and(|from| from != "opencode") {
            return Err(expected("from", "opencode"));
        }
        Ok(MigrateOptions {
            dir: self.text("dir")?.map(Into::into),
            direction: match self.flag("undo")? {
                Some(true) => Direction::Undo,
                _ => Direction::IntoVault,
            },
            dry_run: self.flag("dryRun")?.unwrap_or_default(),
            source_action: match self.text("source")?.as_deref() {
                None | Some("keep") => SourceAction::Keep,
                Some("backup") => SourceAction::Backup,
                Some("remove") => SourceAction::Remove,
                Some(_) => return Err(expected("source", "keep, backup or remove")),
            },
            keys: self.key_variables()?,
        })
    }

    fn key_variables(&self) -> Read<KeyVariables> {
        let wrong = || expected("env", "true, false or a list of variable names");
        let Some(value) = self.get("env")? else {
            return Ok(KeyVariables::None);
        };
        if matches!(value.get_type(), Ok(ValueType::Boolean)) {
            return Ok(match self.flag("env")? {
                Some(true) => KeyVariables::Known,
                _ => KeyVariables::None,
            });
        }
        let names = Array::from_unknown(value).map_err(|_| wrong())?;
        let name = |place| {
            let name: Unknown<'_> = names.get(place).ok().flatten().ok_or_else(wrong)?;
            text(&name, "env").map_err(|_| wrong())
        };
        (0..names.len())
            .map(name)
            .collect::<Read<Vec<String>>>()
            .map(KeyVariables::Named)
    }

    /// Options of `configure`: what is wrong with them is a fault of the configuration.
    pub(crate) fn inline(options: &Unknown<'env>) -> Read<Inline> {
        let known = Self::new(options, "options").map_err(of_the_configuration)?;
        known.check("configure")?;
        if let Ok(Some(log)) = known.get("log")
            && let Ok(log) = Self::new(&log, "log")
        {
            log.check("log")?;
        }
        known.read_inline().map_err(of_the_configuration)
    }

    fn read_inline(&self) -> Read<Inline> {
        let log = match self.get("log")? {
            Some(value) => Options::new(&value, "log")?,
            None => Options(None),
        };
        let config = match self.get("config")? {
            Some(value) => Some(plain(&value).map_err(|_| {
                expected(
                    "config",
                    "plain data: objects, arrays, strings, numbers, booleans",
                )
            })?),
            None => None,
        };
        Ok(Inline {
            dir: self.text("dir")?.map(Into::into),
            key_source: self.text("keySource")?,
            log_level: log.text("level")?,
            log_file: log.text("file")?.map(Into::into),
            allow_network_fs: self.flag("allowNetworkFs")?,
            config,
        })
    }
}

/// An argument that is a string or nothing, read in one go: what it is otherwise shows when it is asked for.
pub(crate) struct Text(std::result::Result<Option<String>, NotText>);

struct NotText;

impl Text {
    pub(crate) fn needed(self, name: &str) -> Read<String> {
        self.optional(name)?
            .ok_or_else(|| expected(name, "a string"))
    }

    pub(crate) fn optional(self, name: &str) -> Read<Option<String>> {
        self.0.map_err(|NotText| expected(name, "a string"))
    }
}

impl FromNapiValue for Text {
    #[expect(
        unsafe_code,
        reason = "napi's trait declares it so; what it is handed is passed on as it came"
    )]
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        // SAFETY: the caller vouches for both.
        let text = unsafe { Option::<String>::from_napi_value(env, value) };
        Ok(Self(text.map_err(|_| NotText)))
    }
}

/// The report of a response that went well, as far as it is there; whether it is one is not judged here.
pub(crate) fn served_report(attempt: Text, status: &Unknown<'_>, headers: Text) -> Read<Report> {
    let headers = headers.optional("headers")?.unwrap_or_default();
    let mut lines = headers.lines();
    let pairs = std::iter::from_fn(|| Some((lines.next()?.to_owned(), lines.next()?.to_owned())));
    Ok(Report {
        attempt: attempt.needed("attempt")?,
        status: match is_absent(status) {
            true => None,
            false => status_code(number(status, "status")?),
        },
        headers: pairs.collect(),
        ..Report::default()
    })
}

/// A string that is passed by itself.
pub(crate) fn text(value: &Unknown<'_>, name: &str) -> Read<String> {
    let wrong = || expected(name, "a string");
    if !matches!(value.get_type(), Ok(ValueType::String)) {
        return Err(wrong());
    }
    let string: JsString<'_> = value.coerce_to_string().map_err(|_| wrong())?;
    string
        .into_utf8()
        .and_then(|utf8| utf8.into_owned())
        .map_err(|_| wrong())
}

/// What a person was shown of the project's files: each path, with the hash of what stood there. `None` when it is not given.
pub(crate) fn shown_files(shown: &Unknown<'_>) -> Read<Option<Vec<(PathBuf, String)>>> {
    if matches!(shown.get_type(), Ok(ValueType::Undefined)) {
        return Ok(None);
    }
    let wrong = || expected("shown", "what projectTrust() returned");
    let shown = plain(shown).map_err(|_| wrong())?;
    let files = shown["files"].as_array().ok_or_else(wrong)?;
    let pair = |file: &Value| {
        let text = |name: &str| file[name].as_str().map(str::to_owned);
        Some((text("file")?.into(), text("shown")?))
    };
    let pairs: Option<Vec<_>> = files.iter().map(pair).collect();
    pairs.map(Some).ok_or_else(wrong)
}

/// The bytes of a `Uint8Array` that is passed by itself, copied: JavaScript may change them meanwhile.
pub(crate) fn bytes(value: Unknown<'_>, name: &str) -> Read<Vec<u8>> {
    let array = Uint8Array::from_unknown(value).map_err(|_| expected(name, "a Uint8Array"))?;
    Ok(array.to_vec())
}

fn number(value: &Unknown<'_>, name: &str) -> Read<f64> {
    match value.get_type() {
        Ok(ValueType::Number) => value
            .coerce_to_number()
            .and_then(|number| number.get_double())
            .map_err(|_| expected(name, "a number")),
        _ => Err(expected(name, "a number")),
    }
}

fn is_absent(value: &Unknown<'_>) -> bool {
    matches!(value.get_type(), Ok(ValueType::Undefined | ValueType::Null))
}

fn status_code(number: f64) -> Option<u16> {
    (100.0..1000.0).contains(&number).then_some(number as u16)
}

fn header_map(value: &Unknown<'_>) -> Read<BTreeMap<String, String>> {
    let unreadable = || {
        expected(
            "headers",
            "an object of strings, a Headers, a Map or a list of pairs",
        )
    };
    if !matches!(value.get_type(), Ok(ValueType::Object)) {
        return Err(unreadable());
    }
    let object = value.coerce_to_object().map_err(|_| unreadable())?;
    let mut headers = BTreeMap::new();
    for (name, value) in own_entries(&object).map_err(|_| unreadable())? {
        // What is no string is no header; a bad report of a known attempt is not refused for it.
        if let Ok(value) = text(&value, &name) {
            headers.insert(name.to_ascii_lowercase(), value);
        }
    }
    Ok(headers)
}

/// What is wrong with the options of `configure`, other than their names, is a fault of the configuration.
fn of_the_configuration(error: BrokerError) -> BrokerError {
    match error {
        BrokerError::InvalidArgument(text) => ConfigError::in_options(&text).into(),
        other => other,
    }
}

fn expected_source(why: &impl std::fmt::Display) -> BrokerError {
    BrokerError::InvalidArgument(format!("keySource: {why}"))
}

fn expected(name: &str, what: &str) -> BrokerError {
    BrokerError::InvalidArgument(format!("{name}: expected {what}"))
}
