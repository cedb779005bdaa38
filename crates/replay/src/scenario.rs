//! The scenario file: who is in the pool, what the provider does, and when requests come.
//!
//! It is JSON with comments and trailing commas, as the product's own configuration is: what a
//! scenario shows has to stand beside its numbers, and the workspace reads that format already.

use std::time::Duration;

use provider_auth_policy::Timestamp;
use serde::Deserialize;

/// When every scenario begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// One scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// Its name in reports.
    pub title: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// How long it lasts.
    pub minutes: f64,
    /// Seed of the random numbers.
    pub seed: u64,
    /// How long a prompt cache stays warm after its last use. Default: 5 minutes.
    #[serde(default = "five")]
    pub cache_minutes: f64,
    /// Time to the first byte of an answer.
    pub answer_ms: u64,
    /// Time to a refusal.
    pub refusal_ms: u64,
    /// How long a request may wait for an account. Default: that of the policy.
    pub max_wait_seconds: Option<f64>,
    /// The accounts, in the order of the user's list.
    pub accounts: Vec<Account>,
    /// The streams of requests.
    pub arrivals: Vec<Arrivals>,
    /// What goes wrong at the provider, for every account.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// Models that the provider does not have.
    #[serde(default)]
    pub missing_models: Vec<String>,
    /// When this machine's clock is set.
    #[serde(default)]
    pub clock_jumps: Vec<ClockJump>,
}

/// An account and its quota windows.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// The lowest serves first. Default: 0.
    #[serde(default)]
    pub priority: i64,
    /// Whether it is an API key. Default: a login.
    #[serde(default)]
    pub is_key: bool,
    /// Endpoints that it has no right to: 401 without a code.
    #[serde(default)]
    pub restricted: Vec<String>,
    /// Its windows; without one it always serves.
    #[serde(default)]
    pub windows: Vec<Window>,
}

/// A quota window: it fills with requests and empties at fixed times.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// How many requests fit.
    pub requests: u32,
    /// How long it lasts.
    pub minutes: f64,
    /// How much of it has passed when the scenario begins.
    #[serde(default)]
    pub elapsed_minutes: f64,
    /// Requests that are in it when the scenario begins.
    #[serde(default)]
    pub used: u32,
    /// The one model it counts. Default: all.
    pub model: Option<String>,
    /// How a refusal tells of it.
    pub says: Says,
    /// Set when it empties this long after its first refusal, and not only at the time it states.
    pub returns_after_minutes: Option<f64>,
}

/// How a refusal tells of its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Says {
    /// Anthropic's headers of the five-hour window.
    FiveHours,
    /// Anthropic's headers of the weekly window.
    Week,
    /// Anthropic's headers of the weekly window of one model family.
    ModelWeek,
    /// A `retry-after`.
    RetryAfter,
    /// OpenAI's code and time in the body.
    Body,
    /// Nothing but the status.
    Nothing,
}

/// A stream of requests.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Arrivals {
    /// The model they ask for.
    pub model: String,
    /// The endpoint that they go to. Default: that of chats.
    #[serde(default = "chat")]
    pub path: String,
    /// What is wrong with them.
    pub flaw: Option<Flaw>,
    /// Conversations that take turns; streams share them.
    pub sessions: u32,
    /// Time from one to the next.
    pub every_seconds: f64,
    /// Requests that come at once each time. Default: one.
    #[serde(default = "one")]
    pub together: u32,
    /// When the first one comes.
    #[serde(default)]
    pub from_minute: f64,
    /// When the last one has come. Default: the end.
    pub to_minute: Option<f64>,
}

/// What is wrong with a request, or with what it brings about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// 403 without a known code, for every account.
    Forbidden,
    /// 413 with the code of a rate limit.
    TooLarge,
    /// 402: it would cost more than there is.
    TooDear,
    /// Its stream breaks after it began.
    Breaks,
}

/// Something that goes wrong at the provider, for every account.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// When it begins.
    pub from_minute: f64,
    /// When it is over.
    pub to_minute: f64,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// 529: no capacity.
    Overloaded,
    /// 429 for everything that comes from this machine's address, until the fault is over.
    Egress,
}

/// This machine's clock is set.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClockJump {
    /// When.
    pub at_minute: f64,
    /// By how much; negative is back.
    pub by_minutes: i64,
}

/// A scenario that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the scenario cannot be read: {0}")]
pub struct UnreadableScenario(String);

impl Scenario {
    /// Reads the text of a scenario file.
    ///
    /// # Errors
    /// When the text is not JSON with comments, or not a scenario; the message says where.
    pub fn parse(text: &str) -> Result<Self, UnreadableScenario> {
        let options = jsonc_parser::ParseOptions::default();
        jsonc_parser::parse_to_serde_value(text, &options)
            .map_err(|error| UnreadableScenario(error.to_string()))
    }

    pub(crate) fn life(&self) -> Duration {
        minutes(self.minutes)
    }

    pub(crate) fn cache_life(&self) -> Duration {
        minutes(self.cache_minutes)
    }
}

/// Returns a span of so many minutes; a negative one is none.
pub(crate) fn minutes(count: f64) -> Duration {
    Duration::from_secs_f64((count * 60.0).max(0.0))
}

fn five() -> f64 {
    5.0
}

fn chat() -> String {
    "/v1/chat/completions".to_owned()
}

fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = Scenario::parse(r#"{ "titel": "x" }"#).unwrap_err();
        assert!(error.to_string().contains("titel"), "{error}");
    }
}
