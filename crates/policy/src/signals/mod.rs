//! What a provider's responses look like, as data: a provider is a table, not code.

pub(crate) mod codes;
pub(crate) mod generic;
pub(crate) mod meters;
pub(crate) mod observed;
pub(crate) mod providers;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::reason::Reason;

/// Where a provider's responses say what, and which words mean which reason.
///
/// No message is ever matched to tell what happened. For how long is read from one where nothing
/// else says it, after the phrases of [`wait_phrases`](Self::wait_phrases).
#[derive(Debug, Clone)]
pub struct Signals {
    /// What a user says of this provider's refusals; looked at first, and the first that fits
    /// decides alone.
    pub rules: Option<Arc<[LimitRule]>>,
    /// JSON pointers at which a code may stand; the first one with a known code decides. What
    /// follows a colon in a code is not part of it.
    pub code_paths: &'static [&'static str],
    /// Known codes, in tables of which the first one that knows a code decides.
    pub codes: &'static [&'static [KnownCode]],
    /// JSON pointers at which a 403 says what in the request it refuses: whatever stands there, the
    /// account serves others.
    pub input_paths: &'static [&'static str],
    /// JSON pointers at which the body states a wait; the first readable one counts.
    pub wait_paths: &'static [(&'static str, WaitUnit)],
    /// Phrases in the error's message right after which a duration stands, when nothing else states
    /// a wait.
    pub wait_phrases: &'static [&'static str],
    /// Quota windows that headers tell of.
    pub windows: &'static [Window],
    /// The header over all windows, read when no single window says that it refuses.
    pub overall: Option<Window>,
    /// Short-term meters that headers tell of.
    pub meters: &'static [Meter],
    /// How long a prompt cache stays warm after its last use.
    pub binding_life: Duration,
}

/// What a user says that a refusal means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRule {
    /// HTTP status; any of a refusal when absent.
    pub status: Option<u16>,
    /// A JSON pointer into the body, and the text that stands there; a number counts as its digits.
    pub body: Option<(String, String)>,
    /// What it means.
    pub reason: Reason,
    /// What it is about, where that is not the usual thing for the reason.
    pub reach: Option<Reach>,
    /// JSON pointer to how long to stay away: seconds, a span (`6m0s`), a Unix time, or a date and
    /// time (RFC 3339).
    pub wait: Option<String>,
}

impl LimitRule {
    fn fits(&self, status: Option<u16>, body: Option<&Value>) -> bool {
        let stands = |(path, wanted): &(String, String)| {
            let found = body.and_then(|body| text_at(body, path));
            found.is_some_and(|found| found == *wanted)
        };
        self.status.is_none_or(|wanted| status == Some(wanted))
            && self.body.as_ref().is_none_or(stands)
    }
}

/// The text or number that stands at a pointer.
pub(crate) fn text_at<'a>(body: &'a Value, path: &str) -> Option<Cow<'a, str>> {
    match body.pointer(path)? {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}

/// What a structured code means.
#[derive(Debug, Clone, Copy)]
pub struct KnownCode {
    /// The code, exactly.
    pub code: &'static str,
    /// What it means.
    pub reason: Reason,
    /// What it is about, where that is not the usual thing for the reason.
    pub reach: Option<Reach>,
    /// Longest believable time to the reset of the window that it names, where it names one.
    pub longest: Option<Duration>,
}

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This request alone: the account serves others.
    Request,
    /// The whole account.
    Account,
    /// The account with this model.
    Model,
    /// The model, whichever account asks.
    ProviderModel,
    /// Everything from this machine.
    Egress,
}

/// How a body writes a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitUnit {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Millis,
    /// A Unix time in seconds; one that is past says nothing.
    UnixSeconds,
}

/// A quota window that headers tell of.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Its name in the shared state.
    pub name: &'static str,
    /// Header that says `rejected`; without one, 100 % of use counts as that.
    pub status: Option<&'static str>,
    /// Header with the time of its reset.
    pub reset: &'static str,
    /// Header with its use.
    pub used: Option<(&'static str, UsedUnit)>,
    /// Longest believable time to its reset.
    pub longest: Duration,
    /// Header with its length in minutes, which then decides that.
    pub minutes: Option<&'static str>,
    /// What it is about.
    pub reach: Reach,
}

/// How a header writes the use of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedUnit {
    /// From 0 to 1.
    Fraction,
    /// From 0 to 100.
    Percent,
}

/// A short-term meter that headers tell of.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    /// Header with what is left.
    pub remaining: &'static str,
    /// Header with the time of its reset.
    pub reset: &'static str,
    /// How long it lasts, where its name says so.
    pub length: Option<Duration>,
}

pub(crate) const fn code(code: &'static str, reason: Reason) -> KnownCode {
    KnownCode {
        code,
        reason,
        reach: None,
        longest: None,
    }
}

pub(crate) const fn code_about(code: &'static str, reason: Reason, reach: Reach) -> KnownCode {
    KnownCode {
        code,
        reason,
        reach: Some(reach),
        longest: None,
    }
}

/// The code of a spent window of this length.
pub(crate) const fn spent_window(code: &'static str, longest: Duration) -> KnownCode {
    KnownCode {
        code,
        reason: Reason::QuotaExhausted,
        reach: Some(Reach::Account),
        longest: Some(longest),
    }
}

impl Signals {
    /// The rule of the user that fits a refusal.
    pub(crate) fn rule(&self, status: Option<u16>, body: Option<&Value>) -> Option<&LimitRule> {
        let mut rules = self.rules.iter().flat_map(|rules| rules.iter());
        rules.find(|rule| rule.fits(status, body))
    }
}
