use std::time::Duration;

use provider_auth_policy::{AccountId, Usage};

use super::super::Counts;
use super::*;

/// 2027-01-15, 08:00.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn hours(many: u64) -> Duration {
    Duration::from_secs(many * HOUR)
}

fn counted(account: &str, requests: u64) -> Tallied {
    let key = Key {
        provider: "acme".to_owned(),
        namespace: "default".to_owned(),
        account: Some(account.to_owned()),
        model: Some("m".to_owned()),
    };
    let counts = Counts {
        requests,
        attempts: requests,
        switched: [("throttled".to_owned(), 1)].into(),
        ..Counts::default()
    };
    [(key, counts)].into()
}

fn shown(stats: &KeptStats, since: Timestamp) -> Stats {
    let json = serde_json::to_vec(stats).unwrap();
    let filter = StatsFilter {
        since,
        ..StatsFilter::default()
    };
    let pool = |_: &str| Some(("acme".to_owned(), "default".to_owned()));
    KeptStats::read(&json).unwrap().shown(&filter, pool)
}

fn requests(stats: &Stats) -> Vec<(u64, u8, u64)> {
    let row = |row: &StatsRow| (row.at.as_millis() / 1000, row.hours, row.counts.requests);
    stats.counts.iter().map(row).collect()
}

#[test]
fn hours_of_before_yesterday_become_days_and_nothing_is_lost() {
    let mut stats = KeptStats::default();
    for hour in 0..72 {
        let now = NOW + hours(hour);
        stats.add(&counted("a", 1), now);
        stats.sweep(now);
    }
    let now = NOW + hours(71);
    let all = requests(&shown(&stats, Timestamp::default()));
    let sum: u64 = all.iter().map(|(.., requests)| requests).sum();
    assert_eq!(sum, 72);
    let days = all.iter().filter(|(_, hours, _)| *hours == 24).count();
    // From 08:00 to 07:00 three days later: two whole days are over.
    assert_eq!((days, all.len()), (2, 2 + 24 + 8));
    let today = requests(&shown(&stats, now - hours(23)));
    assert_eq!(today.len(), 24);
}

#[test]
fn the_latest_days_are_kept_and_a_clock_that_jumps_makes_no_more() {
    let mut stats = KeptStats::default();
    for day in 0..100 {
        stats.add(&counted("a", 1), NOW + hours(24 * day));
        stats.sweep(NOW + hours(24 * day));
    }
    let now = NOW + hours(24 * 99);
    let kept = |stats: &KeptStats| shown(stats, Timestamp::default()).counts.len();
    assert_eq!(kept(&stats), limits::STATS_DAYS + 2);
    for jump in [1_000_000, 0, 2_000_000, 0] {
        stats.add(&counted("a", 1), now + hours(jump));
        stats.sweep(now + hours(jump));
    }
    assert!(kept(&stats) <= limits::STATS_DAYS + 2);
    let known = requests(&shown(&stats, Timestamp::default()));
    assert!(known.iter().all(|(at, ..)| at * 1000 <= now.as_millis()));
    let today = now.as_millis() / 1000 / DAY * DAY;
    let today = known.iter().filter(|(at, ..)| *at >= today);
    let sum: u64 = today.map(|(.., requests)| requests).sum();
    assert_eq!(sum, 3, "what was counted at this time is still there");
}

#[test]
fn too_many_rows_are_counted_with_their_pool() {
    let mut stats = KeptStats::default();
    for number in 0..2_000 {
        stats.add(&counted(&format!("account-{number}"), 1), NOW);
    }
    let counts = shown(&stats, Timestamp::default()).counts;
    assert_eq!(counts.len(), limits::STATS_ROWS_OF_HOUR + 1);
    let sum: u64 = counts.iter().map(|row| row.counts.requests).sum();
    assert_eq!(sum, 2_000);
    let switched = counts.iter().map(|row| row.counts.switched["throttled"]);
    assert_eq!(switched.sum::<u64>(), 2_000);
}

