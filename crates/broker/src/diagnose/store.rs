//! The store of a vault for many machines: whether it answers, and what waits for it.

use provider_auth_vault::{StoreState, StoreStatus, VaultError};

use super::clock;
use super::finding::{Finding, span};

/// How a store stands that this process has reached at some time.
pub(super) fn check(status: &StoreStatus, now: u64) -> Vec<Finding> {
    let mut findings = vec![state(status, now)];
    if status.direct == Some(false) {
        findings.push(
            Finding::note("store.pooler", "a pooler stands between this machine and the store")
                .why("that a process died in the middle of a renewal is noticed by others after 2 minutes, and not after seconds")
                .remedy("name the database's own port in the address, if that can be reached"),
        );
    }
    if status.outbox > 0 {
        let title = format!(
            "{} records wait on this machine to be stored",
            status.outbox
        );
        findings.push(
            Finding::warning("store.outbox", title)
                .why("other machines do not see them yet; they are brought as soon as the store takes them")
                .with("count", status.outbox),
        );
    }
    findings.push(clock::of_store(status.clock_offset));
    findings
}

fn state(status: &StoreStatus, now: u64) -> Finding {
    let place = &status.place;
    let finding = match status.state {
        StoreState::Listening => Finding::ok("store.state", format!("the store answers: {place}")),
        StoreState::Polling => Finding::ok(
            "store.state",
            format!("the store answers, and is asked for changes every few seconds: {place}"),
        ),
        StoreState::Offline => {
            let away = span(now.saturating_sub(status.since));
            Finding::problem("store.offline", format!("the store has not answered for {away}: {place}"))
                .why("access tokens serve until they end and API keys for offlineMs, nothing is renewed, and changes by other machines are not seen")
                .remedy("see whether the database runs, and whether this machine reaches it")
                .with("code", "STORE_UNAVAILABLE")
                .with("since", status.since)
        }
    };
    finding.with("store", place)
}

/// A store without which nothing is known of the vault; `None` where it is not about a store.
pub(super) fn unusable(error: &VaultError) -> Option<Finding> {
    let (id, remedy) = match error {
        VaultError::StoreUnavailable { .. } => (
            "store.unavailable",
            "see whether the database runs, and whether this machine reaches it",
        ),
        VaultError::StoreRefused { .. } => (
            "store.refused",
            "correct what is named here; provider-auth config show tells which store is set, and where",
        ),
        VaultError::StoreSchema { .. } => (
            "store.schema",
            "do what is named here, with the rights of the owner of the database",
        ),
        _ => return None,
    };
    let finding = Finding::problem(id, error.to_string())
        .why("no account can be used")
        .remedy(remedy);
    Some(finding.with("code", error.code()))
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    fn status(state: StoreState) -> StoreStatus {
        StoreStatus {
            kind: "postgres",
            place: "db.example/auth, vault team".to_owned(),
            state,
            since: 1_000,
            direct: Some(true),
            schema: 1,
            hosts: Some(2),
            outbox: 0,
            settles_in: None,
            clock_offset: -200,
        }
    }

    fn told(status: &StoreStatus) -> Vec<(&'static str, State)> {
        let findings = check(status, 121_000);
        findings.iter().map(|it| (it.id, it.state)).collect()
    }

    #[test]
    fn a_store_that_answers_is_well_whichever_way_it_tells_of_changes() {
        let well = [("store.state", State::Ok), ("clock.store", State::Ok)];
        assert_eq!(told(&status(StoreState::Listening)), well);
        assert_eq!(told(&status(StoreState::Polling)), well);
    }

    #[test]
    fn one_that_is_away_a_pooler_what_waits_and_a_wrong_clock_are_told() {
        let offline = StoreStatus {
            direct: Some(false),
            outbox: 2,
            settles_in: None,
            clock_offset: 5_001,
            ..status(StoreState::Offline)
        };
        assert_eq!(
            told(&offline),
            [
                ("store.offline", State::Problem),
                ("store.pooler", State::Note),
                ("store.outbox", State::Warning),
                ("clock.store", State::Warning),
            ]
        );
        let [away, .., clock] = &check(&offline, 121_000)[..] else {
            panic!("findings");
        };
        assert!(
            away.title.contains("for 2 min: db.example/auth"),
            "{}",
            away.title
        );
        assert!(clock.title.contains("behind"), "{}", clock.title);
    }

    #[test]
    fn a_store_that_refuses_is_told_by_its_code() {
        let refused = VaultError::StoreRefused {
            why: "this user or password is not accepted".to_owned(),
        };
        for (error, id) in [
            (
                VaultError::StoreUnavailable { retry_at: 1 },
                "store.unavailable",
            ),
            (refused, "store.refused"),
            (
                VaultError::StoreSchema {
                    found: 0,
                    wanted: 1,
                },
                "store.schema",
            ),
        ] {
            let finding = unusable(&error).expect(id);
            assert_eq!((finding.id, finding.state), (id, State::Problem));
            assert_eq!(finding.details["code"], error.code());
        }
        assert!(unusable(&VaultError::Locked).is_none());
    }
}
