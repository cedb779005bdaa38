//! How files in the folder `quarantine` are called: their names tell what was set aside.

use crate::{backend::Quarantined, folder::paths::RECORD, format::id::RecordId};

/// Returns the name under which a record is set aside.
pub(super) fn record_name(record: &Quarantined) -> String {
    let Quarantined { id, generation, at } = record;
    format!("{id}.{generation}.{at}{RECORD}")
}

/// Reads what [`record_name`] wrote; anything else is `None`.
pub(super) fn parse(name: &str) -> Option<Quarantined> {
    let mut parts = name.strip_suffix(RECORD)?.split('.');
    let record = Quarantined {
        id: parts.next()?.parse().ok()?,
        generation: parts.next()?.parse().ok()?,
        at: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(record)
}

/// Tells whether this is the name of a copy of that record.
pub(super) fn is_of(name: &str, id: RecordId) -> bool {
    parse(name).is_some_and(|record| record.id == id)
}

/// Returns the name under which a header is set aside.
pub(super) fn header_name(at: u64) -> String {
    format!("vault.{at}.hdr")
}

/// Tells whether this is the name of a header that was set aside.
pub(super) fn is_header(name: &str) -> bool {
    name.starts_with("vault.") && name.ends_with(".hdr")
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
        assert_eq!(parse(&record_name(&record)), Some(record));
        assert!(is_header(&header_name(1_000)));
        for other in ["vault.1000.hdr", "x.3.1000.rec", ".rec", "README"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
