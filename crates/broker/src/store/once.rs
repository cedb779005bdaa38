//! What many accounts have in common is kept once: a hundred thousand keys of one provider say the same of
//! where they belong.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::audience::Audience;
use crate::limits;

/// Names of providers and pools.
static NAMES: Mutex<Option<HashSet<Arc<str>>>> = Mutex::new(None);

/// The last audiences that were read.
static AUDIENCES: Mutex<VecDeque<Weak<Audience>>> = Mutex::new(VecDeque::new());

/// Returns the name as all others have it that are equal.
pub(super) fn kept_once(name: &str) -> Arc<str> {
    let mut names = NAMES.lock();
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name) {
        return known.clone();
    }
    if names.len() >= limits::NAMES_KEPT_ONCE {
        names.retain(|name| Arc::strong_count(name) > 1);
    }
    let name: Arc<str> = name.into();
    // All of them are in use: those that come now are kept each by itself.
    if names.len() < limits::NAMES_KEPT_ONCE {
        names.insert(name.clone());
    }
    name
}

impl Audience {
    /// This audience as others have it that are equal, where one was read lately.
    pub(super) fn kept_once(self: Arc<Self>) -> Arc<Self> {
        let mut known = AUDIENCES.lock();
        let mut alike = known.iter().filter_map(Weak::upgrade);
        if let Some(same) = alike.find(|one| *one == self) {
            return same;
        }
        known.truncate(limits::AUDIENCES_KEPT_ONCE - 1);
        known.push_front(Arc::downgrade(&self));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audience(client: &str) -> Arc<Audience> {
        Arc::new(Audience {
            client_id: Some(client.to_owned()),
            ..Audience::default()
        })
    }

    #[test]
    fn what_is_equal_is_one_for_as_long_as_somebody_has_it() {
        let (one, other) = (
            audience("of one").kept_once(),
            audience("of another").kept_once(),
        );
        assert!(Arc::ptr_eq(&one, &audience("of one").kept_once()));
        assert!(!Arc::ptr_eq(&one, &other));
        let last = Arc::downgrade(&one);
        drop(one);
        assert!(last.upgrade().is_none(), "it is kept by its users alone");
        let (name, same) = (
            kept_once("once, of the test"),
            kept_once("once, of the test"),
        );
        assert!(Arc::ptr_eq(&name, &same));
    }
}
