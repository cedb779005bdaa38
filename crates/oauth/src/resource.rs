//! Finds where one signs in to a protected resource: from its challenge over its own description to
//! its authorization server (RFC 9728, and the authorization page of the Model Context Protocol,
//! which narrows it).
//!
//! All of it comes from a server that is not trusted. Its description must be of the very resource
//! that was asked for, and a server elsewhere may not send us to places that only this machine or
//! its network knows, be they named by address or by a name that leads there.

pub(crate) mod challenge;
pub(crate) mod local;
#[cfg(test)]
mod tests;

use http::{
    Method, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    Bounded, FromLocalNetwork, Http, HttpError, Metadata, OauthError, Reach, Server, limits,
    server::{
        discovery::{Order, at_path, discover_in, fetch, is_of_place, words},
        url_rules::{is_loopback, require_secure},
    },
    text::{lenient, without_echo},
};

use self::{
    challenge::{Challenge, bearer_challenge},
    local::is_local,
};

/// The question that needs no session: a protected server refuses it, any other answers with
/// nothing (MCP, "Ping").
const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// A protected resource, and where one signs in to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its identifier, to be sent as `resource` (RFC 8707) with every request for a token.
    pub id: String,
    /// Scopes that it asks for: those of its challenge, else those of its description.
    pub scopes: Vec<String>,
    /// Its authorization server.
    pub server: Metadata,
    /// Whether it is neither on this machine nor in its network, so that what it names may not be
    /// there either.
    pub is_elsewhere: bool,
}

/// Asks a resource, such as an MCP server, where one signs in to it.
///
/// Its challenge may name the place of its description; else that lies at a well-known place. A
/// resource without one is of MCP's revision 2025-03-26: its own origin is the authorization
/// server. That server must know PKCE with S256. `configured` says how the user has it differ: by
/// which names it may call itself, and which endpoints need not be looked up.
pub async fn discover_resource(
    http: &dyn Http,
    url: &Url,
    configured: &Server,
) -> Result<Resource, OauthError> {
    require_secure(url)?;
    let (challenge, place) = challenge_of(http, url).await?;
    let bounds = Bounds { url, place };
    let reach = (place == Place::Elsewhere).then_some(Reach::PublicOnly);
    // What the user has named may lie anywhere.
    let http = &Bounded::new(http, reach, configured.hosts());
    let found = describe(http, bounds, challenge.resource_metadata.as_ref()).await?;
    let (description, fault) = match found {
        Described::Found(document) => (Description::read(&document, bounds)?, None),
        Described::Nowhere(fault) => (Description::none(url), fault),
    };
    let named = Server {
        issuer: Some(description.issuer),
        ..configured.clone()
    };
    let server = match discover_in(http, &named, Order::Mcp).await {
        Ok(server) => server,
        // Its own origin has no login server either: what kept its description from us says more.
        Err(error) => return Err(fault.unwrap_or(error)),
    };
    bounds.hold_server(&server, configured)?;
    require_s256(&server)?;
    let scopes = match challenge.scopes.is_empty() {
        true => description.scopes,
        false => challenge.scopes,
    };
    Ok(Resource {
        id: description.id,
        scopes,
        server,
        is_elsewhere: place == Place::Elsewhere,
    })
}

/// Refuses a server that does not say that it knows PKCE with S256.
fn require_s256(server: &Metadata) -> Result<(), OauthError> {
    match server.knows_s256 {
        true => Ok(()),
        false => Err(OauthError::NoPkce {
            issuer: server.issuer.to_string(),
        }),
    }
}

/// Whether a resource is on this machine or in its network now, as its own answer shows.
pub async fn answers_from_local_network(http: &dyn Http, url: &Url) -> bool {
    matches!(challenge_of(http, url).await, Ok((_, Place::Nearby)))
}

/// Returns the canonical identifier of a resource: neither query nor fragment, and no slash at the
/// end.
#[must_use]
pub fn resource_uri(url: &Url) -> String {
    let bare = String::from(at_path(url, url.path().trim_end_matches('/')));
    bare.strip_suffix('/').map(str::to_owned).unwrap_or(bare)
}

/// What the server answers to a request without a token, and where it is. One that says nothing may
/// still be described.
async fn challenge_of(http: &dyn Http, url: &Url) -> Result<(Challenge, Place), OauthError> {
    let named = match is_local(url) {
        true => Place::Nearby,
        false => Place::Elsewhere,
    };
    let request = Request::builder()
        .method(Method::POST)
        .uri(url.as_str())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .body(PING.to_vec())
        .map_err(|_| OauthError::MissingEndpoint { which: "resource" })?;
    let http = Bounded::new(http, Some(Reach::Observed), Vec::new());
    let response = match http.send(request).await {
        Ok(response) => response,
        // An answer without an end counts as no answer, and a page of any size says nothing here.
        Err(HttpError::Timeout | HttpError::TooLarge | HttpError::Other) => {
            return Ok((Challenge::default(), named));
        }
        Err(error) => return Err(error.into()),
    };
    let place = match response.extensions().get::<FromLocalNetwork>() {
        Some(FromLocalNetwork) => Place::Nearby,
        None => named,
    };
    if response.status() != StatusCode::UNAUTHORIZED {
        return Ok((Challenge::default(), place));
    }
    let lines = response.headers().get_all(WWW_AUTHENTICATE).into_iter();
    let challenge = bearer_challenge(lines.filter_map(|line| line.to_str().ok()));
    Ok((challenge.unwrap_or_default(), place))
}

/// What looking for a resource's description of itself comes to.
enum Described {
    Found(Map<String, Value>),
    /// No description that could be read at any of the places; holds the first error on the way.
    Nowhere(Option<OauthError>),
}

