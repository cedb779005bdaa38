//! Who signed in, as far as the tokens say.

use http::Method;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    Http, OauthError, Server, Tokens, limits,
    request::{answer, bearer_request},
    secret::reveal,
    server::url_rules::{endpoint, same_issuer},
    text::clean,
    tokens::claims,
};

/// Who an account is. Issuer, subject and organisation tell accounts apart; the rest is for people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// Who vouches for the subject.
    pub issuer: Option<String>,
    /// Stable id of the user at the issuer.
    pub subject: Option<String>,
    /// Organisation, tenant or workspace.
    pub organization: Option<String>,
    /// E-mail address; may change hands.
    pub email: Option<String>,
    /// Name of the plan.
    pub plan: Option<String>,
}

/// Reads who signed in, where the server's dialect says it stands. What is not there is absent.
///
/// Claims are not verified: the tokens came straight from the token endpoint over TLS (OpenID
/// Connect Core §3.1.3.7). `profile` is what the server's userinfo endpoint said, where it was
/// asked.
#[must_use]
pub fn identity(
    tokens: &Tokens,
    server: &Server,
    profile: Option<&Map<String, Value>>,
) -> Identity {
    let documents: Vec<Value> = [
        tokens.id_token.as_ref().and_then(claims),
        Some(tokens.extra.clone()),
        claims(&tokens.access),
        profile.cloned(),
    ]
    .into_iter()
    .flatten()
    .map(Value::Object)
    .collect();
    let first = |paths: &[String]| {
        documents
            .iter()
            .find_map(|document| paths.iter().find_map(|path| text(document.pointer(path)?)))
    };
    let paths = &server.dialect.identity;
    Identity {
        issuer: issuer(tokens.id_token.as_ref().and_then(claims))
            // A name that several servers share would make one of two users of theirs.
            .filter(|name| !is_shared(name, server))
            .or_else(|| server.issuer.as_ref().map(Url::to_string)),
        subject: first(&paths.subject),
        organization: first(&paths.organization),
        email: first(&paths.email),
        plan: first(&paths.plan),
    }
}

/// Asks the server who signed in, where the tokens do not say (OpenID Connect Core §5.3, and
/// GitHub's `/user`).
pub async fn userinfo(
    http: &dyn Http,
    server: &Server,
    access: &SecretString,
) -> Result<Map<String, Value>, OauthError> {
    let url = endpoint(server.userinfo_endpoint.as_ref(), "userinfo endpoint")?;
    let request = bearer_request(Method::GET, url, access)?;
    answer::document(&http.send(request).await?, &[reveal(access)])
}

/// The largest number up to which every whole one is its own double.
const LARGEST_EXACT: f64 = 9_007_199_254_740_991.0;

fn is_shared(name: &str, server: &Server) -> bool {
    let mut shared = server.dialect.issuers.iter();
    shared.any(|issuer| same_issuer(name, issuer.as_str()))
}

fn issuer(claims: Option<Map<String, Value>>) -> Option<String> {
    text(claims?.get("iss")?)
}

/// Ids are text or, as GitHub's, whole numbers, which some servers write with a fraction (`42.0`).
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => clean(text, limits::CLAIM_CHARS),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        Value::Number(number) => number
            .as_f64()
            .filter(|number| number.fract() == 0.0 && (0.0..=LARGEST_EXACT).contains(number))
            .map(|number| number.to_string()),
        _ => None,
    }
}
