//! The file of counts, as all processes add to it.

#[cfg(test)]
mod tests;

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
                // Only a damaged file has a window that resets after years, some beyond all dates.
                let furthest = latest + limits::STATS_RESET;
                hours.retain(|hour, (_, reset)| *hour <= latest && *reset <= furthest);
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
