//! The broker as its callers meet it, over a real vault folder, a clock that tests turn and an
//! authorization server in this process. Several brokers over one folder stand for several
//! processes.

#![expect(
    clippy::unwrap_used,
    reason = "a test may fail at once, helpers included"
)]

mod accounts;
mod again;
mod api;
mod away;
mod backend;
mod bounds;
mod callbacks;
mod claims;
mod clock;
mod damage;
mod defined;
mod diagnosis;
mod fleet;
mod gateways;
mod history;
mod index;
mod lending;
mod login_servers;
mod logins;
mod machines;
mod mcp;
mod migrating;
mod mix_up;
mod models;
mod naming;
mod news;
mod projects;
mod refreshing;
mod refusals;
mod relocating;
mod request_rotation;
#[cfg(feature = "postgres")]
mod rows;
mod secrets;
mod server;
mod setbacks;
mod sharing;
mod slow_backend;
mod trust;
mod unsaved;
mod waiting;
mod world;
