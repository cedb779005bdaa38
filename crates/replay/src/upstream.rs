//! The provider: windows that fill and empty, faults, and the answers that tell of them.

use std::collections::BTreeMap;
use std::time::Duration;

use provider_auth_policy::Timestamp;

use crate::scenario::{Account, FaultKind, Flaw, Says, Scenario, Window, minutes};

/// How long a refusal that states no time is a cause to be elsewhere: the longest rest of the policy's ladder.
const SILENT_REFUSAL: Duration = Duration::from_secs(15 * 60);

/// One request, as the provider gets it and a rotator knows it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: usize,
    pub(crate) session: String,
    pub(crate) model: String,
    pub(crate) path: String,
    pub(crate) flaw: Option<Flaw>,
}

/// An answer of the provider.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// Response headers, lower-case names.
    pub(crate) headers: BTreeMap<&'static str, String>,
    /// Body of an error.
    pub(crate) body: Option<String>,
    /// When it ends the refusal, as far as it says.
    pub(crate) until: Option<Timestamp>,
    /// The model that the refusal is about; `None` is the whole account.
    pub(crate) model: Option<String>,
    /// Whether its stream breaks after it began.
    pub(crate) breaks: bool,
}

/// The provider, by its own clock.
#[derive(Debug)]
pub(crate) struct Upstream {
    accounts: Vec<Vec<Meter>>,
    /// Refusals of each account: which model, `None` for all, and until when it said so.
    refusals: Vec<Vec<(Option<String>, Timestamp)>>,
    faults: Vec<(FaultKind, Timestamp, Timestamp)>,
    missing_models: Vec<String>,
    /// Endpoints that each account has no right to.
    restricted: Vec<Vec<String>>,
}

/// One window of one account.
#[derive(Debug)]
struct Meter {
    window: Window,
    used: u32,
    resets_at: Timestamp,
    /// When it empties although it says otherwise.
    returns_at: Option<Timestamp>,
    has_returned: bool,
}

impl Upstream {
    pub(crate) fn new(scenario: &Scenario, start: Timestamp) -> Self {
        let meters = |account: &Account| {
            let meter = |window: &Window| Meter {
                resets_at: start + minutes(window.minutes - window.elapsed_minutes),
                used: window.used,
                window: window.clone(),
                returns_at: None,
                has_returned: false,
            };
            account.windows.iter().map(meter).collect()
        };
        let at = |minute: f64| start + minutes(minute);
        let faults = scenario.faults.iter();
        Self {
            accounts: scenario.accounts.iter().map(meters).collect(),
            missing_models: scenario.missing_models.clone(),
            restricted: scenario
                .accounts
                .iter()
                .map(|account| account.restricted.clone())
                .collect(),
            refusals: vec![Vec::new(); scenario.accounts.len()],
            faults: faults
                .map(|fault| (fault.kind, at(fault.from_minute), at(fault.to_minute)))
                .collect(),
        }
    }

    /// Tells whether the account would answer a request for this model now.
    pub(crate) fn would_serve(&mut self, account: usize, call: &Call, now: Timestamp) -> bool {
        let model = &call.model;
        self.fault(now).is_none() && self.is_good(call) && !self.restricts(account, call) && {
            let meters = &mut self.accounts[account];
            meters.iter_mut().for_each(|meter| meter.pass(now));
            meters.iter().all(|meter| !meter.refuses(model))
        }
    }

    /// Tells whether the account's own word still stands that it refuses this model.
    pub(crate) fn has_refused(&self, account: usize, model: &str, now: Timestamp) -> bool {
        let mut refusals = self.refusals[account].iter();
        refusals.any(|(of, until)| now < *until && of.as_deref().is_none_or(|of| of == model))
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, account: usize, call: &Call, now: Timestamp) -> Answer {
        let model = &call.model;
        let answer = match self.refused_by_itself(account, call, now) {
            Some(answer) => answer,
            None => Answer {
                breaks: call.flaw == Some(Flaw::Breaks),
                ..self.judge(account, model, now)
            },
        };
        let refusals = &mut self.refusals[account];
        let until = answer.until.unwrap_or(now + SILENT_REFUSAL);
        match answer.status {
            402 | 429 => refusals.push((answer.model.clone(), until)),
            200..300 => refusals.retain(|(of, _)| of.as_deref().is_some_and(|of| of != model)),
            _ => {}
        }
        answer
    }

    /// Tells whether any account could serve it, were there no limits.
    pub(crate) fn is_good(&self, call: &Call) -> bool {
        let everywhere = 0..self.restricted.len();
        call.flaw.is_none_or(|flaw| flaw == Flaw::Breaks)
            && !self.missing_models.contains(&call.model)
            && everywhere
                .into_iter()
                .any(|account| !self.restricts(account, call))
    }

    fn restricts(&self, account: usize, call: &Call) -> bool {
        self.restricted[account].contains(&call.path)
    }

