//! What follows from each kind of response.

use provider_auth_policy::*;

use crate::world::*;

/// Two accounts, one answer of the first: what happens, and what that leaves behind.
#[track_caller]
fn check(answer: Answer, trace: &str, block: Option<(&str, u64, Reason, Source)>) {
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [answer]);
    world.check(request(), trace);
    let blocks = world.state.blocks.iter();
    let found: Vec<_> = blocks
        .map(|(scope, block)| {
            let span = block.observed_at.until(block.until).as_secs();
            (scope.clone(), span, block.reason, block.source)
        })
        .collect();
    let expected = block.map(|(scope, span, reason, source)| (scope.into(), span, reason, source));
    assert_eq!(found, Vec::from_iter(expected));
}

const SWITCHED: &str = "a:429 b:200 ok";

#[test]
fn a_throttle_blocks_the_model_and_goes_on_with_another_account() {
    let block = ("model:a:large", 30, Reason::Throttled, Source::Header);
    check(status(429).header("retry-after", 30), SWITCHED, Some(block));
    let block = ("model:a:large", 60, Reason::Throttled, Source::Header);
    check(status(429).header("retry-after", 60), SWITCHED, Some(block));
}

#[test]
fn a_short_throttle_is_waited_for_on_the_same_account_at_most_twice() {
    let throttle = status(429).header("retry-after-ms", 2_000);
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", vec![throttle; 3]);
    world.check(request(), "a:429 ~2000 a:429 ~2000 a:429 b:200 ok");
}

#[test]
fn a_short_throttle_behind_a_stronger_block_is_not_waited_for() {
    let quota = status(429)
        .code("usage_limit_reached")
        .header("retry-after", 600);
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [quota]);
    let mut slow = request();
    slow.begin_attempt(&"a".into(), 1, world.now);
    world.check(request(), SWITCHED);
    let throttle = status(429).header("retry-after", 1);
    let reaction = world.report(&mut slow, &"a".into(), &throttle);
    assert_eq!(reaction.action, Action::Retry);
    assert!(world.state.blocks[&Scope::from("account:a")].until > at(590_000));
}

#[test]
fn a_server_that_says_zero_is_not_hammered() {
    let throttle = status(429).header("retry-after", 0);
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", vec![throttle; 3]);
    world.check(request(), "a:429 ~500 a:429 ~500 a:429 b:200 ok");
}

#[test]
fn without_a_model_a_throttle_blocks_the_account() {
    let throttle = status(429).header("retry-after", 30);
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [throttle]);
    world.check(Request::new("acme", "default", None, None, None), SWITCHED);
    assert!(world.state.blocks.contains_key(&Scope::from("account:a")));
}

#[test]
fn a_long_stated_wait_is_a_quota_within_bounds_and_no_wider_for_that() {
    let quota = |after| status(429).header("retry-after", after);
    let block = |span| {
        Some((
            "model:a:large",
            span,
            Reason::QuotaExhausted,
            Source::Header,
        ))
    };
    check(quota(61), SWITCHED, block(61));
    check(quota(604_800), SWITCHED, block(86_400));
}

#[test]
fn a_quota_lasts_until_the_latest_reset_of_the_refused_windows() {
    let unified = |window: &str, what: &str| format!("anthropic-ratelimit-unified-{window}-{what}");
    let second = START / 1_000;
    let spent = status(429)
        .header("anthropic-ratelimit-unified-status", "rejected")
        .header("anthropic-ratelimit-unified-reset", second + 999_999)
        .header(&unified("5h", "status"), "allowed")
        .header(&unified("5h", "reset"), second + 9_000)
        .header(&unified("7d", "status"), "rejected")
        .header(&unified("7d", "reset"), second + 500_001)
        .header("retry-after", 70);
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [spent]);
    world.check(request(), SWITCHED);
    let block = &world.state.blocks[&Scope::from("account:a")];
    assert_eq!(block.until, at(500_001_000));
    assert_eq!(block.source, Source::Header);
}

