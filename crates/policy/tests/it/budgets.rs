//! How much one request may do, and what it says when that is spent.

use provider_auth_policy::*;

use crate::world::*;

#[test]
fn one_response_goes_out_when_no_account_can_serve_and_it_says_when_one_can() {
    let mut world = World::new([oauth("a"), oauth("b")])
        .answers("a", [status(429).header("retry-after", 600)])
        .answers("b", [status(429).header("retry-after", 50)]);
    world.check(request(), "a:429 b:429 throttled");
    let reaction = world.last.take().unwrap();
    assert_eq!(reaction.retry_at, Some(at(50_002)));
    assert_eq!(reaction.cooldown_until, Some(at(50_002)));
    assert!(reaction.durable);
    // Calling again before then reaches no account.
    world.check(
        request(),
        "Exhausted { retry_at: Some(Timestamp(1776676050002)), reason: Throttled }",
    );
}

#[test]
fn the_soonest_account_is_waited_for_when_that_is_not_long() {
    let mut world = World::new([oauth("a"), oauth("b")])
        .answers("a", [status(429).header("retry-after", 20)])
        .answers("b", [status(429).header("retry-after", 60)]);
    world.check(request(), "a:429 b:429 ~19999 a:200 ok");
    let mut alone = World::new([oauth("a")]).answers("a", [status(429).header("retry-after", 20)]);
    alone.check(request(), "a:429 ~20000 a:200 ok");
    let mut impatient = World::new([oauth("a")])
        .answers("a", [status(429).header("retry-after", 20)])
        .rotation(|rotation| rotation.max_wait = seconds(5));
    impatient.check(request(), "a:429 throttled");
}

#[test]
fn a_request_that_may_be_held_waits_for_the_reset() {
    let mut world = World::new([oauth("a")])
        .answers("a", [status(429).header("retry-after", 3_600)])
        .rotation(|rotation| rotation.hold_until_reset = true);
    world.check(request(), "a:429 ~3600000 a:200 ok");
    let mut world = World::new([oauth("a")])
        .answers("a", [status(429).header("retry-after", 7 * 3_600)])
        .rotation(|rotation| rotation.hold_until_reset = true);
    world.check(request(), "a:429 quota_exhausted");
}

#[test]
fn a_request_switches_three_times_at_most() {
    let mut world = World::new(["a", "b", "c", "d", "e"].map(oauth));
    for id in ["a", "b", "c", "d", "e"] {
        world = world.answers(id, [status(402)]);
    }
    world.check(request(), "a:402 b:402 c:402 d:402 out_of_credit");
}

#[test]
fn attempts_are_limited_by_the_accounts_and_by_configuration() {
    let throttle = status(429).header("retry-after", 1);
    let mut world = World::new([oauth("a")]).answers("a", vec![throttle.clone(); 9]);
    world.check(
        request(),
        "a:429 ~1000 a:429 ~1000 a:429 ~1000 a:429 throttled",
    );
    let mut world = World::new([oauth("a"), oauth("b")])
        .answers("a", [throttle])
        .rotation(|rotation| rotation.max_attempts = Some(1));
    world.check(request(), "a:429 throttled");
}

#[test]
fn a_pinned_request_and_a_pool_that_does_not_rotate_stay_where_they_are() {
    let limited = || status(429).header("retry-after", 50);
    let mut world = World::new([oauth("a"), oauth("b")]).answers("b", [limited()]);
    world.check(pinned("label of b"), "b:429 throttled");
    world.check(
        pinned("b"),
        "Exhausted { retry_at: Some(Timestamp(1776676050001)), reason: Throttled }",
    );
    let mut world = World::new([oauth("a"), oauth("b")])
        .answers(
            "a",
            [status(429).header("retry-after", 2), status(401), limited()],
        )
        .rotation(|rotation| rotation.rotate = false);
    world.check(request(), "a:429 ~2000 a:401 refresh a:429 throttled");
}

#[test]
fn a_pool_whose_logins_do_not_stand_in_for_one_another_still_has_its_keys() {
    let limited = || status(429).header("retry-after", 50);
    let mut world = World::new([oauth("a"), oauth("b"), key("k"), key("l")])
        .answers("a", [limited()])
        .answers("k", [limited()])
        .rotation(|rotation| rotation.pool_logins = false);
    world.check(request(), "a:429 k:429 l:200 ok");
    let mut world = World::new([oauth("a"), oauth("b")])
        .answers("a", [limited()])
        .rotation(|rotation| rotation.pool_logins = false);
    world.check(request(), "a:429 throttled");
}

/// A request that sits out a throttle of two seconds on the only account.
fn sitting_out() -> (World, Request) {
    let mut world = World::new([oauth("a")]);
    let mut request = request();
    request.begin_attempt(&"a".into(), 1, world.now);
    let throttle = status(429).header("retry-after", 2);
    let reaction = world.report(&mut request, &"a".into(), &throttle);
    assert_eq!(reaction.delay, seconds(2));
    (world, request)
}

#[test]
fn a_timer_that_fires_early_still_finds_its_account() {
    let (mut world, request) = sitting_out();
    world.now = at(1_999);
    let account = "a".into();
    let rule = Rule::Resend;
    assert_eq!(world.select(&request), Selection::Serve { account, rule });
}

#[test]
fn a_block_that_was_renewed_during_the_wait_is_waited_for_as_well() {
    let (mut world, mut request) = sitting_out();
    world.now = at(1_000);
    let longer = status(429).header("retry-after", 10);
    let mut other = session("other");
    other.begin_attempt(&"a".into(), 1, world.now);
    world.report(&mut other, &"a".into(), &longer);
    world.now = at(2_000);
    world.send(&mut request);
    assert_eq!(world.trace.trim(), "~9000 a:200 ok");
}
