//! A file of another program as it was before a migration, sealed in a record of its own that is no
//! account.

use provider_auth_vault::{RecordId, Vault, VaultError, wiping_stack};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::source::{Form, Source};
use crate::error::BrokerError;
use crate::migrate::MigrationService;
use crate::store::accounts::Accounts;
use crate::store::record_kind::KEPT_FILE;

const VERSION: u32 = 1;

/// What is known of a kept file; its content follows in the same record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Label {
    version: u32,
    /// The path as reports name it.
    pub(super) name: String,
    /// Where the file truly was.
    pub(super) file: String,
    /// Hash of what the migration left in its place; `None` where it left nothing.
    pub(super) left: Option<[u8; 32]>,
    /// Path of the copy beside it.
    pub(super) backup: Option<String>,
    /// Hash of the file as it was, where entries were taken out of the content since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whole: Option<[u8; 32]>,
    /// Names of those entries: their accounts have left the vault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) erased: Vec<String>,
}

impl Label {
    pub(super) fn new(
        name: String,
        file: String,
        left: Option<&str>,
        backup: Option<String>,
    ) -> Self {
        Self {
            version: VERSION,
            name,
            file,
            left: left.map(digest),
            backup,
            whole: None,
            erased: Vec::new(),
        }
    }

    fn with(&self, text: &str) -> Zeroizing<Vec<u8>> {
        let label = serde_json::to_vec(self).expect("a label has only string keys");
        let mut bytes = Zeroizing::new(Vec::with_capacity(label.len() + 1 + text.len()));
        bytes.extend_from_slice(&label);
        // JSON has line breaks only if one asks for them.
        bytes.push(b'\n');
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }
}

/// A kept file.
pub(super) struct Kept {
    pub(super) id: RecordId,
    pub(super) label: Label,
    pub(super) text: Zeroizing<String>,
}

/// The kept files that can be read; one of a newer version is not ours to touch.
pub(super) fn kept_files(vault: &Vault, accounts: &Accounts) -> Result<Vec<Kept>, VaultError> {
    let mut kept = Vec::new();
    for id in &accounts.kept_files {
        let Some(record) = vault.read(id)? else {
            continue;
        };
        kept.extend(Kept::read(*id, record.plaintext()));
    }
    Ok(kept)
}

impl MigrationService {
    /// Makes sure that the vault holds this file with this label, and reads it back from the disk.
    /// Of each file one is kept: that of its last migration.
    pub(super) fn keep_file(
        &self,
        vault: &Vault,
        known: &[Kept],
        label: &Label,
        text: &str,
    ) -> Result<(), BrokerError> {
        let (same, older): (Vec<_>, Vec<_>) = known
            .iter()
            .filter(|kept| kept.label.name == label.name)
            .partition(|kept| *kept.text == text);
        let plaintext = label.with(text);
        let id = match same.first() {
            Some(kept) => {
                let guard = self.store.lock_record(vault, &kept.id)?;
                if kept.label != *label {
                    vault.replace(&guard, &plaintext)?;
                }
                kept.id
            }
            None => vault.create(KEPT_FILE, &plaintext)?.0,
        };
        let guard = self.store.lock_record(vault, &id)?;
        let record = vault.reread(&guard)?;
        if record.is_none_or(|record| record.plaintext() != &**plaintext) {
            return Err(VaultError::Corrupt { id }.into());
        }
        drop(guard);
        for kept in older.into_iter().chain(same.into_iter().skip(1)) {
            vault.remove(self.store.lock_record(vault, &kept.id)?)?;
        }
        Ok(())
    }
}

pub(super) fn digest(text: &str) -> [u8; 32] {
    wiping_stack(|| Sha256::digest(text).into())
}

impl Kept {
    /// Reads a record; `None` for one that is not ours to understand.
    pub(super) fn read(id: RecordId, plaintext: &[u8]) -> Option<Self> {
        let end = plaintext.iter().position(|byte| *byte == b'\n')?;
        let (label, text) = (&plaintext[..end], &plaintext[end + 1..]);
        let label: Label = serde_json::from_slice(label).ok()?;
        let text = std::str::from_utf8(text).ok()?;
        (label.version == VERSION).then(|| Self {
            id,
            label,
            text: text.to_owned().into(),
        })
    }

    /// The bytes to seal.
    pub(super) fn plaintext(&self) -> Zeroizing<Vec<u8>> {
        self.label.with(&self.text)
    }

    /// Whether a text is the file as it was, whatever was taken out of the content here since.
    pub(super) fn is_whole(&self, text: &str) -> bool {
        self.label
            .whole
            .map_or_else(|| *self.text == text, |whole| digest(text) == whole)
    }

    /// The same without these entries.
    pub(super) fn without(mut self, text: Zeroizing<String>, erased: Vec<String>) -> Self {
        self.label.whole.get_or_insert_with(|| digest(&self.text));
        self.label.erased.extend(erased);
        self.text = text;
        self
    }

    /// The file as if it were read.
    pub(super) fn as_source(&self) -> Source {
        let is_mcp = self.label.name.ends_with("mcp-auth.json");
        Source {
            name: self.label.name.clone(),
            form: if is_mcp { Form::Mcp } else { Form::Auth },
            text: self.text.clone(),
            file: None,
            warning: None,
        }
    }
}
