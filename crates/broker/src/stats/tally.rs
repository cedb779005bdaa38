//! What this process has counted and not yet written.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use provider_auth_oauth::begins_as_key;
use provider_auth_policy::AccountId;

use super::rows::{Counts, Key, Tallied, bound_rows};
use crate::limits;

/// The counts since they were last taken. Counting is a look-up and an addition.
#[derive(Default)]
pub(crate) struct Tally {
    /// An account has few rows: one for each model. Those of no account are under the empty id.
    rows: BTreeMap<AccountId, Vec<Row>>,
    count: usize,
    /// What could not be written.
    put_back: Tallied,
}

struct Row {
    provider: Arc<str>,
    namespace: Arc<str>,
    model: Option<Box<str>>,
    counts: Counts,
}

impl Tally {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0 && self.put_back.is_empty()
    }

    /// The counts of an account and model. Beyond the bound on rows, those of the pool as a whole.
    pub(crate) fn of(
        &mut self,
        (provider, namespace): (&Arc<str>, &Arc<str>),
        account: Option<&AccountId>,
        model: Option<&str>,
    ) -> &mut Counts {
        static NOBODY: LazyLock<AccountId> = LazyLock::new(|| AccountId::from(""));
        let id = account.unwrap_or(&NOBODY);
        let model = model.filter(|model| model.len() <= limits::MODEL_TEXT_LIMIT);
        let is_it = |row: &Row| {
            row.model.as_deref() == model
                && row.provider == *provider
                && row.namespace == *namespace
        };
        let known = self
            .rows
            .get(id)
            .and_then(|rows| rows.iter().position(is_it));
        if known.is_none() {
            if self.count >= limits::STATS_ROWS && (account.is_some() || model.is_some()) {
                return self.of((provider, namespace), None, None);
            }
            self.count += 1;
            self.rows.entry(id.clone()).or_default().push(Row {
                provider: provider.clone(),
                namespace: namespace.clone(),
                model: model.map(Box::from),
                counts: Counts::default(),
            });
        }
        let rows = self.rows.get_mut(id).expect("it has a row by now");
        let at = known.unwrap_or(rows.len() - 1);
        &mut rows[at].counts
    }

    /// Takes what was counted. Keys that callers put where a model belongs stay out.
    pub(crate) fn take(&mut self) -> Tallied {
        let mut taken = std::mem::take(&mut self.put_back);
        self.count = 0;
        for (id, rows) in std::mem::take(&mut self.rows) {
            for row in rows {
                let key = Key {
                    provider: row.provider.to_string(),
                    namespace: row.namespace.to_string(),
                    account: Some(id.to_string()).filter(|id| !id.is_empty()),
                    model: row.model.map(|model| shown(&model)),
                };
                taken.entry(key).or_default().add(&row.counts);
            }
        }
        taken
    }

    /// Keeps what could not be written for the next time.
    pub(crate) fn put_back(&mut self, tallied: &Tallied) {
        for (key, counts) in tallied {
            self.put_back.entry(key.clone()).or_default().add(counts);
        }
        bound_rows(&mut self.put_back, limits::STATS_ROWS);
    }
}

/// The name of a model without parts that begin as keys do. What else looks private may well be a
/// name here: `llama-v3p1-405b-instruct`, `claude-3-opus@20240229`.
fn shown(model: &str) -> String {
    let parts = model.split_inclusive('/');
    let hide = |part| match begins_as_key(part) {
        true => "[redacted]",
        false => part,
    };
    parts.map(hide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_place_of_a_model_is_counted_without_its_content() {
        let mut tally = Tally::default();
        let pool: (Arc<str>, Arc<str>) = ("acme".into(), "default".into());
        let id = AccountId::from("a");
        let models = [
            "gpt-5-mini",
            "claude-3-opus@20240229",
            "accounts/fireworks/models/llama-v3p1-405b-instruct",
            "ft:gpt-4o-mini-2024-07-18:my-org:suffix:9abcDEFg",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ];
        let keys = [
            "sk-ant-api03-S3CRETS3CRET",
            "openai/sk-S3CRET-0123456789abcdef",
        ];
        for model in models.iter().chain(&keys) {
            tally
                .of((&pool.0, &pool.1), Some(&id), Some(model))
                .requests += 1;
        }
        let taken = tally.take();
        for model in models {
            assert!(
                taken.keys().any(|key| key.model.as_deref() == Some(model)),
                "{model}"
            );
        }
        assert!(!format!("{taken:?}").contains("S3CRET"), "{taken:?}");
        let sum: u64 = taken.values().map(|counts| counts.requests).sum();
        assert_eq!(sum, 7);
    }

    #[test]
    fn beyond_the_bound_a_pool_is_counted_as_a_whole_and_no_request_is_lost() {
        let mut tally = Tally::default();
        let pool: (Arc<str>, Arc<str>) = ("acme".into(), "default".into());
        let pool = (&pool.0, &pool.1);
        let many = limits::STATS_ROWS + 50;
        for round in 0..2 {
            for number in 0..many {
                let id = AccountId::from(format!("account-{number}"));
                tally.of(pool, Some(&id), Some("m")).requests += 1;
                assert!(!tally.is_empty(), "{round}");
            }
        }
        let long = "m".repeat(limits::MODEL_TEXT_LIMIT + 1);
        let first = AccountId::from("account-0");
        tally.of(pool, Some(&first), Some(&long)).requests += 1;
        let taken = tally.take();
        assert!(tally.is_empty());
        assert_eq!(taken.len(), limits::STATS_ROWS + 1);
        let sum: u64 = taken.values().map(|counts| counts.requests).sum();
        assert_eq!(sum, 2 * many as u64 + 1);
        let whole = taken.iter().find(|(key, _)| key.account.is_none());
        assert_eq!(whole.unwrap().1.requests, 2 * 50 + 1);

        tally.put_back(&taken);
        tally.put_back(&taken);
        let sum: u64 = tally.take().values().map(|counts| counts.requests).sum();
        assert_eq!(sum, 2 * (2 * many as u64 + 1));
    }
}
