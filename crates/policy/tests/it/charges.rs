//! To whom a refusal is charged: the vectors that every implementation shares.

use std::collections::BTreeMap;
use std::time::Duration;

use provider_auth_policy::*;
use serde::Deserialize;
use serde_json::Value;

use crate::classification::{signals, without_words};
use crate::world::{Answer, World, key, oauth};

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "generic")]
    provider: String,
    /// `key`, `login` or `client`, a login by the client's own credentials; the first is `a`, the
    /// next `b`.
    accounts: Vec<String>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Step {
    /// Time that passes before.
    #[serde(default)]
    after_seconds: u64,
    /// A person clears the cooldowns before.
    #[serde(default)]
    clears: bool,
    #[serde(default = "chat")]
    path: String,
    #[serde(default = "large")]
    model: Option<String>,
    /// What the request holds that only the account that made it can serve.
    item: Option<String>,
    /// What each account answers this request with, time after time; 200 when nothing is said.
    #[serde(default)]
    answers: BTreeMap<String, Vec<Given>>,
    /// Which accounts were asked, what they answered, and how it ended.
    happens: String,
    /// What is charged to each account afterwards; nothing when an account is not named.
    #[serde(default)]
    charged: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
}

fn generic() -> String {
    "generic".to_owned()
}

fn chat() -> String {
    "/v1/chat/completions".to_owned()
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the default of a field that may be null"
)]
fn large() -> Option<String> {
    Some("large".to_owned())
}

#[test]
fn a_refusal_is_charged_to_what_it_is_about() {
    let text = include_str!("../../../../specs/vectors/charges.json");
    let vectors: Vectors = serde_json::from_str(text).unwrap();
    for case in &vectors.cases {
        play(case, |body| body);
        // The words of a message change from one day to the next: without them nothing changes.
        play(case, without_words);
    }
}

/// One row of the table of statuses.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    provider: String,
    status: u16,
    body: Option<Value>,
    happens: String,
    #[serde(default)]
    charged: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Table {
    cases: Vec<Row>,
}

#[test]
fn every_status_of_every_provider_is_charged_with_and_without_its_codes() {
    let text = include_str!("../../../../specs/vectors/statuses.json");
    let table: Table = serde_json::from_str(text).unwrap();
    for row in table.cases {
        let name = format!("{} {} {:?}", row.provider, row.status, row.body);
        let given = Given {
            status: row.status,
            headers: BTreeMap::new(),
            body: row.body,
        };
        let case = Case {
            name,
            provider: row.provider,
            accounts: vec!["key".to_owned(), "key".to_owned()],
            steps: vec![Step {
                after_seconds: 0,
                clears: false,
                path: chat(),
                model: large(),
                item: None,
                answers: BTreeMap::from([("a".to_owned(), vec![given])]),
                happens: row.happens,
                charged: row.charged,
            }],
        };
        play(&case, |body| body);
        play(&case, without_words);
    }
}

fn play(case: &Case, words: fn(Value) -> Value) {
    let ids = ["a", "b", "c", "d"];
    let account = |(id, kind): (&&str, &String)| match kind.as_str() {
        "key" => key(id),
        "login" => oauth(id),
        "client" => AccountView {
            unattended: true,
            ..oauth(id)
        },
        other => panic!("no such kind: {other}"),
    };
    let mut world = World::new(ids.iter().zip(&case.accounts).map(account));
    world.signals = signals(&case.provider);
    for (number, step) in case.steps.iter().enumerate() {
        let at = format!("{}, step {}", case.name, number + 1);
        world.pass(Duration::from_secs(step.after_seconds));
        if step.clears {
            let (change, _) = clear(&world.state, &world.accounts, world.now);
            world.state.merge(&change);
        }
        world.answers.clear();
        for (id, given) in &step.answers {
            let answers = given.iter().map(|given| Answer {
                status: Some(given.status),
                headers: given.headers.clone(),
                body: given.body.as_ref().map(|body| match body {
                    Value::String(text) => text.clone(),
                    other => words(other.clone()).to_string(),
                }),
                failure: None,
            });
            world = world.answers(id, answers);
        }
        let mut request = Request::new("acme", "default", step.model.clone(), None, None)
            .with_path(&step.path)
            .with_item(step.item.clone());
        world.with(|pool| pin_to_owner(pool, &mut request));
        let refused_here = match world.select(&request) {
            Selection::Exhausted { reason, .. } => Some(reason.as_str()),
            Selection::NeedsLogin { .. } => Some("needs_login"),
            _ => None,
        };
        let happens = match refused_here {
            Some(why) => match world.with(|pool| kept_answer(pool, &request)) {
                Some(answer) => format!("repeated: {} {}", answer.status, answer.body),
                None => format!("refused here: {why}"),
            },
            None => {
                world.trace.clear();
                world.send(&mut request);
                world.trace.trim().to_owned()
            }
        };
        assert_eq!(happens, step.happens, "{at}");
        assert_eq!(charged(&world), step.charged, "{at}");
    }
}

/// What is charged to each account: how it stands, else what it rests from and for how long.
fn charged(world: &World) -> BTreeMap<String, Vec<String>> {
    let of = |view: &AccountView| {
        let standing = match world.state.standing(&view.id, view.generation) {
            Standing::Serving => None,
            standing => serde_json::to_value(standing).ok(),
        };
        let standing = standing.map(|name| name.as_str().unwrap_or_default().to_owned());
        let rests = world.state.cooldowns(view, world.now);
        let rests = rests.iter().map(|(scope, block)| {
            let span = block.observed_at.until(block.until);
            let span = (span.as_millis() + 500) / 1_000;
            format!("{scope} {span} s {}", block.reason.as_str())
        });
        let charges: Vec<String> = standing.into_iter().chain(rests).collect();
        (!charges.is_empty()).then(|| (view.id.to_string(), charges))
    };
    world.accounts.iter().filter_map(of).collect()
}
