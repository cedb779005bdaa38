//! What a diagnosis says: one finding after the other, each with why it matters and what to do.

use std::collections::BTreeMap;
use std::fmt::Display;

use provider_auth_policy::Timestamp;

/// What was found, and when.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// When it was asked for.
    pub at: Timestamp,
    /// In the order of the topics; what is good is among them.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Topic and what of it, such as `keychain.locked`. Never changes.
    pub id: &'static str,
    /// How bad it is.
    pub state: State,
    /// What is so.
    pub title: String,
    /// Why it matters.
    pub why: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Whether a diagnosis that may mend things mends it.
    pub fixable: bool,
    /// Whether this one has.
    pub fixed: bool,
    /// Names and numbers: `provider`, `accountId`, `file`, …
    pub details: BTreeMap<String, String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// It may become a problem.
    Warning,
    /// Something does not work, or a secret is in danger.
    Problem,
}

impl State {
    /// The name in JavaScript.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

impl Finding {
    fn new(id: &'static str, state: State, title: impl Into<String>) -> Self {
        Self {
            id,
            state,
            title: title.into(),
            why: None,
            remedy: None,
            fixable: false,
            fixed: false,
            details: BTreeMap::new(),
        }
    }

    pub(super) fn ok(id: &'static str, title: impl Into<String>) -> Self {
        Self::new(id, State::Ok, title)
    }

    pub(super) fn note(id: &'static str, title: impl Into<String>) -> Self {
        Self::new(id, State::Note, title)
    }

    pub(super) fn warning(id: &'static str, title: impl Into<String>) -> Self {
        Self::new(id, State::Warning, title)
    }

    pub(super) fn problem(id: &'static str, title: impl Into<String>) -> Self {
        Self::new(id, State::Problem, title)
    }

    pub(super) fn why(self, why: impl Into<String>) -> Self {
        Self {
            why: Some(why.into()),
            ..self
        }
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }

    pub(super) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.details.insert(name.to_owned(), value.to_string());
        self
    }

    /// Marks it as one that can be mended, and says whether it was.
    pub(super) fn fixable(self, fixed: bool) -> Self {
        Self {
            fixable: true,
            fixed,
            ..self
        }
    }
}

/// `2 h 5 min`: the two largest units.
pub(super) fn span(millis: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = millis.div_ceil(1000);
    let mut parts = Vec::new();
    for (unit, name) in UNITS {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            parts.push(format!("{count} {name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() {
        parts.push("0 s".to_owned());
    }
    parts.join(" ")
}

/// `in 2 h`, or `2 h ago`.
pub(super) fn relative(at: u64, now: u64) -> String {
    match at.checked_sub(now) {
        Some(ahead) => format!("in {}", span(ahead)),
        None => format!("{} ago", span(now - at)),
    }
}
