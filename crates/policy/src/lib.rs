//! Decides, from account views, a response and the time, what happens next; never sees a secret.
//!
//! Two questions make the crate: [`select()`], which account serves next, and [`react()`], what
//! follows from how that ended. Both are pure: what they read comes in as arguments, what they
//! learn goes out as a [`SharedState`] to merge. Nothing here reads a clock, draws a random number,
//! takes a lock or waits.
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
//! let pool = Pool { roster: &roster, state: &state, traffic: &traffic, rotation: &rotation, now, news: None };
//! let mut request = Request::new("openai", "default", None, None, None);
//!
//! // The account of the lowest priority serves …
//! let serves = |id: &str, rule| Selection::Serve { account: id.into(), rule };
//! assert_eq!(select(&pool, &request), serves("a", Rule::Strategy));
//! request.begin_attempt(&"a".into(), 1, now);
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
mod affinity;
mod clear;
mod gather;
mod jitter;
mod keys;
pub mod limits;
mod pool;
mod react;
mod reason;
mod refresh;
mod request;
mod response;
mod rotation;
mod select;
mod signals;
mod state;
mod time;

pub use account::{AccountId, AccountKind, AccountView, Freshness, clock_was_set_back, freshness};
pub use affinity::pin_to_owner;
pub use clear::{clear, trusted};
pub use gather::Gather;
pub use pool::Pool;
pub use pool::account_state::{AccountState, account_state};
pub use pool::obstacle::renewal_rest;
pub use pool::ranks::serving_order;
pub use pool::roster::Roster;
pub use pool::traffic::Traffic;
pub use react::credit::credit;
pub use react::react;
pub use react::reaction::{Action, Reaction};
pub use reason::{Reason, Source, Standing};
pub use refresh::{
    is_refused_for_good, refresh_allowed, refresh_not_sent, refresh_postponed, refresh_refused,
    refresh_rejected, refreshed, refused_since, rewritten,
};
pub use request::Request;
pub use request::doubt::LateCharge;
pub use response::classify::reason_of;
pub use response::wait::{cache_life, server_time, stated_wait};
pub use response::{Failure, Response};
pub use rotation::{Mode, Rotation, Strategy};
pub use select::explain::{Chance, Standings, Trace, TracedAccount, explain};
pub use select::index::Indexes;
pub use select::none_free::kept_answer;
pub use select::selection::{Rule, Selection};
pub use select::{claim_probe, select};
pub use signals::observed::OBSERVED_HEADERS;
pub use signals::{KnownCode, LimitRule, Meter, Reach, Signals, UsedUnit, WaitUnit, Window};
pub use state::SharedState;
pub use state::account_stats::{AccountStats, RefreshRest, Refusal, StandingMark, Usage};
pub use state::binding::{Binding, Owner};
pub use state::block::{Block, KeptAnswer};
pub use state::credit::Credit;
pub use state::pool_order::PoolOrder;
pub use state::scope::Scope;
pub use time::Timestamp;
