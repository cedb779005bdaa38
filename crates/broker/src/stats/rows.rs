//! Counts, and whose they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whose counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Provider of the pool.
    pub provider: String,
    /// Namespace of the pool.
    pub namespace: String,
    /// The account; `None` for what concerns none, and for what is beyond the bound on rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The model that requests asked for, where they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// What is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Requests whose first attempt went to the account.
    #[serde(skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// Headers handed out: requests, and their further attempts.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts: u64,
    /// Attempts that were answered with 2xx.
    #[serde(skip_serializing_if = "is_zero")]
    pub served: u64,
    /// Attempts that ended otherwise, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, u64>,
    /// Requests that left the account for another one, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub switched: BTreeMap<String, u64>,
    /// Requests that no account could serve.
    #[serde(skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Tokens renewed.
    #[serde(skip_serializing_if = "is_zero")]
    pub refreshed: u64,
    /// Renewals that failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub refresh_failed: u64,
    /// How long requests waited for an account to be free, in ms.
    #[serde(skip_serializing_if = "is_zero")]
    pub waited_ms: u64,
    /// How long limits let the account rest, in ms, counted when they were met.
    #[serde(skip_serializing_if = "is_zero")]
    pub rested_ms: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        let add_each = |sums: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>| {
            for (name, more) in more {
                add(sums.entry(name.clone()).or_default(), *more);
            }
        };
        add(&mut self.requests, other.requests);
        add(&mut self.attempts, other.attempts);
        add(&mut self.served, other.served);
        add_each(&mut self.failed, &other.failed);
        add_each(&mut self.switched, &other.switched);
        add(&mut self.refused, other.refused);
        add(&mut self.refreshed, other.refreshed);
        add(&mut self.refresh_failed, other.refresh_failed);
        add(&mut self.waited_ms, other.waited_ms);
        add(&mut self.rested_ms, other.rested_ms);
    }
}

/// Counts, by whom they concern.
pub(crate) type Tallied = BTreeMap<Key, Counts>;

/// The same as a list, as it stands in the file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rows(pub(super) Tallied);

#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    key: Key,
    #[serde(flatten)]
    counts: Counts,
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|(key, counts)| Row {
            key: key.clone(),
            counts: counts.clone(),
        }))
    }
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let rows = Vec::<Row>::deserialize(from)?;
        let mut read = Self::default();
        for Row { key, counts } in rows {
            read.0.entry(key).or_default().add(&counts);
        }
        Ok(read)
    }
}

impl Rows {
    pub(super) fn add(&mut self, tallied: &Tallied) {
        for (key, counts) in tallied {
            self.0.entry(key.clone()).or_default().add(counts);
        }
    }
}

/// Keeps the rows with the most attempts; the others are counted with their pool as a whole.
pub(super) fn bound_rows(rows: &mut Tallied, most: usize) {
    if rows.len() <= most {
        return;
    }
    let mut by_use: Vec<(u64, Key)> = rows
        .iter()
        .filter(|(key, _)| key.account.is_some() || key.model.is_some())
        .map(|(key, counts)| (counts.attempts, key.clone()))
        .collect();
    by_use.sort_by(|a, b| b.cmp(a));
    for (_, key) in by_use.into_iter().skip(most) {
        if let Some(counts) = rows.remove(&key) {
            let whole = Key {
                account: None,
                model: None,
                ..key
            };
            rows.entry(whole).or_default().add(&counts);
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
