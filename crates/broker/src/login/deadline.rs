//! How far a login is, when it is given up, and what is told then.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_oauth::{CallbackError, error_code};
use provider_auth_policy::Timestamp;
use tokio::sync::watch;

use crate::error::BrokerError;
use crate::store::Store;

/// What a login does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginStep {
    /// It waits for the user.
    #[default]
    Waiting,
    /// The user has answered, and the server is asked for tokens.
    Exchanging,
    /// The tokens have come, and become an account.
    Storing,
}

/// How far a login is.
#[derive(Clone, Debug, Default)]
pub struct LoginProgress {
    /// What it does now.
    pub step: LoginStep,
    /// What came last and did not count, in a sentence.
    pub note: Option<String>,
}

/// What came last to a login, and why it did not count.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastAnswer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    progress: LoginProgress,
    /// What to tell when the time is over and nothing has come.
    nothing_came: Option<String>,
}

impl LastAnswer {
    pub(crate) fn note(&self, why: String) {
        self.0.lock().progress.note = Some(why);
    }

    /// Notes what is waited for, for when it does not come.
    pub(super) fn waits(&self, nothing_came: String) {
        self.0.lock().nothing_came = Some(nothing_came);
    }

    pub(super) fn enter(&self, step: LoginStep) {
        self.0.lock().progress.step = step;
    }

    pub(super) fn progress(&self) -> LoginProgress {
        self.0.lock().progress.clone()
    }

    fn told(&self) -> Option<String> {
        let state = self.0.lock();
        let came = state.progress.note.as_ref();
        came.or(state.nothing_came.as_ref()).cloned()
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
                last: self.last.told(),
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
