//! The state that all processes share.

use provider_auth_policy::*;
use serde_json::json;

use crate::world::*;

fn block(until: u64, observed: u64) -> Block {
    Block::new(at(until), Reason::Throttled, Source::Header, at(observed))
}

fn holding(block: Block) -> SharedState {
    let mut state = SharedState::default();
    state.blocks.insert("account:a".into(), block);
    state
}

#[track_caller]
fn check_join(one: Block, other: Block, until: u64) {
    for (mut one, other) in
        [(one.clone(), other.clone()), (other, one)].map(|(a, b)| (holding(a), holding(b)))
    {
        one.merge(&other);
        let again = one.clone();
        one.merge(&other);
        assert_eq!(one, again);
        assert_eq!(one.blocks[&Scope::from("account:a")].until, at(until));
    }
}

#[test]
fn of_two_blocks_the_later_end_wins_whichever_is_newer() {
    check_join(block(100, 0), block(50, 10), 100);
    check_join(block(100, 0), block(500, 10), 500);
}

#[test]
fn a_clear_lifts_older_blocks_only() {
    check_join(block(100, 0), Block::clear(at(10)), 10);
    check_join(block(100, 20), Block::clear(at(10)), 100);
}

#[test]
fn counters_add_up_and_everything_else_is_the_newest() {
    let mut state: SharedState = serde_json::from_value(json!({
        "accounts": { "a": { "successes": 3, "failures": 1, "last_status": 200, "last_at": 50, "generation": 4 } },
    }))
    .unwrap();
    let delta: SharedState = serde_json::from_value(json!({
        "accounts": { "a": { "successes": 2, "last_status": 429, "last_at": 40, "generation": 3 } },
    }))
    .unwrap();
    state.merge(&delta);
    let known = state.stats(&"a".into());
    assert_eq!((known.successes, known.failures), (5, 1));
    assert_eq!((known.last_status, known.generation), (Some(200), 4));
}

#[test]
fn what_is_unknown_is_kept_and_what_is_unreadable_is_dropped() {
    let written = json!({
        "format": 9,
        "future": { "x": 1 },
        "accounts": {
            "gone": { "successes": 1, "future": true },
            "broken": { "successes": -1 },
        },
        "blocks": {
            "account:gone": { "until": 9, "reason": "throttled", "source": "header", "observed_at": 5, "future": 2 },
            "account:broken": { "until": 9, "reason": "not yet invented", "source": "header", "observed_at": 5 },
            "region:eu:acme": { "until": 9, "reason": "throttled", "source": "header", "observed_at": 5 },
        },
        "bindings": [],
        "pools": { "p/n": { "order": ["gone"], "moved_at": 7 } },
    });
    let read: SharedState = serde_json::from_value(written).unwrap();
    let again = serde_json::to_value(&read).unwrap();
    assert_eq!(again["format"], 9);
    assert_eq!(again["future"], json!({ "x": 1 }));
    assert_eq!(again["accounts"]["gone"]["future"], json!(true));
    assert_eq!(again["blocks"]["account:gone"]["future"], json!(2));
    assert_eq!(again["blocks"]["region:eu:acme"]["until"], 9);
    assert!(again["accounts"].get("broken").is_none());
    assert!(again["blocks"].get("account:broken").is_none());
    assert_eq!(again["pools"]["p/n"]["order"], json!(["gone"]));
    let read_again: SharedState = serde_json::from_value(again).unwrap();
    assert_eq!(read_again, read);
}

#[test]
fn the_default_is_an_empty_state() {
    let empty: SharedState = serde_json::from_str("{}").unwrap();
    assert_eq!(empty, SharedState::default());
    assert!(empty.is_empty());
}

#[test]
fn a_hostile_file_benches_no_account_for_ever() {
    let mut world = World::new([oauth("a")]);
    let mut endless = block(0, 0);
    endless.until = Timestamp::from_millis(u64::MAX);
    world.state = holding(endless.clone());
    let cooldowns = |world: &World| world.state.cooldowns(&world.accounts[0], world.now).len();
    assert_eq!(cooldowns(&world), 1);
    world.pass(limits::MONTHLY_LONGEST);
    assert_eq!(cooldowns(&world), 0);
    world.pass(limits::LADDER_MEMORY);
    world.state.sweep(world.now);
    assert!(world.state.is_empty());
    // A block of the future was written by a clock that was wrong.
    endless.observed_at = Timestamp::from_millis(u64::MAX - 1);
    world.state = holding(endless);
    world.check(request(), "a:200 ok");
}

