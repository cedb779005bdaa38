//! The logins under way in this process.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use super::deadline::LastAnswer;
use crate::error::BrokerError;
use crate::limits;
use crate::store::Account;

/// The logins under way in this process.
#[derive(Default)]
pub(super) struct OpenLogins {
    pub(super) open: Mutex<HashMap<u64, Login>>,
    /// Clients with which a login was given up, until that is on the disk.
    pub(super) doubtful: Mutex<HashSet<String>>,
}

#[derive(Clone)]
pub(super) struct Login {
    pub(super) outcome: watch::Receiver<Option<Outcome>>,
    pub(super) pasted: mpsc::Sender<Pasted>,
    pub(super) cancel: Arc<watch::Sender<bool>>,
    pub(super) last: LastAnswer,
}

impl OpenLogins {
    /// Whether a login with this client was given up a moment ago.
    pub(super) fn doubts(&self, client_id: &str) -> bool {
        self.doubtful.lock().contains(client_id)
    }

    /// Keeps a login, and forgets those that ended longest ago.
    pub(super) fn keep(&self, number: u64, login: Login) {
        let mut open = self.open.lock();
        open.insert(number, login);
        let ended = open
            .iter()
            .filter(|(_, login)| login.outcome.borrow().is_some());
        let mut ended: Vec<u64> = ended.map(|(number, _)| *number).collect();
        ended.sort_unstable();
        let excess = ended.len().saturating_sub(limits::ENDED_LOGINS);
        for number in &ended[..excess] {
            open.remove(number);
        }
    }
}

/// A pasted text, and where to say that it cannot be used.
pub(super) type Pasted = (String, oneshot::Sender<BrokerError>);

/// How a login ended.
pub(super) type Outcome = Result<Account, Arc<BrokerError>>;
