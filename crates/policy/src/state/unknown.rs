//! What keeps the shared state readable by older and newer versions: unknown fields are kept,
//! unreadable entries dropped.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::gather::Gather as _;

/// Of two values for an unknown field the greater in text is kept: arbitrary, but the same
/// everywhere.
pub(crate) fn merge_unknown(known: &mut Map<String, Value>, delta: &Map<String, Value>) {
    let text = Value::to_string;
    for (name, value) in delta {
        match known.get_mut(name) {
            Some(old) => {
                if text(value) > text(old) {
                    *old = value.clone();
                }
            }
            None => {
                known.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Reads the entries of a map that can be read, and drops the others.
pub(crate) fn readable<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: From<String> + Ord,
    V: DeserializeOwned,
{
    let Value::Object(entries) = Value::deserialize(deserializer)? else {
        return Ok(BTreeMap::new());
    };
    Ok(entries
        .into_iter()
        .filter_map(|(key, value)| Some((K::from(key), V::deserialize(value).ok()?)))
        .gather())
}
