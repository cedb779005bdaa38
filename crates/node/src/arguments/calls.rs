//! The options of each call as the broker takes them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use napi::ValueType;
use napi::bindgen_prelude::*;
use provider_auth_broker::config::{ConfigError, Inline, RequestRotation};
use provider_auth_broker::{
    AccountChanges, AuthRequest, BrokerError, DiagnoseOptions, Direction, Failure, Filter,
    KeySecrets, KeySource, KeyVariables, LoginOptions, Method, MigrateOptions, ModelsRequest,
    RefreshModels, Report, SourceAction, StatsFilter, Timestamp,
};
use serde_json::Value;

use super::objects::{own_entries, plain};
use super::options::Options;
use super::value::{Read, Text, expected, is_absent, number, text};

/// The last time that a `Date` can hold, in Unix ms.
const LATEST_TIME: f64 = 8.64e15;

const METHODS: &[(&str, Method)] = &[
    ("browser", Method::Browser),
    ("device", Method::Device),
    ("paste", Method::Paste),
    ("api-key", Method::ApiKey),
    ("assertion", Method::Assertion),
    ("client-credentials", Method::ClientCredentials),
];

const FAILURES: &[(&str, Failure)] = &[
    ("network", Failure::Network),
    ("timeout", Failure::Timeout),
    ("stream", Failure::Stream),
];

const SOURCE_ACTIONS: &[(&str, SourceAction)] = &[
    ("keep", SourceAction::Keep),
    ("backup", SourceAction::Backup),
    ("remove", SourceAction::Remove),
];

impl<'env> Options<'env> {
    pub(crate) fn auth_request(&self) -> Read<AuthRequest> {
        self.request_to(Some(self.needed_text("url")?))
    }

    /// The same of a request that need not say where it goes.
    pub(crate) fn request_anywhere(&self) -> Read<AuthRequest> {
        self.request_to(self.text("url")?)
    }

    fn request_to(&self, url: Option<String>) -> Read<AuthRequest> {
        let retry_of = self.text("retryOf")?;
        Ok(AuthRequest {
            provider: self.needed_text("provider")?,
            namespace: self.text("namespace")?,
            url,
            model: self.text("model")?,
            session: self.text("session")?,
            cache_ttl: self.text("cacheTtl")?,
            account: self.text("account")?,
            rotation: self.rotation()?,
            retry_of,
            bound_by: self.text("boundBy")?,
            explain: self.flag("explain")?.unwrap_or_default(),
        })
    }

    /// What a request sets of the rotation of its pool.
    pub(crate) fn rotation(&self) -> Read<Option<Arc<RequestRotation>>> {
        let Some(value) = self.get("rotation")? else {
            return Ok(None);
        };
        Self::of("rotation", &value)?;
        let value = plain(&value).map_err(|_| expected("rotation", "plain data"))?;
        match RequestRotation::read(&value) {
            Ok(rotation) => Ok(Some(Arc::new(rotation))),
            Err(fault) => Err(BrokerError::InvalidArgument(fault.to_string())),
        }
    }

    pub(crate) fn models_request(&self) -> Read<ModelsRequest> {
        Ok(ModelsRequest {
            provider: self.needed_text("provider")?,
            namespace: self.text("namespace")?,
            account: self.text("account")?,
            refresh: self.choice("refresh", RefreshModels::Always, RefreshModels::WhenOld)?,
        })
    }

    pub(crate) fn diagnosis(&self) -> Read<DiagnoseOptions> {
        Ok(DiagnoseOptions {
            online: self.flag("online")?.unwrap_or_default(),
            fix: self.flag("fix")?.unwrap_or_default(),
        })
    }

    pub(crate) fn report(&self) -> Read<Report> {
        Ok(Report {
            attempt: self.needed_text("attempt")?,
            // A number out of range is ignored; the attempt then counts as one without a response.
            status: self.number("status")?.and_then(status_code),
            headers: match self.get("headers")? {
                Some(headers) => header_map(&headers)?,
                None => BTreeMap::new(),
            },
            body: self.text("body")?,
            failure: self.word("failure", FAILURES)?,
        })
    }

