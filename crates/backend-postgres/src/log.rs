//! What may stand in a log line: ids, numbers, folders and what the system says of them.

use std::{io, path::Path};

use provider_auth_vault::RecordId;
use tracing::field::{Value, display};

pub(crate) trait Loggable {
    /// How it stands there.
    fn logged(&self) -> impl Value;
}

impl<T: Loggable + ?Sized> Loggable for &T {
    fn logged(&self) -> impl Value {
        (*self).logged()
    }
}

impl Loggable for u64 {
    fn logged(&self) -> impl Value {
        *self
    }
}

impl Loggable for RecordId {
    fn logged(&self) -> impl Value {
        display(*self)
    }
}

impl Loggable for Path {
    fn logged(&self) -> impl Value {
        display(self.display().to_string())
    }
}

impl Loggable for io::Error {
    fn logged(&self) -> impl Value {
        display(self.to_string())
    }
}

impl Loggable for crate::BackendError {
    fn logged(&self) -> impl Value {
        display(self.to_string())
    }
}
