//! Requests that hold what only one account can serve.

use provider_auth_policy::*;

use crate::world::*;

fn holding(name: Option<&str>, item: &str) -> Request {
    Request::new(
        "acme",
        "default",
        Some("large".into()),
        name.map(str::to_owned),
        None,
    )
    .with_item(Some(item.to_owned()))
}

/// Holds the request to its owner, as the broker does, and sends it.
fn send(world: &mut World, mut request: Request) -> String {
    world.with(|pool| pin_to_owner(pool, &mut request));
    world.trace.clear();
    world.send(&mut request);
    world.trace.trim().to_owned()
}

fn exhausted(seconds: u64) -> Answer {
    status(429)
        .header("retry-after", seconds)
        .code("usage_limit_reached")
}

fn reason(world: &World) -> Option<Reason> {
    world.last.as_ref().map(|reaction| reaction.reason)
}

#[test]
fn a_bound_request_does_not_switch() {
    let mut world = World::new([key("a"), key("b")]).answers("a", [exhausted(900)]);
    let told = send(&mut world, holding(Some("talk"), "rs_1"));
    assert!(!told.contains("b:"), "{told}");
    assert_eq!(reason(&world), Some(Reason::AccountBound));
    let retry_at = world.last.as_ref().and_then(|last| last.retry_at);
    assert!(retry_at.is_some_and(|at| at > world.now), "{retry_at:?}");
}

#[test]
fn the_same_request_without_the_item_switches() {
    let mut world = World::new([key("a"), key("b")]).answers("a", [exhausted(900)]);
    let told = send(&mut world, session("talk"));
    assert!(told.contains("b:200"), "{told}");
}

#[test]
fn without_another_account_the_reason_is_the_limit_itself() {
    let mut world = World::new([key("a")]).answers("a", [exhausted(900)]);
    send(&mut world, holding(Some("talk"), "rs_1"));
    assert_ne!(reason(&world), Some(Reason::AccountBound));
}

#[test]
fn an_owner_that_rests_is_not_replaced() {
    let mut world = World::new([key("a"), key("b")]).answers("a", [status(200), exhausted(900)]);
    send(&mut world, holding(Some("talk"), "rs_1"));
    send(&mut world, holding(Some("talk"), "rs_1"));
    let mut next = holding(Some("talk"), "rs_1");
    world.with(|pool| pin_to_owner(pool, &mut next));
    let selection = world.select(&next);
    let Selection::Exhausted { retry_at, .. } = selection else {
        panic!("{selection:?}");
    };
    assert!(retry_at.is_some_and(|at| at > world.now + seconds(800)));
}

#[test]
fn the_owner_is_remembered_when_the_binding_has_moved_or_ended() {
    let mut world = World::new([key("a"), key("b")]).answers("a", [status(200), exhausted(900)]);
    send(&mut world, holding(Some("talk"), "rs_1"));
    assert!(send(&mut world, session("talk")).contains("b:200"));
    world.pass(seconds(29 * 86_400));
    world.state.sweep(world.now);
    assert!(send(&mut world, holding(Some("talk"), "another")).starts_with("a:"));
    assert!(send(&mut world, holding(None, "rs_1")).starts_with("a:"));
    assert!(send(&mut world, holding(Some("a copy"), "rs_1")).starts_with("a:"));
}

#[test]
fn an_item_of_the_first_turn_belongs_to_who_served_that_turn() {
    let mut world = World::new([key("a"), key("b")]);
    world.accounts[0].priority = 2;
    send(&mut world, session("talk"));
    world.accounts[0].priority = 0;
    // Longer than a prompt cache lives.
    world.pass(seconds(3 * 3_600));
    world.state.sweep(world.now);
    assert!(send(&mut world, holding(Some("talk"), "rs_1")).starts_with("b:"));
}

#[test]
fn an_item_without_a_session_belongs_to_who_last_served_without_one() {
    let mut world = World::new([key("a"), key("b")]);
    world.accounts[0].priority = 2;
    let mut upload = Request::new("acme", "default", None, None, None);
    world.send(&mut upload);
    world.accounts[0].priority = 0;
    assert!(send(&mut world, holding(Some("talk"), "file-1")).starts_with("b:"));
}

#[test]
fn an_owner_that_the_user_took_out_holds_nothing() {
    let mut world = World::new([key("a"), key("b")]);
    send(&mut world, holding(Some("talk"), "rs_1"));
    world.accounts[0].enabled = false;
    assert!(send(&mut world, holding(Some("talk"), "rs_1")).starts_with("b:"));
}

#[test]
fn a_pin_outranks_the_owner() {
    let mut world = World::new([key("a"), key("b")]);
    send(&mut world, holding(Some("talk"), "rs_1"));
    let request = pinned("b").with_item(Some("rs_1".into()));
    assert!(send(&mut world, request).starts_with("b:"));
}

#[test]
fn owners_are_forgotten_after_a_month_and_beyond_their_number() {
    let mut state = SharedState::default();
    let owner = |used: u64| Owner {
        used_at: at(used),
        account: "a".into(),
    };
    for number in 0..limits::OWNERS_KEPT as u64 + 5 {
        state.owners.insert(number.to_string(), owner(number));
    }
    state.sweep(at(10_000));
    assert_eq!(state.owners.len(), limits::OWNERS_KEPT);
    assert!(!state.owners.contains_key("4"));
    state.sweep(at(0) + limits::OWNER_MEMORY + seconds(10));
    assert!(state.is_empty());
}
