//! Where everything is in a vault's folder.

use std::path::{Path, PathBuf};

use crate::{
    backend::{Document, Lock},
    format::id::RecordId,
};

/// What the name of a record's file ends with.
pub(super) const RECORD: &str = ".rec";
/// What the name of a note's file ends with.
pub(super) const NOTE: &str = ".pending";

/// Returns the record whose file has this name; `None` of any other file.
#[cfg(target_os = "linux")]
pub(super) fn record_of(name: &str) -> Option<RecordId> {
    name.strip_suffix(RECORD)?.parse().ok()
}

pub(super) struct Paths {
    dir: PathBuf,
}

impl Paths {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn records(&self) -> PathBuf {
        self.dir.join("rec")
    }

    pub(super) fn record(&self, id: RecordId) -> PathBuf {
        self.records().join(format!("{id}{RECORD}"))
    }

    pub(super) fn note(&self, id: RecordId) -> PathBuf {
        self.records().join(format!("{id}{NOTE}"))
    }

    pub(super) fn locks(&self) -> PathBuf {
        self.dir.join("lock")
    }

    pub(super) fn lock(&self, lock: Lock) -> PathBuf {
        self.locks().join(match lock {
            Lock::Record(id) => format!("{id}.lock"),
            Lock::Vault => "vault.lock".to_owned(),
            Lock::History => "history.lock".to_owned(),
            Lock::Stats => "stats.lock".to_owned(),
            Lock::Keys => "keys.lock".to_owned(),
            Lock::Records => "records.lock".to_owned(),
            Lock::HighWater => "marks.lock".to_owned(),
        })
    }

    pub(super) fn document(&self, document: Document) -> PathBuf {
        match document {
            Document::Header => self.dir.join("vault.hdr"),
            Document::HeaderBackup => self.dir.join("vault.hdr.bak"),
            Document::Moved => self.dir.join("moved.age"),
            Document::State => self.dir.join("state.json"),
            Document::News => self.dir.join("news.json"),
            Document::History => self.dir.join("history.json"),
            Document::Stats => self.dir.join("stats.json"),
            Document::Index => self.dir.join("records.idx"),
            Document::Cache(key) => self.cache().join(hex::encode(key)),
        }
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.dir.join("cache")
    }

    pub(super) fn quarantine(&self) -> PathBuf {
        self.dir.join("quarantine")
    }
}
