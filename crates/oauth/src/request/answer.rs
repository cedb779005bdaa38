//! Reads what a server answered, in whatever dialect, and brings it into the standard's form. Pure.

use http::{Response, StatusCode, header};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    Dialect, Meaning, OauthError, limits,
    server::dialect::Step,
    text::{
        lenient::{unix_seconds, whole, without_bom},
        without_echo,
    },
};

/// Why an answer is not what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The user is not done yet.
    Pending,
    /// Not done yet, and polled too often.
    SlowDown,
    /// Anything else.
    Final(OauthError),
}

/// Reads the answer to `step` and returns it in standard form.
///
/// `secrets` are values that were sent: some servers echo them, or quote what they issue, and none
/// survives in an error.
pub(crate) fn read<'a>(
    step: Step,
    dialect: &Dialect,
    response: &Response<Vec<u8>>,
    secrets: impl Iterator<Item = &'a str>,
) -> Result<Map<String, Value>, Refusal> {
    let status = response.status();
    let parsed = object(response).unwrap_or_default();
    let mut known = issued(&parsed, &dialect.rename);
    known.extend(secrets.map(|secret| secret as &str));
    let secrets = known;
    let reason = Reason::of(response, &secrets);
    if !status.is_success() || reason.name.is_some() {
        return Err(refusal(step, dialect, response, reason, &secrets));
    }
    let standard = match step {
        // RFC 7009 §2.2: the body says nothing.
        Step::Revoke => return Ok(Map::new()),
        Step::Device => device,
        Step::Poll | Step::Token | Step::Refresh | Step::Assertion => token,
    };
    let mut body = object(response).ok_or_else(|| Refusal::Final(not_json(response, &secrets)))?;
    let ended = dialect.ended.as_deref().and_then(|field| body.get(field));
    if ended == Some(&Value::Bool(true)) {
        return Err(Refusal::Final(OauthError::InvalidGrant {
            description: None,
        }));
    }
    for (theirs, ours) in &dialect.rename {
        if let Some(value) = body.remove(theirs) {
            body.entry(ours).or_insert(value);
        }
    }
    if let (Step::Device, Some(pause)) = (step, dialect.poll_interval)
        && body.get("interval").is_none_or(Value::is_null)
    {
        body.insert("interval".to_owned(), pause.as_secs().into());
    }
    let mut body = standard(body).map_err(Refusal::Final)?;
    // Not the server's word but its clock: whatever the body calls so is something else.
    body.remove("date");
    let date = text_header(response, header::DATE, &secrets);
    body.extend(date.map(|date| ("date".to_owned(), date.into())));
    Ok(body)
}

/// Reads a JSON document, such as that of discovery. `sent` are values that must not come back in
/// an error.
pub(crate) fn document(
    response: &Response<Vec<u8>>,
    sent: &[&str],
) -> Result<Map<String, Value>, OauthError> {
    let parsed = object(response);
    if !response.status().is_success() {
        let body = parsed.unwrap_or_default();
        let secrets: Vec<&str> = sent.iter().copied().chain(issued(&body, &[])).collect();
        return Err(failure(response, Reason::of(response, &secrets), &secrets));
    }
    parsed.ok_or_else(|| not_json(response, sent))
}

/// What an answer issues beside its words, by the names that secrets have.
fn issued<'a>(body: &'a Map<String, Value>, rename: &[(String, String)]) -> Vec<&'a str> {
    let is_secret = |name: &str| {
        let is_token =
            |(theirs, ours): &(String, String)| theirs == name && ours.ends_with("_token");
        // What is called `code` may be the name of the error; one with other characters than a
        // word's counts by its look.
        rename.iter().any(is_token) || (named_secret(name) && name != "code")
    };
    let mut found = Vec::new();
    let mut open: Vec<(&str, &Value)> = Vec::new();
    open.extend(body.iter().map(|(name, value)| (name.as_str(), value)));
    while let Some((name, value)) = open.pop() {
        match value {
            Value::Object(inner) => {
                open.extend(inner.iter().map(|(name, value)| (name.as_str(), value)));
            }
            Value::Array(list) => open.extend(list.iter().map(|value| (name, value))),
            Value::String(text) if is_secret(name) && is_value(text) => found.push(text.as_str()),
            _ => {}
        }
    }
    // One more shows that there are too many.
    found.truncate(limits::ISSUED_SECRETS + 1);
    found
}