    /// Returns the refusal of what is wrong with the request, or of an endpoint that the account has no right to.
    fn refused_by_itself(&self, account: usize, call: &Call, now: Timestamp) -> Option<Answer> {
        let refused = |status, body: &str| {
            Some(Answer {
                status,
                body: Some(body.to_owned()),
                ..dated(now)
            })
        };
        if self.restricts(account, call) {
            return refused(
                401,
                r#"{"error":{"type":"invalid_request_error","code":null}}"#,
            );
        }
        if self.missing_models.contains(&call.model) {
            return refused(404, r#"{"error":{"code":"model_not_found"}}"#);
        }
        match call.flaw? {
            Flaw::Forbidden => refused(403, r#"{"error":{"type":"forbidden"}}"#),
            Flaw::TooLarge => refused(413, r#"{"error":{"code":"rate_limit_exceeded"}}"#),
            Flaw::TooDear => refused(402, r#"{"error":{"code":402}}"#),
            Flaw::Breaks => None,
        }
    }

    fn judge(&mut self, account: usize, model: &str, now: Timestamp) -> Answer {
        if let Some((kind, until)) = self.fault(now) {
            return refused_to_all(kind, now, until);
        }
        let meters = &mut self.accounts[account];
        for meter in meters.iter_mut() {
            meter.pass(now);
        }
        if meters.iter().any(|meter| meter.refuses(model)) {
            return refusal(meters, model, now);
        }
        let mut answer = Answer {
            status: 200,
            ..dated(now)
        };
        for meter in meters.iter_mut().filter(|meter| meter.counts(model)) {
            meter.used += 1;
            if let Some(family) = family(meter.window.says) {
                let used = f64::from(meter.used) / f64::from(meter.window.requests);
                answer.headers.insert(family.used, format!("{used:.4}"));
                answer.headers.insert(family.status, "allowed".to_owned());
                let reset = unix(meter.resets_at);
                answer.headers.insert(family.reset, reset);
            }
        }
        answer
    }

    fn fault(&self, now: Timestamp) -> Option<(FaultKind, Timestamp)> {
        let mut faults = self.faults.iter();
        let (kind, _, until) = faults.find(|(_, from, until)| *from <= now && now < *until)?;
        Some((*kind, *until))
    }
}

impl Meter {
    fn counts(&self, model: &str) -> bool {
        self.window.model.as_deref().is_none_or(|own| own == model)
    }

    fn refuses(&self, model: &str) -> bool {
        self.counts(model) && self.used >= self.window.requests
    }

    /// Empties the window when it is time.
    fn pass(&mut self, now: Timestamp) {
        if self.returns_at.is_some_and(|at| at <= now) {
            self.used = 0;
            self.returns_at = None;
            self.has_returned = true;
        }
        while self.resets_at <= now {
            self.used = 0;
            self.resets_at =
                self.resets_at + minutes(self.window.minutes).max(Duration::from_secs(1));
        }
    }
}

/// The names of a window's headers.
struct Family {
    status: &'static str,
    reset: &'static str,
    used: &'static str,
}

fn family(says: Says) -> Option<Family> {
    match says {
        Says::FiveHours => Some(Family {
            status: "anthropic-ratelimit-unified-5h-status",
            reset: "anthropic-ratelimit-unified-5h-reset",
            used: "anthropic-ratelimit-unified-5h-utilization",
        }),
        Says::Week => Some(Family {
            status: "anthropic-ratelimit-unified-7d-status",
            reset: "anthropic-ratelimit-unified-7d-reset",
            used: "anthropic-ratelimit-unified-7d-utilization",
        }),
        Says::ModelWeek => Some(Family {
            status: "anthropic-ratelimit-unified-7d_oi-status",
            reset: "anthropic-ratelimit-unified-7d_oi-reset",
            used: "anthropic-ratelimit-unified-7d_oi-utilization",
        }),
        Says::RetryAfter | Says::Body | Says::Nothing => None,
    }
}

/// The 429 of the windows that are full, in the words of each.
fn refusal(meters: &mut [Meter], model: &str, now: Timestamp) -> Answer {
    let mut answer = Answer {
        status: 429,
        ..dated(now)
    };
    let mut about_account = false;
    for meter in meters.iter_mut() {
        let is_full = meter.refuses(model);
        if is_full && !meter.has_returned && meter.returns_at.is_none() {
            let after = meter.window.returns_after_minutes;
            meter.returns_at = after.map(|after| now + minutes(after));
        }
        if let Some(family) = family(meter.window.says) {
            let status = if is_full { "rejected" } else { "allowed" };
            answer.headers.insert(family.status, status.to_owned());
            answer.headers.insert(family.reset, unix(meter.resets_at));
        }
        if !is_full {
            continue;
        }
        about_account |= meter.window.model.is_none();
        let left = now.until(meter.resets_at).as_millis().div_ceil(1_000);
        match meter.window.says {
            Says::Nothing => continue,
            Says::Body => {
                answer.body = Some(format!(
                    r#"{{"error":{{"type":"usage_limit_reached","resets_in_seconds":{left}}}}}"#
                ));
            }
            Says::FiveHours | Says::Week | Says::ModelWeek | Says::RetryAfter => {
                answer.headers.insert("retry-after", left.to_string());
            }
        }
        answer.until = answer.until.max(Some(meter.resets_at));
    }
    answer.model = (!about_account).then(|| model.to_owned());
    answer
}

fn refused_to_all(kind: FaultKind, now: Timestamp, until: Timestamp) -> Answer {
    let base = dated(now);
    match kind {
        FaultKind::Overloaded => Answer {
            status: 529,
            body: Some(r#"{"error":{"type":"overloaded_error"}}"#.to_owned()),
            ..base
        },
        FaultKind::Egress => {
            let left = now.until(until).as_millis().div_ceil(1_000);
            let mut headers = base.headers.clone();
            headers.insert("retry-after", left.to_string());
            Answer {
                status: 429,
                headers,
                body: Some(r#"{"error":{"code":"integration_rate_limited"}}"#.to_owned()),
                until: Some(until),
                ..base
            }
        }
    }
}

/// An answer with nothing but the provider's time.
fn dated(now: Timestamp) -> Answer {
    let at = std::time::UNIX_EPOCH + Duration::from_millis(now.as_millis());
    Answer {
        headers: BTreeMap::from([("date", httpdate::fmt_http_date(at))]),
        ..Answer::default()
    }
}

fn unix(at: Timestamp) -> String {
    at.as_millis().div_ceil(1_000).to_string()
}
