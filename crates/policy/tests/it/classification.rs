//! What each provider's refusals mean: the vectors that every implementation shares.

use std::collections::BTreeMap;

use provider_auth_policy::*;
use serde::Deserialize;
use serde_json::Value;

use crate::world::{World, key, oauth};

#[derive(Deserialize)]
struct Vectors {
    now: u64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    provider: String,
    #[serde(default)]
    account: Kind,
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    /// Whether the message is the only place that says for how long.
    #[serde(default)]
    speaks: bool,
    expect: Expected,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Login,
    Key,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    reason: Reason,
    /// `account`, `model` or `egress`; absent when nothing is blocked.
    scope: Option<String>,
    wait_ms: Option<u64>,
    source: Option<Source>,
    standing: Option<Standing>,
    /// Use of each quota window, in percent, that is remembered.
    #[serde(default)]
    usage: BTreeMap<String, u16>,
}

#[test]
fn every_recorded_refusal_is_sorted_by_its_codes_and_not_by_its_words() {
    let vectors: Vectors = serde_json::from_str(include_str!(
        "../../../../specs/vectors/classification.json"
    ))
    .unwrap();
    for case in &vectors.cases {
        assert_eq!(judged(case, vectors.now), case.expect, "{}", case.name);
        if case.speaks {
            continue;
        }
        // The words of a message change from one day to the next: without them nothing changes.
        let silent = Case {
            name: String::new(),
            provider: case.provider.clone(),
            account: match case.account {
                Kind::Login => Kind::Login,
                Kind::Key => Kind::Key,
            },
            status: case.status,
            headers: case.headers.clone(),
            body: case.body.clone().map(without_words),
            speaks: false,
            expect: judged(case, vectors.now),
        };
        assert_eq!(
            judged(&silent, vectors.now),
            case.expect,
            "{}, without its words",
            case.name
        );
    }
}

fn signals(provider: &str) -> Signals {
    match provider {
        "anthropic" => Signals::ANTHROPIC,
        "google" => Signals::GOOGLE,
        "qwen" => Signals::QWEN,
        "cursor" => Signals::CURSOR,
        "oci-oidc" => Signals::OCI,
        "openai" | "github-copilot" | "generic" => Signals::GENERIC,
        other => panic!("no such provider: {other}"),
    }
}

fn judged(case: &Case, now: u64) -> Expected {
    let account = match case.account {
        Kind::Login => oauth("a"),
        Kind::Key => key("a"),
    };
    let mut world = World::new([account]);
    world.now = Timestamp::from_millis(now);
    world.signals = signals(&case.provider);
    let mut request = Request::new("acme", "default", Some("large".into()), None, None);
    let id = AccountId::from("a");
    request.serving(&id, 1, world.now);
    let answer = crate::world::Answer {
        status: Some(case.status),
        headers: case.headers.clone(),
        body: case.body.as_ref().map(Value::to_string),
        failure: None,
    };
    let reaction = world.report(&mut request, &id, &answer);
    let learned = &reaction.delta.accounts[&id];
    let block = reaction.cooldown.as_ref();
    Expected {
        reason: reaction.reason,
        scope: block.map(|(scope, _)| name(scope)),
        wait_ms: block.map(|(_, block)| block.until.as_millis() - now),
        source: block.map(|(_, block)| block.source),
        standing: learned.standing.map(|mark| mark.standing),
        usage: learned
            .usage
            .iter()
            .map(|(window, usage)| (window.clone(), usage.used_percent))
            .collect(),
    }
}

fn name(scope: &Scope) -> String {
    let name = match scope {
        Scope::Account(_) => "account",
        Scope::Model(..) => "model",
        Scope::Egress(_) => "egress",
        _ => "provider-model",
    };
    name.to_owned()
}

/// The body with every message emptied.
fn without_words(body: Value) -> Value {
    match body {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| match name.as_str() {
                "message" | "error_description" => (name, "".into()),
                _ => (name, without_words(value)),
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(without_words).collect(),
        other => other,
    }
}
