//! How long a server asks us to wait: the vectors that every implementation shares.

use std::collections::BTreeMap;
use std::time::Duration;

use provider_auth_policy::*;
use serde::Deserialize;

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
    let signals = Signals::GENERIC;
    let windows = signals.windows.iter().chain(&signals.overall);
    let of_windows = windows.flat_map(|window| {
        let used = window.used.map(|(name, _)| name);
        [window.status, Some(window.reset), used]
            .into_iter()
            .flatten()
    });
    let of_meters = signals
        .meters
        .iter()
        .flat_map(|meter| [meter.remaining, meter.reset]);
    for name in of_windows.chain(of_meters) {
        assert!(OBSERVED_HEADERS.contains(&name), "{name}");
        assert_eq!(name, name.to_lowercase());
    }
}