#[test]
fn a_window_is_not_believed_beyond_its_length() {
    let spent = status(429)
        .header("anthropic-ratelimit-unified-5h-status", "rejected")
        .header(
            "anthropic-ratelimit-unified-5h-reset",
            START / 1_000 + 999_999,
        );
    let block = (
        "account:a",
        6 * 3_600,
        Reason::QuotaExhausted,
        Source::Header,
    );
    check(spent, SWITCHED, Some(block));
}

#[test]
fn a_refused_model_window_leaves_the_account_alone() {
    let spent = status(429)
        .header("anthropic-ratelimit-unified-status", "rejected")
        .header("anthropic-ratelimit-unified-5h-status", "allowed")
        .header("anthropic-ratelimit-unified-7d-status", "allowed")
        .header("anthropic-ratelimit-unified-7d_oi-status", "rejected")
        .header("retry-after", 120);
    let block = ("model:a:large", 120, Reason::QuotaExhausted, Source::Header);
    check(spent, SWITCHED, Some(block));
}

#[test]
fn a_code_in_the_body_tells_a_quota_from_a_throttle() {
    let from_body = |body: &str| status(429).body(body);
    let quota = |span| Some(("account:a", span, Reason::QuotaExhausted, Source::Body));
    check(
        from_body(r#"{"error":{"type":"usage_limit_reached","resets_in_seconds":40}}"#),
        SWITCHED,
        quota(40),
    );
    // A reset that is past says nothing: the span beside it does.
    check(
        from_body(
            r#"{"error":{"type":"usage_limit_reached","resets_at":1700000000,"resets_in_seconds":77}}"#,
        ),
        SWITCHED,
        quota(77),
    );
    let ladder = ("account:a", 300, Reason::QuotaExhausted, Source::Ladder);
    check(
        status(429).code("usage_limit_reached"),
        SWITCHED,
        Some(ladder),
    );
}

/// An error of Google's shape with these details.
fn google(status_code: u16, details: &str) -> Answer {
    let details = details.replace("rpc:", "type.googleapis.com/google.rpc.");
    let error = format!(r#"{{"error":{{"code":{status_code},"details":[{details}]}}}}"#);
    status(status_code).body(&error)
}

#[test]
fn the_details_of_a_google_error_are_read() {
    let limited = |details: &str, block| check(google(429, details), SWITCHED, Some(block));
    let of_model = |span, reason| ("model:a:large", span, reason, Source::Body);
    limited(
        r#"{"@type":"rpc:QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]},
           {"@type":"rpc:RetryInfo","retryDelay":"56s"}"#,
        of_model(56, Reason::Throttled),
    );
    limited(
        r#"{"@type":"rpc:QuotaFailure","violations":[{"quotaId":"RequestsPerMinute"}]}"#,
        of_model(60, Reason::Throttled),
    );
    limited(
        r#"{"@type":"rpc:RetryInfo","retryDelay":"301s"}"#,
        of_model(301, Reason::QuotaExhausted),
    );
    // Some 56 s come with the daily quota too: it is not back by then.
    limited(
        r#"{"@type":"rpc:QuotaFailure","violations":[{"quotaId":"RequestsPerDayPerModel"}]},
           {"@type":"rpc:RetryInfo","retryDelay":"56s"}"#,
        ("model:a:large", 300, Reason::QuotaExhausted, Source::Ladder),
    );
    limited(
        r#"{"@type":"rpc:QuotaFailure","violations":[{"quotaId":"RequestsPerDay-limit"}]},
           {"@type":"rpc:RetryInfo","retryDelay":"999999s"}"#,
        (
            "account:a",
            26 * 3_600,
            Reason::QuotaExhausted,
            Source::Body,
        ),
    );
    limited(
        r#"{"@type":"rpc:ErrorInfo","reason":"QUOTA_EXHAUSTED","metadata":{"model":"m","quotaResetDelay":"1h43m56s",
            "quotaResetTimeStamp":"2026-04-20T10:50:36Z"}}"#,
        of_model(6_236, Reason::QuotaExhausted),
    );
    check(
        google(
            503,
            r#"{"@type":"rpc:ErrorInfo","reason":"MODEL_CAPACITY_EXHAUSTED"}"#,
        ),
        "a:503 a:200 ok",
        None,
    );
    // Details of a type that is not Google's say nothing.
    check(
        google(
            400,
            r#"{"@type":"other:ErrorInfo","reason":"API_KEY_INVALID"}"#,
        ),
        "a:400 client_error",
        None,
    );
}

