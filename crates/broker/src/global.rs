//! The one broker of the process, and the runtime that it works on.
//!
//! Every copy of the JavaScript module, every worker thread shares it: statics are one per loaded
//! library.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::runtime::{Builder, Runtime};

use crate::broker::Broker;
use crate::browser;
use crate::claims::Claims;
use crate::config::{self, ConfigReport, Inline};
use crate::diagnose::{self, DiagnoseOptions, Diagnosis};
use crate::error::BrokerError;
use crate::host::{Host, LogKind, SystemEnv, blocking, logging};
use crate::notifier::Events;
use crate::program::{self, Program};
use crate::waits::Waits;

static SLOT: RwLock<Slot> = RwLock::new(Slot {
    inline: None,
    broker: None,
});
static WAITS: LazyLock<Waits> = LazyLock::new(Waits::default);
static EVENTS: LazyLock<Arc<Events>> = LazyLock::new(Arc::default);
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        // Work is waiting for sockets and locks; two threads keep one slow parse from holding up
        // the other accounts.
        .worker_threads(2)
        .thread_name("provider-auth")
        // Threads that waited for a lock or the disk are not kept.
        .thread_keep_alive(Duration::from_secs(1))
        .enable_all()
        .build()
        .expect("the system lets a process start two threads")
});

struct Slot {
    inline: Option<Inline>,
    broker: Option<Arc<Broker>>,
}

/// Sets the options of the process's broker. Checks them by themselves and touches no file.
///
/// The same options again are fine; others only until the vault is open.
pub fn configure(inline: Inline) -> Result<(), BrokerError> {
    config::check(&inline)?;
    let mut slot = SLOT.write();
    if slot.inline.as_ref() == Some(&inline) {
        return Ok(());
    }
    if slot.broker.as_ref().is_some_and(|broker| broker.is_open()) {
        return Err(BrokerError::AlreadyConfigured);
    }
    *slot = Slot {
        inline: Some(inline),
        broker: None,
    };
    Ok(())
}

/// The broker, if it is there already.
pub fn current() -> Option<Arc<Broker>> {
    SLOT.read().broker.clone()
}

/// The broker; the first call reads the configuration files. A fault in them is found again by the
/// next call, so that mending the file is enough.
pub fn broker() -> Result<Arc<Broker>, BrokerError> {
    if let Some(broker) = current() {
        return Ok(broker);
    }
    let mut slot = SLOT.write();
    if let Some(broker) = &slot.broker {
        return Ok(broker.clone());
    }
    let inline = slot.inline.clone().unwrap_or_default();
    let broker = Broker::new(Host::system(), &inline, EVENTS.clone())?;
    logging::start(&broker.store().settings())?;
    broker.store().log_warnings();
    slot.broker = Some(broker.clone());
    Ok(broker)
}

/// Begins to take log lines; the library has just been loaded.
pub fn listen() {
    logging::listen();
}

/// The files of the log, there or not.
pub fn log_files() -> Result<Vec<(PathBuf, LogKind)>, BrokerError> {
    Ok(logging::files(&broker()?.store().settings()))
}

/// The runtime of this library; started by the first call that cannot settle at once.
pub fn runtime() -> &'static Runtime {
    &RUNTIME
}

/// The listeners of this process, which outlive a change of options.
pub fn events() -> &'static Events {
    &EVENTS
}

/// The calls of this process that may be called off.
pub fn waits() -> &'static Waits {
    &WAITS
}

/// Whose requests are ours, as far as that can be told when the broker cannot be made or its vault
/// not be opened.
pub async fn claims() -> Claims {
    let inline = SLOT.read().inline.clone().unwrap_or_default();
    Claims::read(&Host::system(), &inline).await
}

/// Looks at everything between a request and its credential, also where the configuration cannot be
/// used.
pub async fn diagnosis(options: DiagnoseOptions) -> Diagnosis {
    let report = inspect_config().await;
    match broker() {
        Ok(broker) => broker.diagnose(options, &report).await,
        Err(error) => diagnose::without_configuration(&Host::system(), &error, &report),
    }
}

/// Makes this process another program, once what is under way is safe. Returns only what kept it
/// from that.
pub fn become_program(other: &Program) -> std::io::Error {
    close();
    program::become_program(other)
}

/// Names of the variables that no other program is to get, as far as that is known.
pub fn own_variables() -> impl Iterator<Item = String> {
    browser::own_variables(current().as_deref().map(Broker::store)).into_iter()
}

/// Where each value of the configuration comes from, and all that is wrong with it. Reads files only.
pub async fn inspect_config() -> ConfigReport {
    let inline = SLOT.read().inline.clone().unwrap_or_default();
    blocking(move || config::inspect(&SystemEnv, &inline)).await
}

/// Opens a web page in the user's browser, which is handed no secret of this process.
pub fn open_browser(url: &str) -> std::io::Result<()> {
    browser::open(url, &SystemEnv, current().as_deref().map(Broker::store))
}

/// Brings what is under way to a safe end; the process is about to exit.
pub fn close() {
    if let Some(broker) = current() {
        broker.close();
    }
    logging::flush();
}
