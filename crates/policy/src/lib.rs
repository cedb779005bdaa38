//! Decides, from account views, a response and the time, what happens next; never sees a secret.
//!
//! Two questions make the crate: [`select()`], which account serves next, and [`react()`], what
//! follows from how that ended. Both are pure: what they read comes in as arguments, what they learn
//! goes out as a [`SharedState`] to merge. Nothing here reads a clock, draws a random number, takes a
//! lock or waits.
//!
//! ```
//! use std::collections::BTreeMap;
//! use provider_auth_policy::*;
//!
//! let account = |id: &str| AccountView {
//!     id: id.into(),
//!     provider: "openai".into(),
//!     namespace: "default".into(),
//!     label: id.to_owned(),
//!     kind: AccountKind::Oauth,
//!     enabled: true,
//!     priority: i64::from(id == "b"),
//!     generation: 1,
//!     created_at: Timestamp::default(),
//!     expires_at: None,
//!     obtained_at: None,
//!     refreshable: true,
//!     unattended: false,
//!     readable: true,
//! };
//! let roster = Roster::new(vec![account("a"), account("b")]);
//! let (state, traffic, rotation) = Default::default();
//! let now = Timestamp::from_millis(1_800_000_000_000);
//! let pool = Pool { roster: &roster, state: &state, traffic: &traffic, rotation: &rotation, now };
//! let mut request = Request::new("openai", "default", None, None, None);
//!
//! // The account of the lowest priority serves …
//! let serves = |id: &str, rule| Selection::Serve { account: id.into(), rule };
//! assert_eq!(select(&pool, &request), serves("a", Rule::Strategy));
//! request.serving(&"a".into(), 1, now);
//!
//! // … and answers 429: the request goes on with the other one.
//! let headers = BTreeMap::from([("retry-after", "30")]);
//! let response = Response {
//!     status: Some(429),
//!     headers: &|name| headers.get(name).copied(),
//!     body: None,
//!     failure: None,
//! };
//! let signals = Signals::GENERIC;
//! let reaction = react(&pool, &mut request, &"a".into(), &signals, &response, 0.0);
//! assert_eq!((reaction.action, reaction.reason), (Action::Retry, Reason::Throttled));
//! let mut learned = state.clone();
//! learned.merge(&reaction.delta);
//! let pool = Pool { state: &learned, ..pool };
//! assert_eq!(select(&pool, &request), serves("b", Rule::Switched));
//! ```

mod account;
mod answered;
mod block;
mod bound;
mod changes;
mod classify;
mod clearing;
mod codes;
mod doubt;
mod explain;
mod hindrance;
mod index;
mod judge;
pub mod limits;
mod lots;
mod meters;
mod of_request;
mod path;
mod pool;
mod quota;
mod ratelimit;
mod react;
mod reason;
mod refresh;
mod refused;
mod request;
mod response;
mod rotation;
mod rpc;
mod select;
mod signals;
mod state;
mod time;
mod traffic;
mod wait;

pub use account::{AccountId, AccountKind, AccountView, Freshness, Roster, freshness, is_set_back};
pub use block::{Block, KeptAnswer, Scope};
pub use bound::{Maker, hold};
pub use clearing::{clear, trusted};
pub use doubt::LateCharge;
pub use explain::{Chance, Prospect, Trace, explain};
pub use hindrance::renewal_rest;
pub use index::Indexes;
pub use meters::OBSERVED_HEADERS;
pub use pool::{AccountStateName, Pool, account_state, serving_order};
pub use react::{Action, Reaction, react};
pub use reason::{Reason, Source, Standing};
pub use refresh::{
    is_refused_for_good, refresh_allowed, refresh_postponed, refresh_refused, refresh_rejected,
    refreshed, refused_since, rewritten,
};
pub use request::Request;
pub use response::{Failure, Response};
pub use rotation::{Mode, Rotation, Strategy};
pub use select::{Rule, Selection, claim_probe, kept_answer, select};
pub use signals::{LimitRule, Mark, Meter, Reach, Signals, UsedUnit, WaitUnit, Window};
pub use state::{
    AccountState, Binding, PoolState, RefreshRest, Refusal, SharedState, StandingMark, Usage,
};
pub use time::Timestamp;
pub use traffic::Traffic;
pub use wait::{cache_life, server_time, stated_wait};
