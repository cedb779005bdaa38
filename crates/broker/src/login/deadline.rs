//! When a login is given up, and what is told then.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_oauth::{CallbackError, error_code};
use provider_auth_policy::Timestamp;
use tokio::sync::watch;

use crate::error::BrokerError;
use crate::store::Store;

/// What came last to a login, and why it did not count.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastAnswer(Arc<Mutex<Option<String>>>);

impl LastAnswer {
    pub(crate) fn note(&self, why: String) {
        *self.0.lock() = Some(why);
    }

    /// Notes an answer that did not count, with the server's own code for an error in it.
    pub(crate) fn refused(&self, query: &str, error: &CallbackError) {
        let code = error_code(query).map(|code| format!(" (it held the error {code})"));
        self.note(format!(
            "What came last did not count: {error}{}",
            code.unwrap_or_default()
        ));
    }
}

/// The end of a login's time, or its cancellation.
#[derive(Clone)]
pub(super) struct Deadline {
    pub(super) at: Timestamp,
    /// How long that is; `None` where the server set it.
    pub(super) limit: Option<Duration>,
    /// `true` once it is called off; one whose sender is gone never is.
    pub(super) cancelled: watch::Receiver<bool>,
    pub(super) last: LastAnswer,
}

impl Deadline {
    /// Waits for it, and returns how the login ends by it.
    pub(super) async fn reached(&self, store: &Store) -> BrokerError {
        tokio::select! {
            () = tokio::time::sleep(store.now().until(self.at)) => BrokerError::LoginTimeout {
                limit: self.limit,
                last: self.last.0.lock().clone(),
            },
            () = called_off(self.cancelled.clone()) => BrokerError::LoginCancelled,
        }
    }
}

async fn called_off(mut cancelled: watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        // The login was dropped from the list without being cancelled: it goes on to its own end.
        std::future::pending().await
    }
}
