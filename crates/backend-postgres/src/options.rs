//! How a store is reached, and every number of it.

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use secrecy::SecretString;
use uuid::Uuid;

use crate::address::Address;

/// Gives the password for one connection: some last minutes only. `Ok(None)` where there is none;
/// an error says what is wrong, without quoting it. It may block.
pub type Password = Arc<dyn Fn() -> Result<Option<SecretString>, String> + Send + Sync>;

/// How to reach the database, and as whom.
#[derive(Clone)]
pub struct Options {
    /// `postgres://role@host:5432,other/database?vault=name`. Parameters of its own are `vault`,
    /// `sslmode` (`verify-full`, the default, or `disable` for this machine) and `pooler` (`none`
    /// or `transaction`; found out by default). `sslrootcert`, `sslcert` and `sslkey` may stand
    /// there, for the caller that makes `tls`.
    pub url: SecretString,
    /// Overrides a password in the URL.
    pub password: Password,
    /// Whom to trust, and the client's own certificate.
    pub tls: Arc<ClientConfig>,
    /// Names this machine among the hosts: the same after a restart.
    pub host: Uuid,
    /// What people call this machine: at most 200 characters.
    pub name: String,
    /// Every wait.
    pub times: Times,
}

impl Options {
    /// Says what is wrong with an address, without quoting it. It makes no connection.
    pub fn check_url(url: &str) -> Result<(), &'static str> {
        Address::read(url).map(drop)
    }
}

/// Every wait of a store. All hosts of a vault use the same.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How long a claim lasts; a refresh begins as long before its token's end.
    pub hold: Duration,
    /// How long the holder of a closed session has to assert its claim anew.
    pub suspect: Duration,
    /// How long after a restart, failover or outage nothing is claimed, so that hosts put back what
    /// was lost.
    pub settle: Duration,
    /// How long after a claim was asked for what it is for may be sent.
    pub send_by: Duration,
    /// How long a call may take; a claim takes as long beyond its patience.
    pub call: Duration,
    /// How often a process asks for changes, whether it listens or not: so often that one is known within
    /// five seconds, the answers included.
    pub poll: Duration,
    /// How often a process that holds a claim asks whether its line lives.
    pub ping: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(120),
            suspect: Duration::from_secs(3),
            settle: Duration::from_secs(10),
            send_by: Duration::from_secs(5),
            call: Duration::from_secs(5),
            poll: Duration::from_millis(4500),
            ping: Duration::from_secs(1),
        }
    }
}
