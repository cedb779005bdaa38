//! Counts what each pool did since the process began.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::events::EventKind;

/// Counts of one pool since the process began.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolFigures {
    /// Requests that asked for headers.
    pub requests: u64,
    /// Headers handed out.
    pub attempts: u64,
    /// Requests that moved to another account.
    pub rotations: u64,
    /// Tokens renewed.
    pub refreshes: u64,
    /// Renewals that failed.
    pub refresh_failures: u64,
    /// Requests that no account could serve.
    pub exhausted: u64,
}

/// The counts of all pools.
#[derive(Default)]
pub(super) struct Figures {
    /// Where the counts of each pool are.
    places: BTreeMap<Arc<str>, BTreeMap<Arc<str>, usize>>,
    counts: Vec<PoolFigures>,
    /// The pool of the last count, which nearly always is that of the next one.
    last: Option<(Arc<str>, Arc<str>, usize)>,
}

/// Provider and namespace.
pub(crate) type PoolName<'a> = (&'a Arc<str>, &'a Arc<str>);

impl Figures {
    /// Counts a request that asks for headers for the first time.
    pub(super) fn request(&mut self, pool: PoolName<'_>) {
        self.of(pool).requests += 1;
    }

    /// Counts what an event tells of.
    pub(super) fn count(&mut self, kind: EventKind, pool: PoolName<'_>) {
        let count = match kind {
            EventKind::Chosen => &mut self.of(pool).attempts,
            EventKind::Rotated => &mut self.of(pool).rotations,
            EventKind::Exhausted => &mut self.of(pool).exhausted,
            EventKind::Refreshed => &mut self.of(pool).refreshes,
            EventKind::RefreshFailed => &mut self.of(pool).refresh_failures,
            _ => return,
        };
        *count += 1;
    }

    pub(super) fn get(&self, provider: &str, namespace: &str) -> PoolFigures {
        let pools = self.places.get(provider);
        let place = pools.and_then(|pools| pools.get(namespace));
        let counts = place.and_then(|place| self.counts.get(*place));
        counts.copied().unwrap_or_default()
    }

    fn of(&mut self, (provider, namespace): PoolName<'_>) -> &mut PoolFigures {
        let place = match &self.last {
            Some((of, within, place)) if of == provider && within == namespace => *place,
            _ => {
                let pools = self.places.entry(provider.clone()).or_default();
                let next = self.counts.len();
                let place = *pools.entry(namespace.clone()).or_insert(next);
                if place == next {
                    self.counts.push(PoolFigures::default());
                }
                self.last = Some((provider.clone(), namespace.clone(), place));
                place
            }
        };
        &mut self.counts[place]
    }
}
