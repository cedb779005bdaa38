//! What a trace says about each account.

use provider_auth_policy::*;

use crate::world::*;

#[track_caller]
fn check(world: &World, request: &Request, outcome: Option<(&str, Rule)>, accounts: &[&str]) {
    let trace = world.with(|pool| {
        let selection = select(pool, request);
        explain(pool, request, &selection)
    });
    let served = match &trace.selection {
        Selection::Serve { account, rule } => Some((account.as_str(), *rule)),
        _ => None,
    };
    let told: Vec<String> = trace
        .accounts
        .iter()
        .map(|prospect| format!("{} {}", prospect.account, prospect.chance.as_str()))
        .collect();
    assert_eq!(served, outcome);
    assert_eq!(told, accounts);
}

#[test]
fn each_obstacle_has_its_word() {
    let mut world = World::new(["a", "b", "c", "d", "e", "f"].map(oauth));
    world.accounts[0].enabled = false;
    world.accounts[1].readable = false;
    world.accounts[2].kind = AccountKind::Api;
    world.rotation.mode = Mode::Subscription;
    world.accounts[4].refreshable = false;
    world.accounts[4].expires_at = Some(at(0));
    let mut asked = session("talk");
    asked.origin_refused = vec!["d".into()];
    check(
        &world,
        &asked,
        Some(("f", Rule::Strategy)),
        &[
            "a disabled",
            "b unreadable",
            "c other_kind",
            "d origin_refused",
            "e needs_login",
            "f eligible",
        ],
    );
}

#[test]
fn a_limit_says_until_when_and_why() {
    let mut world =
        World::new([key("a"), key("b")]).answers("a", [status(429).header("retry-after", 900)]);
    world.send(&mut request());
    let asked = request();
    let trace = world.with(|pool| explain(pool, &asked, &select(pool, &asked)));
    let Chance::Resting { until, reason } = trace.accounts[0].chance else {
        panic!("{trace:?}");
    };
    assert!(until >= at(900_000));
    assert_eq!(reason, Reason::QuotaExhausted);
    assert_eq!(trace.bound_to, Some("b".into()));
    assert_eq!(trace.bound_until, Some(world.now + limits::SWITCH_LIFE));
    let mut talk = session("talk");
    world.send(&mut talk);
    let trace = world.with(|pool| explain(pool, &talk, &select(pool, &talk)));
    assert_eq!(trace.bound_to, Some("b".into()));
    assert_eq!(trace.bound_until, Some(world.now + limits::BINDING_LIFE));
    let new = session("new");
    let trace = world.with(|pool| explain(pool, &new, &select(pool, &new)));
    assert_eq!((trace.bound_to, trace.bound_until), (None, None));
}

#[test]
fn what_a_request_may_do_shows() {
    let world = World::new([key("a"), key("b")]);
    check(
        &world,
        &pinned("b"),
        Some(("b", Rule::Pinned)),
        &["a not_pinned", "b eligible"],
    );
    let mut tried = request();
    tried.begin_attempt(&"a".into(), 1, world.now);
    check(
        &world,
        &tried,
        Some(("b", Rule::Switched)),
        &["a tried", "b eligible"],
    );
    let mut bound = request().with_item(Some("rs_1".into()));
    bound.begin_attempt(&"a".into(), 1, world.now);
    check(&world, &bound, None, &["a tried", "b bound_elsewhere"]);
    let still = World::new([key("a"), key("b")]).rotation(|rotation| rotation.rotate = false);
    check(
        &still,
        &request(),
        Some(("a", Rule::Strategy)),
        &["a eligible", "b not_first"],
    );
}

#[test]
fn little_quota_is_a_reason_only_beside_more() {
    let mut world = World::new([key("a"), key("b")]);
    world.accounts[1].priority = 0;
    for (id, percent) in [("a", 97), ("b", 40)] {
        let usage = Usage {
            observed_at: world.now,
            used_percent: percent,
            reset_at: at(3_600_000),
        };
        let known = world.state.accounts.entry(id.into()).or_default();
        known.usage.insert("5h".to_owned(), usage);
    }
    let served = Some(("b", Rule::Strategy));
    check(&world, &request(), served, &["a low_quota", "b eligible"]);
    world.accounts[1].enabled = false;
    let served = Some(("a", Rule::Strategy));
    check(&world, &request(), served, &["a eligible", "b disabled"]);
}

#[test]
fn what_a_log_shows_of_a_decision_holds_nothing_that_the_user_wrote() {
    let refused = status(404)
        .header("content-type", "application/json")
        .body(r#"{"error":{"code":"model_not_found","message":"secret words"}}"#);
    let mut world = World::new([oauth("a")]).answers("a", [refused]);
    let mut request = Request::new(
        "acme",
        "default",
        Some("large".into()),
        Some("secret session".into()),
        None,
    )
    .with_item(Some("secret item".into()));
    world.send(&mut request);
    let selection = world.select(&request);
    let trace = world.with(|pool| explain(pool, &request, &selection));
    let shown = format!("{request:?} {trace:?} {:?} {:?}", world.last, world.state);
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains(r#"Model("a", "large")"#), "{shown}");
}
