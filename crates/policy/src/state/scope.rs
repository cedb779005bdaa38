//! What a block is about, and what of a request a block may be about.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::account::AccountId;

/// What a block is about.
///
/// The file of the shared state writes it as text, such as `account:ID` or `model:ID:MODEL`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The whole account.
    Account(AccountId),
    /// This machine's address at the provider, whichever account asks and whatever for.
    Egress(Arc<str>),
    /// One model of one account.
    Model(AccountId, String),
    /// One endpoint of one account.
    Path(AccountId, String),
    /// One model of the provider, whichever account asks.
    ProviderModel(Arc<str>, String),
    /// The text of a scope that a later version wrote: it is kept, and blocks nothing here.
    Unknown(String),
}

impl Scope {
    /// Returns the model that it is about, if it is about one.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Model(_, model) | Self::ProviderModel(_, model) => Some(model),
            Self::Account(_) | Self::Path(..) | Self::Egress(_) | Self::Unknown(_) => None,
        }
    }

    /// Returns the one account that it is about, if it is about one.
    pub(crate) const fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Account(id) | Self::Model(id, _) | Self::Path(id, _) => Some(id),
            Self::ProviderModel(..) | Self::Egress(_) | Self::Unknown(_) => None,
        }
    }

    /// Returns how the shared state writes it.
    pub(crate) fn text(&self) -> impl fmt::Display {
        Text(self)
    }

    /// Tells whether another account of the pool would meet the same block.
    pub(crate) const fn spans_accounts(&self) -> bool {
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

/// How the shared state writes a scope.
struct Text<'a>(&'a Scope);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Scope::Account(id) => write!(f, "account:{id}"),
            Scope::Egress(provider) => write!(f, "egress:{provider}"),
            Scope::Model(id, model) => write!(f, "model:{id}:{model}"),
            Scope::Path(id, path) => write!(f, "path:{id}:{path}"),
            Scope::ProviderModel(provider, model) => {
                write!(f, "provider-model:{provider}:{model}")
            }
            Scope::Unknown(text) => f.write_str(text),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Text(self))
    }
}

/// Reads the text of the shared state. Neither account ids nor names of providers hold a colon.
impl From<&str> for Scope {
    fn from(text: &str) -> Self {
        let known = || {
            let (kind, rest) = text.split_once(':')?;
            let parts = || rest.split_once(':');
            Some(match kind {
                "account" => Self::Account(rest.into()),
                "egress" => Self::Egress(rest.into()),
                "model" => parts().map(|(id, model)| Self::Model(id.into(), model.to_owned()))?,
                "path" => parts().map(|(id, path)| Self::Path(id.into(), path.to_owned()))?,
                "provider-model" => {
                    parts().map(|(id, model)| Self::ProviderModel(id.into(), model.to_owned()))?
                }
                _ => return None,
            })
        };
        known().unwrap_or_else(|| Self::Unknown(text.to_owned()))
    }
}

impl From<String> for Scope {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

/// A scope to look up, in the order of [`Scope`]: made without a copy of any text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ScopeRef<'a> {
    Account(&'a str),
    Egress(&'a str),
    Model(&'a str, &'a str),
    Path(&'a str, &'a str),
    ProviderModel(&'a str, &'a str),
    Unknown(&'a str),
}

/// What a block is found by.
pub(crate) trait ScopeKey {
    fn as_ref(&self) -> ScopeRef<'_>;
}

impl ScopeKey for Scope {
    fn as_ref(&self) -> ScopeRef<'_> {
        match self {
            Self::Account(id) => ScopeRef::Account(id.as_str()),
            Self::Egress(provider) => ScopeRef::Egress(provider),
            Self::Model(id, model) => ScopeRef::Model(id.as_str(), model),
            Self::Path(id, path) => ScopeRef::Path(id.as_str(), path),
            Self::ProviderModel(provider, model) => ScopeRef::ProviderModel(provider, model),
            Self::Unknown(text) => ScopeRef::Unknown(text),
        }
    }
}

impl ScopeKey for ScopeRef<'_> {
    fn as_ref(&self) -> ScopeRef<'_> {
        *self
    }
}

impl<'a> Borrow<dyn ScopeKey + 'a> for Scope {
    fn borrow(&self) -> &(dyn ScopeKey + 'a) {
        self
    }
}

impl PartialEq for dyn ScopeKey + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for dyn ScopeKey + '_ {}

impl PartialOrd for dyn ScopeKey + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn ScopeKey + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

/// What of a request a block may be about, beside the account.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) model: Option<&'a str>,
    pub(crate) path: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Returns every scope whose block stands in the way of a request to this account.
    pub(crate) fn scopes(
        self,
        account: &'a AccountId,
        provider: &'a str,
    ) -> [Option<ScopeRef<'a>>; 5] {
        let id = account.as_str();
        [
            Some(ScopeRef::Account(id)),
            self.model.map(|model| ScopeRef::Model(id, model)),
            self.path.map(|path| ScopeRef::Path(id, path)),
            self.model
                .map(|model| ScopeRef::ProviderModel(provider, model)),
            Some(ScopeRef::Egress(provider)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_written_as_text_and_read_back() {
        let texts = [
            ("account:01J", Scope::Account("01J".into())),
            ("egress:acme", Scope::Egress("acme".into())),
            ("model:01J:m:1", Scope::Model("01J".into(), "m:1".into())),
            ("path:01J:/v1/x", Scope::Path("01J".into(), "/v1/x".into())),
            (
                "provider-model:acme:m:1",
                Scope::ProviderModel("acme".into(), "m:1".into()),
            ),
            ("model:01J", Scope::Unknown("model:01J".into())),
            ("region:eu:acme", Scope::Unknown("region:eu:acme".into())),
            ("", Scope::Unknown(String::new())),
        ];
        for (text, scope) in texts {
            assert_eq!(Scope::from(text), scope);
            assert_eq!(serde_json::to_value(&scope).unwrap(), text);
        }
    }

    #[test]
    fn a_scope_is_found_as_it_is_sorted() {
        let ids = ["", "a", "a:b", "b"];
        let scopes: Vec<Scope> = ids
            .iter()
            .flat_map(|id| {
                let pairs = ids.map(|name| (*id, name.to_owned()));
                let of = |make: fn((&str, String)) -> Scope| pairs.clone().map(make);
                let single = [
                    Scope::Account((*id).into()),
                    Scope::Egress((*id).into()),
                    Scope::Unknown((*id).to_owned()),
                ];
                single
                    .into_iter()
                    .chain(of(|(id, name)| Scope::Model(id.into(), name)))
                    .chain(of(|(id, name)| Scope::Path(id.into(), name)))
                    .chain(of(|(id, name)| Scope::ProviderModel(id.into(), name)))
            })
            .collect();
        for one in &scopes {
            for other in &scopes {
                assert_eq!(one.cmp(other), one.as_ref().cmp(&other.as_ref()));
            }
        }
    }
}
