//! How long a server asks us to wait: the vectors that every implementation shares.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use provider_auth_policy::*;
use serde::Deserialize;

use crate::world::*;

#[derive(Deserialize)]
struct Vectors {
    now: u64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    name: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    wait_ms: Option<u64>,
}

#[test]
fn every_form_of_a_stated_wait_is_read_and_junk_is_not() {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../../../specs/vectors/waits.json")).unwrap();
    let now = Timestamp::from_millis(vectors.now);
    for case in &vectors.cases {
        let response = Response {
            status: Some(429),
            headers: &|name| case.headers.get(name).map(String::as_str),
            body: case.body.as_deref(),
            failure: None,
        };
        let wait = stated_wait(&Signals::GENERIC, &response, now);
        assert_eq!(
            wait,
            case.wait_ms.map(Duration::from_millis),
            "{}",
            case.name
        );
    }
}

#[test]
fn every_header_that_is_read_is_observed() {
    let asked = RefCell::new(BTreeSet::new());
    let headers = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    let tables = [
        Signals::GENERIC,
        Signals::ANTHROPIC,
        Signals::GOOGLE,
        Signals::QWEN,
        Signals::CURSOR,
        Signals::OCI,
    ];
    for signals in tables {
        let mut world = World::new([oauth("a")]);
        world.signals = signals;
        for (status, body) in [
            (200, None),
            (401, None),
            (403, Some("{}")),
            (429, None),
            (500, None),
        ] {
            let response = Response {
                status: Some(status),
                headers: &headers,
                body,
                failure: None,
            };
            let mut request = request();
            request.begin_attempt(&"a".into(), 1, world.now);
            world.with(|pool| {
                react(
                    pool,
                    &mut request,
                    &"a".into(),
                    &world.signals,
                    &response,
                    0.0,
                );
            });
        }
    }
    let asked = asked.into_inner();
    assert!(asked.contains("retry-after"));
    for name in asked {
        assert!(OBSERVED_HEADERS.contains(&name.as_str()), "{name}");
        assert_eq!(name, name.to_lowercase());
    }
}
