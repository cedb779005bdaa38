//! The tables of keys, the JSON Schemas that editors use, and the types of `index.d.ts`: each knows
//! the keys, the choices and the forms of the others.

pub(super) mod form;
mod schema;
mod types;

use crate::config::dialect::{
    DialectKeys, DiscoveryKeys, ErrorKeys, IdentityKeys, IssuedClientKeys, PollKeys,
};
use crate::config::keys::{Key, Table as _};
use crate::config::provider_keys::{LimitKeys, ModelsShapeKeys, ProviderKeys, RotationKeys};
use serde_json::Value;

const CONFIG: &str = include_str!("../../../../../../schemas/config.schema.json");

/// A table, where the JSON Schema has it, and where `index.d.ts` does: an interface, or the member
/// of one.
type Row = (&'static [Key], &'static str, &'static str, &'static str);

const TABLES: &[Row] = &[
    (
        ProviderKeys::KEYS,
        "/definitions/provider",
        "ProviderConfig",
        "",
    ),
    (
        ModelsShapeKeys::KEYS,
        "/definitions/provider/properties/modelsShape",
        "ProviderConfig",
        "modelsShape",
    ),
    (
        LimitKeys::KEYS,
        "/definitions/provider/properties/limits/items",
        "LimitRule",
        "",
    ),
    (
        RotationKeys::KEYS,
        "/definitions/rotation",
        "RotationConfig",
        "",
    ),
    (
        DialectKeys::KEYS,
        "/definitions/dialect",
        "DialectConfig",
        "",
    ),
    (
        DiscoveryKeys::KEYS,
        "/definitions/dialect/properties/discovery/anyOf/1",
        "DialectConfig",
        "discovery",
    ),
    (
        IssuedClientKeys::KEYS,
        "/definitions/dialect/properties/issuedClient",
        "DialectConfig",
        "issuedClient",
    ),
    (
        ErrorKeys::KEYS,
        "/definitions/dialect/properties/errors/items",
        "DialectConfig",
        "errors",
    ),
    (
        PollKeys::KEYS,
        "/definitions/dialect/properties/poll",
        "DialectConfig",
        "poll",
    ),
    (
        IdentityKeys::KEYS,
        "/definitions/dialect/properties/identity",
        "DialectConfig",
        "identity",
    ),
];

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("a schema is JSON")
}

fn at<'a>(schema: &'a Value, pointer: &str) -> &'a Value {
    schema
        .pointer(pointer)
        .unwrap_or_else(|| panic!("{pointer} is not in the schema"))
}
