//! Where the key of a vault comes from.

pub(crate) mod finder;
pub(crate) mod keychain;
pub(crate) mod source;
pub(crate) mod text;
