//! Requests that were asked for lately. One that comes again is named by its number, and nothing of
//! it is read, looked up or checked a second time. Which account serves is decided anew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use provider_auth_policy::Request;

use crate::config::{Origin, Provider};
use crate::limits::ASKED_REQUESTS;
use crate::store::accounts::Accounts;

/// No number names two requests, whichever broker of the process they were asked of.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A request as it was asked for, before anything was tried.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) request: Arc<Request>,
    pub(super) provider: Arc<Provider>,
    pub(super) origin: Option<Origin>,
    pub(super) url: Arc<str>,
}

/// The latest of them.
#[derive(Default)]
pub(super) struct AskedRequests {
    /// Each at the place of its number.
    kept: Vec<Option<Kept>>,
}

struct Kept {
    number: u64,
    asked: Asked,
    /// With other accounts, or another configuration, for which they are read anew, it may mean
    /// something else.
    under: Weak<Accounts>,
}

impl AskedRequests {
    /// Keeps what was asked under these accounts, in place of the oldest; returns its number.
    pub(super) fn keep(&mut self, asked: Asked, under: &Arc<Accounts>) -> u64 {
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let place = place(number);
        if self.kept.len() <= place {
            self.kept.resize_with(place + 1, || None);
        }
        self.kept[place] = Some(Kept {
            number,
            asked,
            under: Arc::downgrade(under),
        });
        number
    }

    /// The request of this number, if it is kept and means the same under these accounts.
    pub(super) fn get(&self, number: u64, under: &Arc<Accounts>) -> Option<Asked> {
        let kept = self.kept.get(place(number))?.as_ref()?;
        let is_same = kept.number == number && Weak::as_ptr(&kept.under) == Arc::as_ptr(under);
        is_same.then(|| kept.asked.clone())
    }
}

fn place(number: u64) -> usize {
    (number % ASKED_REQUESTS) as usize
}
