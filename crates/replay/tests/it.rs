//! What the lab has to show of the policy, scenario by scenario.

use std::time::Duration;

use provider_auth_policy::{Strategy, limits};
use provider_auth_replay::{Attempt, Player, Scenario, Tally, page, play};

const OURS: [Player; 5] = [
    Player::Ours(Strategy::Sticky),
    Player::Ours(Strategy::EarliestReset),
    Player::Ours(Strategy::Balanced),
    Player::Ours(Strategy::FillFirst),
    Player::Ours(Strategy::RoundRobin),
];

const MINUTE: Duration = Duration::from_secs(60);

fn scenario(name: &str) -> Scenario {
    let file = format!("{}/scenarios/{name}.jsonc", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(file).expect("the scenario is in the repository");
    Scenario::parse(&text).expect("the scenario is one")
}

/// Plays a scenario with each of our strategies.
fn ours(name: &str) -> Vec<Tally> {
    let scenario = scenario(name);
    OURS.map(|player| play(&scenario, player)).into()
}

fn model(name: &str, player: Player) -> Tally {
    play(&scenario(name), player)
}

fn names(tally: &Tally) -> &'static str {
    tally.player.name()
}

#[test]
fn ten_thousand_requests_without_an_error_never_change_their_account() {
    for tally in ours("steady") {
        assert!(tally.served >= 10_000, "{}", names(&tally));
        assert_eq!(tally.switches_without_cause, 0, "{}", names(&tally));
        assert_eq!(tally.switches_with_cause, 0, "{}", names(&tally));
        let first = tally.attempts[0].account;
        assert!(
            tally
                .attempts
                .iter()
                .all(|attempt| attempt.account == first)
        );
    }
    // Some 27 an hour for the model of the most used plugin: it is told the same.
    let hybrid = model("steady", Player::Hybrid);
    let hours = scenario("steady").minutes / 60.0;
    let an_hour = f64::from(hybrid.switches_without_cause) / hours;
    assert!((24.0..32.0).contains(&an_hour), "{an_hour}");
}

#[test]
fn no_scenario_makes_a_conversation_move_without_a_cause() {
    for name in committed() {
        for tally in ours(&name) {
            assert_eq!(tally.switches_without_cause, 0, "{name}: {}", names(&tally));
        }
    }
}

#[test]
fn a_limit_on_one_model_leaves_the_other_where_it_is() {
    for tally in ours("one-model-limited") {
        let small: Vec<&Attempt> = tally
            .attempts
            .iter()
            .filter(|a| a.model == "small")
            .collect();
        assert_eq!(small.len(), 360);
        assert!(small.iter().all(|attempt| attempt.status == 200));
        for session in ["0", "1", "2"] {
            let mut of_session = small.iter().filter(|attempt| attempt.session == session);
            let first = of_session.next().unwrap().account;
            assert!(
                of_session.all(|attempt| attempt.account == first),
                "{}",
                names(&tally)
            );
        }
        // The limited model goes on while any account has quota for it.
        assert_eq!(tally.refused_needlessly, 0, "{}", names(&tally));
        let large = tally
            .attempts
            .iter()
            .filter(|a| a.model == "large" && a.status == 200);
        assert_eq!(large.count(), 300, "{}", names(&tally));
    }
    let every_limit = model("one-model-limited", Player::EveryLimit);
    assert!(every_limit.refused_needlessly > 0);
}

#[test]
fn of_a_herd_of_thirty_two_reach_the_next_account_before_its_first_verdict() {
    let scenario = scenario("burst-herd");
    for tally in ours("burst-herd") {
        let name = names(&tally);
        assert_eq!(tally.refused, 0, "{name}");
        let burst = |account: usize| {
            let attempts = tally.attempts.iter();
            attempts.filter(move |a| a.account == account && a.after >= 3 * MINUTE)
        };
        assert_eq!(burst(0).count(), 30, "{name}");
        for (account, takes) in [(1, scenario.refusal_ms), (2, scenario.answer_ms)] {
            let first = burst(account).next().unwrap().after;
            let verdict = first + Duration::from_millis(takes);
            let early = burst(account)
                .filter(|attempt| attempt.after < verdict)
                .count();
            assert!(early <= 2, "{name}: {early} reached account {account}");
        }
        // One block for the account that refused 30 times, one for the next that refused once or
        // twice.
        assert_eq!(tally.blocks_set, Some(2), "{name}");
        assert!(tally.limits_met <= 32, "{name}: {}", tally.limits_met);
    }
    assert_eq!(model("burst-herd", Player::EveryLimit).limits_met, 60);
}

#[test]
fn quota_that_returns_early_serves_again_within_five_minutes() {
    for tally in ours("early-recovery") {
        let name = names(&tally);
        assert!(tally.refused > 0, "{name}");
        assert!(
            tally.longest_unused <= 5 * MINUTE,
            "{name}: {:?}",
            tally.longest_unused
        );
        // Not before the belief is five minutes old, if another account does not answer meanwhile.
        let first = tally.refusals[0];
        let next = tally
            .attempts
            .iter()
            .find(|attempt| attempt.after > first)
            .unwrap();
        let limit = tally
            .attempts
            .iter()
            .find(|attempt| attempt.status == 429)
            .unwrap();
        assert!(next.after >= limit.after + 5 * MINUTE, "{name}");
        assert_eq!(next.status, 200, "{name}");
    }
    // Who keeps to the stated time alone leaves the quota unused.
    let every_limit = model("early-recovery", Player::EveryLimit);
    assert!(every_limit.longest_unused > 40 * MINUTE);
}