#[test]
fn a_bad_google_key_asks_for_login_although_its_status_is_400() {
    let invalid = google(
        400,
        r#"{"@type":"rpc:ErrorInfo","reason":"API_KEY_INVALID"}"#,
    );
    let mut world = World::new([key("a"), key("b")]).answers("a", [invalid]);
    world.check(request(), "a:400 b:200 ok");
    assert_eq!(world.state.standing(&"a".into(), 1), Standing::NeedsLogin);
    let wanted = google(
        403,
        r#"{"@type":"rpc:ErrorInfo","reason":"VALIDATION_REQUIRED"}"#,
    );
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [wanted]);
    world.check(request(), "a:403 b:200 ok");
    let standing = world.state.standing(&"a".into(), 1);
    assert_eq!(standing, Standing::NeedsVerification);
}

#[test]
fn a_message_says_how_long_where_the_table_names_the_phrase_and_never_what() {
    let body =
        r#"{"error":{"message":"Capacity is exhausted. Your quota will reset after 1h43m56s."}}"#;
    let mut world = World::new([oauth("a"), oauth("b")])
        .answers("a", [status(400).body(body), status(429).body(body)]);
    world.signals.wait_phrases = &["Your quota will reset after ", "Please retry in "];
    world.check(request(), "a:400 client_error");
    world.check(request(), SWITCHED);
    let block = &world.state.blocks[&Scope::from("model:a:large")];
    assert_eq!(block.observed_at.until(block.until), seconds(6_236));
}

#[test]
fn the_text_of_a_message_is_never_read() {
    let body = r#"{"error":{"message":"quota exhausted, insufficient_quota, too many tokens","code":"who_knows"}}"#;
    check(status(400).body(body), "a:400 client_error", None);
    let ladder = ("model:a:large", 10, Reason::RateLimited, Source::Ladder);
    check(status(429).body(body), SWITCHED, Some(ladder));
}

#[test]
fn what_has_nothing_remaining_states_the_wait() {
    let metered = status(429)
        .header("x-ratelimit-remaining-requests", 0)
        .header("x-ratelimit-reset-requests", "20s")
        .header("x-ratelimit-remaining-tokens", 0)
        .header("x-ratelimit-reset-tokens", "40s")
        .header("x-ratelimit-remaining", 7)
        .header("x-ratelimit-reset", "59");
    let block = ("model:a:large", 40, Reason::Throttled, Source::Header);
    check(metered, SWITCHED, Some(block));
}

#[test]
fn a_silent_limit_climbs_the_ladder_one_step_per_block_window() {
    let mut world = World::new([oauth("a")]).rotation(|rotation| rotation.max_wait = seconds(0));
    let mut spans = Vec::new();
    for _ in 0..7 {
        let limits = [status(429), status(429)];
        world = world.answers("a", limits);
        // Two requests in one window count once.
        let (mut one, mut two) = (request(), request());
        two.begin_attempt(&"a".into(), 1, world.now);
        world.send(&mut one);
        world.report(&mut two, &"a".into(), &status(429));
        world.answers.clear();
        let block = &world.state.blocks[&Scope::from("model:a:large")];
        spans.push(block.observed_at.until(block.until).as_secs());
        world.now = block.until;
    }
    assert_eq!(spans, [10, 30, 60, 300, 900, 900, 900]);
}

#[test]
fn ten_quiet_minutes_or_a_success_begin_the_ladder_anew() {
    let mut world = World::new([oauth("a")]).rotation(|rotation| rotation.max_wait = seconds(0));
    let span = |world: &World| {
        let block = &world.state.blocks[&Scope::from("model:a:large")];
        block.observed_at.until(block.until).as_secs()
    };
    for expect in [10, 30] {
        world = world.answers("a", [status(429)]);
        world.send(&mut request());
        assert_eq!(span(&world), expect);
        world.pass(seconds(expect));
    }
    world.pass(seconds(600));
    for expect in [10, 30] {
        world = world.answers("a", [status(429)]);
        world.send(&mut request());
        assert_eq!(span(&world), expect);
        world.pass(seconds(expect));
    }
    world.send(&mut request());
    world = world.answers("a", [status(429)]);
    world.send(&mut request());
    assert_eq!(span(&world), 10);
}

