//! What holds for every input.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Strategy;
use provider_auth_policy::*;

use crate::world::*;

fn answers() -> impl Strategy<Value = Answer> {
    let statuses = prop::sample::select(vec![
        200, 204, 400, 401, 402, 403, 404, 408, 429, 429, 429, 500, 503, 529, 0, 999,
    ]);
    let waits = prop::option::of(prop_oneof![
        Just("1".to_owned()),
        Just("4".to_owned()),
        Just("20".to_owned()),
        Just("900".to_owned()),
        Just("20000".to_owned()),
        "\\PC{0,12}",
    ]);
    let codes = prop::option::of(prop::sample::select(vec![
        "insufficient_quota",
        "usage_limit_reached",
        "overloaded_error",
        "model_not_found",
        "account_deactivated",
        "verification_required",
        "integration_rate_limited",
        "nonsense",
    ]));
    let failures = prop::option::weighted(
        0.15,
        prop::sample::select(vec![Failure::Network, Failure::Timeout, Failure::Stream]),
    );
    (statuses, waits, codes, failures).prop_map(|(code, wait, word, failed)| {
        let mut answer = status(code);
        if let Some(wait) = wait {
            answer = answer.header("retry-after", wait);
        }
        if let (Some(word), true) = (word, code >= 400) {
            answer = answer.code(word);
        }
        answer.failure = failed;
        answer
    })
}

fn accounts() -> impl Strategy<Value = Vec<AccountView>> {
    let account = (
        0..3_i64,
        any::<bool>(),
        prop::bool::weighted(0.85),
        0..4_u64,
    );
    prop::collection::vec(account, 0..6).prop_map(|accounts| {
        let view =
            |(place, (priority, is_key, enabled, expires)): (usize, (i64, bool, bool, u64))| {
                let id = ["a", "b", "c", "d", "e", "f"][place];
                let view = if is_key { key(id) } else { oauth(id) };
                AccountView {
                    priority,
                    enabled,
                    expires_at: view.expires_at.map(|_| at(expires * 600_000)),
                    ..view
                }
            };
        accounts.into_iter().enumerate().map(view).collect()
    })
}

fn rotations() -> impl Strategy<Value = Rotation> {
    let strategies = prop::sample::select(vec![
        provider_auth_policy::Strategy::Sticky,
        provider_auth_policy::Strategy::EarliestReset,
        provider_auth_policy::Strategy::Balanced,
        provider_auth_policy::Strategy::RoundRobin,
        provider_auth_policy::Strategy::FillFirst,
    ]);
    let modes = prop::sample::select(vec![Mode::Auto, Mode::Subscription, Mode::Api]);
    (
        strategies,
        modes,
        prop::bool::weighted(0.8),
        prop::option::of(1..5_u32),
        0..60_u64,
    )
        .prop_map(|(strategy, mode, rotate, max_attempts, wait)| Rotation {
            mode,
            strategy,
            rotate,
            pool_logins: max_attempts != Some(2),
            max_attempts,
            max_wait: Duration::from_secs(wait),
            hold_until_reset: false,
        })
}

fn worlds() -> impl Strategy<Value = World> {
    let script = prop::collection::vec(answers(), 0..12);
    (
        accounts(),
        rotations(),
        prop::collection::vec(script, 6),
        0.0..1.0_f64,
    )
        .prop_map(|(accounts, rotation, scripts, jitter)| {
            let mut world = World::new([]);
            world.accounts = accounts;
            world.rotation = rotation;
            world.jitter = jitter;
            for (id, script) in ["a", "b", "c", "d", "e", "f"].iter().zip(scripts) {
                world = world.answers(id, script);
            }
            world
        })
}

fn requests() -> impl Strategy<Value = Request> {
    let pins = prop::option::weighted(
        0.2,
        prop::sample::select(vec!["a", "b", "label of c", "nobody"]),
    );
    let sessions = prop::option::of(prop::sample::select(vec!["one", "two"]));
    let models = prop::option::of(prop::sample::select(vec!["large", "small"]));
    (models, sessions, pins).prop_map(|(model, session, pin)| {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Request::new("acme", "default", text(model), text(session), text(pin))
    })
}

