//! The tables of keys and the JSON Schemas.

use std::collections::BTreeSet;

use serde_json::json;

use super::form::{Form, reference};
use super::{CONFIG, TABLES, at, parsed};
use crate::config::keys::Key;
use crate::config::log::LOG_LEVELS;
use crate::config::tests::Surroundings;
use crate::config::unused_keys::without_effect;
use crate::config::{DEFAULT_NAMESPACE, dialect, limits, oci, parameters, provider_keys};
use crate::providers;

const OCI: &str = include_str!("../../../../../../schemas/oci-auth.config.schema.json");

#[test]
fn the_schema_has_every_key_of_the_tables_and_no_other_and_says_what_each_is_for() {
    let config = parsed(CONFIG);
    for (keys, pointer, ..) in TABLES {
        let object = at(&config, pointer);
        let properties = object["properties"]
            .as_object()
            .expect("an object with keys");
        let names: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            keys.iter().map(|key| key.name).collect(),
            "{pointer}"
        );
        assert_eq!(object["additionalProperties"], json!(false), "{pointer}");
        for Key {
            name, doc, reader, ..
        } in *keys
        {
            let value = &properties[*name];
            assert_eq!(
                value["description"].as_str(),
                Some(doc.trim()),
                "{pointer}/{name}"
            );
            if let Some(form) = Form::of(reader) {
                form.check_schema(value, &format!("{pointer}/{name}"));
            }
        }
    }
    let names_of = |pointer: &str| -> BTreeSet<&str> {
        let object = at(&config, pointer)["properties"]
            .as_object()
            .expect("an object");
        object.keys().map(String::as_str).collect()
    };
    let set = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    let of_dialect = |key: &str| names_of(&format!("/definitions/dialect/properties/{key}"));
    assert_eq!(names_of(""), set(provider_keys::ROOT));
    assert_eq!(
        names_of("/definitions/provider/properties/params"),
        set(provider_keys::STEPS)
    );
    assert_eq!(of_dialect("encoding"), set(dialect::STEPS));
    assert_eq!(of_dialect("headers"), set(dialect::STEPS));
    assert_eq!(of_dialect("fields"), set(dialect::FIELDS));
}

#[test]
fn the_other_lists_of_the_schema_are_those_of_the_parser() {
    let config = parsed(CONFIG);
    let names = |pointer: &str| at(&config, pointer)["enum"].clone();
    let bases: Vec<&str> = providers::BASES.iter().map(|base| base.id).collect();
    let all: Vec<&str> = providers::all().map(|known| known.id).collect();
    assert_eq!(
        names("/definitions/provider/properties/extends"),
        json!(all)
    );
    assert_eq!(
        names("/properties/providers/propertyNames/not"),
        json!(bases)
    );
    let encodings: Vec<&str> = dialect::ENCODINGS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names("/definitions/encoding"), json!(encodings));
    assert_eq!(
        names("/definitions/params/propertyNames/not"),
        json!(parameters::RESERVED)
    );
    let any = &at(&config, "/definitions/dialect/properties/issuers/anyOf/1")["const"];
    assert_eq!(any.as_str(), Some(dialect::ANY_ISSUER[0].0));
    for (name, reason) in provider_keys::REASONS {
        assert_eq!(*name, reason.as_str());
    }
    for key in ["namespace", "account"] {
        let name = at(&config, &format!("/definitions/provider/properties/{key}"));
        assert_eq!(name["maxLength"], json!(limits::LONGEST_NAME), "{key}");
    }
    let pool = at(&config, "/definitions/provider/properties/namespace");
    assert_eq!(pool["default"], json!(DEFAULT_NAMESPACE));
}

#[test]
fn the_rules_about_keys_without_effect_name_keys_that_there_are() {
    let config = parsed(CONFIG);
    let mut named = BTreeSet::new();
    let settings = Surroundings::new().load().unwrap();
    for provider in settings.providers.values() {
        named.extend(
            without_effect(provider, false)
                .into_iter()
                .map(|(key, _)| key),
        );
    }
    assert!(named.len() > 30, "{named:?}");
    for key in named {
        let mut object = at(&config, "/definitions/provider");
        for step in key.split('.') {
            let value = &object["properties"][step];
            assert!(value.is_object(), "{key}");
            object = match reference(value) {
                Some(name) => at(&config, &format!("/definitions/{name}")),
                None => value,
            };
        }
    }
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
        name_of(provider_keys::STRATEGIES)
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
    let properties = schema["properties"].as_object().unwrap();
    let names: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
    assert_eq!(names, oci::KEYS.iter().copied().collect());
    assert_eq!(schema["additionalProperties"], json!(false));
    assert!(
        properties
            .values()
            .all(|value| value["description"].is_string())
    );
    let applications: Vec<&str> = oci::APPLICATIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(properties["auth_method"]["enum"], json!(applications));
    let levels: Vec<&str> = LOG_LEVELS.iter().map(|(name, _)| *name).collect();
    assert_eq!(properties["log_level"]["enum"], json!(levels));
}
