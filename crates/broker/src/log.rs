//! What may stand in a log line, by its type: ids, numbers, names of ours and errors as they are;
//! any other text only as [`Shown`]. A secret, an address or a text of unknown origin does not
//! compile. `line!` of the vault's crate writes a line.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use provider_auth_oauth::{CallbackError, OauthError, without_private};
use provider_auth_policy::{
    AccountId, Action, Chance, Failure, Freshness, Reason, Rule, Selection, Source, Standing,
    Timestamp,
};
use provider_auth_vault::{RecordId, VaultError};
use rustls::pki_types::pem;
use tracing::field::{Value, debug, display};

use crate::named;

/// What may stand in a log line.
pub(crate) trait Loggable {
    /// How it stands there.
    fn logged(&self) -> impl Value;
}

/// A text that others have chosen, such as the name of a model: what looks like a key, a token or
/// the address of a person is replaced by a word for it.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a>(pub(crate) &'a str);

/// The handle of an attempt, as a call has passed it in.
#[derive(Clone, Copy)]
pub(crate) struct Handle<'a>(pub(crate) &'a str);

/// Names a request or a refresh in the lines of this and all other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    /// `q` for a request, `f` for a refresh.
    pub(crate) kind: char,
    /// Tells this process from the others.
    pub(crate) process: u32,
    pub(crate) number: u64,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}{:x}", self.process, self.kind, self.number)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_private(self.0))
    }
}

impl fmt::Display for Handle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(named::handle(self.0).unwrap_or_default())
    }
}

impl<T: Loggable + ?Sized> Loggable for &T {
    fn logged(&self) -> impl Value {
        (*self).logged()
    }
}

impl<T: Loggable> Loggable for Arc<T> {
    fn logged(&self) -> impl Value {
        (**self).logged()
    }
}

impl<T: Loggable> Loggable for Option<T> {
    fn logged(&self) -> impl Value {
        self.as_ref().map(T::logged)
    }
}

macro_rules! loggable {
    ($($type:ty),+ => |$value:ident| $logged:expr) => {$(
        impl Loggable for $type {
            fn logged(&self) -> impl Value {
                let $value = self;
                $logged
            }
        }
    )+};
}

loggable!(bool, u16, u32, u64, usize, &'static str => |value| *value);
loggable!(AccountId, RecordId, VaultError, OauthError, CallbackError, rustls::Error, pem::Error, Shown<'_>, Handle<'_>, Number => |value| display(value));
loggable!(Action, Chance, Failure, Freshness, Selection, Source, Standing => |value| debug(value));
loggable!(Reason, Rule => |value| value.as_str());
loggable!(Path => |value| display(value.display()));
loggable!(Timestamp => |value| display(named::rfc3339(*value)));
loggable!(Duration => |value| u64::try_from(value.as_millis()).unwrap_or(u64::MAX));

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use secrecy::SecretString;
    use url::Url;

    use super::*;

    struct Type<T: ?Sized>(PhantomData<T>);

    /// What holds of every type that has nothing better.
    trait Otherwise {
        const IS_LOGGABLE: bool = false;
    }

    impl<T: ?Sized> Otherwise for T {}

    impl<T: Loggable + ?Sized> Type<T> {
        const IS_LOGGABLE: bool = true;
    }

    #[test]
    fn no_secret_address_or_text_of_unknown_origin_may_stand_in_a_line() {
        const {
            assert!(Type::<AccountId>::IS_LOGGABLE);
            assert!(Type::<Option<Shown<'static>>>::IS_LOGGABLE);
            assert!(!Type::<SecretString>::IS_LOGGABLE);
            assert!(!Type::<Option<SecretString>>::IS_LOGGABLE);
            assert!(!Type::<Url>::IS_LOGGABLE);
            assert!(!Type::<String>::IS_LOGGABLE);
            assert!(!Type::<str>::IS_LOGGABLE);
            assert!(!Type::<Vec<u8>>::IS_LOGGABLE);
            assert!(!Type::<serde_json::Value>::IS_LOGGABLE);
            assert!(!Type::<serde_json::Error>::IS_LOGGABLE);
        }
    }

    #[test]
    fn what_is_shown_has_lost_what_looks_private_and_a_handle_is_one_or_nothing() {
        let shown = |text| Shown(text).to_string();
        assert_eq!(shown("gpt-5.1-codex"), "gpt-5.1-codex");
        assert!(!shown("ada@example.com sk-ant-api03-S3CRETS3CRET").contains("S3CRET"));
        assert_eq!(Handle("0000002a-1-ff").to_string(), "0000002a-1-ff");
        assert_eq!(Handle("0000002a-1-S3CRET").to_string(), "");
        let number = Number {
            kind: 'q',
            process: 42,
            number: 255,
        };
        assert_eq!(number.to_string(), "0000002a-qff");
    }
}
