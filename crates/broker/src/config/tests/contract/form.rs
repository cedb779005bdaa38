//! The form of a value, as the call that reads it, a JSON Schema and TypeScript say it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::config::{dialect, provider_keys};

pub(super) const TYPES: &str = include_str!("../../../../../../index.d.ts");

/// The names of a list of choices, by the name of the list.
fn choices(list: &str) -> Vec<&'static str> {
    fn names<T>(choices: &[(&'static str, T)]) -> Vec<&'static str> {
        choices.iter().map(|(name, _)| *name).collect()
    }
    match list {
        "CLIENT_AUTH" => names(provider_keys::CLIENT_AUTH),
        "GRANTS" => names(provider_keys::GRANTS),
        "MODES" => names(provider_keys::MODES),
        "STRATEGIES" => names(provider_keys::STRATEGIES),
        "REASONS" => names(provider_keys::REASONS),
        "REACHES" => names(provider_keys::REACHES),
        "ID_TOKEN_CHECKS" => names(dialect::ID_TOKEN_CHECKS),
        "MEANINGS" => names(dialect::MEANINGS),
        "RENEWALS" => names(dialect::RENEWALS),
        other => panic!("give {other} its choices"),
    }
}

/// The form of a value as its reader has it.
pub(in crate::config::tests) enum Form {
    /// A text, of this definition of the schema.
    Text(&'static str),
    Flag,
    Number,
    Headers,
    Choice(Vec<&'static str>),
    List(Box<Self>),
}

impl Form {
    /// `None` for an object, whose keys have a table of their own, and for what has several forms.
    pub(in crate::config::tests) fn of(reader: &str) -> Option<Self> {
        let (call, arguments) = reader.split_once('(').unwrap_or((reader, ""));
        Some(match call {
            "issuer" | "endpoint" | "redirect_uri" | "resource" => Self::Text("url"),
            "word" => Self::Text("text"),
            "secret" => Self::Text("secret"),
            "header" => Self::Text("headerName"),
            "pointer" => Self::Text("pointer"),
            "scope" => Self::Text("scope"),
            "headers" => Self::Headers,
            "node.flag" => Self::Flag,
            "node.whole" | "pause" => Self::Number,
            "choice" => {
                let list = arguments.trim_end_matches(')').split_once(", ")?.1;
                Self::Choice(choices(list))
            }
            "origins" => Self::List(Box::new(Self::Text("origin"))),
            "list" => {
                let item = arguments.strip_prefix("node, ")?.strip_suffix(')')?;
                let item = item.split_once("| ").map_or(item, |(_, call)| call);
                Self::List(Box::new(Self::of(item)?))
            }
            _ => return None,
        })
    }

    /// Whether it is a text of this definition of the schema, or a list of such.
    pub(in crate::config::tests) fn is_text(&self, name: &str) -> bool {
        match self {
            Self::Text(definition) => *definition == name,
            Self::List(item) => item.is_text(name),
            _ => false,
        }
    }

    /// Holds that a value of the schema has this form.
    #[track_caller]
    pub(super) fn check_schema(&self, value: &Value, at: &str) {
        match self {
            Self::Text(name) => assert_eq!(reference(value), Some(*name), "{at}"),
            Self::Headers => assert_eq!(reference(value), Some("headers"), "{at}"),
            Self::Flag => assert_eq!(value["type"], json!("boolean"), "{at}"),
            Self::Number => {
                assert_eq!(value["type"], json!("integer"), "{at}");
                let has_bounds = value["minimum"].is_u64() && value["maximum"].is_u64();
                assert!(has_bounds, "{at}");
            }
            Self::Choice(names) => assert_eq!(value["enum"], json!(names), "{at}"),
            Self::List(item) => {
                assert_eq!(value["type"], json!("array"), "{at}");
                item.check_schema(&value["items"], at);
            }
        }
    }

    /// Holds that a type of TypeScript has this form.
    #[track_caller]
    pub(super) fn check_type(&self, typed: &str, at: &str) {
        match self {
            Self::Text(_) => assert_eq!(typed, "string", "{at}"),
            Self::Headers => assert_eq!(typed, "Record<string, string>", "{at}"),
            Self::Flag => assert_eq!(typed, "boolean", "{at}"),
            Self::Number => assert_eq!(typed, "number", "{at}"),
            Self::Choice(names) => {
                let names = names.iter().copied().collect::<BTreeSet<_>>();
                assert_eq!(literals(typed), names, "{at}");
            }
            Self::List(item) => {
                let typed = typed
                    .strip_suffix("[]")
                    .unwrap_or_else(|| panic!("{at}: {typed}"));
                item.check_type(typed, at);
            }
        }
    }
}

/// The definition that a value of the schema refers to.
pub(super) fn reference(value: &Value) -> Option<&str> {
    let referring = value["allOf"].get(0).unwrap_or(value);
    referring["$ref"].as_str()?.strip_prefix("#/definitions/")
}

/// The quoted words of a type; of `Exclude`, those that are left.
pub(super) fn literals(typed: &str) -> BTreeSet<&str> {
    let quoted =
        |text: &'static str| -> BTreeSet<&str> { text.split('\'').skip(1).step_by(2).collect() };
    let quoted_here =
        |text| -> BTreeSet<&str> { str::split(text, '\'').skip(1).step_by(2).collect() };
    match typed.strip_prefix("Exclude<") {
        None => quoted_here(typed),
        Some(excluding) => {
            let (name, left_out) = excluding.split_once(", ").expect("two types");
            let (_, alias) = TYPES
                .split_once(&format!("export type {name} ="))
                .expect("a type");
            let (alias, _) = alias.split_once("\n\n").expect("its end");
            &quoted(alias) - &quoted_here(left_out)
        }
    }
}