/// Looks for the resource's description of itself. Trouble at one place says nothing about the
/// others.
async fn describe(
    http: &dyn Http,
    bounds: Bounds<'_>,
    named: Option<&Url>,
) -> Result<Described, OauthError> {
    let url = bounds.url;
    let path = url.path().trim_end_matches('/');
    let mut places: Vec<Url> = named.cloned().into_iter().collect();
    for path in [format!("{WELL_KNOWN}{path}"), WELL_KNOWN.to_owned()] {
        let place = at_path(url, &path);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let mut fault = None;
    for place in &places {
        bounds.hold(place)?;
        match fetch(http, place).await {
            Ok(document) if document.get("resource").is_some_and(Value::is_string) => {
                return Ok(Described::Found(document));
            }
            Ok(_) => {
                fault.get_or_insert(OauthError::Malformed { field: "resource" });
            }
            // A page, or a refusal: it is not here.
            Err(OauthError::NotJson { .. } | OauthError::Rejected { .. }) => {}
            Err(error) if is_of_place(&error) => {
                fault.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Described::Nowhere(fault))
}

/// What a resource says about itself.
struct Description {
    id: String,
    issuer: Url,
    scopes: Vec<String>,
}

impl Description {
    /// What holds for a resource that says nothing.
    fn none(url: &Url) -> Self {
        Self {
            id: resource_uri(url),
            issuer: at_path(url, "/"),
            scopes: Vec::new(),
        }
    }

    fn read(document: &Map<String, Value>, bounds: Bounds<'_>) -> Result<Self, OauthError> {
        let url = bounds.url;
        let malformed = |field| OauthError::Malformed { field };
        let id = document.get("resource").and_then(Value::as_str);
        let id = id.ok_or(malformed("resource"))?;
        if !is_of(id, url) {
            return Err(OauthError::ResourceMismatch {
                expected: resource_uri(url),
                found: without_echo(id, limits::DESCRIPTION_CHARS, &[]).unwrap_or_default(),
            });
        }
        let issuer = match document.get("authorization_servers") {
            None | Some(Value::Null) => None,
            Some(Value::Array(list)) if list.is_empty() => None,
            Some(list) => {
                let first = list.get(0).and_then(Value::as_str);
                let first = first.and_then(|issuer| Url::parse(issuer).ok());
                Some(first.ok_or(malformed("authorization_servers"))?)
            }
        };
        let issuer = issuer.unwrap_or_else(|| at_path(url, "/"));
        bounds.hold(&issuer)?;
        Ok(Self {
            id: id.to_owned(),
            issuer,
            scopes: lenient::scopes(words(document, "scopes_supported")),
        })
    }
}

/// Whether a described resource is the one at `url`, or one that holds it: on the same origin, with
/// a path that is whole segments of its path.
///
/// RFC 9728 §3.3 wants both to be equal. Servers that describe their origin for all of its paths
/// are common, and what we hold goes to the origin as a whole anyway.
fn is_of(id: &str, url: &Url) -> bool {
    if id.len() > limits::RESOURCE_BYTES || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    let Ok(id) = Url::parse(id) else {
        return false;
    };
    let within = |path: &str| format!("{}/", path.trim_end_matches('/'));
    id.origin() == url.origin()
        && id.username().is_empty()
        && id.password().is_none()
        && id.fragment().is_none()
        && within(url.path()).starts_with(&within(id.path()))
}

/// Where a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On this machine or in its network: its address says so, or its answer came from there.
    Nearby,
    Elsewhere,
}

/// To where a resource may send us.
#[derive(Clone, Copy)]
struct Bounds<'a> {
    url: &'a Url,
    place: Place,
}

impl Bounds<'_> {
    /// Refuses an authorization server with an endpoint that only this machine or its network
    /// knows, if the resource is elsewhere. What lies on an origin that the user has named is
    /// theirs to know.
    fn hold_server(self, server: &Metadata, configured: &Server) -> Result<(), OauthError> {
        let endpoints = [
            &server.authorization_endpoint,
            &server.token_endpoint,
            &server.device_authorization_endpoint,
            &server.revocation_endpoint,
            &server.userinfo_endpoint,
            &server.jwks_uri,
            &server.registration_endpoint,
        ];
        endpoints
            .into_iter()
            .flatten()
            .filter(|endpoint| {
                let mut named = configured.places();
                !named.any(|place| place.origin() == endpoint.origin())
            })
            .try_for_each(|endpoint| self.hold(endpoint))
    }

    /// Refuses a place that is not https, unless both it and the resource are on this machine; and
    /// one in the local network, unless the resource is there too.
    ///
    /// What a name leads to shows when it is connected to: see [`Reach::PublicOnly`].
    fn hold(self, place: &Url) -> Result<(), OauthError> {
        require_secure(place)?;
        let is_fine = if is_loopback(place) {
            is_loopback(self.url)
        } else {
            !is_local(place) || self.place == Place::Nearby
        };
        if is_fine {
            return Ok(());
        }
        let origin = |url: &Url| url.origin().ascii_serialization();
        Err(OauthError::OutOfBounds {
            server: origin(self.url),
            url: origin(place),
        })
    }
}

/// Refuses a place that a resource elsewhere may not send us to, as [`discover_resource`] does with
/// what it finds.
pub fn require_public_place(resource: &Url, place: &Url) -> Result<(), OauthError> {
    let bounds = Bounds {
        url: resource,
        place: match is_local(resource) {
            true => Place::Nearby,
            false => Place::Elsewhere,
        },
    };
    bounds.hold(place)
}
