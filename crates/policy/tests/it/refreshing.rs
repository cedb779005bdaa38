//! What a refresh changes for all processes.

use std::time::Duration;

use provider_auth_policy::*;

use crate::world::*;

#[test]
fn a_rejected_refresh_asks_for_login_until_the_next_generation() {
    let mut world = World::new([oauth("a")]);
    world
        .state
        .merge(&refresh_rejected(&world.accounts[0], at(0)));
    let reason = Standing::NeedsLogin;
    let accounts = vec!["a".into()];
    assert_eq!(
        world.select(&request()),
        Selection::NeedsLogin { accounts, reason }
    );
    world.accounts[0].generation = 2;
    world.state.merge(&refreshed(&"a".into(), 2));
    world.check(request(), "a:200 ok");
}

#[test]
fn a_failing_token_endpoint_is_asked_ever_less_often() {
    let mut state = SharedState::default();
    let mut now = at(0);
    let mut rests = Vec::new();
    for _ in 0..9 {
        assert_eq!(refresh_allowed(&state, &"a".into(), now), Ok(()));
        state.merge(&refresh_postponed(&state, &"a".into(), None, now, 0.0));
        // Another process that fails in the same rest does not lengthen it.
        state.merge(&refresh_postponed(&state, &"a".into(), None, now, 0.0));
        let until = refresh_allowed(&state, &"a".into(), now).unwrap_err();
        rests.push(now.until(until).as_secs());
        now = until;
    }
    assert_eq!(rests, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    state.merge(&refreshed(&"a".into(), 1));
    state.merge(&refresh_postponed(&state, &"a".into(), None, now, 0.0));
    let until = refresh_allowed(&state, &"a".into(), now).unwrap_err();
    assert_eq!(now.until(until), seconds(5));
}

#[test]
fn a_refresh_lifts_the_rest() {
    let mut state = SharedState::default();
    state.merge(&refresh_postponed(&state, &"a".into(), None, at(0), 0.5));
    assert!(refresh_allowed(&state, &"a".into(), at(1)).is_err());
    state.merge(&refreshed(&"a".into(), 1));
    assert_eq!(refresh_allowed(&state, &"a".into(), at(1)), Ok(()));
}

#[test]
fn a_stated_rest_is_never_shortened() {
    for jitter in [0.0, 1.0, f64::NAN] {
        let stated = Duration::from_secs(900);
        let state = SharedState::default();
        let delta = refresh_postponed(&state, &"a".into(), Some(stated), at(0), jitter);
        let until = refresh_allowed(&delta, &"a".into(), at(0)).unwrap_err();
        assert!(at(0).until(until) >= stated);
    }
}

#[test]
fn an_expired_token_that_may_not_be_refreshed_yet_hinders_and_a_living_one_does_not() {
    let mut world = World::new([oauth("a"), oauth("b")]);
    let delta = refresh_postponed(&world.state, &"a".into(), None, at(0), 0.0);
    world.state.merge(&delta);
    world.check(session("one"), "a:200 ok");
    world.accounts[0].expires_at = Some(world.now);
    world.check(session("two"), "b:200 ok");
    world.accounts.pop();
    // 5 s after the failure it may be tried again.
    world.check(session("three"), "~4998 a:200 ok");
}
