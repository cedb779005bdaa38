//! What a `google.rpc.Status` says in its typed details: why, for how long, and which quota.
//!
//! The details are a list whose entries name their own type, which a JSON pointer cannot follow.
//! They mean the same from every provider that sends them.

use std::time::Duration;

use serde_json::Value;

use crate::limits;
use crate::response::duration::until_reset;
use crate::signals::Reach;
use crate::time::Timestamp;

const TYPES: &str = "type.googleapis.com/google.rpc.";

/// The details of an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Details<'a>(&'a [Value]);

/// A quota that was violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Set when it is one of days: such a quota does not come back within minutes, whatever else is
    /// said.
    pub(crate) is_daily: bool,
    /// What it is about, as far as its name says.
    pub(crate) reach: Option<Reach>,
}

impl<'a> Details<'a> {
    /// Returns the details of an error body; a stream's body is a list with the error in it.
    pub(crate) fn of(body: &'a Value) -> Option<Self> {
        let error = body
            .pointer("/error")
            .or_else(|| body.pointer("/0/error"))?;
        Some(Self(error.get("details")?.as_array()?))
    }

    /// Returns the codes of the error.
    pub(crate) fn reasons(self) -> impl Iterator<Item = &'a str> {
        self.typed("ErrorInfo")
            .filter_map(|info| info.get("reason")?.as_str())
    }

    /// Returns the longest wait that is stated.
    pub(crate) fn wait(self, server_now: Timestamp) -> Option<Duration> {
        let read = |text: &Value| until_reset(text.as_str()?, server_now);
        let retry = self
            .typed("RetryInfo")
            .filter_map(|info| read(info.get("retryDelay")?));
        let quota = self.typed("ErrorInfo").flat_map(|info| {
            ["/metadata/quotaResetDelay", "/metadata/quotaResetTimeStamp"]
                .into_iter()
                .filter_map(|path| read(info.pointer(path)?))
                .collect::<Vec<_>>()
        });
        retry.chain(quota).max()
    }

    /// Returns the quota that was violated, of several the longest.
    pub(crate) fn violation(self) -> Option<Violation> {
        let violations = self
            .typed("QuotaFailure")
            .filter_map(|failure| failure.get("violations")?.as_array())
            .flatten()
            .filter_map(|violation| violation.get("quotaId")?.as_str());
        violations
            .map(|id| Violation {
                is_daily: id.contains("PerDay") || id.contains("Daily"),
                reach: id.contains("PerModel").then_some(Reach::Model),
            })
            .max_by_key(|violation| (violation.is_daily, violation.reach.is_none()))
    }

    /// Tells whether the error names a model.
    pub(crate) fn names_model(self) -> bool {
        self.typed("ErrorInfo")
            .any(|info| info.pointer("/metadata/model").is_some())
    }

    fn typed(self, name: &'static str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |detail| {
            let its = detail.get("@type").and_then(Value::as_str);
            its.and_then(|its| its.strip_prefix(TYPES)) == Some(name)
        })
    }
}

/// Reads a duration that stands in a message right after one of these phrases: `… after 1h43m56s.`
///
/// It tells how long, never what: that is decided by then.
pub(crate) fn wait_in_message(
    phrases: &[&str],
    body: &Value,
    server_now: Timestamp,
) -> Option<Duration> {
    let error = body
        .pointer("/error")
        .or_else(|| body.pointer("/0/error"))?;
    let message = error.get("message")?.as_str()?;
    let (_, rest) = phrases
        .iter()
        .find_map(|phrase| message.split_once(phrase))?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    let duration = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
    let span = until_reset(duration, server_now)?;
    (span <= limits::MONTHLY_LONGEST).then_some(span)
}
