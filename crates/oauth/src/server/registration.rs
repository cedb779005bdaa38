//! Registers a client with an authorization server, where none was registered by hand (RFC 7591).

use http::{
    Method, Request,
    header::{ACCEPT, CONTENT_TYPE},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use crate::{
    Client, ClientAuth, Http, Metadata, OauthError, limits,
    request::answer,
    server::url_rules::endpoint,
    text::lenient::{unix_seconds, whole},
};

/// Under which name users see us where they agree to a login.
const NAME: &str = "provider-auth";

/// A client that a server has registered.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The client.
    pub client: Client,
    /// When its secret ends, in Unix seconds; `None` for never, and for a client without one.
    pub secret_ends_at: Option<u64>,
}

/// Registers a client that signs people in and comes back to `redirect_uri`.
///
/// It asks for a client without a secret, which no program on a user's machine could keep to
/// itself; with one only where the server says that it knows no other. What counts is what the
/// server then says.
pub async fn register(
    http: &dyn Http,
    server: &Metadata,
    redirect_uri: &Url,
    scopes: &[String],
) -> Result<Registered, OauthError> {
    let which = "registration endpoint";
    let endpoint = endpoint(server.registration_endpoint.as_ref(), which)?;
    let mut grants = vec!["authorization_code", "refresh_token"];
    if server.device_authorization_endpoint.is_some() {
        grants.push("urn:ietf:params:oauth:grant-type:device_code");
    }
    let mut metadata = json!({
        "client_name": NAME,
        "redirect_uris": [redirect_uri.as_str()],
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": wanted(server).name(),
        // OpenID Connect Dynamic Client Registration §2: a web application may not come back to
        // this machine.
        "application_type": "native",
    });
    // Left out where the server does not list them: such scopes are the resource's, and servers
    // refuse to register them.
    if !scopes.is_empty() && scopes.iter().all(|scope| server.scopes.contains(scope)) {
        metadata["scope"] = scopes.join(" ").into();
    }
    let request = Request::builder()
        .method(Method::POST)
        .uri(endpoint.as_str())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .body(metadata.to_string().into_bytes())
        .map_err(|_| OauthError::MissingEndpoint { which })?;
    let answer = answer::document(&http.send(request).await?, &[])?;
    let text = |field: &'static str| match answer.get(field) {
        None | Some(Value::Null) => Ok(None),
        // Servers that fill in a form leave empty what does not apply.
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) if is_word(text) => Ok(Some(text.as_str())),
        Some(_) => Err(OauthError::Malformed { field }),
    };
    let id = text("client_id")?.ok_or(OauthError::Malformed { field: "client_id" })?;
    let secret = text("client_secret")?;
    let method = "token_endpoint_auth_method";
    let auth = match (text(method)?, secret) {
        (_, None) => ClientAuth::None,
        // RFC 7591 §2: what is left out is `client_secret_basic`.
        (None, Some(_)) => ClientAuth::Basic,
        (Some(name), Some(_)) => {
            ClientAuth::named(name).ok_or(OauthError::Malformed { field: method })?
        }
    };
    // 0 is for ever (RFC 7591 §3.2.1).
    let ends_at = answer.get("client_secret_expires_at").and_then(whole);
    Ok(Registered {
        client: Client {
            id: id.to_owned(),
            secret: secret.map(SecretString::from),
            auth,
            signer: None,
        },
        secret_ends_at: ends_at.filter(|_| secret.is_some()).map(unix_seconds),
    })
}

/// How a client of ours best authenticates there.
fn wanted(server: &Metadata) -> ClientAuth {
    let Some(known) = &server.client_auth else {
        return ClientAuth::None;
    };
    [ClientAuth::None, ClientAuth::Basic, ClientAuth::Post]
        .into_iter()
        .find(|auth| known.contains(auth))
        .unwrap_or_default()
}

/// Whether it can be a client id or secret (RFC 6749, appendix A).
fn is_word(text: &str) -> bool {
    text.len() <= limits::CLIENT_ID_BYTES && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
