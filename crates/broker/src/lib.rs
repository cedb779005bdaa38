//! Lends credentials: the process-wide singleton that joins policy, oauth and vault with clock and
//! HTTP.
//!
//! [`Broker`] is the whole product without a language around it: it opens the vault, picks an
//! account, renews its token once for everybody, hears how the request went and says what to do
//! next. Of a model provider's API it asks for nothing but the list of models, and it prints
//! nothing.

mod accounts_api;
mod broker;
mod browser;
mod claims;
pub mod config;
mod diagnose;
mod error;
mod fleet;
pub mod global;
mod host;
mod keys;
mod limits;
mod log;
mod login;
mod migrate;
mod models;
mod named;
mod notifier;
mod oauth_endpoints;
mod printable;
mod program;
mod providers;
mod refresh;
mod refusal;
mod request;
mod stats;
mod status;
mod store;
mod transfer;
mod trust;
mod waits;

pub use accounts_api::{AccountChanges, Force, Revoke};
pub use broker::Broker;
pub use claims::Claims;
pub use diagnose::{DiagnoseOptions, Diagnosis, Finding, State};
pub use error::BrokerError;
pub use fleet::{ExposedAccount, HostRevocation, ToReplace};
pub use host::{
    AdjustedClock, Clock, Entropy, Env, Host, LogKind, SystemClock, SystemEntropy, SystemEnv,
};
pub use login::{LoginOptions, LoginProgress, LoginPrompt, LoginStep, Method};
pub use migrate::{
    Direction, EntryAction, ImportedEntry, KeyVariables, MigrateOptions, MigrationReport,
    SkippedEntry, SourceAction, SourceReport, SourceState,
};
pub use models::{KeyCheck, Model, ModelList, ModelsRequest, RefreshModels};
pub use notifier::{Event, EventKind, Events, PoolFigures};
pub use printable::visible_text;
pub use program::Program;
pub use provider_auth_oauth::{FromLocalNetwork, Http, HttpError, Identity, LastLook, Reach};
pub use provider_auth_policy::{
    AccountKind, Action, Block, Chance, Failure, OBSERVED_HEADERS, Reason, Rule, Scope, Selection,
    Source, Timestamp, Trace, TracedAccount, Usage,
};
pub use provider_auth_vault::{
    ExistingKey, FleetHost, KeySecrets, KeySlot, KeySource, Quarantined, StoreState, StoreStatus,
};
pub use providers::{BoundItems, ModelLists, OwnShape, SESSION_HEADERS, StreamShape};
pub use refusal::LocalRefusal;
pub use request::{AuthRequest, Explained, Lease, LentCredential, Report, Verdict};
pub use secrecy::{ExposeSecret, SecretString};
pub use stats::{Counts, Key as StatsKey, QuotaSample, Stats, StatsFilter, StatsRow};
pub use status::{ClientRegistration, PoolStatus, ProviderSummary, VaultStatus};
pub use store::{Account, Filter, HeaderRules, HeaderSet, MovedTo, StoreSetup, Variables};
pub use transfer::{Imported, ImportedAccount, Logins, Outcome, PassphraseRule, Relocated};
pub use waits::Waits;
