//! What the surroundings of the process offer: variables, well-known folders, time, entropy,
//! network.
//!
//! Everything else in this crate is handed a [`Host`] and reads nothing by itself, so that each
//! rule can be tested without touching the real ones.

mod blocking;
mod display;
pub(crate) mod http;
pub(crate) mod logging;
pub(crate) mod resolver;

pub(crate) use blocking::{blocking, finish};
pub(crate) use display::has_display;
pub use logging::LogKind;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use provider_auth_oauth::Http;
use provider_auth_policy::Timestamp;
use provider_auth_vault::{Engine, StoreClock, default_engine};

use crate::host::http::HttpClient;
use crate::limits;

/// The environment of a process.
pub trait Env: Send + Sync {
    /// The value of a variable; `None` when it is unset or not Unicode.
    fn var(&self, name: &str) -> Option<String>;
    /// The names of all variables that are set; empty where they cannot be listed.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    /// The user's home folder, as a whole path.
    fn home_dir(&self) -> Option<PathBuf>;
    /// The working folder.
    fn current_dir(&self) -> Option<PathBuf>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnv;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the real environment"
)]
impl Env for SystemEnv {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn names(&self) -> Vec<String> {
        let names = std::env::vars_os().map(|(name, _)| name);
        names.filter_map(|name| name.into_string().ok()).collect()
    }

    fn home_dir(&self) -> Option<PathBuf> {
        // A relative one would be another folder in each working folder.
        std::env::home_dir().filter(|home| home.is_absolute())
    }

    fn current_dir(&self) -> Option<PathBuf> {
        std::env::current_dir().ok()
    }
}

/// The wall clock, and one that only goes forward.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment, which no change of the wall clock moves.
    fn uptime(&self) -> Duration;
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the real clock"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the real clock"
    )]
    fn uptime(&self) -> Duration {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGAN.elapsed()
    }
}

/// A clock that goes by a store's, as many machines do, once it is known what time it is there.
pub struct AdjustedClock {
    /// The clock of this machine.
    pub clock: Arc<dyn Clock>,
    /// The store's.
    pub store: Arc<StoreClock>,
}

impl Clock for AdjustedClock {
    fn now(&self) -> Timestamp {
        let known = self.store.now().map(Timestamp::from_millis);
        known.unwrap_or_else(|| self.clock.now())
    }

    fn uptime(&self) -> Duration {
        self.clock.uptime()
    }
}

/// Names the boot of this machine: process numbers start again with each.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// Unpredictable bytes.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The entropy of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system has entropy");
    }
}

/// Everything that the broker does not decide by itself: time, entropy, environment, network, and
/// where vaults are kept.
#[derive(Clone)]
pub struct Host {
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Unpredictable bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Variables and well-known folders.
    pub env: Arc<dyn Env>,
    /// The client for authorization servers.
    pub http: Arc<dyn Http>,
    /// The client for lists of models: it takes longer answers.
    pub lists: Arc<dyn Http>,
    /// Where vaults are kept that no store keeps.
    pub engine: Arc<dyn Engine>,
    /// The clock of the vault's store, which sets the clocks here.
    pub store_clock: Arc<StoreClock>,
}

impl Host {
    /// The real one.
    pub fn system() -> Self {
        let env = Arc::new(SystemEnv);
        let extra_roots = env.var("NODE_EXTRA_CA_CERTS").map(PathBuf::from);
        let client = |limit| Arc::new(HttpClient::new(extra_roots.clone(), limit));
        let store_clock = Arc::new(StoreClock::default());
        Self {
            clock: Arc::new(AdjustedClock {
                clock: Arc::new(SystemClock),
                store: store_clock.clone(),
            }),
            entropy: Arc::new(SystemEntropy),
            env,
            http: client(limits::ANSWER_LIMIT),
            lists: client(limits::MODELS_LIMIT),
            engine: default_engine(),
            store_clock,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn once_a_stores_time_is_known_no_setting_of_the_machines_clock_moves_it() {
        struct Set(AtomicU64);
        impl Clock for Set {
            fn now(&self) -> Timestamp {
                Timestamp::from_millis(self.0.load(Ordering::Relaxed))
            }
            fn uptime(&self) -> Duration {
                Duration::from_secs(7)
            }
        }
        let (store, machine) = (Arc::new(StoreClock::default()), Arc::new(Set(1000.into())));
        let clock = AdjustedClock {
            clock: machine.clone(),
            store: store.clone(),
        };
        assert_eq!(clock.now(), Timestamp::from_millis(1000));
        let noon = 1_800_000_000_000;
        store.set_ahead(noon - StoreClock::uptime());
        for set in [1000, noon.unsigned_abs() + 3_600_000, 0] {
            machine.0.store(set, Ordering::Relaxed);
            assert!(clock.now().as_millis().abs_diff(noon.unsigned_abs()) < 60_000);
            assert_eq!(clock.uptime(), Duration::from_secs(7));
        }
        store.set_ahead(i64::MIN + 1);
        assert_eq!(clock.now(), Timestamp::from_millis(0));
    }
}