#[test]
fn a_burst_that_is_answered_in_part_does_not_climb_the_ladder() {
    let mut world = World::new([oauth("a")]).rotation(|rotation| rotation.max_wait = seconds(0));
    for _ in 0..4 {
        let (mut refused, mut slow) = (request(), request());
        for request in [&mut refused, &mut slow] {
            request.begin_attempt(&"a".into(), 1, world.now);
        }
        world.pass(seconds(1));
        world.report(&mut refused, &"a".into(), &status(429));
        let until = world.state.blocks[&Scope::from("model:a:large")].until;
        assert_eq!(world.now.until(until), seconds(10));
        // The answer to the older question neither ends the block nor leaves it as it was.
        world.pass(seconds(1));
        world.report(&mut slow, &"a".into(), &status(200));
        assert_eq!(
            world.state.blocks[&Scope::from("model:a:large")].until,
            until
        );
        world.now = until;
    }
}

#[test]
fn an_account_that_a_code_calls_without_credit_rests_an_hour_and_then_a_day() {
    let block = ("account:a", 3_600, Reason::OutOfCredit, Source::Ladder);
    let empty = status(429).code("insufficient_quota");
    check(empty.clone(), SWITCHED, Some(block));
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [empty.clone(), empty]);
    world.check(session("one"), SWITCHED);
    world.pass(seconds(3_600));
    world.check(session("two"), SWITCHED);
    let block = &world.state.blocks[&Scope::from("account:a")];
    assert_eq!(block.observed_at.until(block.until), seconds(86_400));
}

#[test]
fn an_account_that_answers_402_rests_a_minute_and_then_longer_and_longer() {
    let mut world = World::new([oauth("a"), oauth("b")]);
    for span in [60, 600, 3_600, 86_400, 86_400] {
        world = world.answers("a", [status(402)]);
        world.check(session(&format!("after {span}")), "a:402 b:200 ok");
        let block = &world.state.blocks[&Scope::from("account:a")];
        assert_eq!(block.observed_at.until(block.until), seconds(span));
        world.now = block.until;
        world.state.bindings.clear();
    }
}

#[test]
fn an_expired_token_is_refreshed_and_sent_again_once() {
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [status(401)]);
    world.check(request(), "a:401 refresh a:200 ok");
    assert!(world.state.blocks.is_empty());
}

#[test]
fn a_fresh_token_that_is_refused_rests_the_account_and_a_second_asks_for_login() {
    let refused = [status(401), status(401), status(401), status(401)];
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", refused);
    world.check(session("one"), "a:401 refresh a:401 b:200 ok");
    assert_eq!(
        world.state.blocks[&Scope::from("account:a")].until,
        at(30_002)
    );
    world.pass(seconds(31));
    world.check(session("two"), "a:401 refresh a:401 b:200 ok");
    assert_eq!(world.state.standing(&"a".into(), 3), Standing::NeedsLogin);
    assert_eq!(world.state.standing(&"a".into(), 4), Standing::Serving);
    world.check(session("three"), "b:200 ok");
}

#[test]
fn one_refused_token_counts_once_however_many_requests_it_met() {
    let mut world = World::new([oauth("a"), oauth("b")]);
    let mut requests = [request(), request(), request()];
    for request in &mut requests {
        request.begin_attempt(&"a".into(), 1, world.now);
        let reaction = world.report(request, &"a".into(), &status(401));
        assert_eq!(reaction.action, Action::Retry);
        assert_eq!(request.resend_after_refresh(), Some((&"a".into(), 1)));
    }
    for request in &mut requests {
        request.begin_attempt(&"a".into(), 2, world.now);
        world.accounts[0].generation = 2;
        world.report(request, &"a".into(), &status(401));
    }
    assert_eq!(world.state.standing(&"a".into(), 2), Standing::Serving);
}

