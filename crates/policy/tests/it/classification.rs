//! What each provider's refusals mean: the vectors that every implementation shares.

use std::collections::BTreeMap;

use provider_auth_policy::*;
use serde::Deserialize;
use serde_json::{Value, json};

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

#[test]
fn what_the_user_says_of_a_refusal_decides_before_what_is_known() {
    let rule = |status, body: Option<(&str, &str)>, reason, reach, wait: Option<&str>| LimitRule {
        status,
        body: body.map(|(path, value)| (path.to_owned(), value.to_owned())),
        reason,
        reach,
        wait: wait.map(str::to_owned),
    };
    let spent = Some(("/error/code", "1302"));
    let signals = Signals {
        rules: Some(
            [
                rule(
                    Some(429),
                    spent,
                    Reason::QuotaExhausted,
                    None,
                    Some("/error/reset"),
                ),
                rule(
                    None,
                    Some(("/error/code", "busy")),
                    Reason::Overloaded,
                    None,
                    None,
                ),
                rule(
                    Some(429),
                    Some(("/kind", "burst")),
                    Reason::Throttled,
                    Some(Reach::Account),
                    None,
                ),
                rule(Some(403), None, Reason::NeedsVerification, None, None),
            ]
            .into(),
        ),
        ..Signals::GENERIC
    };
    let now = 1_790_000_000_000;
    let check = |status: u16,
                 header: Option<(&str, &str)>,
                 body: Value,
                 expect: (Reason, Option<&str>, Option<u64>)| {
        let case = Case {
            name: String::new(),
            provider: "generic".to_owned(),
            account: Kind::Key,
            status,
            headers: header
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: Some(body.clone()),
            speaks: false,
            expect: Expected {
                reason: expect.0,
                scope: None,
                wait_ms: None,
                source: None,
                standing: None,
                usage: BTreeMap::new(),
            },
        };
        let found = judged_by(signals.clone(), &case, now);
        assert_eq!(
            (found.reason, found.scope.as_deref(), found.wait_ms),
            expect,
            "{status} {body}"
        );
    };
    let hour = 3_600_000;
    let of_account = |wait| (Reason::QuotaExhausted, Some("account"), Some(wait));
    check(
        429,
        None,
        json!({ "error": { "code": 1302, "reset": 3600 } }),
        of_account(hour),
    );
    check(
        429,
        None,
        json!({ "error": { "code": "1302", "reset": "1h0m0s" } }),
        of_account(hour),
    );
    check(
        429,
        None,
        json!({ "error": { "code": "1302", "reset": 1_790_003_600 } }),
        of_account(hour),
    );
    check(
        429,
        Some(("retry-after", "60")),
        json!({ "error": { "code": "1302" } }),
        of_account(60_000),
    );
    check(
        400,
        None,
        json!({ "error": { "code": "1302" } }),
        (Reason::ClientError, None, None),
    );
    let throttled = (Reason::Throttled, Some("account"), Some(7_000));
    check(
        429,
        Some(("retry-after", "7")),
        json!({ "kind": "burst" }),
        throttled,
    );
    check(
        403,
        None,
        json!({}),
        (Reason::NeedsVerification, None, None),
    );
    // What no rule is about is what it always was.
    check(
        429,
        None,
        json!({ "error": { "code": "insufficient_quota" } }),
        (Reason::OutOfCredit, Some("account"), Some(hour)),
    );
}

pub(crate) fn signals(provider: &str) -> Signals {
    match provider {
        "anthropic" => Signals::ANTHROPIC,
        "google" => Signals::GOOGLE,
        "qwen" => Signals::QWEN,
        "cursor" => Signals::CURSOR,
        "oci-oidc" => Signals::OCI,
        "openai" | "azure" | "github-copilot" | "mcp" | "generic" => Signals::GENERIC,
        other => panic!("no such provider: {other}"),
    }
}

fn judged(case: &Case, now: u64) -> Expected {
    judged_by(signals(&case.provider), case, now)
}

fn judged_by(signals: Signals, case: &Case, now: u64) -> Expected {
    let account = match case.account {
        Kind::Login => oauth("a"),
        Kind::Key => key("a"),
    };
    let mut world = World::new([account]);
    world.now = Timestamp::from_millis(now);
    world.signals = signals;
    let mut request = Request::new("acme", "default", Some("large".into()), None, None);
    let id = AccountId::from("a");
    request.begin_attempt(&id, 1, world.now);
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
pub(crate) fn without_words(body: Value) -> Value {
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
