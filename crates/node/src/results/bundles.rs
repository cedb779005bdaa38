//! What an import of a bundle did.

use napi_derive::napi;
use provider_auth_broker as broker;
use provider_auth_broker::Outcome;

use super::list;

#[napi(object, object_from_js = false)]
pub struct ImportReport {
    pub added: u32,
    pub updated: u32,
    pub skipped: u32,
    pub accounts: Vec<ImportedAccount>,
}

impl From<broker::Imported> for ImportReport {
    fn from(imported: broker::Imported) -> Self {
        let count = |wanted: fn(Outcome) -> bool| imported.count(wanted) as u32;
        Self {
            added: count(|outcome| outcome == Outcome::Added),
            updated: count(|outcome| outcome == Outcome::Updated),
            skipped: count(|outcome| matches!(outcome, Outcome::Skipped { .. })),
            accounts: list(imported.accounts),
        }
    }
}

/// What a move of the vault did.
#[cfg(feature = "postgres")]
#[napi(object, object_from_js = false)]
pub struct MoveReport {
    pub to: String,
    pub added: u32,
    pub updated: u32,
    pub skipped: u32,
    pub accounts: Vec<ImportedAccount>,
}

#[cfg(feature = "postgres")]
impl From<broker::Relocated> for MoveReport {
    fn from(moved: broker::Relocated) -> Self {
        let ImportReport {
            added,
            updated,
            skipped,
            accounts,
        } = moved.imported.into();
        Self {
            to: moved.to,
            added,
            updated,
            skipped,
            accounts,
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct ImportedAccount {
    pub account_id: Option<String>,
    pub provider: String,
    pub label: String,
    pub action: &'static str,
    pub why: Option<&'static str>,
}

impl From<broker::ImportedAccount> for ImportedAccount {
    fn from(account: broker::ImportedAccount) -> Self {
        let (action, why) = match account.outcome {
            Outcome::Added => ("added", None),
            Outcome::Updated => ("updated", None),
            Outcome::Skipped { why } => ("skipped", Some(why)),
        };
        Self {
            account_id: account.id.map(|id| id.to_string()),
            provider: account.provider,
            label: account.label,
            action,
            why,
        }
    }
}