/// Plays requests one after the other and checks each step.
fn play(world: &mut World, requests: Vec<Request>) -> Result<(), TestCaseError> {
    for mut request in requests {
        let before = world.now;
        world.trace.clear();
        world.send(&mut request);
        let most = world.rotation.max_attempts.unwrap_or(limits::MAX_ATTEMPTS);
        prop_assert!(request.attempts() <= most, "{}", world.trace);
        // Each attempt takes a millisecond of its own.
        let waited = before.until(world.now) - Duration::from_millis(request.attempts().into());
        prop_assert!(waited <= world.rotation.max_wait, "{}", world.trace);
        let steps: Vec<&str> = world
            .trace
            .split(' ')
            .filter(|step| step.contains(':'))
            .collect();
        let served: Vec<&str> = steps
            .iter()
            .filter_map(|step| step.split_once(':'))
            .map(|(id, _)| id)
            .filter(|id| id.len() == 1)
            .collect();
        let switches = served.windows(2).filter(|pair| pair[0] != pair[1]).count();
        prop_assert!(switches <= limits::MAX_SWITCHES as usize, "{}", world.trace);
        for id in served {
            let account = world.account(&id.into());
            prop_assert!(account.enabled);
            let is_key = account.kind == AccountKind::Api;
            match (&request.pin, world.rotation.mode) {
                (Some(pin), _) => prop_assert!(**pin == *id || **pin == *account.label),
                (None, Mode::Api) => prop_assert!(is_key),
                (None, Mode::Subscription) => prop_assert!(!is_key),
                (None, Mode::Auto) => {}
            }
        }
        if request.pin.is_some() || !world.rotation.rotate {
            prop_assert_eq!(switches, 0, "{}", world.trace);
        }
    }
    Ok(())
}

fn blocks() -> impl Strategy<Value = Block> {
    (0..100_u64, 0..100_u64, any::<bool>(), any::<bool>()).prop_map(
        |(until, observed, quota, header)| {
            let reason = if quota {
                Reason::QuotaExhausted
            } else {
                Reason::Throttled
            };
            let source = if header {
                Source::Header
            } else {
                Source::Ladder
            };
            Block::new(at(until), reason, source, at(observed))
        },
    )
}

fn states() -> impl Strategy<Value = SharedState> {
    let keys = || {
        prop::sample::select(vec!["account:a", "account:b", "model:a:large"])
            .prop_map(str::to_owned)
    };
    let scopes = keys().prop_map(Scope::from);
    let blocks = prop::collection::btree_map(scopes, blocks(), 0..3);
    let binding = (0..50_u64, 0..50_u64, prop::sample::select(vec!["a", "b"]));
    let bindings = prop::collection::btree_map(keys(), binding, 0..3);
    let account = (
        0..5_u64,
        0..5_u64,
        prop::option::of(0..600_u16),
        0..5_u64,
        prop::option::of((0..5_u64, 0..5_u64)),
    );
    let accounts = prop::collection::btree_map(prop::sample::select(vec!["a", "b"]), account, 0..3);
    (blocks, bindings, accounts).prop_map(|(blocks, bindings, accounts)| SharedState {
        blocks,
        bindings: bindings
            .into_iter()
            .map(|(key, (used, until, account))| {
                let (used_at, until) = (at(used), at(until));
                (
                    key,
                    Binding {
                        used_at,
                        until,
                        account: account.into(),
                    },
                )
            })
            .collect(),
        accounts: accounts
            .into_iter()
            .map(
                |(id, (successes, last_at, last_status, generation, standing))| {
                    let mark = |(generation, observed)| StandingMark {
                        generation,
                        observed_at: at(observed),
                        standing: Standing::NeedsLogin,
                    };
                    let account = AccountStats {
                        successes,
                        last_status,
                        last_at: at(last_at),
                        generation,
                        standing: standing.map(mark),
                        ..AccountStats::default()
                    };
                    (id.into(), account)
                },
            )
            .collect(),
        ..SharedState::default()
    })
}

