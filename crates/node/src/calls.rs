//! The exports, by topic. Each reads its arguments, calls the broker and hands back a promise.

mod accounts;
mod health;
mod logins;
mod providers;
mod requests;
#[cfg(feature = "postgres")]
mod stores;
mod vault;

use std::future::Future;

use provider_auth_broker::{BrokerError, global};

/// Runs `work` as the wait of this number, which `endWait` ends; without a number, nothing but its
/// outcome does.
async fn in_wait<T>(
    wait: Option<f64>,
    work: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    global::waits()
        .run(wait.map(|wait| wait as u64), work)
        .await
}
