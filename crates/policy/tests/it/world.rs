//! A pool with a manual clock, scripted answers, and a trace of what happened.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use provider_auth_policy::*;

/// Some moment; every test counts from here.
pub(crate) const START: u64 = 1_776_676_000_000;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) accounts: Vec<AccountView>,
    pub(crate) state: SharedState,
    pub(crate) traffic: Traffic,
    pub(crate) rotation: Rotation,
    pub(crate) signals: Signals,
    pub(crate) now: Timestamp,
    pub(crate) jitter: f64,
    pub(crate) answers: BTreeMap<String, VecDeque<Answer>>,
    /// What happened: `a:429 ~30000 b:200 ok`, waits in milliseconds.
    pub(crate) trace: String,
    pub(crate) last: Option<Reaction>,
    /// Accounts that were tested although they were believed to refuse.
    pub(crate) probed: Vec<AccountId>,
}

/// One scripted answer; an account without any left answers 200.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: Option<u16>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<String>,
    pub(crate) failure: Option<Failure>,
}

pub(crate) fn status(status: u16) -> Answer {
    Answer {
        status: Some(status),
        ..Answer::default()
    }
}

pub(crate) fn failure(failure: Failure) -> Answer {
    Answer {
        failure: Some(failure),
        ..Answer::default()
    }
}

