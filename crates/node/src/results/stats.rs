//! What was counted.

use std::collections::BTreeMap;

use provider_auth_broker as broker;
use serde::Serialize;

use super::millis;

/// Some of what was counted.
#[derive(Serialize)]
pub(super) struct Stats {
    pub(super) enabled: bool,
    pub(super) counts: Vec<StatsCount>,
    pub(super) quota: Vec<StatsQuota>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatsCount {
    at: f64,
    hours: u8,
    provider: String,
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    requests: u64,
    attempts: u64,
    served: u64,
    failed: BTreeMap<String, u64>,
    switched: BTreeMap<String, u64>,
    refused: u64,
    refreshes: u64,
    refresh_failures: u64,
    waited_ms: u64,
    rested_ms: u64,
}

impl From<broker::StatsRow> for StatsCount {
    fn from(row: broker::StatsRow) -> Self {
        let broker::StatsRow {
            at,
            hours,
            key,
            counts,
        } = row;
        Self {
            at: millis(at),
            hours,
            provider: key.provider,
            namespace: key.namespace,
            account_id: key.account,
            model: key.model,
            requests: counts.requests,
            attempts: counts.attempts,
            served: counts.served,
            failed: counts.failed,
            switched: counts.switched,
            refused: counts.refused,
            refreshes: counts.refreshed,
            refresh_failures: counts.refresh_failed,
            waited_ms: counts.waited_ms,
            rested_ms: counts.rested_ms,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatsQuota {
    account_id: String,
    provider: String,
    namespace: String,
    window: String,
    at: f64,
    used_percent: u16,
    reset_at: f64,
}

impl From<broker::QuotaSample> for StatsQuota {
    fn from(sample: broker::QuotaSample) -> Self {
        Self {
            account_id: sample.account,
            provider: sample.pool.0,
            namespace: sample.pool.1,
            window: sample.window,
            at: millis(sample.at),
            used_percent: sample.used_percent,
            reset_at: millis(sample.reset_at),
        }
    }
}
