//! An index names whom a look at every account would have named.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Strategy;
use provider_auth_policy::*;

use crate::world::*;

const ACCOUNTS: usize = 90;

/// Something that changes which account is best.
#[derive(Debug, Clone)]
enum Event {
    Answered {
        account: usize,
        used_percent: u8,
        reset_after: u64,
    },
    Limited {
        account: usize,
        answer: usize,
        model: bool,
    },
    Began {
        account: usize,
    },
    Ended {
        account: usize,
    },
    Passed {
        millis: u64,
    },
    SetBack {
        millis: u64,
    },
    Refreshed {
        account: usize,
    },
    /// All accounts are limited, each for longer than the one before.
    Emptied {
        seconds: u64,
    },
    /// The state was read anew: some of it is forgotten.
    Reread,
    /// An account has another token, or is switched on or off.
    Replaced {
        account: usize,
        seconds: u64,
    },
}

fn events() -> impl Strategy<Value = Event> {
    let account = || 0..ACCOUNTS;
    prop_oneof![
        (account(), 0..101_u8, 1..20_000_u64).prop_map(|(account, used_percent, reset_after)| {
            Event::Answered {
                account,
                used_percent,
                reset_after,
            }
        }),
        (account(), 0..5_usize, any::<bool>()).prop_map(|(account, answer, model)| {
            Event::Limited {
                account,
                answer,
                model,
            }
        }),
        account().prop_map(|account| Event::Began { account }),
        account().prop_map(|account| Event::Ended { account }),
        (1..900_000_u64).prop_map(|millis| Event::Passed { millis }),
        (1..90_000_u64).prop_map(|millis| Event::SetBack { millis }),
        account().prop_map(|account| Event::Refreshed { account }),
        (1..4_000_u64).prop_map(|seconds| Event::Emptied { seconds }),
        Just(Event::Reread),
        (account(), 1..4_000_u64)
            .prop_map(|(account, seconds)| Event::Replaced { account, seconds }),
    ]
}

fn strategies() -> impl Strategy<Value = provider_auth_policy::Strategy> {
    prop::sample::select(vec![
        provider_auth_policy::Strategy::Sticky,
        provider_auth_policy::Strategy::EarliestReset,
        provider_auth_policy::Strategy::Balanced,
        provider_auth_policy::Strategy::RoundRobin,
        provider_auth_policy::Strategy::FillFirst,
    ])
}

