//! What a login to an MCP server asks for beside the usual: for which server, and a refresh token.

use provider_auth_oauth::{ClientAuth, Dialect, Metadata};

/// Has every request for a token say which MCP server it is for (RFC 8707 §2).
pub(crate) fn name_resource(dialect: &mut Dialect, resource: &str) {
    add_to_page(dialect, "resource", resource);
    for step in [
        &mut dialect.device,
        &mut dialect.token,
        &mut dialect.refresh,
    ] {
        add(&mut step.params, &step.left_out, "resource", resource);
    }
}

pub(crate) fn add_to_page(dialect: &mut Dialect, name: &str, value: &str) {
    add(
        &mut dialect.authorize,
        &dialect.authorize_left_out,
        name,
        value,
    );
}

/// Adds a parameter, unless the user has set it or wants it left out.
fn add(params: &mut Vec<(String, String)>, left_out: &[String], name: &str, value: &str) {
    let is_left_out = left_out.iter().any(|left_out| left_out == name);
    if !is_left_out && !params.iter().any(|(set, _)| set == name) {
        params.push((name.to_owned(), value.to_owned()));
    }
}

pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// The scopes, and the one for a refresh token where the login server knows it (MCP, "Refresh
/// Tokens"). Without any other, the server's own choice of scopes stays.
pub(crate) fn with_offline_access(
    mut scopes: Vec<String>,
    metadata: Option<&Metadata>,
) -> Vec<String> {
    let is_that = |scope: &String| scope == OFFLINE_ACCESS;
    let is_known = metadata.is_some_and(|metadata| metadata.scopes.iter().any(is_that));
    if is_known && !scopes.is_empty() && !scopes.iter().any(is_that) {
        scopes.push(OFFLINE_ACCESS.to_owned());
    }
    scopes
}

/// How a client with a secret authenticates (RFC 8414 §2: Basic, unless the server says otherwise).
pub(crate) fn with_secret(metadata: Option<&Metadata>) -> ClientAuth {
    let known = metadata.and_then(|metadata| metadata.client_auth.as_ref());
    let ways = [ClientAuth::Basic, ClientAuth::Post, ClientAuth::None];
    let mut usable = ways
        .into_iter()
        .filter(|way| known.is_none_or(|known| known.contains(way)));
    usable.next().unwrap_or(ClientAuth::Basic)
}
