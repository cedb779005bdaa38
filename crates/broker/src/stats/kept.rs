//! The file of counts, as all processes add to it.

use std::collections::{BTreeMap, BTreeSet};

use provider_auth_policy::Timestamp;
use provider_auth_policy::limits::CLOCK_JUMP;
use serde::{Deserialize, Serialize};

use super::rows::{Key, Rows, Tallied, bound_rows};
use super::{QuotaSample, Samples, Stats, StatsFilter, StatsRow};
use crate::limits;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// What was counted, by when: times are in seconds since the Unix epoch.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptStats {
    hours: BTreeMap<u64, Rows>,
    days: BTreeMap<u64, Rows>,
    /// By account.
    quota: BTreeMap<String, Windows>,
}

/// By window and hour: percent used, and when the window resets.
type Windows = BTreeMap<String, BTreeMap<u64, (u16, u64)>>;

impl KeptStats {
    /// Reads the file; `None` where it is damaged.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Adds what a process has counted to the hour that is now.
    pub(crate) fn add(&mut self, tallied: &Tallied, now: Timestamp) {
        if tallied.is_empty() {
            return;
        }
        let rows = self.hours.entry(hour_of(now)).or_default();
        rows.add(tallied);
        bound_rows(&mut rows.0, limits::STATS_ROWS_OF_HOUR);
    }

    /// Notes how much of each window is used.
    pub(crate) fn sample(&mut self, samples: &Samples) {
        for (account, windows) in samples {
            let known = self.quota.entry(account.to_string()).or_default();
            for (window, usage) in windows {
                let hours = known.entry(window.clone()).or_default();
                let sample = (usage.used_percent, usage.reset_at.as_millis() / 1000);
                let hour = hours.entry(hour_of(usage.observed_at)).or_default();
                *hour = (*hour).max(sample);
            }
        }
    }

