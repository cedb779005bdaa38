//! Which account serves.

use provider_auth_policy::*;

use crate::world::*;

#[track_caller]
fn check(world: &World, request: &Request, id: &str, rule: Rule) {
    let account = id.into();
    assert_eq!(world.select(request), Selection::Serve { account, rule });
}

fn used(world: &mut World, id: &str, percent: u16, reset_after: u64) {
    let usage = Usage {
        observed_at: world.now,
        used_percent: percent,
        reset_at: world.now + seconds(reset_after),
    };
    let known = world.state.accounts.entry(id.into()).or_default();
    known.usage.insert("5h".to_owned(), usage);
}

/// Accounts of equal priority.
fn equals(ids: &[&str]) -> World {
    let mut world = World::new(ids.iter().map(|id| oauth(id)));
    for account in &mut world.accounts {
        account.priority = 0;
    }
    world
}

#[test]
fn the_lowest_priority_serves() {
    check(
        &World::new([oauth("b"), oauth("a")]),
        &request(),
        "b",
        Rule::Strategy,
    );
}

#[test]
fn a_session_stays_where_it_was_answered_even_when_a_better_account_recovers() {
    let limited = status(429).header("retry-after", 30);
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [limited]);
    world.check(session("old"), "a:429 b:200 ok");
    for _ in 0..20 {
        world.check(session("old"), "b:200 ok");
    }
    world.pass(seconds(3_000));
    check(&world, &session("old"), "b", Rule::Bound);
    // Another session begins with the account of the lowest priority.
    check(&world, &session("new"), "a", Rule::Strategy);
}

#[test]
fn a_binding_slides_and_ends() {
    let mut world = World::new([oauth("a"), oauth("b")]);
    world.accounts[0].enabled = false;
    world.check(session("one"), "b:200 ok");
    world.accounts[0].enabled = true;
    for _ in 0..3 {
        world.pass(seconds(3_000));
        world.check(session("one"), "b:200 ok");
    }
    world.pass(seconds(3_601));
    check(&world, &session("one"), "a", Rule::Strategy);
}

#[test]
fn a_request_for_a_longer_cache_is_bound_for_as_long() {
    let mut world = World::new([oauth("a"), oauth("b")]);
    world.signals.binding_life = seconds(300);
    let asking = |life| {
        let mut request = session("one");
        request.cache_life = Some(seconds(life));
        request
    };
    let bound_after = |world: &mut World, request: Request, pause: u64| {
        world.accounts[0].enabled = false;
        world.check(request, "b:200 ok");
        world.accounts[0].enabled = true;
        world.pass(seconds(pause));
        world
            .state
            .binding(session("one").binding_key(), world.now)
            .is_some()
    };
    assert!(!bound_after(&mut world, session("one"), 301));
    assert!(bound_after(&mut world, asking(3_600), 3_599));
    world.pass(seconds(2));
    assert!(!bound_after(&mut world, asking(60), 300));
    assert!(!bound_after(&mut world, asking(90_000), 3_600));
}

#[test]
fn a_bound_account_that_is_blocked_hands_the_session_over() {
    let mut world = World::new([oauth("a"), oauth("b")]);
    world.check(session("one"), "a:200 ok");
    world = world.answers("a", [status(429).header("retry-after", 600)]);
    world.check(session("other"), "a:429 b:200 ok");
    check(&world, &session("one"), "b", Rule::Switched);
}

#[test]
fn sessions_of_another_model_pool_or_name_do_not_share_a_binding() {
    let keys = [
        Request::new("p", "n", Some("m".into()), Some("s".into()), None),
        Request::new("p", "n", Some("s".into()), Some("m".into()), None),
        Request::new("p", "n", None, Some("s".into()), None),
        Request::new("p", "n", None, Some("sm".into()), None),
        Request::new("p", "x", Some("m".into()), Some("s".into()), None),
        Request::new("q", "n", Some("m".into()), Some("s".into()), None),
    ];
    for (place, one) in keys.iter().enumerate() {
        for other in &keys[place + 1..] {
            assert_ne!(one.binding_key(), other.binding_key());
        }
    }
}

