//! When a belief is tested.

use provider_auth_policy::*;

use crate::world::*;

/// One account whose quota is spent for five hours.
fn spent() -> World {
    let quota = status(429).header("retry-after", 5 * 3_600);
    let mut world = World::new([oauth("a")]).answers("a", [quota]);
    world.send(&mut request());
    world.now = at(1); // when the block was observed
    world
}

fn probes(world: &World) -> bool {
    let selection = world.select(&request());
    matches!(
        selection,
        Selection::Serve {
            rule: Rule::Probe,
            ..
        }
    )
}

#[test]
fn a_quota_is_tested_after_five_minutes_by_one_request_in_the_fleet() {
    let mut world = spent();
    world.pass(seconds(299));
    assert!(!probes(&world));
    world.pass(seconds(1));
    assert!(probes(&world));
    let claim = world.with(|pool| claim_probe(pool, &request(), &"a".into()));
    world.state.merge(&claim);
    assert!(!probes(&world));
    assert!(matches!(
        world.select(&request()),
        Selection::Exhausted {
            retry_at: Some(_),
            ..
        }
    ));
}

#[test]
fn a_probe_that_comes_late_is_still_the_only_one() {
    let mut world = spent();
    // An hour of quiet: every step of the way there is past.
    world.pass(seconds(3_600));
    for _ in 0..2 {
        assert!(probes(&world));
        let claim = world.with(|pool| claim_probe(pool, &request(), &"a".into()));
        world.state.merge(&claim);
        assert!(!probes(&world));
        // Its outcome is never reported.
        world.pass(seconds(1_200));
    }
}

#[test]
fn an_answer_clears_the_belief_and_a_refusal_puts_the_next_probe_off() {
    let mut world = spent();
    world.pass(seconds(300));
    world.check(request(), "a:200 ok");
    assert!(
        world
            .with(|pool| pool.state.cooldowns(&world.accounts[0], pool.now))
            .is_empty()
    );

    let mut world = spent();
    for minutes in [5, 10, 20, 60, 60] {
        world.pass(seconds(minutes * 60 - 2));
        assert!(!probes(&world), "before {minutes} minutes");
        world.pass(seconds(3));
        let quota = status(429).header("retry-after", 4 * 3_600);
        world = world.answers("a", [quota]);
        world.check(request(), "a:429 quota_exhausted");
    }
}

#[test]
fn a_block_that_ends_soon_is_not_tested() {
    let limited = status(429).header("retry-after", 900);
    let mut world = World::new([oauth("a")]).answers("a", [limited]);
    world.send(&mut request());
    world.pass(seconds(301));
    assert!(!probes(&world));
}

#[test]
fn nothing_is_tested_while_another_account_serves() {
    let mut world = spent();
    world.accounts.push(oauth("b"));
    world.pass(seconds(600));
    assert!(!probes(&world));
}

#[test]
fn everything_in_the_way_must_be_worth_the_test() {
    let mut world = spent();
    let young = Block::new(
        at(9_000_000),
        Reason::Throttled,
        Source::Header,
        at(200_000),
    );
    world.state.blocks.insert("model:a:large".into(), young);
    world.pass(seconds(400));
    assert!(!probes(&world));
    world.pass(seconds(100));
    assert!(probes(&world));
}

#[test]
fn a_held_request_waits_for_the_probe_and_not_for_the_reset() {
    let mut world = spent().rotation(|rotation| rotation.hold_until_reset = true);
    world.check(request(), "~300000 a:200 ok");
}

#[test]
fn clearing_lets_the_next_request_through_at_once() {
    let mut world = spent();
    let (delta, count) = clear(&world.state, &world.accounts, world.now);
    assert_eq!(count, 1);
    world.state.merge(&delta);
    world.check(request(), "a:200 ok");
    let (delta, count) = clear(&world.state, &world.accounts, world.now);
    assert_eq!((delta.is_empty(), count), (true, 0));
}

#[test]
fn an_answer_to_an_older_question_clears_nothing() {
    let mut world = World::new([oauth("a"), oauth("b")]);
    let (mut slow, mut fast) = (session("slow"), session("fast"));
    slow.begin_attempt(&"a".into(), 1, at(0));
    fast.begin_attempt(&"a".into(), 1, at(1));
    world.now = at(5);
    world.report(
        &mut fast,
        &"a".into(),
        &status(429).header("retry-after", 600),
    );
    world.now = at(9);
    world.report(&mut slow, &"a".into(), &status(200));
    assert_eq!(
        world
            .with(|pool| pool.state.cooldowns(&world.accounts[0], pool.now))
            .len(),
        1
    );
}

#[test]
fn what_may_have_been_another_requests_fault_is_tested_where_the_cache_is_warm() {
    let costly = status(402).body(r#"{"error":{"code":402}}"#);
    let mut world = World::new([key("a"), key("b")]).answers("a", vec![status(500); 3]);
    world.jitter = 0.0;
    world.check(session("talk"), "a:500 a:500 a:500 b:200 ok");
    world = world.answers("a", [costly.clone()]).answers("b", [costly]);
    world.check(session("other"), "a:402 b:402 out_of_credit");
    world.check(session("talk"), "b:200 ok");
    // An answer has ended that rest: there is nothing left to test.
    world.check(session("new"), "b:200 ok");
}
