//! A system without a keychain that we know.

use zeroize::Zeroizing;

use super::{Refusal, Request};

pub(super) fn find(_: &Request) -> Result<Option<Zeroizing<String>>, Refusal> {
    Err(unknown())
}

pub(super) fn keep(_: &Request, _: &str) -> Result<(), Refusal> {
    Err(unknown())
}

pub(super) fn put(_: &Request, _: &str) -> Result<(), Refusal> {
    Err(unknown())
}

pub(super) fn forget(_: &Request) -> Result<(), Refusal> {
    Err(unknown())
}

fn unknown() -> Refusal {
    Refusal::Unavailable("this system has none that is supported".to_owned())
}
