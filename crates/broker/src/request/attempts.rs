//! The attempts that were handed out and not yet forgotten.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use provider_auth_policy::{AccountId, Reason, Request, Timestamp};

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
    /// The attempt, as long as the request does not count it: that takes a copy of the request,
    /// which can wait until somebody asks for it.
    pub(crate) uncounted: Option<Uncounted>,
    /// By the clock that only goes forward: one that is set must not make an attempt look old.
    pub(crate) handed_out_at: Duration,
    pub(crate) answered: bool,
    /// Why it failed.
    pub(crate) failed_for: Option<Reason>,
}

/// What a request has to know of an attempt.
#[derive(Clone, Copy)]
pub(crate) struct Uncounted {
    pub(crate) generation: u64,
    pub(crate) at: Timestamp,
}

/// All attempts of this process, by handle.
pub(crate) struct Attempts {
    /// Tells handles of this copy of the addon from those of another in the same process.
    copy: u32,
    /// In the order of their numbers, in which they were handed out; `None` for those that are
    /// gone.
    open: VecDeque<Option<Box<Attempt>>>,
    /// The number of the first of them.
    first: u64,
    /// Answered ones, oldest first.
    answered: VecDeque<u64>,
}

impl Attempts {
    pub(crate) fn new(copy: u32) -> Self {
        Self {
            copy,
            open: VecDeque::new(),
            first: 0,
            answered: VecDeque::new(),
        }
    }

    /// Keeps an attempt and returns its handle, which ends with the version of the headers: who has
    /// those asks for no more.
    pub(crate) fn keep(&mut self, attempt: Attempt, version: u64) -> (String, Vec<AccountId>) {
        let abandoned = self.forget_old(attempt.handed_out_at);
        let number = self.first + self.open.len() as u64;
        self.open.push_back(Some(Box::new(attempt)));
        (handle(self.copy, number, version), abandoned)
    }

    /// The attempt of this handle, counted by its request.
    pub(crate) fn get(&mut self, handle: &str) -> Option<(u64, &mut Attempt)> {
        let (number, attempt) = self.look(handle)?;
        if let Some(Uncounted { generation, at }) = attempt.uncounted.take() {
            let request = Arc::make_mut(&mut attempt.request);
            request.begin_attempt(&attempt.account, generation, at);
        }
        Some((number, attempt))
    }

    /// The attempt of this handle and its number; its request may not count it.
    pub(crate) fn look(&mut self, handle: &str) -> Option<(u64, &mut Attempt)> {
        let number = self.number(handle)?;
        Some((number, self.place(number)?.as_deref_mut()?))
    }

    /// Marks an attempt as answered: it stays a while, since its stream may still break.
    pub(crate) fn settle(&mut self, number: u64) {
        self.answered.push_back(number);
        if self.answered.len() > ANSWERED_ATTEMPTS
            && let Some(oldest) = self.answered.pop_front()
            && let Some(place) = self.place(oldest)
        {
            *place = None;
        }
    }

    /// Forgets attempts past their life; returns the accounts of those that were never reported.
    fn forget_old(&mut self, now: Duration) -> Vec<AccountId> {
        let mut abandoned = Vec::new();
        while let Some(oldest) = self.open.front() {
            let lives = |attempt: &Attempt| attempt.handed_out_at + ATTEMPT_LIFE > now;
            if oldest.as_deref().is_some_and(lives) {
                break;
            }
            self.first += 1;
            if let Some(Some(attempt)) = self.open.pop_front()
                && !attempt.answered
            {
                abandoned.push(attempt.account);
            }
        }
        abandoned
    }

    fn place(&mut self, number: u64) -> Option<&mut Option<Box<Attempt>>> {
        let place = number.checked_sub(self.first)?;
        self.open.get_mut(usize::try_from(place).ok()?)
    }

    fn number(&self, handle: &str) -> Option<u64> {
        let (copy, rest) = handle.split_once('-')?;
        let (number, _) = rest.split_once('-')?;
        (u32::from_str_radix(copy, 16).ok()? == self.copy)
            .then(|| u64::from_str_radix(number, 16).ok())?
    }
}

/// The parts in hexadecimal digits. Made for every request, so without the machinery of `format!`.
fn handle(copy: u32, number: u64, version: u64) -> String {
    let mut text = [b'-'; 8 + 1 + 16 + 1 + 16 + 1];
    let mut end = 0;
    for (part, least) in [(copy.into(), 8), (number, 1), (version, 1)] {
        let digits = (16 - part.leading_zeros() as usize / 4).max(least);
        let mut left: u64 = part;
        for place in text[end..end + digits].iter_mut().rev() {
            *place = b"0123456789abcdef"[(left & 0xf) as usize];
            left >>= 4;
        }
        end += digits + 1;
    }
    let text = str::from_utf8(&text[..end - 1]);
    text.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_three_numbers() {
        for (copy, number, version) in [
            (0, 0, 0),
            (1, 0xf, 0x10),
            (u32::MAX, u64::MAX, u64::MAX),
            (0xab_cdef, 0x1234_5678_9abc_def0, 0x100),
        ] {
            let expected = format!("{copy:08x}-{number:x}-{version:x}");
            assert_eq!(handle(copy, number, version), expected);
        }
    }
}
