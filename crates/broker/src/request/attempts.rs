//! The attempts that were handed out and not yet forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use provider_auth_policy::{AccountId, Reason, Request};

use crate::config::Provider;
use crate::limits::{ANSWERED_ATTEMPTS, ATTEMPT_LIFE};
use crate::log::Number;

/// One set of headers that was handed out.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) number: Number,
    pub(crate) request: Arc<Request>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) account: AccountId,
    /// By the clock that only goes forward: one that is set must not make an attempt look old.
    pub(crate) handed_out_at: Duration,
    pub(crate) answered: bool,
    /// Why it failed.
    pub(crate) failed_for: Option<Reason>,
}

/// All attempts of this process, by handle.
pub(crate) struct Attempts {
    /// Tells handles of this copy of the addon from those of another in the same process.
    copy: u32,
    next: u64,
    open: BTreeMap<u64, Attempt>,
    /// In the order in which they were handed out; may name attempts that are gone.
    by_age: VecDeque<(Duration, u64)>,
    /// Answered ones, oldest first.
    answered: VecDeque<u64>,
}

impl Attempts {
    pub(crate) fn new(copy: u32) -> Self {
        Self {
            copy,
            next: 0,
            open: BTreeMap::new(),
            by_age: VecDeque::new(),
            answered: VecDeque::new(),
        }
    }

    /// Keeps an attempt and returns its handle, which ends with the version of the headers: who has
    /// those asks for no more.
    pub(crate) fn keep(&mut self, attempt: Attempt, version: u64) -> (String, Vec<AccountId>) {
        let abandoned = self.forget_old(attempt.handed_out_at);
        let number = self.next;
        self.next += 1;
        self.by_age.push_back((attempt.handed_out_at, number));
        self.open.insert(number, attempt);
        let handle = format!("{:08x}-{number:x}-{version:x}", self.copy);
        (handle, abandoned)
    }

    pub(crate) fn get(&self, handle: &str) -> Option<&Attempt> {
        self.open.get(&self.number(handle)?)
    }

    pub(crate) fn get_mut(&mut self, handle: &str) -> Option<&mut Attempt> {
        let number = self.number(handle)?;
        self.open.get_mut(&number)
    }

    /// Marks an attempt as answered: it stays a while, since its stream may still break.
    pub(crate) fn settle(&mut self, handle: &str) {
        let Some(number) = self.number(handle) else {
            return;
        };
        self.answered.push_back(number);
        if self.answered.len() > ANSWERED_ATTEMPTS
            && let Some(oldest) = self.answered.pop_front()
        {
            self.open.remove(&oldest);
        }
    }

    /// Forgets attempts past their life; returns the accounts of those that were never reported.
    fn forget_old(&mut self, now: Duration) -> Vec<AccountId> {
        let mut abandoned = Vec::new();
        while let Some(&(handed_out_at, number)) = self.by_age.front() {
            let gone = !self.open.contains_key(&number);
            if !gone && handed_out_at + ATTEMPT_LIFE > now {
                break;
            }
            self.by_age.pop_front();
            if let Some(attempt) = self.open.remove(&number)
                && !attempt.answered
            {
                abandoned.push(attempt.account);
            }
        }
        abandoned
    }

    fn number(&self, handle: &str) -> Option<u64> {
        let (copy, rest) = handle.split_once('-')?;
        let (number, _) = rest.split_once('-')?;
        (u32::from_str_radix(copy, 16).ok()? == self.copy)
            .then(|| u64::from_str_radix(number, 16).ok())?
    }
}
