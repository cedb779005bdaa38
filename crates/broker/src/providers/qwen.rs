//! Qwen: keys of Alibaba's Model Studio and of its Coding Plan.
//!
//! Its login ended on 15 April 2026 and was for a client of its own, so no server is named here. A
//! user who runs one of the same kind names its endpoints.

use provider_auth_oauth::{Dialect, Meaning};
use provider_auth_policy::Signals;

use super::descriptor::{Descriptor, status_means};
use super::generic::GENERIC;
use super::models::ModelLists;

pub(crate) const QWEN: Descriptor = Descriptor {
    id: "qwen",
    dialect,
    scopes: &["openid", "profile", "email", "model.completion"],
    // A key belongs to one region and is refused, not leaked, by the others: all are Alibaba's.
    origins: &[
        "https://dashscope.aliyuncs.com",
        "https://dashscope-intl.aliyuncs.com",
        "https://dashscope-us.aliyuncs.com",
        "https://coding.dashscope.aliyuncs.com",
        "https://coding-intl.dashscope.aliyuncs.com",
        "https://portal.qwen.ai",
    ],
    oauth_extra: &[("x-dashscope-authtype", "qwen-oauth")],
    models: &ModelLists::QWEN,
    signals: &Signals::QWEN,
    key_variables: &["DASHSCOPE_API_KEY"],
    opencode_ids: &["alibaba", "alibaba-cn", "qwen-code"],
    terms: Some(
        "Qwen ended its free login on 15 April 2026; add a Model Studio or Coding Plan API key \
         (https://github.com/QwenLM/qwen-code/blob/main/docs/users/configuration/auth.md)",
    ),
    registration: None,
    ..GENERIC
};

/// A device login with PKCE, whose tokens name the host of the API.
fn dialect() -> Dialect {
    Dialect {
        device_pkce: true,
        errors: vec![status_means(401, Meaning::InvalidGrant)],
        api_url: Some("/resource_url".to_owned()),
        ..Dialect::default()
    }
}