#[test]
fn a_newer_token_in_the_vault_is_sent_without_a_refresh() {
    let mut world = World::new([key("a"), key("b")]).answers("a", [status(200)]);
    let mut request = request();
    request.begin_attempt(&"a".into(), 1, world.now);
    world.accounts[0].generation = 2;
    let reaction = world.report(&mut request, &"a".into(), &status(401));
    assert_eq!(reaction.action, Action::Retry);
    world.send(&mut request);
    assert_eq!(world.trace.trim(), "a:200 ok");
}

#[test]
fn a_refused_key_asks_for_login_and_is_not_refreshed() {
    let dead = status(401).code("invalid_api_key");
    let mut world = World::new([key("a"), key("b")]).answers("a", [dead]);
    world.check(request(), "a:401 b:200 ok");
    assert_eq!(world.state.standing(&"a".into(), 1), Standing::NeedsLogin);
    world.accounts.pop();
    world.check(
        request(),
        r#"NeedsLogin { accounts: ["a"], reason: NeedsLogin }"#,
    );
}

#[test]
fn an_unexplained_403_is_refreshed_when_the_token_is_old_and_then_rests() {
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", vec![status(403); 2]);
    world.check(request(), "a:403 refresh a:403 b:200 ok");
    assert_eq!(
        world.state.blocks[&Scope::from("account:a")].until,
        at(300_002)
    );
    let mut young = World::new([oauth("a"), oauth("b")]).answers("a", [status(403)]);
    young.accounts[0].obtained_at = Some(at(0));
    young.check(request(), "a:403 b:200 ok");
}

#[test]
fn a_ban_is_not_evaded() {
    let banned = status(403).code("account_deactivated");
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [banned]);
    world.check(request(), "a:403 blocked_by_provider");
    assert_eq!(
        world.state.standing(&"a".into(), 1),
        Standing::BlockedByProvider
    );
}

#[test]
fn an_account_to_be_verified_steps_aside() {
    let wanted = status(403).code("verification_required");
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [wanted]);
    world.check(request(), "a:403 b:200 ok");
    assert_eq!(
        world.state.standing(&"a".into(), 1),
        Standing::NeedsVerification
    );
}

#[test]
fn a_model_that_an_account_lacks_is_asked_of_those_not_known_to_lack_it() {
    let lacks = |status_code| status(status_code).code("model_not_found");
    // A model that was never served may be there in a moment; one that was is not in this account's
    // plan.
    for (status_code, hours) in [(403, 12), (404, 6)] {
        let switched = format!("a:{status_code} b:200 ok");
        let minutes = ("model:a:large", 300, Reason::NotEntitled, Source::Body);
        check(lacks(status_code), &switched, Some(minutes));
        let mut world = World::new([oauth("a"), oauth("b")]);
        world.check(session("one"), "a:200 ok");
        world = world.answers("a", [lacks(status_code)]);
        world.check(session("two"), &switched);
        let block = &world.state.blocks[&Scope::from("model:a:large")];
        assert_eq!(block.observed_at.until(block.until), seconds(hours * 3_600));
    }
    let mut world = World::new([oauth("a"), oauth("b")])
        .answers("a", [lacks(404)])
        .answers("b", [lacks(404)]);
    world.check(request(), "a:404 b:404 not_entitled");
    let other = Request::new("acme", "default", Some("small".into()), None, None);
    world.check(other, "a:200 ok");
}

#[test]
fn a_wrong_request_is_delivered_without_penalty() {
    for code in [400, 404, 409, 413, 422] {
        let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [status(code)]);
        world.check(request(), &format!("a:{code} client_error"));
        let known = world.state.stats(&"a".into());
        assert_eq!((known.successes, known.failures), (0, 0));
        assert_eq!(known.last_status, Some(code));
    }
}

#[test]
fn a_failing_service_is_tried_three_times_and_then_elsewhere_once() {
    for code in [408, 500, 502, 503, 504, 529] {
        let fails = vec![status(code); 3];
        let mut world = World::new([oauth("a"), oauth("b"), oauth("c")])
            .answers("a", fails.clone())
            .answers("b", fails);
        world.jitter = 1.0;
        world.check(
            request(),
            &format!(
                "a:{code} ~500 a:{code} ~1000 a:{code} b:{code} ~500 b:{code} ~1000 b:{code} {}",
                if code == 503 || code == 529 {
                    "overloaded"
                } else {
                    "server_error"
                }
            ),
        );
        assert!(world.state.blocks.is_empty());
        assert_eq!(world.last.unwrap().retry_at, None);
    }
}