#[test]
fn a_sweep_forgets_what_no_decision_needs() {
    let mut state = holding(block(1_000, 0));
    let binding = |used: u64| Binding {
        used_at: at(used),
        until: at(used + 60_000),
        account: "a".into(),
    };
    state.bindings.insert("cold".into(), binding(0));
    state.bindings.insert("warm".into(), binding(60_000));
    state.sweep(at(601_000));
    assert!(state.blocks.is_empty());
    state.sweep(at(30_000) + limits::BINDING_MEMORY);
    assert_eq!(state.bindings.keys().collect::<Vec<_>>(), ["warm"]);
    state.sweep(at(60_000) + limits::BINDING_MEMORY);
    assert!(state.is_empty());
    for number in 0..limits::BINDINGS_KEPT as u64 + 10 {
        state.bindings.insert(number.to_string(), binding(number));
    }
    state.sweep(at(5_000));
    assert_eq!(state.bindings.len(), limits::BINDINGS_KEPT);
    assert!(!state.bindings.contains_key("9"));
}

#[test]
fn what_a_clock_that_was_set_back_saw_outranks_nothing() {
    let mut state = refresh_postponed(
        &SharedState::default(),
        &"a".into(),
        None,
        at(86_400_000),
        0.0,
    );
    state.merge(&holding(block(90_000_000, 86_400_000)));
    let now = at(1_000);
    assert_eq!(refresh_allowed(&state, &"a".into(), now), Ok(()));
    state.sweep(now);
    state.merge(&refresh_postponed(&state, &"a".into(), None, now, 0.0));
    assert_eq!(
        refresh_allowed(&state, &"a".into(), now),
        Err(now + limits::REFRESH_REST_FIRST)
    );
    assert!(state.blocks.is_empty());
}

#[test]
fn cooldowns_name_what_they_are_about() {
    let mut world = World::new([oauth("a"), oauth("ab")]);
    let scopes = [
        Scope::Account("a".into()),
        Scope::Egress("acme".into()),
        Scope::Model("a".into(), "m:1".into()),
        Scope::ProviderModel("acme".into(), "large".into()),
    ];
    let others = [
        Scope::Account("ab".into()),
        Scope::Model("ab".into(), "m".into()),
    ];
    for scope in scopes.iter().chain(&others) {
        world.state.blocks.insert(scope.clone(), block(1_000, 0));
    }
    let found = world.state.cooldowns(&world.accounts[0], at(1));
    let found: Vec<Scope> = found.into_iter().map(|(scope, _)| scope).collect();
    assert_eq!(found, scopes);
    let names: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["account", "account", "m:1", "large"]);
    assert!(
        world
            .state
            .cooldowns(&world.accounts[0], at(1_000))
            .is_empty()
    );
}

#[test]
fn an_answer_is_a_small_change_that_can_wait() {
    let mut world = World::new([oauth("a")]);
    let served = status(200)
        .header("anthropic-ratelimit-unified-5h-utilization", "0.29")
        .header("anthropic-ratelimit-unified-5h-reset", START / 1_000 + 60);
    let mut request = session("one");
    request.begin_attempt(&"a".into(), 1, world.now);
    let reaction = world.report(&mut request, &"a".into(), &served);
    assert!(!reaction.durable);
    let known = &reaction.delta.accounts[&AccountId::from("a")];
    assert_eq!((known.successes, known.last_status), (1, Some(200)));
    assert_eq!(known.usage["5h"].used_percent, 29);
    assert_eq!(known.usage["5h"].reset_at, at(60_000));
    assert_eq!(
        reaction.delta.bindings[request.binding_key()].account,
        "a".into()
    );
}

#[test]
fn a_state_of_an_earlier_version_is_read_and_one_of_this_version_by_it() {
    let old = json!({
        "format": 1,
        "accounts": {"a": {"successes": 3, "refused": {"generation": 1, "at": START}}},
        "blocks": {"account:a": {
            "until": START + 1_000, "reason": "out_of_credit", "source": "ladder", "observed_at": START,
        }},
    });
    let state: SharedState = serde_json::from_value(old).unwrap();
    let known = state.stats(&"a".into());
    assert_eq!(known.refused.map(|refusal| refusal.path), Some(None));
    assert_eq!(known.trusted_at, Timestamp::default());
    let block = &state.blocks[&Scope::from("account:a")];
    assert!(!block.doubtful && block.status.is_none() && block.answer.is_none());
    assert!(state.served.is_empty());
    // What is new stands in fields that an earlier version keeps, and under keys that it never
    // looks up.
    let new = holding(Block {
        doubtful: true,
        status: Some(402),
        ..block.clone()
    });
    let text = serde_json::to_value(&new).unwrap();
    assert_eq!(text["blocks"]["account:a"]["doubtful"], true);
    assert_eq!(text["blocks"]["account:a"]["status"], 402);
}
