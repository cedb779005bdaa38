//! What a file says of no provider. It is its user's alone to say: in a project's file it has no
//! effect.

use std::path::Path;
use std::time::Duration;

use super::error::{ConfigError, Place};
use super::limits::LONGEST_OFFLINE;
use super::provider_keys::{OFFLINE, STATS, STORE, STORE_PASSWORD_COMMAND};
use super::store_url::{Kept, StoreUrl, is_whole};
use super::tree::{Entry, Node};
use super::values::{list, millis};

/// Each with where it stands.
#[derive(Clone, Default)]
pub(super) struct UserKeys {
    /// Whether what happens is counted.
    pub(super) stats: Option<(bool, Place)>,
    /// Where a vault for many machines is.
    pub(super) store: Option<(StoreUrl, Place)>,
    /// Prints the password of the store.
    pub(super) store_password_command: Option<(Vec<String>, Place)>,
    /// How long API keys serve while the store is away.
    pub(super) offline: Option<(Duration, Place)>,
}

impl UserKeys {
    /// Reads these keys among those of a file.
    pub(super) fn read(
        known: &[(&'static str, &Entry)],
        is_project: bool,
        warnings: &mut Vec<ConfigError>,
        faults: &mut Vec<ConfigError>,
    ) -> Self {
        let mut keys = Self::default();
        for (key, Entry { node, .. }) in known {
            match keys.read_one(key, node) {
                Ok(true) if is_project => {
                    let why = format!("without effect: set {key} in your own configuration");
                    warnings.push(node.place.fault(why));
                }
                Ok(_) => {}
                Err(fault) => faults.push(fault),
            }
        }
        match is_project {
            true => Self::default(),
            false => keys,
        }
    }

    /// Whether it is one of these.
    fn read_one(&mut self, key: &str, node: &Node) -> Result<bool, ConfigError> {
        let place = || node.place.clone();
        match key {
            STATS => self.stats = Some((node.flag()?, place())),
            STORE => {
                let url = StoreUrl::read(node.text()?, Kept::InWriting, &node.place)?;
                self.store = Some((url, place()));
            }
            STORE_PASSWORD_COMMAND => {
                self.store_password_command = Some((command(node)?, place()));
            }
            OFFLINE => {
                let span = node.whole(0, millis(LONGEST_OFFLINE))?;
                self.offline = Some((Duration::from_millis(span), place()));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A program and its arguments.
fn command(node: &Node) -> Result<Vec<String>, ConfigError> {
    let words = list(node, |word| match word.text()? {
        text if text.contains('\0') => Err(word.place.fault("expected a text without a NUL")),
        text => Ok(text.to_owned()),
    })?;
    let program = words.first().map_or("", String::as_str);
    let is_name = !program.contains(['/', '\\']);
    match !program.is_empty() && (is_name || is_whole(Path::new(program))) {
        true => Ok(words),
        false => Err(node.place.fault(
            "expected a program and its arguments; the program by its name, its whole path, or one that begins with ~/",
        )),
    }
}
