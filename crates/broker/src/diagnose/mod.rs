//! A doctor's look at everything between a request and its credential: configuration, network,
//! folder, key, locks, accounts. Whatever it finds is a finding, never an error; it asks nobody
//! anything, and each check ends in time.

mod accounts;
mod clock;
mod config;
mod finding;
mod folder;
mod log;
mod network;
mod online;
mod refresh;
mod store;
mod vault;

use std::future::Future;
use std::sync::Arc;

use crate::config::ConfigReport;
use crate::error::BrokerError;
use crate::host::Host;
use crate::limits;
use crate::request::RequestService;
use crate::store::Store;

pub use finding::{Diagnosis, Finding, State};

/// What a diagnosis may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiagnoseOptions {
    /// Ask the hosts of the providers in use, without a credential.
    pub online: bool,
    /// Mend what can be mended without losing anything.
    pub fix: bool,
}

/// Looks at everything.
pub(crate) struct DiagnosisService {
    store: Arc<Store>,
    requests: Arc<RequestService>,
}

impl DiagnosisService {
    pub(crate) fn new(store: Arc<Store>, requests: Arc<RequestService>) -> Arc<Self> {
        Arc::new(Self { store, requests })
    }

    pub(crate) async fn diagnose(
        &self,
        options: DiagnoseOptions,
        report: &ConfigReport,
    ) -> Diagnosis {
        let (store, host) = (&self.store, &self.store.host);
        let mut findings = config::reported(report, None);
        findings.extend(config::check(store, options.fix));
        findings.extend(log::check(&store.settings(), store.now(), options.fix));
        findings.extend(network::check(host));
        // Before the vault opens, which takes care of some of what is found here.
        let folder = in_time(
            "files.slow",
            "the vault's folder",
            folder::check(store, options.fix),
        );
        findings.extend(folder.await);
        let vault = in_time("vault.slow", "the vault", vault::check(store));
        findings.extend(vault.await);
        if let Some(vault) = store.open_vault() {
            if options.fix {
                refresh::finish(&mut findings, &vault).await;
            }
            let accounts = accounts::check(store, &self.requests);
            findings.extend(in_time("accounts.slow", "the accounts", accounts).await);
        }
        if options.online {
            findings.extend(online::check(store).await);
        }
        Diagnosis {
            at: store.now(),
            findings,
        }
    }
}

/// What can be said where the configuration cannot be used.
pub(crate) fn without_configuration(
    host: &Host,
    error: &BrokerError,
    report: &ConfigReport,
) -> Diagnosis {
    let mut findings = config::reported(report, Some(error));
    findings.extend(network::check(host));
    Diagnosis {
        at: host.clock.now(),
        findings,
    }
}

/// What a check finds, or that it did not end.
async fn in_time(
    id: &'static str,
    what: &str,
    check: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    let looked = tokio::time::timeout(limits::CHECK_TIMEOUT, check).await;
    looked.unwrap_or_else(|_| {
        let within = finding::span(limits::CHECK_TIMEOUT.as_millis() as u64);
        let title = format!("{what} did not answer within {within}");
        vec![
            Finding::problem(id, title)
                .why("calls that need it wait as long")
                .remedy("look whether its disk, or a process that holds its locks, hangs"),
        ]
    })
}
