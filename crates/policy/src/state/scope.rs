//! What a block is about, and what of a request a block may be about.

use std::fmt;
use std::sync::Arc;

use crate::account::AccountId;

/// What a block is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The whole account.
    Account(AccountId),
    /// One model of one account.
    Model(AccountId, String),
    /// One endpoint of one account.
    Path(AccountId, String),
    /// One model of the provider, whoever asks.
    ProviderModel(Arc<str>, String),
    /// This machine's address at the provider, whoever asks for whatever.
    Egress(Arc<str>),
}

impl Scope {
    /// Returns the key under which the shared state keeps the block.
    pub fn key(&self) -> String {
        match self {
            Self::Account(id) => account_key(id),
            Self::Model(id, model) => model_key(id, model),
            Self::Path(id, path) => path_key(id, path),
            Self::ProviderModel(provider, model) => provider_model_key(provider, model),
            Self::Egress(provider) => egress_key(provider),
        }
    }

    /// Returns the model it is about, if it is about one.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Model(_, model) | Self::ProviderModel(_, model) => Some(model),
            Self::Account(_) | Self::Path(..) | Self::Egress(_) => None,
        }
    }

    /// Tells whether another account of the pool would meet the same block.
    pub const fn spans_accounts(&self) -> bool {
        matches!(self, Self::ProviderModel(..) | Self::Egress(_))
    }
}

/// The public name of a scope: the model, or the path with its leading slash, else `account`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path(_, path) => path,
            _ => self.model().unwrap_or("account"),
        })
    }
}

pub(crate) fn account_key(id: &AccountId) -> String {
    format!("account:{id}")
}

pub(crate) fn model_key(id: &AccountId, model: &str) -> String {
    format!("model:{id}:{model}")
}

pub(crate) fn path_key(id: &AccountId, path: &str) -> String {
    format!("path:{id}:{path}")
}

pub(crate) fn provider_model_key(provider: &str, model: &str) -> String {
    format!("provider-model:{provider}:{model}")
}

pub(crate) fn egress_key(provider: &str) -> String {
    format!("egress:{provider}")
}

/// What of a request a block may be about, beside the account.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aim<'a> {
    pub(crate) model: Option<&'a str>,
    pub(crate) path: Option<&'a str>,
}
