//! The objects that go to JavaScript, field by field under the names of `index.d.ts` and
//! `npm/src/addon.ts`.
//!
//! napi derives from each struct how it is made, and writes its shape to `npm/addon.d.ts`, which
//! `__test__/contract.test.mjs` compares with what is declared by hand. A field that is `None` is
//! absent. Times and counts are `f64`, as all numbers of JavaScript: napi would make a `BigInt` of
//! a `u64`.

mod accounts;
mod bundles;
mod config;
mod diagnosis;
mod events;
mod fleet;
mod jsonc;
mod lent;
mod log;
mod logins;
mod migration;
mod models;
mod pages;
mod projects;
mod requests;
mod stats;
#[cfg(feature = "postgres")]
mod stores;
mod trace;
mod vault;

use provider_auth_broker::Timestamp;

pub(crate) use accounts::{Account, PoolStatus};
pub(crate) use bundles::ImportReport;
#[cfg(feature = "postgres")]
pub(crate) use bundles::MoveReport;
pub(crate) use config::ConfigReport;
pub(crate) use diagnosis::Diagnosis;
pub(crate) use events::AuthEvent;
pub(crate) use fleet::{FleetHost, HostRevocation};
pub(crate) use jsonc::plain_value;
pub(crate) use lent::{AtHand, AtHandAgain, Lent};
pub(crate) use log::LogFile;
pub(crate) use logins::{LoginProgress, NativePrompt};
pub(crate) use migration::MigrationReport;
pub(crate) use models::{ClaimedProviders, KeyCheck, ModelList, ProviderSummary};
pub(crate) use pages::{account_pages, pool_pages, stats_pages};
pub(crate) use projects::ProjectTrust;
pub(crate) use requests::{AuthHeaders, BoundItems, Credential, HeaderRules, StreamShape, Verdict};
#[cfg(feature = "postgres")]
pub(crate) use stores::StoreSetup;
pub(crate) use trace::Trace;
pub(crate) use vault::{ExportedKey, KeySlot, VaultStatus};

/// Unix milliseconds.
fn millis(at: Timestamp) -> f64 {
    at.as_millis() as f64
}

/// Each of them in its form for JavaScript.
pub(crate) fn list<T: From<U>, U>(items: impl IntoIterator<Item = U>) -> Vec<T> {
    items.into_iter().map(T::from).collect()
}