/// Whether a text is neither a word such as `Bearer` nor a sentence.
fn is_value(text: &str) -> bool {
    text.len() >= limits::SHORTEST_PARAMETER_BYTES
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What a server gives as its reason, cleaned.
#[derive(Default)]
struct Reason {
    name: Option<String>,
    description: Option<String>,
}

impl Reason {
    /// Finds the reason where servers put it: `error` as text (RFC 6749) or as an object with
    /// `code` or `type`; and, in an answer that is an error by its status, `code`. A 200 with an
    /// `error` is an error too (GitHub).
    fn of(response: &Response<Vec<u8>>, secrets: &[&str]) -> Self {
        let Some(body) = object(response) else {
            return Self::default();
        };
        let keeps_words = issued(&body, &[]).len() <= limits::ISSUED_SECRETS;
        let error = body.get("error");
        let name = match error {
            Some(Value::Object(error)) => error
                .get("code")
                .and_then(Value::as_str)
                .or_else(|| error.get("type")?.as_str()),
            Some(Value::String(error)) => Some(error.as_str()),
            _ if !response.status().is_success() => body.get("code").and_then(Value::as_str),
            _ => None,
        };
        let description = [
            body.get("error_description"),
            error.and_then(|error| error.get("message")),
            body.get("message"),
        ]
        .into_iter()
        .flatten()
        .find_map(Value::as_str)
        .filter(|_| keeps_words);
        Self {
            name: name.and_then(|name| without_echo(name, limits::ERROR_NAME_CHARS, secrets)),
            description: description
                .and_then(|text| without_echo(text, limits::DESCRIPTION_CHARS, secrets)),
        }
    }
}

fn refusal(
    step: Step,
    dialect: &Dialect,
    response: &Response<Vec<u8>>,
    reason: Reason,
    secrets: &[&str],
) -> Refusal {
    let polling = step == Step::Poll;
    match meaning(dialect, response.status(), reason.name.as_deref()) {
        Some(Meaning::Pending) if polling => Refusal::Pending,
        Some(Meaning::SlowDown) if polling => Refusal::SlowDown,
        Some(Meaning::Denied) if polling => Refusal::Final(OauthError::Denied),
        Some(Meaning::Expired) if polling => Refusal::Final(OauthError::Expired),
        // A server that is out of order is not believed when it calls a grant dead.
        Some(Meaning::InvalidGrant) if !is_transient(response.status()) => {
            Refusal::Final(OauthError::InvalidGrant {
                description: reason.description,
            })
        }
        _ => Refusal::Final(failure(response, reason, secrets)),
    }
}

fn meaning(dialect: &Dialect, status: StatusCode, name: Option<&str>) -> Option<Meaning> {
    let rule = dialect.errors.iter().find(|rule| {
        rule.status.is_none_or(|wanted| wanted == status.as_u16())
            && rule
                .error
                .as_deref()
                .is_none_or(|wanted| Some(wanted) == name)
    });
    match (rule, name) {
        (Some(rule), _) => Some(rule.meaning),
        (None, Some("authorization_pending")) => Some(Meaning::Pending),
        (None, Some("slow_down")) => Some(Meaning::SlowDown),
        // Microsoft says `authorization_declined`.
        (None, Some("access_denied" | "authorization_declined")) => Some(Meaning::Denied),
        (None, Some("expired_token")) => Some(Meaning::Expired),
        (None, Some("invalid_grant")) => Some(Meaning::InvalidGrant),
        (None, _) => None,
    }
}

/// Says why an answer failed, by status first: a proxy's 503 may hold anything.
fn failure(response: &Response<Vec<u8>>, reason: Reason, secrets: &[&str]) -> OauthError {
    let status = response.status();
    if is_transient(status) {
        let retry_after = text_header(response, header::RETRY_AFTER, secrets);
        return OauthError::Transient {
            status: status.as_u16(),
            retry_after,
            date: text_header(response, header::DATE, secrets),
        };
    }
    if object(response).is_none() {
        return not_json(response, secrets);
    }
    OauthError::Rejected {
        status: status.as_u16(),
        error: reason.name,
        description: reason.description,
    }
}

fn is_transient(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
}

fn not_json(response: &Response<Vec<u8>>, secrets: &[&str]) -> OauthError {
    OauthError::NotJson {
        status: response.status().as_u16(),
        content_type: text_header(response, header::CONTENT_TYPE, secrets),
    }
}

fn text_header(
    response: &Response<Vec<u8>>,
    name: header::HeaderName,
    secrets: &[&str],
) -> Option<String> {
    let value = response.headers().get(name)?.to_str().ok()?;
    without_echo(value, limits::ERROR_NAME_CHARS, secrets)
}

/// Content types are not asked: JSON is sent as `text/html`, and HTML as `application/json`.
fn object(response: &Response<Vec<u8>>) -> Option<Map<String, Value>> {
    serde_json::from_slice(without_bom(response.body())).ok()
}

/// Brings a token response into standard form (RFC 6749 §5.1).
fn token(mut body: Map<String, Value>) -> Result<Map<String, Value>, OauthError> {
    let mut standard = Map::new();
    let access = credential(&mut body, "access_token").ok_or(OauthError::Malformed {
        field: "access_token",
    })?;
    standard.insert("access_token".to_owned(), access);
    match body.remove("token_type") {
        // Required, and yet left out by servers that only know bearer tokens (Anthropic, Codex).
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(_) => return Err(OauthError::NotBearer),
    }
    standard.insert("token_type".to_owned(), "bearer".into());
    for name in ["refresh_token", "id_token"] {
        standard.extend(credential(&mut body, name).map(|token| (name.to_owned(), token)));
    }
    let life = body
        .remove("expires_in")
        .as_ref()
        .and_then(whole)
        .map(|life| life.min(limits::LONGEST_LIFE.as_secs()));
    standard.extend(life.map(|life| ("expires_in".to_owned(), life.into())));
    let end = body
        .remove("expires_at")
        .as_ref()
        .and_then(whole)
        .map(unix_seconds);
    standard.extend(end.map(|end| ("expires_at".to_owned(), end.into())));
    let scope = body.remove("scope").and_then(|scope| scopes(&scope));
    standard.extend(scope.map(|scope| ("scope".to_owned(), scope.into())));
    standard.extend(public(body));
    Ok(standard)
}

/// Brings the answer to the start of a device login into standard form (RFC 8628 §3.2).
fn device(mut body: Map<String, Value>) -> Result<Map<String, Value>, OauthError> {
    let mut standard = Map::new();
    for field in ["device_code", "user_code"] {
        let code = credential(&mut body, field).ok_or(OauthError::Malformed { field })?;
        standard.insert(field.to_owned(), code);
    }
    // Google still says `verification_url`.
    let page = ["verification_uri", "verification_url"]
        .iter()
        .find_map(|name| page(body.get(*name)?));
    let page = page.ok_or(OauthError::Malformed {
        field: "verification_uri",
    })?;
    standard.insert("verification_uri".to_owned(), page.into());
    let complete = body.get("verification_uri_complete").and_then(self::page);
    standard.extend(complete.map(|page| ("verification_uri_complete".to_owned(), page.into())));
    let life = body
        .get("expires_in")
        .and_then(whole)
        .unwrap_or(limits::DEVICE_CODE_LIFE.as_secs());
    standard.insert(
        "expires_in".to_owned(),
        life.min(limits::LONGEST_DEVICE_CODE_LIFE.as_secs()).into(),
    );
    let pause = match body.get("interval") {
        None | Some(Value::Null) => limits::POLL_INTERVAL.as_secs(),
        Some(pause) => whole(pause).unwrap_or_default(),
    };
    let (shortest, longest) = (
        limits::SHORTEST_POLL_INTERVAL.as_secs(),
        limits::LONGEST_POLL_INTERVAL.as_secs(),
    );
    standard.insert("interval".to_owned(), pause.clamp(shortest, longest).into());
    Ok(standard)
}

/// Takes a token or code out of the body, if it is one that can be sent in a header (RFC 6749,
/// appendix A).
fn credential(body: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let value = body.remove(name)?;
    let text = value.as_str()?;
    (!text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())).then_some(value)
}

