//! What a migration did, or would do.

use std::collections::BTreeMap;

use napi_derive::napi;
use provider_auth_broker as broker;

use super::list;

#[napi(object, object_from_js = false)]
pub struct MigrationReport {
    pub files: Vec<String>,
    pub imported: Vec<MigratedEntry>,
    pub skipped: Vec<SkippedEntry>,
    pub sources: Vec<MigratedSource>,
    pub terms: BTreeMap<String, &'static str>,
}

impl From<broker::MigrationReport> for MigrationReport {
    fn from(report: broker::MigrationReport) -> Self {
        Self {
            files: report.files,
            imported: list(report.imported),
            skipped: list(report.skipped),
            sources: list(report.sources),
            terms: report.terms,
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct MigratedEntry {
    pub provider: String,
    pub kind: &'static str,
    pub account_id: Option<String>,
    pub action: &'static str,
}

impl From<broker::ImportedEntry> for MigratedEntry {
    fn from(entry: broker::ImportedEntry) -> Self {
        Self {
            provider: entry.provider,
            kind: entry.kind.as_str(),
            account_id: entry.account.map(|id| id.to_string()),
            action: entry.action.as_str(),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct SkippedEntry {
    pub file: String,
    pub key: String,
    pub why: String,
}

impl From<broker::SkippedEntry> for SkippedEntry {
    fn from(entry: broker::SkippedEntry) -> Self {
        Self {
            file: entry.file,
            key: entry.key,
            why: entry.why,
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct MigratedSource {
    pub file: String,
    pub state: &'static str,
    pub backup: Option<String>,
    pub warning: Option<&'static str>,
}

impl From<broker::SourceReport> for MigratedSource {
    fn from(source: broker::SourceReport) -> Self {
        Self {
            file: source.file,
            state: source.state.as_str(),
            backup: source.backup,
            warning: source.warning,
        }
    }
}
