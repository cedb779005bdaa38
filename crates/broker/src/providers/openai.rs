//! OpenAI: API keys of the platform, and Sign in with ChatGPT for open-source and local programs.
//!
//! A first sign-in asks under the name of the program, and the answer issues a client for this
//! installation. What the plan allows is then used in the open, under that name.

use provider_auth_oauth::{
    Dialect, ErrorRule, IdTokenCheck, IdentityPaths, IssuedClient, Meaning, StepDialect,
};

use super::descriptor::{Descriptor, Endpoints, pairs, texts};
use super::generic::GENERIC;
use super::models::ModelLists;
use super::streams;

/// The scope without which the API takes no token of a plan.
const USE_OF_THE_PLAN: &str = "chatgpt.tokens.use.direct";

pub(crate) const OPENAI: Descriptor = Descriptor {
    id: "openai",
    endpoints: Endpoints {
        issuer: Some("https://auth.openai.com"),
        authorization: Some("https://auth.openai.com/api/accounts/authorize"),
        token: Some("https://auth.openai.com/api/accounts/oauth/token"),
        revocation: Some("https://auth.openai.com/api/accounts/oauth/revoke"),
        jwks: Some("https://auth.openai.com/.well-known/jwks.json"),
        ..Endpoints::NONE
    },
    callback: Some("http://127.0.0.1:1455/auth/callback"),
    dialect,
    scopes: &[
        "openid",
        "profile",
        "email",
        "offline_access",
        "resource.invoke",
        USE_OF_THE_PLAN,
    ],
    origins: &["https://api.openai.com"],
    models: &ModelLists::OPENAI,
    // Its documents do not offer to go on with another plan when one is spent.
    pool_logins: false,
    streams: &[streams::RESPONSES, streams::CHAT],
    key_variables: &["OPENAI_API_KEY"],
    terms: Some(
        "OpenAI issues client ids for Sign in with ChatGPT (https://developers.openai.com/siwc/quickstart); \
         or add an API key (https://platform.openai.com/api-keys)",
    ),
    registration: None,
    ..GENERIC
};

fn dialect() -> Dialect {
    let resource = || pairs([("resource", "https://api.openai.com/v1")]);
    let step = || StepDialect {
        params: resource(),
        ..StepDialect::default()
    };
    let dead = |error: &str| ErrorRule {
        status: None,
        error: Some(error.to_owned()),
        meaning: Meaning::InvalidGrant,
    };
    Dialect {
        authorize: resource(),
        token: step(),
        refresh: step(),
        errors: vec![
            dead("refresh_token_reused"),
            dead("refresh_token_expired"),
            dead("refresh_token_invalidated"),
        ],
        id_token: IdTokenCheck::Signature,
        issued_client: Some(IssuedClient {
            first_id: "dynamic_agent_client".to_owned(),
            params: pairs([("agent_name_hint", "provider-auth")]),
            installation: "ext_agent_host_id".to_owned(),
        }),
        required_scope: Some(USE_OF_THE_PLAN.to_owned()),
        identity: IdentityPaths {
            organization: texts(["/https:~1~1api.openai.com~1auth/chatgpt_account_id"]),
            plan: texts(["/https:~1~1api.openai.com~1auth/chatgpt_plan_type"]),
            ..IdentityPaths::default()
        },
        ..Dialect::default()
    }
}
