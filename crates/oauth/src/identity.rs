//! Who signed in, as far as the tokens say.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::{Server, Tokens, limits, text::clean, tokens::claims};

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
/// Claims are not verified: the tokens came straight from the token endpoint over TLS (OpenID Connect Core §3.1.3.7).
#[must_use]
pub fn identity(tokens: &Tokens, server: &Server) -> Identity {
    let documents: Vec<Value> = [
        tokens.id_token.as_ref().and_then(claims),
        Some(tokens.extra.clone()),
        claims(&tokens.access),
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
            .or_else(|| server.issuer.as_ref().map(Url::to_string)),
        subject: first(&paths.subject),
        organization: first(&paths.organization),
        email: first(&paths.email),
        plan: first(&paths.plan),
    }
}

fn issuer(claims: Option<Map<String, Value>>) -> Option<String> {
    text(claims?.get("iss")?)
}

/// Ids are text or, as GitHub's, whole numbers.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => clean(text, limits::CLAIM_CHARS),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}
