//! Finds a server's endpoints by its issuer (OpenID Connect Discovery 1.0 §4, RFC 8414 §3).

use serde_json::{Map, Value};
use url::Url;

use crate::{
    ClientAuth, Discovery, Http, HttpError, Metadata, OauthError, Server, limits,
    request::{answer, get_json},
    server::url_rules::require_secure,
    text::{lenient, without_echo},
};

/// In which order the places are tried where a discovery document may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// OpenID Connect's place first.
    OpenId,
    /// RFC 8414's place first, and never with its name appended to the path (MCP, "Authorization
    /// Server Metadata Discovery").
    Mcp,
}

/// Fetches the discovery document of `issuer`, from each place where the two standards put it.
///
/// It must name this very issuer, and its endpoints must be https or loopback: they receive the
/// user's tokens.
pub async fn discover(http: &dyn Http, issuer: &Url) -> Result<Metadata, OauthError> {
    let server = Server {
        issuer: Some(issuer.clone()),
        ..Server::default()
    };
    discover_of(http, &server).await
}

/// The same for a server whose dialect may put the document elsewhere, nest it, or give the server
/// other names.
pub async fn discover_of(http: &dyn Http, server: &Server) -> Result<Metadata, OauthError> {
    discover_in(http, server, Order::OpenId).await
}

/// The same, with the places tried in this order.
pub(crate) async fn discover_in(
    http: &dyn Http,
    server: &Server,
    order: Order,
) -> Result<Metadata, OauthError> {
    let issuer = server.issuer.as_ref();
    let issuer = issuer.ok_or(OauthError::MissingEndpoint { which: "issuer" })?;
    require_secure(issuer)?;
    let (own_place, key) = match &server.dialect.discovery {
        Discovery::Document { url, key } => (url.as_ref(), key.as_deref()),
        Discovery::Standard | Discovery::Never => (None, None),
    };
    let mut last = OauthError::MissingEndpoint {
        which: "discovery document",
    };
    for place in own_place.map_or_else(|| places(issuer, order), |place| vec![place.clone()]) {
        require_secure(&place)?;
        let error = match fetch(http, &place).await {
            Ok(document) => {
                let document = match key {
                    None => Some(&document),
                    Some(key) => document.get(key).and_then(Value::as_object),
                };
                match document {
                    Some(document) if describes(document) => return read(document, server, issuer),
                    // Some servers answer any address with some JSON.
                    Some(_) => OauthError::Malformed { field: "issuer" },
                    None => OauthError::Malformed {
                        field: "discovery key",
                    },
                }
            }
            Err(error @ (OauthError::Http(_) | OauthError::InsecureEndpoint { .. }))
                if !is_of_place(&error) =>
            {
                return Err(error);
            }
            Err(error) => error,
        };
        // A server that is busy at one place is not one that has nothing at the others.
        if !matches!(last, OauthError::Transient { .. }) {
            last = error;
        }
    }
    Err(last)
}

/// Whether a document says anything about a login server.
fn describes(document: &Map<String, Value>) -> bool {
    ["issuer", "authorization_endpoint", "token_endpoint"]
        .iter()
        .any(|field| document.get(*field).is_some_and(Value::is_string))
}

/// Whether it is one place that failed, so that another one of the same server may still answer.
pub(crate) fn is_of_place(error: &OauthError) -> bool {
    matches!(
        error,
        OauthError::Transient { .. }
            | OauthError::TooLarge
            | OauthError::Http(HttpError::Timeout | HttpError::Other)
    )
}

/// Fetches a JSON document.
pub(crate) async fn fetch(http: &dyn Http, place: &Url) -> Result<Map<String, Value>, OauthError> {
    let request = get_json(place, "discovery document")?;
    answer::document(&http.send(request).await?, &[])
}

fn read(
    document: &Map<String, Value>,
    server: &Server,
    issuer: &Url,
) -> Result<Metadata, OauthError> {
    let found = document
        .get("issuer")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !server.matches_issuer(found) {
        return Err(OauthError::IssuerMismatch {
            expected: issuer.to_string(),
            found: without_echo(found, limits::DESCRIPTION_CHARS, &[])
                .unwrap_or_else(|| "no issuer".to_owned()),
        });
    }
    let endpoint = |field: &'static str| endpoint(document, field);
    let optional = |field| endpoint(field).unwrap_or_default();
    let device_authorization_endpoint = optional("device_authorization_endpoint");
    // What is needed must be usable: the token endpoint, and one where a login begins. What the
    // user has named is not needed.
    let is_configured = |url: &Option<Url>| url.is_some();
    let token_endpoint = match is_configured(&server.token_endpoint) {
        true => optional("token_endpoint"),
        false => endpoint("token_endpoint")?,
    };
    let begins_elsewhere = is_configured(&server.authorization_endpoint)
        || is_configured(&server.device_authorization_endpoint)
        || device_authorization_endpoint.is_some();
    let authorization_endpoint = match begins_elsewhere {
        true => optional("authorization_endpoint"),
        false => endpoint("authorization_endpoint")?,
    };
    Ok(Metadata {
        issuer: issuer.clone(),
        authorization_endpoint,
        token_endpoint,
        device_authorization_endpoint,
        revocation_endpoint: optional("revocation_endpoint"),
        userinfo_endpoint: optional("userinfo_endpoint"),
        jwks_uri: optional("jwks_uri"),
        registration_endpoint: optional("registration_endpoint"),
        issuer_in_response: document.get("authorization_response_iss_parameter_supported")
            == Some(&Value::Bool(true)),
        knows_s256: words(document, "code_challenge_methods_supported").any(|word| word == "S256"),
        scopes: lenient::scopes(words(document, "scopes_supported")),
        client_auth: document
            .contains_key("token_endpoint_auth_methods_supported")
            .then(|| {
                words(document, "token_endpoint_auth_methods_supported")
                    .filter_map(ClientAuth::named)
                    .collect()
            }),
    })
}

/// The texts of a list; empty where the field is missing or not a list.
pub(crate) fn words<'a>(
    document: &'a Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = &'a str> {
    let list = document.get(field).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

fn endpoint(document: &Map<String, Value>, field: &'static str) -> Result<Option<Url>, OauthError> {
    let is_said = |value: &&Value| !value.is_null() && value.as_str() != Some("");
    let Some(value) = document.get(field).filter(is_said) else {
        return Ok(None);
    };
    let url = value
        .as_str()
        .and_then(|url| Url::parse(url).ok())
        .ok_or(OauthError::Malformed { field })?;
    require_secure(&url)?;
    Ok(Some(url))
}

/// The places, likeliest first. An issuer with a path has two forms of each: OpenID Connect appends
/// the well-known name to the path, RFC 8414 puts it before.
fn places(issuer: &Url, order: Order) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let openid = format!("{path}/.well-known/openid-configuration");
    let openid_before = format!("/.well-known/openid-configuration{path}");
    let oauth = format!("/.well-known/oauth-authorization-server{path}");
    let oauth_after = format!("{path}/.well-known/oauth-authorization-server");
    let paths = match order {
        Order::OpenId => vec![openid, oauth, openid_before, oauth_after],
        Order::Mcp => vec![oauth, openid_before, openid],
    };
    let mut places: Vec<Url> = Vec::new();
    for path in paths {
        let place = at_path(issuer, &path);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// Another path of the same origin.
pub(crate) fn at_path(url: &Url, path: &str) -> Url {
    let mut place = url.clone();
    place.set_path(path);
    place.set_query(None);
    place.set_fragment(None);
    place
}