/// Returns scopes as one text; some servers send a list.
fn scopes(value: &Value) -> Option<String> {
    let scopes: Vec<&str> = match value {
        Value::String(scopes) => scopes.split_whitespace().collect(),
        Value::Array(scopes) => scopes.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

/// Returns the address of a page that a browser may be sent to.
fn page(value: &Value) -> Option<String> {
    let url = Url::parse(value.as_str()?).ok()?;
    (matches!(url.scheme(), "https" | "http") && url.has_host()).then(|| url.into())
}

/// Whether a field is a secret by its name.
fn named_secret(name: &str) -> bool {
    const SECRET: [&str; 8] = [
        "token",
        "secret",
        "password",
        "key",
        "assertion",
        "cookie",
        "credential",
        "code",
    ];
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|word| name.contains(word))
}

/// Returns what is neither a secret by its name nor a burden by its size.
fn public(body: Map<String, Value>) -> Map<String, Value> {
    let kept = |(name, value): (String, Value)| match value {
        Value::Null => None,
        Value::Object(inner) => {
            (!named_secret(&name)).then(|| (name, Value::Object(public(inner))))
        }
        Value::Number(_) | Value::Bool(_) => Some((name, value)),
        Value::String(_) => (!named_secret(&name)).then_some((name, value)),
        // Lists could hold anything, and no caller reads one.
        Value::Array(_) => None,
    };
    let small = |(_, value): &(String, Value)| value.to_string().len() <= limits::EXTRA_FIELD_BYTES;
    body.into_iter().filter_map(kept).filter(small).collect()
}