impl Answer {
    pub(crate) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.insert(name.to_owned(), value.to_string());
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    pub(crate) fn code(self, code: &str) -> Self {
        self.body(&format!(r#"{{"error":{{"code":"{code}"}}}}"#))
    }
}

pub(crate) fn oauth(id: &str) -> AccountView {
    AccountView {
        id: id.into(),
        provider: "acme".into(),
        namespace: "default".into(),
        label: format!("label of {id}"),
        kind: AccountKind::Oauth,
        enabled: true,
        priority: 0,
        generation: 1,
        created_at: Timestamp::from_millis(START - 86_400_000),
        expires_at: Some(Timestamp::from_millis(START + 86_400_000)),
        obtained_at: Some(Timestamp::from_millis(START - 3_600_000)),
        refreshable: true,
        unattended: false,
        readable: true,
    }
}

pub(crate) fn key(id: &str) -> AccountView {
    AccountView {
        kind: AccountKind::Api,
        expires_at: None,
        obtained_at: None,
        refreshable: false,
        ..oauth(id)
    }
}

pub(crate) fn request() -> Request {
    Request::new("acme", "default", Some("large".into()), None, None)
}

pub(crate) fn session(session: &str) -> Request {
    let session = Some(session.to_owned());
    Request::new("acme", "default", Some("large".into()), session, None)
}

pub(crate) fn pinned(pin: &str) -> Request {
    let pin = Some(pin.to_owned());
    Request::new("acme", "default", Some("large".into()), None, pin)
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn at(after: u64) -> Timestamp {
    Timestamp::from_millis(START + after)
}

impl World {
    /// A pool whose accounts have the priorities of their places.
    pub(crate) fn new(accounts: impl IntoIterator<Item = AccountView>) -> Self {
        let ranked = |(place, account): (usize, AccountView)| AccountView {
            priority: place as i64,
            ..account
        };
        Self {
            accounts: accounts.into_iter().enumerate().map(ranked).collect(),
            state: SharedState::default(),
            traffic: Traffic::default(),
            rotation: Rotation::default(),
            signals: Signals::GENERIC,
            now: at(0),
            jitter: 0.0,
            answers: BTreeMap::new(),
            trace: String::new(),
            last: None,
            probed: Vec::new(),
        }
    }

    pub(crate) fn answers(mut self, id: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.answers.entry(id.into()).or_default().extend(answers);
        self
    }

    pub(crate) fn rotation(mut self, change: impl FnOnce(&mut Rotation)) -> Self {
        change(&mut self.rotation);
        self
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    pub(crate) fn with<R>(&self, ask: impl FnOnce(&Pool<'_>) -> R) -> R {
        let roster = Roster::new(self.accounts.clone());
        ask(&Pool {
            roster: &roster,
            state: &self.state,
            traffic: &self.traffic,
            rotation: &self.rotation,
            now: self.now,
            news: None,
        })
    }

    pub(crate) fn account(&self, id: &AccountId) -> &AccountView {
        let mut accounts = self.accounts.iter();
        accounts
            .find(|account| account.id == *id)
            .expect("the account is in the pool")
    }

    pub(crate) fn select(&self, request: &Request) -> Selection {
        self.with(|pool| select(pool, request))
    }

    /// Reports one answer of this account and merges what was learned.
    pub(crate) fn report(
        &mut self,
        request: &mut Request,
        id: &AccountId,
        answer: &Answer,
    ) -> Reaction {
        let headers = |name: &str| answer.headers.get(name).map(String::as_str);
        let response = Response {
            status: answer.status,
            headers: &headers,
            body: answer.body.as_deref(),
            failure: answer.failure,
        };
        let reaction =
            self.with(|pool| react(pool, request, id, &self.signals, &response, self.jitter));
        self.state.merge(&reaction.delta);
        reaction
    }

    /// Plays a request to its end, as the broker does; a refresh always succeeds.
    pub(crate) fn send(&mut self, request: &mut Request) -> &mut Self {
        loop {
            let (id, rule) = match self.select(request) {
                Selection::Serve { account, rule } => (account, rule),
                Selection::Wait { until, .. } => {
                    let span = self.now.until(until);
                    assert!(!span.is_zero(), "a wait that does not pass time");
                    self.note(format_args!("~{}", span.as_millis()));
                    request.add_wait(span);
                    self.now = until;
                    continue;
                }
                other => {
                    self.note(format_args!("{other:?}"));
                    return self;
                }
            };
            if rule == Rule::Switched {
                self.traffic.note_switch(&id, self.now);
            }
            if rule == Rule::Probe {
                let claim = self.with(|pool| claim_probe(pool, request, &id));
                self.state.merge(&claim);
                self.probed.push(id.clone());
            }
            let refused = request
                .resend_after_refresh()
                .map(|(_, generation)| generation);
            if refused.is_some_and(|refused| self.account(&id).generation <= refused) {
                let now = self.now;
                let view = self.accounts.iter_mut().find(|view| view.id == id);
                let view = view.expect("the account was just found");
                view.generation += 1;
                view.obtained_at = Some(now);
                self.state.merge(&refreshed(&id, view.generation));
                self.note(format_args!("refresh"));
            }
            let generation = self.account(&id).generation;
            request.begin_attempt(&id, generation, self.now);
            self.traffic.begin(&id, self.now);
            // An answer takes a moment.
            self.pass(Duration::from_millis(1));
            let script = self.answers.get_mut(id.as_str());
            let answer = script.and_then(VecDeque::pop_front).unwrap_or(status(200));
            self.traffic.end(&id, self.now);
            let reaction = self.report(request, &id, &answer);
            let word = answer
                .status
                .map_or("-".to_owned(), |status| status.to_string());
            self.note(format_args!("{id}:{word}"));
            let Reaction {
                action,
                delay,
                reason,
                ..
            } = reaction;
            self.last = Some(reaction);
            if action == Action::Deliver {
                self.note(format_args!("{}", reason.as_str()));
                return self;
            }
            if !delay.is_zero() {
                self.note(format_args!("~{}", delay.as_millis()));
                self.pass(delay);
            }
        }
    }

    /// Plays a request and checks what happened.
    #[track_caller]
    pub(crate) fn check(&mut self, mut request: Request, expect: &str) {
        self.trace.clear();
        self.send(&mut request);
        assert_eq!(self.trace.trim(), expect);
    }

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        write!(self.trace, " {what}").expect("text takes any text");
    }
}
