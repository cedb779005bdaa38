//! Records that were set aside because they were damaged: which they were, as their files' names tell.

use crate::{RecordId, Vault, VaultError, error::io, folder::store::Store, vault::Paths};

/// A damaged record that was set aside; its file stays in the folder `quarantine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The record.
    pub id: RecordId,
    /// Its generation, as far as its header could be read; else 0.
    pub generation: u64,
    /// When it was set aside, in ms since the Unix epoch.
    pub at: u64,
}

impl Vault {
    /// Returns the records that were set aside, oldest first; none where that cannot be read.
    pub fn quarantine(&self) -> Vec<Quarantined> {
        quarantined(&*self.store, &self.paths).unwrap_or_default()
    }

    /// Returns how many damaged records were set aside; 0 where that cannot be read.
    pub fn quarantined(&self) -> usize {
        self.quarantine().len()
    }
}

pub(crate) fn quarantined(
    store: &dyn Store,
    paths: &Paths,
) -> Result<Vec<Quarantined>, VaultError> {
    let folder = paths.quarantine();
    let names = store.list(&folder).map_err(io("list", folder))?;
    let mut records: Vec<_> = names.iter().filter_map(|name| parse(name)).collect();
    records.sort_unstable_by_key(|record| (record.at, record.id));
    Ok(records)
}

/// Returns the name under which a record is set aside.
pub(crate) fn name(id: RecordId, generation: u64, at: u64) -> String {
    format!("{id}.{generation}.{at}.rec")
}

/// Tells whether this is the name of a copy of that record.
pub(crate) fn is_of(name: &str, id: RecordId) -> bool {
    parse(name).is_some_and(|record| record.id == id)
}

/// Tells whether this is the name of a header that was set aside.
pub(crate) fn is_header(name: &str) -> bool {
    name.starts_with("vault.") && name.ends_with(".hdr")
}

fn parse(name: &str) -> Option<Quarantined> {
    let mut parts = name.strip_suffix(".rec")?.split('.');
    let record = Quarantined {
        id: parts.next()?.parse().ok()?,
        generation: parts.next()?.parse().ok()?,
        at: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_what_was_set_aside_and_other_files_tell_nothing() {
        let record = Quarantined {
            id: RecordId::from_parts(1, [7; 10]),
            generation: 3,
            at: 1_000,
        };
        assert_eq!(
            parse(&name(record.id, record.generation, record.at)),
            Some(record)
        );
        for other in ["vault.1000.hdr", "x.3.1000.rec", ".rec", "README"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
