//! How long choosing an account takes in pools of 10 to 100,000, by strategy; `npm run bench` runs it.
//!
//! Each round is a request as it comes: choose, count it in flight, answer it. Only the choosing is
//! timed, and it includes catching up with what the last answer changed. Prints one line of JSON.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
#![expect(clippy::print_stdout, reason = "the figures are for whoever runs it")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use provider_auth_policy::*;

const SIZES: [u32; 5] = [10, 100, 1_000, 10_000, 100_000];
const ROUNDS: u32 = 4_000;
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn main() {
    let strategies = [
        ("sticky, bound", Strategy::Sticky, Session::Same),
        ("sticky, new session", Strategy::Sticky, Session::New),
        (
            "earliest-reset, new session",
            Strategy::EarliestReset,
            Session::New,
        ),
        ("balanced, new session", Strategy::Balanced, Session::New),
        ("fill-first, new session", Strategy::FillFirst, Session::New),
        (
            "round-robin, new session",
            Strategy::RoundRobin,
            Session::New,
        ),
    ];
    let mut rows = Vec::new();
    for (name, strategy, session) in strategies {
        for size in SIZES {
            let p50 = measure(size, strategy, session);
            rows.push(format!(
                r#"{{"name":"{name}","accounts":{size},"ns":{}}}"#,
                p50.as_nanos()
            ));
        }
    }
    println!("[{}]", rows.join(","));
}

#[derive(Clone, Copy, PartialEq)]
enum Session {
    Same,
    New,
}

/// Returns the median time of choosing.
fn measure(size: u32, strategy: Strategy, session: Session) -> Duration {
    let views: Vec<AccountView> = (0..size).map(account).collect();
    let state = state(&views);
    let roster = Roster::new(views);
    let rotation = Rotation {
        strategy,
        ..Rotation::default()
    };
    let (mut state, mut traffic, mut indexes) = (state, Traffic::default(), Indexes::default());
    let mut spans = Vec::with_capacity(ROUNDS as usize);
    for round in 0..ROUNDS + 10 {
        let now = START + Duration::from_millis(u64::from(round) * 20);
        let name = match session {
            Session::Same => "same".to_owned(),
            Session::New => format!("session {round}"),
        };
        let mut request = Request::new("bench", "default", Some("large".into()), Some(name), None);
        let pool = Pool {
            roster: &roster,
            state: &state,
            traffic: &traffic,
            rotation: &rotation,
            now,
            news: None,
        };
        let began = Instant::now();
        let selection = indexes.select(&pool, &request);
        let took = began.elapsed();
        let Selection::Serve { account, .. } = selection else {
            unreachable!("there is always a ready account: {selection:?}");
        };
        if round >= 10 {
            spans.push(took);
        }
        request.begin_attempt(&account, 1, now);
        traffic.begin(&account, now);
        traffic.end(&account, now);
        let delta = answered(
            &roster,
            &state,
            &traffic,
            &rotation,
            &mut request,
            &account,
            now,
        );
        state.merge(&delta);
        indexes.learned(&delta);
        if round % 1_000 == 0 {
            state.sweep(now);
        }
    }
    spans.sort_unstable();
    spans[spans.len() / 2]
}

/// What an answer with quota headers teaches.
fn answered(
    roster: &Roster,
    state: &SharedState,
    traffic: &Traffic,
    rotation: &Rotation,
    request: &mut Request,
    account: &AccountId,
    now: Timestamp,
) -> SharedState {
    let reset = (now.as_millis() / 1_000 + 9_000).to_string();
    let headers = BTreeMap::from([
        ("x-codex-primary-used-percent", "40"),
        ("x-codex-primary-reset-at", reset.as_str()),
    ]);
    let response = Response {
        status: Some(200),
        headers: &|name| headers.get(name).copied(),
        body: None,
        failure: None,
    };
    let pool = Pool {
        roster,
        state,
        traffic,
        rotation,
        now,
        news: None,
    };
    react(&pool, request, account, &Signals::GENERIC, &response, 0.5).delta
}

fn account(number: u32) -> AccountView {
    AccountView {
        id: format!("01J{number:023}").into(),
        provider: "bench".into(),
        namespace: "default".into(),
        label: format!("account {number}"),
        kind: AccountKind::Oauth,
        enabled: true,
        priority: 0,
        generation: 1,
        created_at: START,
        expires_at: Some(START + Duration::from_secs(86_400)),
        obtained_at: Some(START),
        refreshable: true,
        unattended: false,
        readable: true,
    }
}

/// Of every ten accounts, one rests, five have known quota use, and four are as new.
fn state(views: &[AccountView]) -> SharedState {
    let mut state = SharedState::default();
    for (number, view) in views.iter().enumerate() {
        match number % 10 {
            0 => {
                let until = START + Duration::from_secs(3_600 + number as u64);
                let block = Block::new(until, Reason::QuotaExhausted, Source::Header, START);
                state.blocks.insert(Scope::Account(view.id.clone()), block);
            }
            1..6 => {
                let usage = Usage {
                    observed_at: START,
                    used_percent: (number % 97) as u16,
                    reset_at: START + Duration::from_secs(600 + number as u64 * 7),
                };
                let known = state.accounts.entry(view.id.clone()).or_default();
                known.usage.insert("primary".to_owned(), usage);
            }
            _ => {}
        }
    }
    state
}
