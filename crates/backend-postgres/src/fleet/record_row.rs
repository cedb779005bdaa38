//! What is known of one record beside its bytes.

use provider_auth_vault::{Revision, Stamp};

use super::write_behind::Writing;
use crate::{Changed, Sealed};

/// A record as it was last heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) generation: u64,
    pub(super) epoch: u32,
    /// The transaction that wrote it, or one of the two below.
    pub(super) changed: u64,
    pub(super) gone: bool,
}

impl Row {
    pub(super) fn of(sealed: &Sealed, changed: u64) -> Self {
        Self {
            generation: sealed.generation,
            epoch: sealed.epoch,
            changed,
            gone: sealed.gone,
        }
    }

    pub(super) fn writing(&self) -> Writing {
        (self.generation, self.epoch)
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp::Settled(Revision([
            self.generation.into(),
            self.epoch.into(),
            self.changed.into(),
            self.gone.into(),
        ]))
    }

    /// Whether the store does not have it yet.
    pub(super) fn waits(&self) -> bool {
        self.changed == WAITS
    }

    /// Whether the store tells of what is known already, or of less: new tokens that wait here count
    /// until it has something newer.
    pub(super) fn is_told(&self, told: &Self) -> bool {
        (self.waits() && self.generation > told.generation)
            || self == told
            || (self.changed == OURS && self.writing() == told.writing() && self.gone == told.gone)
    }
}

/// It waits in the outbox.
pub(super) const WAITS: u64 = 0;
/// This process wrote it, and the store has not told of it yet. No transaction has so low a number.
pub(super) const OURS: u64 = 1;

impl From<&Changed> for Row {
    fn from(changed: &Changed) -> Self {
        Self {
            generation: changed.generation,
            epoch: changed.epoch,
            changed: changed.changed,
            gone: changed.gone,
        }
    }
}
