//! The JSON Schemas that editors use, and the parser: each knows the keys and choices of the other.

use std::collections::BTreeSet;
use std::fmt::Debug;

use serde_json::json;

use super::*;
use crate::config::{dialect, oci, schema};
use crate::providers;

const CONFIG: &str = include_str!("../../../../../schemas/config.schema.json");
const OCI: &str = include_str!("../../../../../schemas/oci-auth.config.schema.json");

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("a schema is JSON")
}

fn at<'a>(schema: &'a Value, pointer: &str) -> &'a Value {
    schema
        .pointer(pointer)
        .unwrap_or_else(|| panic!("{pointer} is not in the schema"))
}

/// Holds that an object of the schema has these keys, and takes no others.
#[track_caller]
fn check_keys(schema: &Value, pointer: &str, known: &[&str]) {
    let object = at(schema, pointer);
    let keys = object["properties"]
        .as_object()
        .expect("an object with keys")
        .keys();
    let keys: BTreeSet<&str> = keys.map(String::as_str).collect();
    assert_eq!(keys, known.iter().copied().collect(), "{pointer}");
    assert_eq!(object["additionalProperties"], json!(false), "{pointer}");
    for (key, value) in object["properties"].as_object().unwrap() {
        let is_told = value["description"].is_string() || value["$ref"].is_string();
        assert!(is_told, "{pointer}/{key} is not described");
    }
}

/// Holds that a value of the schema has these choices.
#[track_caller]
fn check_choices<T: Debug>(schema: &Value, pointer: &str, known: &[(&str, T)]) {
    let choices: Vec<&str> = at(schema, pointer)["enum"]
        .as_array()
        .expect("choices")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let known: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    assert_eq!(choices, known, "{pointer}");
}

#[test]
fn the_schema_of_config_jsonc_has_every_key_of_the_parser_and_no_other() {
    let config = parsed(CONFIG);
    check_keys(&config, "", schema::ROOT_KEYS);
    check_keys(&config, "/definitions/provider", schema::PROVIDER_KEYS);
    check_keys(
        &config,
        "/definitions/provider/properties/params",
        schema::STEPS,
    );
    check_keys(&config, "/definitions/rotation", schema::ROTATION_KEYS);
    let limits = "/definitions/provider/properties/limits/items";
    check_keys(&config, limits, schema::LIMIT_KEYS);
    let shape = "/definitions/provider/properties/modelsShape";
    check_keys(&config, shape, schema::SHAPE_KEYS);
    check_keys(&config, "/definitions/dialect", dialect::KEYS);
    let of_dialect = |key: &str, keys| {
        check_keys(
            &config,
            &format!("/definitions/dialect/properties/{key}"),
            keys,
        );
    };
    of_dialect("discovery/anyOf/1", dialect::DISCOVERY_KEYS);
    of_dialect("encoding", dialect::STEPS);
    of_dialect("headers", dialect::STEPS);
    of_dialect("issuedClient", dialect::ISSUED_CLIENT_KEYS);
    of_dialect("errors/items", dialect::ERROR_KEYS);
    of_dialect("poll", dialect::POLL_KEYS);
    of_dialect("fields", dialect::FIELDS);
    of_dialect("identity", dialect::IDENTITY_KEYS);
}

#[test]
fn the_schema_of_config_jsonc_has_every_choice_of_the_parser_and_no_other() {
    let config = parsed(CONFIG);
    let provider = |key: &str| format!("/definitions/provider/properties/{key}");
    let of_dialect = |key: &str| format!("/definitions/dialect/properties/{key}");
    let rotation = |key: &str| format!("/definitions/rotation/properties/{key}");
    let bases = providers::BUILT_IN.iter().chain(providers::BASES);
    let bases: Vec<(&str, ())> = bases.map(|base| (base.id, ())).collect();
    check_choices(&config, &provider("extends"), &bases);
    let no_ids: Vec<(&str, ())> = providers::BASES.iter().map(|base| (base.id, ())).collect();
    check_choices(&config, "/properties/providers/propertyNames/not", &no_ids);
    check_choices(&config, &provider("clientAuth"), schema::CLIENT_AUTH);
    check_choices(&config, &provider("grants/items"), schema::GRANTS);
    check_choices(
        &config,
        &provider("limits/items/properties/means"),
        schema::REASONS,
    );
    check_choices(
        &config,
        &provider("limits/items/properties/scope"),
        schema::REACHES,
    );
    for (name, reason) in schema::REASONS {
        assert_eq!(*name, reason.as_str());
    }
    check_choices(&config, &rotation("mode"), schema::MODES);
    check_choices(&config, &rotation("strategy"), schema::STRATEGIES);
    check_choices(&config, "/definitions/encoding", dialect::ENCODINGS);
    check_choices(&config, &of_dialect("idToken"), dialect::ID_TOKEN_CHECKS);
    check_choices(
        &config,
        &of_dialect("errors/items/properties/means"),
        dialect::MEANINGS,
    );
    check_choices(&config, &of_dialect("renewal"), dialect::RENEWALS);
    let reserved: Vec<(&str, ())> = schema::RESERVED_PARAMS
        .iter()
        .map(|name| (*name, ()))
        .collect();
    check_choices(&config, "/definitions/params/propertyNames/not", &reserved);
    let any = &at(&config, &of_dialect("issuers/anyOf/1"))["const"];
    assert_eq!(any.as_str(), Some(dialect::ANY_ISSUER[0].0));
}

#[test]
fn the_numbers_and_defaults_of_the_schema_are_those_of_the_parser() {
    let config = parsed(CONFIG);
    let rotation = provider_auth_policy::Rotation::default();
    let of = |key: &str, what: &str| {
        at(&config, &format!("/definitions/rotation/properties/{key}"))[what].clone()
    };
    assert_eq!(of("maxAttempts", "maximum"), json!(limits::MOST_ATTEMPTS));
    assert_eq!(
        of("maxWaitMs", "maximum"),
        json!(limits::LONGEST_WAIT.as_millis() as u64)
    );
    assert_eq!(
        of("maxWaitMs", "default"),
        json!(rotation.max_wait.as_millis() as u64)
    );
    assert_eq!(
        of("holdUntilReset", "default"),
        json!(rotation.hold_until_reset)
    );
    let name_of = |choices: &[(&'static str, provider_auth_policy::Strategy)]| {
        choices
            .iter()
            .find(|(_, choice)| *choice == rotation.strategy)
            .map(|(name, _)| *name)
    };
    assert_eq!(
        of("strategy", "default").as_str(),
        name_of(schema::STRATEGIES)
    );
    let pause = |key: &str, what: &str| {
        at(
            &config,
            &format!("/definitions/dialect/properties/poll/properties/{key}"),
        )[what]
            .clone()
    };
    let longest = json!(limits::LONGEST_POLL_PAUSE.as_millis() as u64);
    assert_eq!(pause("intervalMs", "maximum"), longest);
    assert_eq!(pause("slowDownMs", "maximum"), longest);
    let standard = provider_auth_oauth::limits::POLL_INTERVAL.as_millis() as u64;
    assert_eq!(pause("intervalMs", "default"), json!(standard));
}

#[test]
fn the_schema_of_the_oracle_file_has_every_key_and_choice_of_the_parser() {
    let schema = parsed(OCI);
    check_keys(&schema, "", oci::KEYS);
    let names: Vec<(&str, ())> = oci::APPLICATIONS
        .iter()
        .map(|(name, _)| (*name, ()))
        .collect();
    check_choices(&schema, "/properties/auth_method", &names);
    check_choices(&schema, "/properties/log_level", LOG_LEVELS);
}