#[test]
fn quota_use_decides_among_equals() {
    let mut world = equals(&["a", "b", "c"]);
    used(&mut world, "a", 95, 100);
    used(&mut world, "b", 85, 100);
    used(&mut world, "c", 84, 9_000);
    check(&world, &request(), "c", Rule::Strategy);
    world.accounts[2].enabled = false;
    check(&world, &request(), "b", Rule::Strategy);
    world.accounts[1].enabled = false;
    check(&world, &request(), "a", Rule::Strategy);
}

#[test]
fn the_earliest_reset_then_the_fewest_in_flight_decide() {
    let mut world = equals(&["a", "b"]);
    used(&mut world, "a", 10, 500);
    used(&mut world, "b", 10, 400);
    check(&world, &request(), "b", Rule::Strategy);
    let mut world = equals(&["a", "b"]);
    let Selection::Serve { account, .. } = world.select(&session("one")) else {
        panic!("no account serves");
    };
    world.traffic.begin(&account, world.now);
    let other = if account.as_str() == "a" { "b" } else { "a" };
    check(&world, &session("one"), other, Rule::Strategy);
}

/// Accounts of equal priority, each added after those before it.
fn equals_in_turn(ids: &[&str]) -> World {
    let mut world = equals(ids);
    for (place, account) in (0..).zip(&mut world.accounts) {
        account.created_at = Timestamp::from_millis(START - 1_000 + place);
    }
    world
}

#[test]
fn without_a_session_the_account_added_first_serves_busy_or_not() {
    for strategy in [
        Strategy::Sticky,
        Strategy::EarliestReset,
        Strategy::Balanced,
    ] {
        for ids in [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]] {
            let world = equals_in_turn(&ids).rotation(|rotation| rotation.strategy = strategy);
            check(&world, &request(), ids[0], Rule::Strategy);
        }
    }
    let mut world = equals_in_turn(&["c", "b", "a"]);
    world.traffic.begin(&"c".into(), world.now);
    check(&world, &request(), "c", Rule::Strategy);
    world.accounts[2].priority = -1;
    check(&world, &request(), "a", Rule::Strategy);
}

#[test]
fn without_a_session_a_switch_binds_for_five_minutes_and_does_not_slide() {
    let limited = || status(429).header("retry-after", 30);
    let mut world = equals_in_turn(&["b", "a"]).answers("b", [limited()]);
    world.check(request(), "b:429 a:200 ok");
    for _ in 0..9 {
        world.pass(seconds(33));
        check(&world, &request(), "a", Rule::Bound);
        world.check(request(), "a:200 ok");
    }
    // 300 s after the switch, whatever was answered since.
    world.pass(seconds(2));
    check(&world, &request(), "a", Rule::Bound);
    world.pass(seconds(1));
    check(&world, &request(), "b", Rule::Strategy);
    world.check(request(), "b:200 ok");
    // Going back does not count as a switch: what a person says of the order counts at once.
    world.accounts[1].priority = -1;
    check(&world, &request(), "a", Rule::Strategy);
    world.check(request(), "a:200 ok");
    world.accounts[1].priority = 1;
    check(&world, &request(), "b", Rule::Strategy);
}

#[test]
fn without_a_session_an_account_that_stands_in_for_one_at_rest_is_bound_too() {
    let refused = status(429).header("retry-after", 90);
    let mut world = World::new([oauth("a"), oauth("b")]);
    world.check(request(), "a:200 ok");
    world.report(&mut session("other"), &"a".into(), &refused);
    world.check(request(), "b:200 ok");
    world.pass(seconds(120));
    check(&world, &request(), "b", Rule::Bound);
    world.pass(seconds(181));
    check(&world, &request(), "a", Rule::Strategy);
}