#[test]
fn while_accounts_rest_a_stated_wait_is_never_shortened_but_by_a_probe() {
    // Five-hour windows that do not return: after a refusal the next attempt is a probe, at the
    // ages that the policy names, or comes after the reset.
    for tally in ours("weekly-window") {
        let scenario = scenario("weekly-window");
        for account in 0..scenario.accounts.len() {
            let mut of_account = tally
                .attempts
                .iter()
                .filter(|a| a.account == account)
                .peekable();
            while let Some(attempt) = of_account.next() {
                let Some(next) = of_account.peek() else {
                    continue;
                };
                if attempt.status == 429 && next.status == 429 {
                    // The shortest stated wait of the scenario aside, probes are five minutes
                    // apart.
                    let apart = next.after - attempt.after;
                    assert!(apart >= 5 * MINUTE, "{}: {apart:?}", names(&tally));
                }
            }
        }
    }
}

#[test]
fn a_storm_of_429s_sets_one_block_per_window() {
    for tally in ours("silent-storm") {
        let name = names(&tally);
        let blocks = tally.blocks_set.unwrap();
        // Hundreds of refusals, and at the shortest rest of ten seconds at most 6 blocks a minute
        // and account.
        assert!(tally.limits_met > 1_000, "{name}");
        assert!(blocks <= 30 * 6 * 3, "{name}: {blocks}");
        assert!(
            tally.limits_met >= 3 * blocks,
            "{name}: {} of {blocks}",
            tally.limits_met
        );
    }
}

#[test]
fn a_limit_of_this_address_is_met_once_and_costs_no_account() {
    for tally in ours("egress-limit") {
        assert_eq!(tally.limits_met, 1, "{}", names(&tally));
        assert_eq!(tally.refused_needlessly, 0, "{}", names(&tally));
    }
}

#[test]
fn after_an_outage_every_conversation_is_where_its_cache_is() {
    for tally in ours("capacity-outage") {
        assert_eq!(tally.cold_turns, 0, "{}", names(&tally));
        assert_eq!(tally.switches_with_cause, 0, "{}", names(&tally));
        assert_eq!(tally.refused_needlessly, 0, "{}", names(&tally));
    }
}

#[test]
fn a_clock_that_jumps_neither_benches_an_account_nor_unleashes_requests() {
    for tally in ours("clock-jump") {
        let name = names(&tally);
        assert_eq!(tally.refused_needlessly, 0, "{name}");
        assert!(tally.limits_met <= 30, "{name}: {}", tally.limits_met);
    }
    let every_limit = model("clock-jump", Player::EveryLimit);
    assert!(every_limit.refused_needlessly > 100);
}

#[test]
fn while_any_quota_is_left_no_request_is_refused_for_long() {
    for tally in ours("weekly-window") {
        assert_eq!(tally.refused_needlessly, 0, "{}", names(&tally));
    }
}

#[test]
fn what_is_wrong_with_one_request_keeps_no_good_one_away() {
    for name in [
        "bad-requests",
        "restricted-key",
        "missing-model",
        "broken-stream",
    ] {
        for tally in ours(name) {
            assert_eq!(tally.good_refused_here, 0, "{name}: {}", names(&tally));
            assert_eq!(tally.refused_needlessly, 0, "{name}: {}", names(&tally));
            assert!(tally.served >= 720, "{name}: {}", tally.served);
            // While a key is tested that could not pay for another request, some wait for how that
            // ends.
            assert!(tally.longest_wait < limits::SHORT_WAIT, "{name}");
            assert!(tally.waited < MINUTE, "{name}: {:?}", tally.waited);
        }
    }
}

#[test]
fn a_model_that_is_not_there_is_asked_for_once_in_five_minutes() {
    for tally in ours("missing-model") {
        let asked = tally.attempts.iter().filter(|a| a.model == "lagre").count();
        // An hour, two accounts each time.
        assert!((20..=24).contains(&asked), "{asked}");
    }
}

#[test]
fn the_same_scenario_plays_the_same() {
    for player in Player::ALL {
        let scenario = scenario("silent-storm");
        let (one, other) = (play(&scenario, player), play(&scenario, player));
        assert_eq!(one.attempts, other.attempts, "{}", player.name());
        assert_eq!(one.refusals, other.refusals, "{}", player.name());
    }
}

#[test]
fn the_results_in_the_specification_are_those_of_this_code() {
    let played: Vec<(Scenario, Vec<Tally>)> = committed()
        .iter()
        .map(|name| {
            let scenario = scenario(name);
            let tallies = Player::ALL.map(|player| play(&scenario, player)).into();
            (scenario, tallies)
        })
        .collect();
    let results = page(
        played
            .iter()
            .map(|(scenario, tallies)| (scenario, tallies.as_slice())),
    );
    let file = format!("{}/../../specs/14-rotation.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(file).unwrap().replace("\r\n", "\n");
    assert!(page.contains(&results), "run `npm run replay -- --write`");
}

/// The names of the committed scenarios, in order.
fn committed() -> Vec<String> {
    let folder = format!("{}/scenarios", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(folder).expect("the folder is in the repository");
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}
