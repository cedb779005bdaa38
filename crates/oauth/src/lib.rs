//! Speaks OAuth 2.0 and each provider's dialect over an HTTP client that it is handed.
//!
//! Requests are built by the `oauth2` crate; one adapter between it and the HTTP client applies the provider's
//! [`Dialect`], which is data. This crate has no clock, file, environment or randomness of its own: what is needed of
//! them comes in as an argument. It decides nothing about accounts; it says precisely what a server answered.
//!
//! ```
//! use provider_auth_oauth::{Client, LoginSecrets, Server, authorization_url};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server {
//!     authorization_endpoint: Some("https://id.example/authorize".parse()?),
//!     ..Server::default()
//! };
//! let client = Client::public("my-app");
//! # let mut fill = |bytes: &mut [u8]| bytes.fill(7); // stands for the system's entropy
//! let secrets = LoginSecrets::new(&mut fill);
//! let redirect = "http://127.0.0.1:1455/callback".parse()?;
//! let page = authorization_url(&server, &client, &["openid".into()], &redirect, &secrets, None)?;
//! assert!(page.query().is_some_and(|query| query.contains("code_challenge_method=S256")));
//! # Ok(())
//! # }
//! ```

mod adapter;
mod answer;
mod challenge;
mod client_key;
mod device;
mod dialect;
mod discovery;
mod error;
mod exchange;
mod grant;
mod http;
mod id_token;
mod identity;
pub mod limits;
mod local;
mod login;
mod pasted;
mod private;
mod reading;
mod registration;
mod resource;
mod server;
mod text;
mod tokens;

pub use crate::challenge::{Challenge, bearer_challenge};
pub use crate::client_key::{ClientKey, SignsForClient};
pub use crate::device::{DeviceGrant, poll_device, start_device};
pub use crate::dialect::{
    Dialect, Discovery, Encoding, ErrorRule, IdTokenCheck, IdentityPaths, IssuedClient, Meaning,
    PagePoll, Renewal, StepDialect,
};
pub use crate::discovery::{Metadata, discover, discover_of};
pub use crate::error::{CallbackError, OauthError};
pub use crate::exchange::{PageLogin, exchange_assertion, exchange_token, poll_page, start_page};
pub use crate::grant::{TokenHint, client_credentials, exchange_code, refresh, revoke};
pub use crate::http::{Bounded, FromNearby, Http, HttpError, Reach, Sending};
pub use crate::id_token::check_id_token;
pub use crate::identity::{Identity, identity, userinfo};
pub use crate::local::{is_local, is_local_address};
pub use crate::login::{Callback, LoginSecrets, authorization_url, error_code, read_callback};
pub use crate::pasted::{Pasted, read_pasted};
pub use crate::private::{looks_private, without_private, without_secrets};
pub use crate::reading::{unix_seconds, whole, without_mark};
pub use crate::registration::{Registered, register};
pub use crate::resource::{
    Resource, answers_from_nearby, discover_resource, require_known_to_all, resource_uri,
};
pub use crate::server::{Client, ClientAuth, Server, is_https_or_loopback, is_loopback};
pub use crate::tokens::Tokens;