fn merged(one: &SharedState, other: &SharedState) -> SharedState {
    let mut merged = one.clone();
    merged.merge(other);
    merged
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn budgets_hold_and_only_eligible_accounts_serve(
        mut world in worlds(),
        requests in prop::collection::vec(requests(), 1..6),
    ) {
        play(&mut world, requests)?;
    }

    #[test]
    fn a_block_ends_before_its_time_only_when_a_probe_was_answered(
        mut world in worlds(),
        requests in prop::collection::vec((requests(), 0..2_000_u64), 1..10),
    ) {
        for (mut request, pause) in requests {
            world.pass(Duration::from_secs(pause));
            let before = world.state.blocks.clone();
            world.probed.clear();
            world.send(&mut request);
            let still = before.iter().filter(|(_, block)| block.live_until(world.now).is_some());
            for (scope, block) in still {
                let stands = world.state.blocks.get(scope).is_some_and(|after| after.until >= block.until);
                // A probe of one account tells of what it shares with the others as well.
                let probed = world.probed.iter().any(|id| match scope {
                    Scope::Account(of) | Scope::Model(of, _) => of == id,
                    _ => true,
                });
                prop_assert!(stands || probed, "{scope:?} ended early: {}", world.trace);
            }
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_decisions(mut world in worlds(), request in requests()) {
        let mut twin = World::new([]);
        twin.accounts.clone_from(&world.accounts);
        twin.rotation = world.rotation.clone();
        twin.jitter = world.jitter;
        twin.answers.clone_from(&world.answers);
        world.send(&mut request.clone());
        twin.send(&mut request.clone());
        prop_assert_eq!(&world.trace, &twin.trace);
        prop_assert_eq!(&world.state, &twin.state);
    }

    #[test]
    fn a_chosen_account_is_not_blocked(
        world in worlds(), request in requests(), state in states(), later in 0..100_u64,
    ) {
        let mut world = world;
        world.state = state;
        world.now = at(later);
        if let Selection::Serve { account, rule } = world.select(&request) {
            let view = world.account(&account);
            let blocked = world.state.cooldowns(view, world.now);
            let touches = |scope: &Scope| scope.model().is_none() || scope.model() == request.model.as_deref();
            prop_assert!(rule == Rule::Probe || !blocked.iter().any(|(scope, _)| touches(scope)));
            let standing = world.state.standing(&account, view.generation);
            prop_assert!(standing <= Standing::RollbackSuspected);
        }
    }

    #[test]
    fn a_merge_of_two_does_not_depend_on_their_order(one in states(), other in states()) {
        prop_assert_eq!(merged(&one, &other), merged(&other, &one));
    }

    #[test]
    fn all_but_the_counters_is_merged_once(one in states(), other in states()) {
        let once = merged(&one, &other);
        let mut twice = merged(&once, &other);
        for (id, account) in &mut twice.accounts {
            account.successes = once.accounts[id].successes;
            account.failures = once.accounts[id].failures;
        }
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn news_over_a_state_say_what_the_state_with_the_changes_would(
        state in states(),
        changes in prop::collection::vec(states(), 0..4),
    ) {
        let (mut whole, mut news) = (state.clone(), SharedState::default());
        for change in &changes {
            let mut entries = whole.named_by(change);
            entries.merge(change);
            news.replace(entries);
            whole.merge(change);
        }
        let over = |state: &SharedState| {
            let mut state = state.clone();
            state.overlay(news.clone());
            state
        };
        prop_assert_eq!(&over(&state), &whole);
        // They have gone into the state, and are there still.
        prop_assert_eq!(&over(&whole), &whole);
    }

    #[test]
    fn a_change_that_was_written_into_a_state_past_its_news_is_not_lost(
        known in blocks(), later in blocks(),
    ) {
        let holding = |block: &Block| SharedState {
            blocks: BTreeMap::from([("account:a".into(), block.clone())]),
            ..SharedState::default()
        };
        prop_assume!(later.observed_at > known.observed_at);
        let mut seen = holding(&later);
        seen.overlay(holding(&known));
        prop_assert_eq!(seen, merged(&holding(&known), &holding(&later)));
    }

    #[test]
    fn a_block_is_never_shortened_but_by_newer_news_that_it_is_over(one in blocks(), other in blocks()) {
        prop_assume!(!one.is_clear());
        let holding = |block: &Block| SharedState {
            blocks: BTreeMap::from([("account:a".into(), block.clone())]),
            ..SharedState::default()
        };
        let after = merged(&holding(&one), &holding(&other));
        let is_news = other.is_clear() && other.observed_at > one.observed_at;
        prop_assert!(is_news || after.blocks[&Scope::from("account:a")].until >= one.until);
    }

    #[test]
    fn junk_never_panics(
        code in any::<Option<u16>>(),
        header in prop::sample::select(OBSERVED_HEADERS.clone()),
        value in ".{0,40}|[0-9.]{0,30}(ms|s|m|h)?|[0-9T:Z+.-]{0,30}",
        body in prop::option::of(".{0,60}|[\\[\\]{}:\",0-9a-z]{0,60}"),
        now in any::<u64>(),
        jitter in any::<f64>(),
    ) {
        let mut world = World::new([oauth("a"), key("b")]);
        world.now = Timestamp::from_millis(now);
        world.jitter = jitter;
        let mut answer = Answer { status: code, body, ..Answer::default() };
        for name in ["x-ratelimit-remaining", "x-ratelimit-remaining-tokens"] {
            answer = answer.header(name, 0);
        }
        answer = answer.header("anthropic-ratelimit-unified-5h-status", "rejected").header(header, value);
        let mut request = request();
        request.begin_attempt(&"a".into(), 1, world.now);
        let reaction = world.report(&mut request, &"a".into(), &answer);
        prop_assert!(reaction.delay <= limits::MAX_WAIT);
        world.state.sweep(world.now);
        world.select(&request);
    }

    #[test]
    fn a_state_survives_being_written_and_read(state in states()) {
        let text = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(serde_json::from_str::<SharedState>(&text).unwrap(), state);
    }

    #[test]
    fn a_junk_state_file_never_panics(text in "[\\[\\]{}:\",0-9a-z]{0,80}") {
        let _ = serde_json::from_str::<SharedState>(&text).map(|state| state.is_empty());
    }
}
