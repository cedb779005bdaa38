//! Extra parameters of the requests to a login server, and those that no configuration sets.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::tree::{Content, Entry, Node};

/// Parameters that the flow itself sets, and whose meaning for its safety a config must not change.
pub(super) const RESERVED: &[&str] = &[
    "assertion",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "grant_type",
    "nonce",
    "redirect_uri",
    "refresh_token",
    "request",
    "request_uri",
    "scope",
    "state",
];

/// Whether a parameter is one of those, as servers read names: some take no notice of case, or know
/// lists by brackets.
pub(super) fn is_reserved(name: &str) -> bool {
    let name = name.split('[').next().unwrap_or(name);
    let name = name.trim().to_ascii_lowercase();
    RESERVED.contains(&name.as_str())
}

/// Extra parameters of one step; `null` leaves one out that the kind of login has.
pub(super) fn parameters(
    node: &Node,
    step: &str,
) -> Result<BTreeMap<String, Option<String>>, ConfigError> {
    let mut params = BTreeMap::new();
    for Entry { key, place, node } in node.object()? {
        if is_reserved(key)
            || (key.trim().eq_ignore_ascii_case("response_type") && step == "authorize")
        {
            return Err(place.fault("this parameter is set by the login itself; remove it"));
        }
        let value = match node.value {
            Content::Null => None,
            _ => Some(node.text()?.to_owned()),
        };
        params.insert(key.clone(), value);
    }
    Ok(params)
}
