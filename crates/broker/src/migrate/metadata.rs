//! What stands in an entry beside its secrets: carried where the vault has a place for it, else a
//! reason to leave the entry.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use provider_auth_policy::Gather as _;

use super::object::Object;
use crate::{limits, named};

/// Refuses an entry with a field that would be lost: what it is for is not known, and its program
/// may need it.
pub(super) fn holds_only(fields: &Object<'_>, known: &[&str]) -> Result<(), String> {
    let is_lost =
        |name: &str| name != "type" && !known.contains(&name) && fields.get(name).is_some();
    let names = fields.fields().iter().map(|(name, _)| name.as_str());
    let lost: BTreeSet<String> = names.filter(|name| is_lost(name)).map(named::name).gather();
    if lost.is_empty() {
        return Ok(());
    }
    let lost: Vec<String> = lost.into_iter().collect();
    Err(format!(
        "it holds {}, which the vault has no place for, so it stays whole",
        lost.join(", ")
    ))
}

/// What stands beside an API key.
pub(super) fn metadata(fields: &Object<'_>) -> Result<Map<String, Value>, String> {
    let Some(raw) = fields.get("metadata") else {
        return Ok(Map::new());
    };
    if raw.get().len() > limits::METADATA_LIMIT {
        return Err("its metadata is too long, so it stays whole".to_owned());
    }
    serde_json::from_str(raw.get()).map_err(|_| "its metadata is no object".to_owned())
}
