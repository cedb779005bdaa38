//! Speaks OAuth 2.0 and each provider's dialect over an HTTP client that it is handed.
//!
//! Requests are built by the `oauth2` crate; one adapter between it and the HTTP client applies the
//! provider's [`Dialect`], which is data. This crate has no clock, file, environment or randomness
//! of its own: what is needed of them comes in as an argument. It decides nothing about accounts;
//! it says precisely what a server answered.
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

mod error;
mod http;
pub mod limits;
mod login;
mod request;
mod resource;
mod secret;
mod server;
mod text;
mod tokens;

pub use crate::error::{CallbackError, OauthError};
pub use crate::http::{
    Bounded, FromLocalNetwork, Http, HttpError, LastLook, Reach, Sending, Watched,
};
pub use crate::login::device::{DeviceGrant, poll_device, start_device};
pub use crate::login::page::{PageLogin, poll_page, start_page};
pub use crate::login::pasted::{Pasted, read_pasted};
pub use crate::login::{Callback, LoginSecrets, authorization_url, error_code, read_callback};
pub use crate::request::exchange::{exchange_assertion, exchange_token};
pub use crate::request::grant::{TokenHint, client_credentials, exchange_code, refresh, revoke};
pub use crate::resource::challenge::{Challenge, bearer_challenge};
pub use crate::resource::local::{is_local, is_local_address};
pub use crate::resource::{
    Resource, answers_from_local_network, discover_resource, require_public_place, resource_uri,
};
pub use crate::server::Server;
pub use crate::server::client::{Client, ClientAuth};
pub use crate::server::client_key::{ClientKey, SignsForClient};
pub use crate::server::dialect::{
    Dialect, Discovery, Encoding, ErrorRule, IdTokenCheck, IdentityPaths, IssuedClient, Meaning,
    PagePoll, Renewal, StepDialect,
};
pub use crate::server::discovery::{discover, discover_of};
pub use crate::server::metadata::Metadata;
pub use crate::server::registration::{Registered, register};
pub use crate::server::url_rules::{is_https_or_loopback, is_loopback};
pub use crate::text::lenient::{unix_seconds, whole, without_bom};
pub use crate::text::redaction::{begins_as_key, looks_private, without_private, without_secrets};
pub use crate::tokens::Tokens;
pub use crate::tokens::id_token::check_id_token;
pub use crate::tokens::identity::{Identity, identity, userinfo};
