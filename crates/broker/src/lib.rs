//! Lends credentials: the process-wide singleton that joins policy, oauth and vault with clock and HTTP.
//!
//! [`Broker`] is the whole product without a language around it: it opens the vault, picks an account, renews its
//! token once for everybody, hears how the request went and says what to do next. Of a model provider's API it asks for
//! nothing but the list of models, and it prints nothing.

mod account_calls;
mod accounts;
mod address;
mod attempts;
mod bounds;
mod broker;
mod browser;
mod callback;
mod calm;
mod claims;
pub mod config;
mod configured;
mod credential;
mod destination;
mod error;
mod events;
mod exchange;
pub mod global;
mod headers;
mod host;
mod http;
mod issuer;
mod keys;
mod labels;
mod ledger;
mod lend;
mod limits;
mod logging;
mod login;
mod marks;
mod migrate;
mod models;
mod moved;
mod named;
mod obtained;
mod opening;
mod patience;
mod portable;
mod providers;
mod refresh;
mod refusal;
mod removal;
mod renewal;
mod renewal_refusal;
mod report;
mod resolver;
mod resource;
mod shown;
mod status;
mod trust;
mod unsaved;
mod waits;

pub use account_calls::AccountChanges;
pub use accounts::{Account, Filter};
pub use broker::Broker;
pub use claims::Claims;
pub use destination::Explained;
pub use error::BrokerError;
pub use events::{Event, EventKind, Events};
pub use headers::HeaderSet;
pub use host::{Clock, Entropy, Env, Host, SystemClock, SystemEntropy, SystemEnv};
pub use lend::{AuthRequest, Explain, Lease};
pub use login::{LoginOptions, LoginPrompt, Method};
pub use migrate::{
    EntryAction, Fate, ImportedEntry, KeyVariables, MigrateOptions, MigrationReport, SkippedEntry,
    SourceReport, SourceState, Task,
};
pub use models::{Model, ModelList, ModelsRequest, RefreshModels};
pub use portable::{Imported, ImportedAccount, Logins, Outcome, PassphraseRule};
pub use provider_auth_oauth::{FromNearby, Http, HttpError, Identity, Reach};
pub use provider_auth_policy::{
    AccountKind, Action, Block, Chance, Failure, OBSERVED_HEADERS, Reason, Rule, Scope, Selection,
    Source, Timestamp, Trace, TracedAccount, Usage,
};
pub use provider_auth_vault::{ExistingKey, KeySecrets, KeySlot, KeySource, Quarantined};
pub use providers::{BoundItems, ModelLists, OwnShape, StreamShape};
pub use refresh::Force;
pub use refusal::LocalRefusal;
pub use removal::Revoke;
pub use report::{Report, Verdict};
pub use secrecy::{ExposeSecret, SecretString};
pub use shown::visible_text;
pub use status::{PoolFigures, PoolStatus, ProviderSummary, VaultStatus};
pub use waits::Waits;