    /// Makes hours of before yesterday into days, keeps the latest days that have anything, and
    /// forgets what a clock that has been set back since saw in the future.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        let latest = (now + CLOCK_JUMP).as_millis() / 1000;
        self.hours.retain(|hour, _| *hour <= latest);
        self.days.retain(|day, _| *day <= latest);
        let yesterday = (hour_of(now) / DAY * DAY).saturating_sub(DAY);
        let recent = self.hours.split_off(&yesterday);
        for (hour, rows) in std::mem::replace(&mut self.hours, recent) {
            let day = self.days.entry(hour / DAY * DAY).or_default();
            day.add(&rows.0);
            bound_rows(&mut day.0, limits::STATS_ROWS);
        }
        keep_last(&mut self.days, limits::STATS_DAYS);
        for windows in self.quota.values_mut() {
            for hours in windows.values_mut() {
                hours.retain(|hour, _| *hour <= latest);
                let first = hours.last_key_value().map_or(0, |(last, _)| {
                    last.saturating_sub(limits::STATS_DAYS as u64 * DAY)
                });
                *hours = hours.split_off(&first);
            }
            windows.retain(|_, hours| !hours.is_empty());
        }
        self.quota.retain(|_, windows| !windows.is_empty());
        while self.quota.len() > limits::STATS_ACCOUNTS {
            let last = |windows: &Windows| {
                let hours = windows.values().filter_map(BTreeMap::last_key_value);
                hours.map(|(hour, _)| *hour).max()
            };
            let oldest = self.quota.iter().min_by_key(|(_, windows)| last(windows));
            let oldest = oldest.map(|(account, _)| account.clone());
            self.quota.remove(&oldest.unwrap_or_default());
        }
    }

    /// Tells whether `knows` holds of all accounts.
    pub(crate) fn all_of(&self, knows: impl Fn(&str) -> bool) -> bool {
        self.accounts().iter().all(|id| knows(id))
    }

    /// Forgets the accounts that `is_gone` names.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(&str) -> bool) {
        let gone: BTreeSet<String> = self
            .accounts()
            .into_iter()
            .filter(|id| is_gone(id))
            .map(str::to_owned)
            .collect();
        let is_kept = |key: &Key| key.account.as_ref().is_none_or(|id| !gone.contains(id));
        for buckets in [&mut self.hours, &mut self.days] {
            for rows in buckets.values_mut() {
                rows.0.retain(|key, _| is_kept(key));
            }
            buckets.retain(|_, rows| !rows.0.is_empty());
        }
        self.quota.retain(|id, _| !gone.contains(id));
    }

    fn accounts(&self) -> BTreeSet<&str> {
        let rows = self.hours.values().chain(self.days.values());
        let counted = rows.flat_map(|rows| rows.0.keys());
        let counted = counted.filter_map(|key| key.account.as_deref());
        counted
            .chain(self.quota.keys().map(String::as_str))
            .collect()
    }

    /// The file's content; what is too much goes, the oldest first.
    pub(crate) fn bounded_json(&mut self) -> Vec<u8> {
        loop {
            let json = serde_json::to_vec(self).expect("counts have only keys that JSON can hold");
            if json.len() <= limits::STATS_FILE || (self.days.is_empty() && self.hours.is_empty()) {
                return json;
            }
            let many = self.days.len() / 2;
            match self.days.is_empty() {
                false => keep_last(&mut self.days, many),
                true => self.hours.clear(),
            }
            for windows in self.quota.values_mut() {
                for hours in windows.values_mut() {
                    let many = hours.len() / 2;
                    keep_last(hours, many);
                }
            }
        }
    }

    /// What is asked for, by whom the accounts belong to.
    pub(crate) fn shown(
        self,
        filter: &StatsFilter,
        pool_of: impl Fn(&str) -> Option<(String, String)>,
    ) -> Stats {
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1000);
        let since = filter.since.as_millis() / 1000;
        let lengths = [(24, self.days), (1, self.hours)];
        let buckets = lengths.into_iter().flat_map(|(hours, buckets)| {
            let buckets = buckets.into_iter();
            buckets.map(move |(start, rows)| (start, hours, rows.0))
        });
        let ends_after = |start: u64, hours: u8| start + u64::from(hours) * HOUR > since;
        let counts = buckets
            .filter(|(start, hours, _)| ends_after(*start, *hours))
            .flat_map(|(start, hours, rows)| {
                rows.into_iter().map(move |(key, counts)| StatsRow {
                    at: at(start),
                    hours,
                    key,
                    counts,
                })
            })
            .filter(|row| {
                let key = &row.key;
                filter.pools.admits_pool(&key.provider, &key.namespace)
            })
            .collect();
        let mut quota = Vec::new();
        for (account, windows) in self.quota {
            let Some(pool) = pool_of(&account) else {
                continue;
            };
            if !filter.pools.admits_pool(&pool.0, &pool.1) {
                continue;
            }
            for (window, hours) in windows {
                let hours = hours.into_iter();
                let hours = hours.filter(|(hour, _)| ends_after(*hour, 1));
                quota.extend(hours.map(|(hour, (used_percent, reset_at))| QuotaSample {
                    account: account.clone(),
                    pool: pool.clone(),
                    window: window.clone(),
                    at: at(hour),
                    used_percent,
                    reset_at: at(reset_at),
                }));
            }
        }
        Stats {
            enabled: true,
            counts,
            quota,
        }
    }
}

fn keep_last<V>(map: &mut BTreeMap<u64, V>, many: usize) {
    while map.len() > many {
        map.pop_first();
    }
}

/// When the hour of a time begins, in seconds since the Unix epoch.
fn hour_of(at: Timestamp) -> u64 {
    at.as_millis() / 1000 / HOUR * HOUR
}

#[cfg(test)]
mod tests {
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
    fn what_is_no_file_of_counts_is_damaged_and_a_newer_one_is_read() {
        for text in ["", "{", "[1]", r#"{"hours":{"x":[]}}"#, r#"{"days":7}"#] {
            assert!(KeptStats::read(text.as_bytes()).is_none(), "{text}");
        }
        let newer = r#"{"format":9,"hours":{"0":[{"provider":"p","namespace":"n","kind":1,"requests":2,"more":3}]}}"#;
        let read = KeptStats::read(newer.as_bytes()).unwrap();
        assert_eq!(requests(&shown(&read, Timestamp::default())), [(0, 1, 2)]);
    }
}
