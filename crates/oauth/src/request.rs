//! Requests to an authorization server.

pub(crate) mod adapter;
pub(crate) mod answer;
pub(crate) mod exchange;
pub(crate) mod grant;
mod parameters;

use http::{
    HeaderName, HeaderValue, Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use secrecy::SecretString;
use url::Url;

use crate::{OauthError, secret::reveal};

/// A request for a JSON document; `which` names the endpoint.
pub(crate) fn get_json(url: &Url, which: &'static str) -> Result<Request<Vec<u8>>, OauthError> {
    Request::get(url.as_str())
        .header(ACCEPT, "application/json")
        .body(Vec::new())
        .map_err(|_| OauthError::MissingEndpoint { which })
}

/// A request that carries a token; one with a body says `{}`.
pub(crate) fn bearer_request(
    method: Method,
    url: &Url,
    token: &SecretString,
) -> Result<Request<Vec<u8>>, OauthError> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", reveal(token)))
        .map_err(|_| OauthError::Malformed { field: "token" })?;
    bearer.set_sensitive(true);
    let request = Request::builder()
        .uri(url.as_str())
        .header(AUTHORIZATION, bearer)
        .header(ACCEPT, "application/json");
    let request = match method {
        Method::POST => request
            .header(CONTENT_TYPE, "application/json")
            .method(method)
            .body(b"{}".to_vec()),
        method => request.method(method).body(Vec::new()),
    };
    request.map_err(|_| OauthError::MissingEndpoint {
        which: "exchange endpoint",
    })
}

/// Adds the headers that a dialect has for a step.
pub(crate) fn add_headers(request: &mut Request<Vec<u8>>, headers: &[(String, String)]) {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            request.headers_mut().insert(name, value);
        }
    }
}
