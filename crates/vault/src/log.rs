//! What may stand in a log line. A value says so by its type: a text of a length that is not known
//! when this is compiled, a secret or an address does not, so that none gets there by accident.

use std::{
    io,
    path::{Path, PathBuf},
};

use tracing::field::{Value, display};

use crate::{KeySource, RecordId, VaultError};

/// Writes a log line: a level, fields whose types are [`Loggable`], and a text.
///
/// The crate that calls it has a `crate::log::Loggable` of its own, with the types that it knows.
/// Nothing is looked at while nothing listens.
#[macro_export]
#[doc(hidden)]
#[expect(
    clippy::crate_in_macro_def,
    reason = "each crate knows its own types: see `Loggable`"
)]
macro_rules! line {
    ($level:ident, $($field:ident = $value:expr,)* $text:literal) => {
        $crate::__line::event!(
            $crate::__line::Level::$level,
            $($field = crate::log::Loggable::logged(&$value),)*
            $text
        )
    };
}

/// What may stand in a log line.
pub(crate) trait Loggable {
    /// How it stands there.
    fn logged(&self) -> impl Value;
}

impl<T: Loggable + ?Sized> Loggable for &T {
    fn logged(&self) -> impl Value {
        (*self).logged()
    }
}

macro_rules! as_it_is {
    ($($type:ty),*) => {$(
        impl Loggable for $type {
            fn logged(&self) -> impl Value {
                *self
            }
        }
    )*};
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl Loggable for $type {
            fn logged(&self) -> impl Value {
                display(self)
            }
        }
    )*};
}

as_it_is!(u32, u64);
as_text!(RecordId, KeySource, VaultError, io::Error);

impl Loggable for PathBuf {
    fn logged(&self) -> impl Value {
        display(self.display())
    }
}

impl Loggable for Path {
    fn logged(&self) -> impl Value {
        display(self.display())
    }
}
