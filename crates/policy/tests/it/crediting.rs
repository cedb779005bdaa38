//! What a plain answer teaches is the same whether it is merged in place or as a change.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Strategy;
use provider_auth_policy::*;

use crate::world::*;

const IDS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Event {
    /// A request is handed headers.
    Asked {
        account: usize,
        session: Option<&'static str>,
        model: Option<&'static str>,
        item: bool,
        pin: bool,
    },
    /// One that is open is answered; a failure is tried again with another account.
    Answered {
        which: usize,
        answer: usize,
        used_percent: Option<u8>,
    },
    Passed {
        millis: u64,
    },
    SetBack {
        millis: u64,
    },
    Swept,
    /// A person takes back what is believed of all accounts.
    Cleared,
}

fn events() -> impl Strategy<Value = Event> {
    let sessions = prop::sample::select(vec![None, Some("s"), Some("t")]);
    let models = prop::sample::select(vec![None, Some("large"), Some("small")]);
    let rarely = || prop::bool::weighted(0.1);
    prop_oneof![
        6 => (0..IDS.len(), sessions, models, rarely(), rarely()).prop_map(
            |(account, session, model, item, pin)| Event::Asked { account, session, model, item, pin }
        ),
        8 => (0..8_usize, 0..16_usize, prop::option::weighted(0.2, 0..101_u8)).prop_map(
            |(which, answer, used_percent)| Event::Answered { which, answer, used_percent }
        ),
        2 => (0..90_000_u64).prop_map(|millis| Event::Passed { millis }),
        1 => (1..90_000_000_u64).prop_map(|millis| Event::Passed { millis }),
        1 => (0..90_000_u64).prop_map(|millis| Event::SetBack { millis }),
        1 => Just(Event::Swept),
        1 => Just(Event::Cleared),
    ]
}

fn answer(number: usize) -> Answer {
    match number {
        0 => status(429).header("retry-after", 40),
        1 => status(429).header("retry-after", 4_000),
        2 => status(401),
        3 => status(403),
        4 => status(500),
        5 => status(304),
        6 => status(200).code("integration_rate_limited"),
        7 => Answer {
            failure: Some(Failure::Stream),
            ..status(200)
        },
        8 => status(404),
        9 => status(204),
        _ => status(200),
    }
}

/// A request as it was before its account was handed it.
struct Open {
    before: Request,
    account: AccountId,
    at: Timestamp,
    has_failed: bool,
}

/// The state by either road.
#[derive(Default)]
struct Roads {
    credited: SharedState,
    credited_unwritten: SharedState,
    merged_unwritten: SharedState,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_credit_is_what_the_change_would_be(
        strategy in prop::sample::select(vec![
            provider_auth_policy::Strategy::Sticky,
            provider_auth_policy::Strategy::Balanced,
            provider_auth_policy::Strategy::FillFirst,
        ]),
        events in prop::collection::vec(events(), 1..80),
    ) {
        let mut world = World::new([oauth("a"), oauth("b"), key("c")]);
        world.rotation.strategy = strategy;
        let mut roads = Roads::default();
        let mut open: Vec<Open> = Vec::new();
        for event in events {
            match event {
                Event::Asked { account, session, model, item, pin } => {
                    let text = |text: &str| text.to_owned();
                    let pin = pin.then(|| text(IDS[account]));
                    let before = Request::new("acme", "default", model.map(text), session.map(text), pin)
                        .with_item(item.then(|| text("item")));
                    open.push(Open { before, account: IDS[account].into(), at: world.now, has_failed: false });
                }
                Event::Answered { which, answer: number, used_percent } => {
                    if open.is_empty() {
                        continue;
                    }
                    let asked = open.swap_remove(which % open.len());
                    let mut said = answer(number);
                    if let Some(percent) = used_percent {
                        said = said
                            .header("x-codex-primary-used-percent", percent)
                            .header("x-codex-primary-reset-at", world.now.as_millis() / 1_000 + 900);
                    }
                    answered(&mut world, &mut roads, &mut open, asked, &said);
                }
                Event::Passed { millis } => world.pass(Duration::from_millis(millis)),
                Event::SetBack { millis } => world.now = world.now - Duration::from_millis(millis),
                Event::Swept => {
                    world.state.sweep(world.now);
                    roads.credited.sweep(world.now);
                }
                Event::Cleared => {
                    let (delta, _) = clear(&world.state, &world.accounts, world.now);
                    world.state.merge(&delta);
                    roads.credited.merge(&delta);
                }
            }
            prop_assert_eq!(&roads.credited, &world.state);
            prop_assert_eq!(&roads.credited_unwritten, &roads.merged_unwritten);
        }
    }
}

/// An attempt ends: both roads are gone, where the short one is open.
fn answered(
    world: &mut World,
    roads: &mut Roads,
    open: &mut Vec<Open>,
    asked: Open,
    said: &Answer,
) {
    let headers = |name: &str| said.headers.get(name).map(String::as_str);
    let response = Response {
        status: said.status,
        headers: &headers,
        body: said.body.as_deref(),
        failure: said.failure,
    };
    let Open {
        before,
        account,
        at,
        has_failed,
    } = asked;
    let mut counted = before.clone();
    counted.begin_attempt(&account, 1, at);
    let known = world.state.clone();
    let reaction = world.report(&mut counted, &account, said);
    let pool_was = World {
        state: known.clone(),
        accounts: world.accounts.clone(),
        traffic: world.traffic.clone(),
        rotation: world.rotation.clone(),
        now: world.now,
        ..World::new([])
    };
    pool_was.with(|pool| {
        let credit = credit(pool, &before, &account, &world.signals, &response);
        let mut rest = reaction.delta.clone();
        let history = rest.take_history();
        let Some(credit) = credit else {
            let is_good = said
                .status
                .is_some_and(|status| (200..300).contains(&status));
            let is_plain = is_good
                && (said.body.is_none() && said.failure.is_none())
                && (rest.is_empty() && history.owners.is_empty() && !has_failed);
            assert!(!is_plain, "{reaction:?}");
            roads.credited.merge(&reaction.delta);
            roads.credited_unwritten.merge(&history);
            roads.merged_unwritten.merge(&history);
            return;
        };
        assert_eq!(
            (reaction.action, reaction.reason),
            (Action::Deliver, Reason::Ok)
        );
        assert!(reaction.delay.is_zero() && reaction.cooldown_until.is_none());
        assert!(reaction.retry_at.is_none() && reaction.cooldown.is_none());
        assert!(!reaction.durable && !reaction.waits && !reaction.freed);
        assert!(reaction.late_charges.is_empty() && rest.is_empty());
        assert_eq!(known.is_news_of(&credit), known.is_news(&history));
        roads.credited.credit(&credit);
        roads.credited_unwritten.credit(&credit);
        roads.merged_unwritten.merge(&history);
    });
    if reaction.action == Action::Retry {
        let place = IDS.iter().position(|id| *id == account.as_str());
        open.push(Open {
            before: counted,
            account: IDS[(place.unwrap_or_default() + 1) % IDS.len()].into(),
            at: world.now,
            has_failed: true,
        });
    }
}