    pub(crate) fn filter(&self) -> Read<Filter> {
        Ok(Filter {
            provider: self.text("provider")?,
            namespace: self.text("namespace")?,
            account: self.text("account")?,
        })
    }

    /// Of `stats`.
    pub(crate) fn stats_filter(&self) -> Read<StatsFilter> {
        let since = self.whole("since", 0.0, LATEST_TIME)?.unwrap_or_default();
        Ok(StatsFilter {
            pools: self.filter()?,
            since: Timestamp::from_millis(since as u64),
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

    pub(crate) fn key_source(&self) -> Read<Option<KeySource>> {
        let Some(name) = self.text("keySource")? else {
            return Ok(None);
        };
        name.parse()
            .map(Some)
            .map_err(|why| BrokerError::InvalidArgument(format!("keySource: {why}")))
    }

    pub(crate) fn needed_key_source(&self) -> Read<KeySource> {
        let missing = || expected("keySource", "the name of a key source");
        self.key_source()?.ok_or_else(missing)
    }

    /// Keys and passphrases that a call is given.
    pub(crate) fn key_secrets(&self) -> Read<KeySecrets> {
        Ok(KeySecrets {
            key: self.optional_secret("key")?,
            passphrase: self.optional_secret("passphrase")?,
            ..KeySecrets::default()
        })
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn roles(&self) -> Read<Vec<String>> {
        match self.get("roles")? {
            Some(names) => texts(names, || expected("roles", "a list of names")),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) fn login(&self) -> Read<LoginOptions> {
        let method = self.word("method", METHODS)?;
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
        self.word("from", &[("opencode", ())])?;
        Ok(MigrateOptions {
            dir: self.text("dir")?.map(Into::into),
            direction: self.choice("undo", Direction::Undo, Direction::IntoVault)?,
            dry_run: self.flag("dryRun")?.unwrap_or_default(),
            source_action: self.word("source", SOURCE_ACTIONS)?.unwrap_or_default(),
            keys: self.key_variables()?,
            entries: match self.get("entries")? {
                Some(names) => Some(texts(names, || expected("entries", "a list of names"))?),
                None => None,
            },
        })
    }

    fn key_variables(&self) -> Read<KeyVariables> {
        let wrong = || expected("env", "true, false or a list of variable names");
        let Some(value) = self.get("env")? else {
            return Ok(KeyVariables::None);
        };
        if matches!(value.get_type(), Ok(ValueType::Boolean)) {
            return self.choice("env", KeyVariables::Known, KeyVariables::None);
        }
        texts(value, wrong).map(KeyVariables::Named)
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
            Some(value) => Self::new(&value, "log")?,
            None => Self::default(),
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
            store: self.text("store")?,
            config,
        })
    }
}

/// The report of a response that went well, as far as it is there; the broker judges whether it
/// went well.
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

/// What a person was shown of the project's files: each path, with the hash of what stood there.
/// `None` when it is not given.
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

/// A list of strings; `wrong` says what else it was expected to be.
fn texts(value: Unknown<'_>, wrong: impl Fn() -> BrokerError) -> Read<Vec<String>> {
    let list = Array::from_unknown(value).map_err(|_| wrong())?;
    let one = |place| {
        let one: Unknown<'_> = list.get(place).ok().flatten().ok_or_else(&wrong)?;
        text(&one, "").map_err(|_| wrong())
    };
    (0..list.len()).map(one).collect()
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
        // A value of another type is left out: a bad report of a known attempt is not refused for
        // it.
        if let Ok(value) = text(&value, &name) {
            headers.insert(name.to_ascii_lowercase(), value);
        }
    }
    Ok(headers)
}

fn status_code(number: f64) -> Option<u16> {
    (100.0..1000.0).contains(&number).then_some(number as u16)
}

/// What is wrong with the options of `configure`, other than their names, is a fault of the
/// configuration.
fn of_the_configuration(error: BrokerError) -> BrokerError {
    match error {
        BrokerError::InvalidArgument(text) => ConfigError::in_options(&text).into(),
        other => other,
    }
}
