//! How the keys of an object of the configuration are defined: once each, as a row of a table.
//!
//! The macro [`keys!`] makes of such a table the type that holds what is set, the list of known
//! names, the reader, and how a later layer is laid over an earlier one. The JSON Schema and
//! `index.d.ts` are held to the same tables by `tests/contract/`.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::limits::MOST_HINTS;
use super::provider::Provenance;
use super::suggestion::hint;
use super::tree::{Entry, Node};

/// A key as its table defines it.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) roles: &'static [Role],
    /// What it is for, as editors show it.
    #[cfg(test)]
    pub(super) doc: &'static str,
    /// The call that reads it.
    #[cfg(test)]
    pub(super) reader: &'static str,
}

/// What a key of a provider is about, where a rule depends on that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Chooses among a provider's accounts, and says nothing of where credentials go: a project's
    /// file may set it untrusted.
    ChoosesAccounts,
    /// Shapes requests and answers: a login is made for these, too.
    ShapesRequests,
    /// Has no effect for a provider without a login.
    OfLogin,
}

impl Key {
    pub(super) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// What a reader needs beside the value.
pub(super) struct Context<'a> {
    /// Where the value comes from.
    pub(super) from: &'a Provenance,
    /// Where warnings are noted.
    pub(super) warnings: &'a mut Vec<ConfigError>,
    /// Where the faults of an object are noted but for its first one, which its reader returns.
    pub(super) further: &'a mut Vec<ConfigError>,
}

impl Context<'_> {
    /// Notes a fault of an object of which `first` is the first one.
    pub(super) fn note(&mut self, first: &mut Option<ConfigError>, fault: ConfigError) {
        match first {
            None => *first = Some(fault),
            Some(_) => self.further.push(fault),
        }
    }
}

/// Defines the keys of an object. A row is: what the key is for, its name, its field, and how it is
/// read; then its roles.
macro_rules! keys {
    (
        $(#[$attribute:meta])*
        $object:ident ($node:ident, $context:ident) {
            $( $(#[doc = $doc:literal])+ $key:literal $field:ident: $type:ty = $reader:expr $(, $role:ident)*; )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Default)]
        pub(super) struct $object {
            $( $(#[doc = $doc])+ pub(super) $field: $type, )+
        }

        impl $object {
            /// Reads the object that stands here. An unknown key is a warning: it may belong to a
            /// newer version. After a fault the other keys are read too, so that all faults are
            /// told at once.
            pub(super) fn read(
                node: &$crate::config::tree::Node,
                $context: &mut $crate::config::keys::Context<'_>,
            ) -> Result<Self, $crate::config::error::ConfigError> {
                let mut object = Self::default();
                let mut first = None;
                for (key, entry) in $crate::config::keys::known(node, <Self as $crate::config::keys::Table>::NAMES, $context.warnings)? {
                    let $node = &entry.node;
                    match key {
                        $( $key => match $reader {
                            Ok(value) => object.$field = From::from(value),
                            Err(fault) => $context.note(&mut first, fault),
                        }, )+
                        _ => {}
                    }
                }
                first.map_or(Ok(object), Err)
            }
        }

        impl $crate::config::keys::Table for $object {
            const NAMES: &'static [&'static str] = &[$($key),+];
            const KEYS: &'static [$crate::config::keys::Key] = &[
                $( $crate::config::keys::Key {
                    name: $key,
                    roles: &[$($crate::config::keys::Role::$role),*],
                    #[cfg(test)]
                    doc: concat!($($doc),+),
                    #[cfg(test)]
                    reader: stringify!($reader),
                } ),+
            ];
        }

        impl $crate::config::keys::Lay for $object {
            fn lay(&mut self, later: Self) {
                $( self.$field.lay(later.$field); )+
            }
        }
    };
}
pub(super) use keys;

/// A table of keys.
pub(super) trait Table {
    const NAMES: &'static [&'static str];
    const KEYS: &'static [Key];
}

/// Lays what a later layer sets over what an earlier one does.
pub(super) trait Lay {
    fn lay(&mut self, later: Self);
}

/// What is set replaces.
impl<T> Lay for Option<T> {
    fn lay(&mut self, later: Self) {
        if later.is_some() {
            *self = later;
        }
    }
}

/// Lists add up, the earliest layer's first.
impl<T> Lay for Vec<T> {
    fn lay(&mut self, later: Self) {
        self.extend(later);
    }
}

/// Entries add up, and one of the same name replaces.
impl<K: Ord, V> Lay for BTreeMap<K, V> {
    fn lay(&mut self, later: Self) {
        self.extend(later);
    }
}

/// Rules of which the first that fits decides: those of a later layer come first.
#[derive(Clone)]
pub(super) struct FirstMatch<T>(pub(super) Vec<T>);

impl<T> Default for FirstMatch<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<Vec<T>> for FirstMatch<T> {
    fn from(rules: Vec<T>) -> Self {
        Self(rules)
    }
}

impl<T> Lay for FirstMatch<T> {
    fn lay(&mut self, later: Self) {
        self.0.splice(0..0, later.0);
    }
}

/// How the warning of an unknown key begins.
pub(super) const UNKNOWN_KEY: &str = "unknown key";

/// The entries whose key is known; of the others, a warning that names the nearest one.
pub(super) fn known<'a>(
    node: &'a Node,
    names: &[&'static str],
    warnings: &mut Vec<ConfigError>,
) -> Result<Vec<(&'static str, &'a Entry)>, ConfigError> {
    let mut found = Vec::new();
    for entry in node.object()? {
        if let Some(name) = names.iter().find(|name| **name == entry.key) {
            found.push((*name, entry));
        } else {
            let hint = match warnings.len() < MOST_HINTS {
                true => hint(&entry.key, names),
                false => String::new(),
            };
            warnings.push(entry.place.fault(format!("{UNKNOWN_KEY}{hint}")));
        }
    }
    Ok(found)
}