#[test]
fn the_lot_spreads_sessions_and_does_not_depend_on_who_else_is_there() {
    let ids = ["a", "b", "c", "d"];
    let world = equals(&ids);
    let chosen = |world: &World, name: &str| match world.select(&session(name)) {
        Selection::Serve { account, .. } => account,
        other => panic!("{other:?}"),
    };
    let mut smaller = equals(&ids);
    smaller.accounts.pop();
    let mut counts = std::collections::BTreeMap::<AccountId, u32>::new();
    for number in 0..400 {
        let name = format!("session {number}");
        let account = chosen(&world, &name);
        if account.as_str() != "d" {
            assert_eq!(chosen(&smaller, &name), account);
        }
        *counts.entry(account).or_default() += 1;
    }
    assert_eq!(counts.len(), ids.len());
    assert!(
        counts.values().all(|count| (60..140).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn logins_serve_before_keys_and_a_mode_keeps_to_one_kind() {
    let mut world = World::new([key("k"), oauth("o")]);
    check(&world, &request(), "o", Rule::Strategy);
    world.rotation.mode = Mode::Api;
    check(&world, &request(), "k", Rule::Strategy);
    world.accounts.remove(0);
    assert_eq!(world.select(&request()), Selection::NoAccount);
    world.rotation.mode = Mode::Subscription;
    check(&world, &request(), "o", Rule::Strategy);
}

#[test]
fn who_cannot_serve_is_not_chosen_and_the_reason_is_told() {
    let selected = |change: fn(&mut AccountView)| {
        let mut world = World::new([oauth("a")]);
        change(&mut world.accounts[0]);
        world.select(&request())
    };
    assert_eq!(selected(|a| a.enabled = false), Selection::NoAccount);
    assert_eq!(selected(|a| a.readable = false), Selection::NoAccount);
    let needs_login = Selection::NeedsLogin {
        accounts: vec!["a".into()],
        reason: Standing::NeedsLogin,
    };
    let lapsed = |a: &mut AccountView| {
        a.refreshable = false;
        a.expires_at = Some(at(0));
    };
    assert_eq!(selected(lapsed), needs_login);
    assert_eq!(World::new([]).select(&request()), Selection::NoAccount);
    assert_eq!(
        World::new([oauth("a")]).select(&pinned("b")),
        Selection::UnknownAccount
    );
    let mut refused = request();
    refused.origin_refused = vec!["a".into()];
    let world = World::new([oauth("a")]);
    assert_eq!(world.select(&refused), Selection::OriginRefused);
    let world = World::new([oauth("a"), oauth("b")]);
    check(&world, &refused, "b", Rule::Strategy);
}

#[test]
fn a_restored_record_serves_only_while_its_token_lives() {
    let mut world = World::new([oauth("a")]);
    world.state.merge(&refreshed(&"a".into(), 7));
    check(&world, &request(), "a", Rule::Strategy);
    world.accounts[0].expires_at = Some(at(0));
    let reason = Standing::RollbackSuspected;
    let accounts = vec!["a".into()];
    assert_eq!(
        world.select(&request()),
        Selection::NeedsLogin { accounts, reason }
    );
}

#[test]
fn an_account_whose_refresh_failed_is_left_out_of_this_request() {
    let world = World::new([oauth("a"), oauth("b")]);
    let mut request = request();
    request.refresh_failed(&"a".into());
    check(&world, &request, "b", Rule::Strategy);
}

#[test]
fn round_robin_takes_turns_and_sessions_still_stay() {
    let mut world =
        equals(&["a", "b", "c"]).rotation(|rotation| rotation.strategy = Strategy::RoundRobin);
    for expect in ["a", "b", "c", "a", "b"] {
        world.check(request(), &format!("{expect}:200 ok"));
    }
    world.check(session("one"), "c:200 ok");
    world.check(session("one"), "c:200 ok");
}

#[test]
fn balanced_takes_the_least_busy() {
    let mut world = equals(&["a", "b"]).rotation(|rotation| rotation.strategy = Strategy::Balanced);
    used(&mut world, "a", 10, 1);
    world.traffic.begin(&"a".into(), world.now);
    check(&world, &request(), "b", Rule::Strategy);
}

#[test]
fn fill_first_moves_an_account_to_the_back_on_a_limit_for_good() {
    let limited = status(429).header("retry-after", 30);
    let mut world = World::new(["a", "b", "c"].map(oauth))
        .answers("a", [limited])
        .rotation(|rotation| rotation.strategy = Strategy::FillFirst);
    world.check(request(), "a:429 b:200 ok");
    world.pass(seconds(40));
    world.check(request(), "b:200 ok");
    let order = world.with(serving_order);
    assert_eq!(order, ["b", "c", "a"].map(AccountId::from));
}

#[test]
fn a_limit_that_meets_every_account_moves_none_to_the_back() {
    let limited = status(429)
        .code("integration_rate_limited")
        .header("retry-after", 50);
    let mut world = World::new(["a", "b"].map(oauth))
        .answers("a", [limited])
        .rotation(|rotation| rotation.strategy = Strategy::FillFirst);
    world.check(request(), "a:429 throttled");
    assert!(world.state.pools.is_empty());
}

#[test]
fn the_order_shows_who_serves_who_waits_and_who_is_out() {
    let mut world = World::new(["a", "b", "c"].map(oauth));
    world.accounts[0].enabled = false;
    world = world.answers("b", [status(429).code("usage_limit_reached")]);
    world.send(&mut request());
    assert_eq!(
        world.with(serving_order),
        ["c", "b", "a"].map(AccountId::from)
    );
}

#[test]
fn after_a_switch_arrivals_on_the_new_account_are_spread_until_it_answers() {
    let limited = status(429).header("retry-after", 600);
    let mut world = World::new([oauth("a"), oauth("b")]);
    for name in ["one", "two", "three"] {
        world.check(session(name), "a:200 ok");
    }
    world.report(&mut session("four"), &"a".into(), &limited);
    check(&world, &session("one"), "b", Rule::Switched);
    world.traffic.note_switch(&"b".into(), world.now);
    world.traffic.begin(&"b".into(), world.now);
    let account = Some("b".into());
    let until = world.now + limits::RAMP_STEP;
    assert_eq!(
        world.select(&session("two")),
        Selection::Wait { until, account }
    );
    world.rotation.max_wait = seconds(0);
    check(&world, &session("two"), "b", Rule::Switched);
    world.rotation.max_wait = limits::MAX_WAIT;
    world.traffic.end(&"b".into(), world.now);
    check(&world, &session("two"), "b", Rule::Switched);
}

#[test]
fn a_public_state_word_follows_standing_and_account_wide_blocks() {
    let state_of = |answer: Answer| {
        let mut world = World::new([oauth("a")]).rotation(|r| r.max_wait = seconds(0));
        world.accounts[0].refreshable = false;
        world = world.answers("a", [answer]);
        world.send(&mut Request::new("acme", "default", None, None, None));
        account_state(&world.accounts[0], &world.state, world.now)
    };
    assert_eq!(state_of(status(200)), AccountState::Ready);
    assert_eq!(state_of(status(429)), AccountState::Cooling);
    let quota = status(429).header("retry-after", 100);
    assert_eq!(state_of(quota), AccountState::Exhausted);
    assert_eq!(state_of(status(402)), AccountState::OutOfCredit);
    let dead = status(401).code("invalid_token");
    assert_eq!(state_of(dead), AccountState::NeedsLogin);
    let banned = status(403).code("account_deactivated");
    assert_eq!(state_of(banned), AccountState::BlockedByProvider);
    let mut off = oauth("a");
    off.enabled = false;
    let state = SharedState::default();
    assert_eq!(account_state(&off, &state, at(0)), AccountState::Disabled);
    off.readable = false;
    assert_eq!(account_state(&off, &state, at(0)), AccountState::Unreadable);
}
