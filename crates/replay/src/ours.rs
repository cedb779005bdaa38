//! The real policy, driven as the broker drives it.

use std::collections::HashMap;
use std::time::Duration;

use provider_auth_policy::{
    AccountId, AccountKind, AccountView, Action, Failure, Pool, Request, Response, Roster,
    Rotation, Rule, Selection, SharedState, Signals, Strategy, Timestamp, Traffic, claim_probe,
    limits, react, select,
};

use crate::call::Call;
use crate::random::Random;
use crate::rotator::{After, Move, Rotator};
use crate::scenario::{Account, Scenario};
use crate::upstream::Answer;

/// The policy and all that it decides from.
pub(crate) struct Ours {
    ids: Vec<AccountId>,
    roster: Roster,
    state: SharedState,
    traffic: Traffic,
    rotation: Rotation,
    signals: Signals,
    random: Random,
    requests: HashMap<usize, Request>,
    blocks_set: u32,
    /// The latest time that was seen.
    latest: Timestamp,
}

impl Ours {
    pub(crate) fn new(scenario: &Scenario, strategy: Strategy) -> Self {
        let view = |account: &Account| AccountView {
            id: account.id.as_str().into(),
            provider: "lab".into(),
            namespace: "default".into(),
            label: account.id.clone(),
            kind: match account.is_key {
                true => AccountKind::Api,
                false => AccountKind::Oauth,
            },
            enabled: true,
            priority: account.priority,
            generation: 1,
            created_at: Timestamp::default(),
            expires_at: None,
            obtained_at: None,
            refreshable: !account.is_key,
            unattended: false,
            readable: true,
        };
        let views: Vec<AccountView> = scenario.accounts.iter().map(view).collect();
        let usual = Rotation::default();
        let max_wait = scenario.max_wait_seconds.map(Duration::from_secs_f64);
        Self {
            ids: views.iter().map(|view| view.id.clone()).collect(),
            roster: Roster::new(views),
            state: SharedState::default(),
            traffic: Traffic::default(),
            rotation: Rotation {
                strategy,
                max_wait: max_wait.unwrap_or(usual.max_wait),
                ..usual
            },
            signals: Signals {
                binding_life: scenario.cache_life(),
                ..Signals::GENERIC
            },
            random: Random::new(scenario.seed),
            requests: HashMap::new(),
            blocks_set: 0,
            latest: Timestamp::default(),
        }
    }

    /// After the clock was set back, beliefs from the future are void.
    fn look_at_clock(&mut self, now: Timestamp) {
        if now + limits::CLOCK_JUMP < self.latest {
            self.state.sweep(now);
        }
        self.latest = now;
    }

    /// Hears that the stream of an answer broke after it began.
    fn broke(&mut self, request: &mut Request, id: &AccountId, now: Timestamp) {
        let response = Response {
            status: Some(200),
            headers: &|_| None,
            body: None,
            failure: Some(Failure::Stream),
        };
        let reaction = react(&self.pool(now), request, id, &self.signals, &response, 0.0);
        self.state.merge(&reaction.delta);
    }

    fn pool(&self, now: Timestamp) -> Pool<'_> {
        Pool {
            roster: &self.roster,
            state: &self.state,
            traffic: &self.traffic,
            rotation: &self.rotation,
            now,
            news: None,
        }
    }
}

impl Rotator for Ours {
    fn next(&mut self, call: &Call, now: Timestamp) -> Move {
        self.look_at_clock(now);
        let mut request = self.requests.remove(&call.id).unwrap_or_else(|| {
            let (model, session) = (Some(call.model.clone()), Some(call.session.clone()));
            Request::new("lab", "default", model, session, None).with_path(&call.path)
        });
        let selection = select(&self.pool(now), &request);
        let next = match selection {
            Selection::Serve { account, rule } => {
                if rule == Rule::Probe {
                    let claim = claim_probe(&self.pool(now), &request, &account);
                    self.state.merge(&claim);
                }
                if rule == Rule::Switched {
                    self.traffic.note_switch(&account, now);
                }
                request.begin_attempt(&account, 1, now);
                self.traffic.begin(&account, now);
                let mut ids = self.ids.iter();
                Move::Send(
                    ids.position(|id| *id == account)
                        .expect("the policy chooses from the roster"),
                )
            }
            Selection::Wait { until, .. } => {
                let span = now.until(until);
                request.add_wait(span);
                Move::Wait(span)
            }
            _ => Move::Refuse,
        };
        if !matches!(next, Move::Refuse) {
            self.requests.insert(call.id, request);
        }
        next
    }

    fn heard(&mut self, call: &Call, account: usize, answer: &Answer, now: Timestamp) -> After {
        self.look_at_clock(now);
        let id = self.ids[account].clone();
        self.traffic.end(&id, now);
        let response = Response {
            status: Some(answer.status),
            headers: &|name| answer.headers.get(name).map(String::as_str),
            body: answer.body.as_deref(),
            failure: None,
        };
        let jitter = self.random.fraction();
        let mut request = self
            .requests
            .remove(&call.id)
            .expect("only a request that was sent is answered");
        let pool = self.pool(now);
        let reaction = react(&pool, &mut request, &id, &self.signals, &response, jitter);
        if let Some((scope, _)) = &reaction.cooldown {
            let known = self.state.blocks.get(scope);
            let stood = known.is_some_and(|block| block.live_until(now).is_some());
            self.blocks_set += u32::from(!stood);
        }
        self.state.merge(&reaction.delta);
        if answer.breaks {
            self.broke(&mut request, &id, now);
        }
        match reaction.action {
            Action::Deliver => After::Deliver,
            Action::Retry => {
                self.requests.insert(call.id, request);
                After::Again(reaction.delay)
            }
        }
    }

    fn blocks_set(&self) -> Option<u32> {
        Some(self.blocks_set)
    }
}