/// Ninety accounts; a few are keys, switched off, or of another priority, and tokens end at
/// different times.
fn accounts() -> Vec<AccountView> {
    (0..ACCOUNTS)
        .map(|number| {
            let id = format!("account-{number:03}");
            let view = if number % 7 == 0 {
                key(&id)
            } else {
                oauth(&id)
            };
            AccountView {
                priority: i64::from(number % 11 == 0),
                enabled: number % 13 != 0,
                refreshable: view.refreshable && number % 5 != 0,
                expires_at: view.expires_at.map(|_| at(number as u64 * 200_000)),
                ..view
            }
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn an_index_chooses_as_a_look_at_all_does(
        strategy in strategies(),
        mode in prop::sample::select(vec![Mode::Auto, Mode::Subscription, Mode::Api]),
        events in prop::collection::vec(events(), 1..60),
        names in prop::collection::vec(0..1_000_u32, 60),
    ) {
        let mut world = World::new([]);
        world.rotation.strategy = strategy;
        world.rotation.mode = mode;
        let views = accounts();
        let ids: Vec<AccountId> = views.iter().map(|view| view.id.clone()).collect();
        let mut roster = Roster::new(views);
        let mut indexes = Indexes::default();
        let merge = |state: &mut SharedState, indexes: &mut Indexes, delta: &SharedState| {
            state.merge(delta);
            indexes.learned(delta);
        };
        for (event, name) in events.iter().zip(names) {
            let mut report = |world: &mut World, account: usize, answer: &Answer, model: &str| {
                let mut request = Request::new("acme", "default", Some(model.into()), None, None);
                request.begin_attempt(&ids[account], 1, world.now);
                let headers = |name: &str| answer.headers.get(name).map(String::as_str);
                let response = Response {
                    status: answer.status, headers: &headers, body: answer.body.as_deref(), failure: None,
                };
                let pool = Pool {
                    roster: &roster, state: &world.state, traffic: &world.traffic,
                    rotation: &world.rotation, now: world.now,
 news: None,
};
                let (signals, id) = (&world.signals, &ids[account]);
                let looked = react(&pool, &mut request.clone(), id, signals, &response, 0.3);
                let reaction = indexes.react(&pool, &mut request, id, signals, &response, 0.3);
                assert_eq!(reaction, looked);
                merge(&mut world.state, &mut indexes, &reaction.delta);
            };
            match event {
                Event::Answered { account, used_percent, reset_after } => {
                    let answer = status(200)
                        .header("x-codex-primary-used-percent", used_percent)
                        .header("x-codex-primary-reset-at", world.now.as_millis() / 1_000 + reset_after);
                    report(&mut world, *account, &answer, "small");
                }
                Event::Limited { account, answer, model } => {
                    let answer = match answer {
                        0 => status(429).header("retry-after", 40),
                        1 => status(429).header("retry-after", 4_000),
                        2 => status(401),
                        3 => status(429).code("integration_rate_limited").header("retry-after", 3),
                        _ => status(402),
                    };
                    report(&mut world, *account, &answer, if *model { "large" } else { "small" });
                }
                Event::Began { account } => world.traffic.begin(&ids[*account], world.now),
                Event::Ended { account } => world.traffic.end(&ids[*account], world.now),
                Event::Passed { millis } => world.pass(Duration::from_millis(*millis)),
                Event::SetBack { millis } => world.now = world.now - Duration::from_millis(*millis),
                Event::Refreshed { account } => {
                    let delta = refreshed(&ids[*account], 2);
                    merge(&mut world.state, &mut indexes, &delta);
                }
                Event::Emptied { seconds } => {
                    let mut delta = SharedState::default();
                    for (number, id) in ids.iter().enumerate() {
                        let until = world.now + Duration::from_secs(seconds + number as u64);
                        let block = Block::new(until, Reason::QuotaExhausted, Source::Header, world.now);
                        delta.blocks.insert(Scope::Account(id.clone()), block);
                    }
                    merge(&mut world.state, &mut indexes, &delta);
                }
                Event::Reread => {
                    let before = world.state.clone();
                    world.state.sweep(world.now);
                    for id in ids.iter().step_by(7) {
                        world.state.accounts.remove(id);
                        world.state.blocks.remove(&Scope::Account(id.clone()));
                    }
                    indexes.replaced(&before, &world.state);
                }
                Event::Replaced { account, seconds } => {
                    let view = roster.get(&ids[*account]).unwrap();
                    roster.put(std::sync::Arc::new(AccountView {
                        generation: view.generation + 1,
                        enabled: seconds % 5 != 0,
                        expires_at: Some(world.now + Duration::from_secs(*seconds)),
                        ..view.clone()
                    }));
                }
            }
            let mut request = match name % 3 {
                0 => request(),
                _ => session(&name.to_string()),
            };
            let pool = Pool {
                roster: &roster, state: &world.state, traffic: &world.traffic,
                rotation: &world.rotation, now: world.now,
 news: None,
};
            for _ in 0..3 {
                let chosen = select(&pool, &request);
                prop_assert_eq!(&indexes.select(&pool, &request), &chosen);
                if !matches!(chosen, Selection::Serve { .. }) {
                    // What is remembered comes out again.
                    prop_assert_eq!(&indexes.select(&pool, &request), &chosen);
                    let told = |indexes: &mut Indexes| {
                        let standings = indexes.standings(&pool, &request, &chosen);
                        let accounts = standings.accounts.iter();
                        let accounts: Vec<_> = accounts.map(|a| (a.account.clone(), a.chance)).collect();
                        (standings.counts.clone(), accounts)
                    };
                    prop_assert_eq!(told(&mut indexes), told(&mut Indexes::default()));
                }
                let Selection::Serve { account, .. } = chosen else { break };
                // The next one must be another.
                request.begin_attempt(&account, 1, world.now);
            }
        }
    }
}

#[test]
fn an_index_follows_a_clock_that_is_set_back_a_little() {
    // The first token ends in five seconds, and no other can be had for it.
    let accounts = (0..ACCOUNTS).map(|number| AccountView {
        priority: number as i64,
        refreshable: number > 0,
        expires_at: Some(at(if number == 0 { 5_000 } else { 86_400_000 })),
        ..oauth(&format!("account-{number:03}"))
    });
    let (world, roster) = (World::new([]), Roster::new(accounts.collect::<Vec<_>>()));
    let mut indexes = Indexes::default();
    let mut chosen = |millis| {
        let pool = Pool {
            roster: &roster,
            state: &world.state,
            traffic: &world.traffic,
            rotation: &world.rotation,
            now: at(millis),
            news: None,
        };
        match indexes.select(&pool, &request()) {
            Selection::Serve { account, .. } => account.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(chosen(4_000), "account-000");
    assert_eq!(chosen(6_000), "account-001");
    assert_eq!(chosen(5_500), "account-001");
    assert_eq!(chosen(4_999), "account-000");
    assert_eq!(chosen(5_000), "account-001");
}