#[test]
fn the_server_says_whether_to_send_again() {
    let unwanted = status(500).header("x-should-retry", "false");
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [unwanted]);
    world.check(request(), "a:500 server_error");
    let wanted = status(409).header("x-should-retry", "true");
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [wanted]);
    world.check(request(), "a:409 a:200 ok");
}

#[test]
fn an_overloaded_server_is_not_asked_before_the_time_it_states() {
    let busy = status(503).header("retry-after", 3);
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [busy]);
    world.check(request(), "a:503 ~3000 a:200 ok");
    let busy = status(503).header("retry-after", 60);
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [busy]);
    world.check(request(), "a:503 b:200 ok");
}

#[test]
fn a_lost_connection_is_tried_twice_more_and_not_elsewhere() {
    let lost = vec![failure(Failure::Network); 3];
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", lost);
    world.check(request(), "a:- a:- a:- network");
}

#[test]
fn what_may_be_at_work_is_not_sent_a_second_time() {
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [failure(Failure::Timeout)]);
    world.check(request(), "a:- network");
}

#[test]
fn what_was_handed_out_is_never_replayed() {
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [failure(Failure::Stream)]);
    world.check(request(), "a:- network");
}

#[test]
fn an_error_after_output_is_charged_and_not_replayed() {
    let late = |body: &str| Answer {
        failure: Some(Failure::Stream),
        ..status(200).body(body)
    };
    let ladder = ("model:a:large", 10, Reason::RateLimited, Source::Ladder);
    check(
        late(r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded"}}}"#),
        "a:200 rate_limited",
        Some(ladder),
    );
    check(
        late(r#"{"type":"error","error":{"type":"overloaded_error"}}"#),
        "a:200 overloaded",
        None,
    );
    check(late("not even JSON"), "a:200 server_error", None);
}

#[test]
fn a_missing_answer_is_asked_for_once_more() {
    for body in ["", r#"{"error":{"message":"no code that is known"}}"#] {
        let mut world =
            World::new([oauth("a"), oauth("b")]).answers("a", vec![status(200).body(body); 3]);
        world.check(request(), "a:200 a:200 server_error");
    }
}

#[test]
fn an_error_event_first_counts_as_its_status() {
    let event = |body: &str| status(200).body(body);
    let ladder = ("model:a:large", 10, Reason::RateLimited, Source::Ladder);
    let switched = "a:200 b:200 ok";
    check(
        event(r#"{"type":"error","error":{"type":"rate_limit_error"}}"#),
        switched,
        Some(ladder),
    );
    check(event(r#"{"error":{"code":429}}"#), switched, Some(ladder));
    let again = "a:200 a:200 ok";
    check(
        event(r#"{"error":{"type":"overloaded_error"}}"#),
        again,
        None,
    );
    check(event(r#"{"what":"ever"}"#), again, None);
    check(event("not even JSON"), again, None);
    check(
        event(r#"{"error":{"type":"invalid_request_error"}}"#),
        "a:200 client_error",
        None,
    );
}

#[test]
fn a_limit_of_this_address_is_not_carried_to_other_accounts() {
    let limited = status(429)
        .code("integration_rate_limited")
        .header("retry-after", 50);
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [limited]);
    world.check(request(), "a:429 throttled");
    assert_eq!(world.last.as_ref().unwrap().retry_at, Some(at(50_001)));
    world.check(
        session("other"),
        "Exhausted { retry_at: Some(Timestamp(1776676050001)), reason: Throttled }",
    );
}

#[test]
fn jitter_only_lengthens() {
    let throttle = status(429).header("retry-after", 60);
    let mut world = World::new([oauth("a"), oauth("b")]).answers("a", [throttle]);
    world.jitter = 1.0;
    world.check(request(), SWITCHED);
    assert_eq!(
        world.state.blocks[&Scope::from("model:a:large")].until,
        at(63_001)
    );
}