#[test]
fn the_file_fits_whatever_is_counted() {
    let mut stats = KeptStats::default();
    for day in 0..40 {
        let now = NOW + hours(24 * day);
        let mut tallied = Tallied::new();
        for number in 0..limits::STATS_ROWS {
            let long = format!("{number}-{}", "m".repeat(200));
            for (key, counts) in counted("a", 1) {
                let model = Some(long.clone());
                tallied.insert(Key { model, ..key }, counts);
            }
        }
        stats.days.insert(hour_of(now) / DAY * DAY, Rows(tallied));
    }
    let json = stats.bounded_json();
    assert!(json.len() <= limits::STATS_FILE);
    let days = KeptStats::read(&json).unwrap().days;
    assert!(days.len() > 5, "{}", days.len());
    assert!(days.contains_key(&(hour_of(NOW + hours(24 * 39)) / DAY * DAY)));
}

#[test]
fn of_a_window_the_highest_use_of_each_hour_is_kept() {
    let used = |percent: u16, minute: u64| {
        let at = NOW + Duration::from_secs(60 * minute);
        let usage = Usage {
            observed_at: at,
            used_percent: percent,
            reset_at: at + hours(5),
        };
        Samples::from([(AccountId::from("a"), [("5h".to_owned(), usage)].into())])
    };
    let mut stats = KeptStats::default();
    for (percent, minute) in [(40, 0), (90, 20), (3, 40), (12, 70)] {
        stats.sample(&used(percent, minute));
        stats.sweep(NOW + hours(2));
    }
    let seen = |stats: &KeptStats| {
        let quota = shown(stats, Timestamp::default()).quota;
        quota.iter().map(|it| it.used_percent).collect::<Vec<_>>()
    };
    assert_eq!(seen(&stats), [90, 12]);
    stats.sweep(NOW - hours(24));
    assert!(seen(&stats).is_empty(), "it lies in the future");
    for number in 0..2 * limits::STATS_ACCOUNTS {
        let mut more = used(5, number as u64);
        let windows = more.pop_first().unwrap().1;
        more.insert(AccountId::from(format!("account-{number}")), windows);
        stats.sample(&more);
    }
    stats.sweep(NOW + hours(24));
    assert_eq!(stats.quota.len(), limits::STATS_ACCOUNTS);
}

#[test]
fn an_account_that_is_gone_leaves_nothing() {
    let mut stats = KeptStats::default();
    stats.add(&counted("a", 1), NOW);
    stats.add(&counted("b", 1), NOW + hours(1));
    let usage = Usage {
        observed_at: NOW,
        used_percent: 5,
        reset_at: NOW,
    };
    stats.sample(&[(AccountId::from("b"), [("5h".to_owned(), usage)].into())].into());
    stats.forget(|id| id == "b");
    let text = serde_json::to_string(&stats).unwrap();
    assert!(text.contains("\"a\"") && !text.contains("\"b\""), "{text}");
}

#[test]
fn a_window_that_resets_beyond_the_calendar_is_left_out() {
    let now = NOW.as_millis() / 1000;
    for reset in [u64::MAX, u64::MAX / 1000, now + 100 * 366 * DAY] {
        let text = format!(
            r#"{{"quota":{{"a":{{"5h":{{"{now}":[50,{reset}]}},"7d":{{"{now}":[60,{now}]}}}}}}}}"#
        );
        let mut read = KeptStats::read(text.as_bytes()).unwrap();
        read.sweep(NOW);
        let quota = shown(&read, Timestamp::default()).quota;
        let windows: Vec<&str> = quota.iter().map(|one| one.window.as_str()).collect();
        assert_eq!(windows, ["7d"], "{reset}");
    }
}

#[test]
fn what_is_no_file_of_counts_is_damaged_and_a_newer_one_is_read() {
    for text in ["", "{", "[1]", r#"{"hours":{"x":[]}}"#, r#"{"days":7}"#] {
        assert!(KeptStats::read(text.as_bytes()).is_none(), "{text}");
    }
    let newer = r#"{"format":9,"hours":{"0":[{"provider":"p","namespace":"n","kind":1,"requests":2,"more":3}]}}"#;
    let read = KeptStats::read(newer.as_bytes()).unwrap();
    assert_eq!(requests(&shown(&read, Timestamp::default())), [(0, 1, 2)]);
}
