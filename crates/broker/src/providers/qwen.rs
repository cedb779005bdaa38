//! Qwen: keys of Alibaba's Model Studio and of its Coding Plan.

use provider_auth_policy::Signals;

use super::{Descriptor, GENERIC};

pub(crate) const QWEN: Descriptor = Descriptor {
    id: "qwen",
    // A key belongs to one region and is refused, not leaked, by the others: all are Alibaba's.
    origins: &[
        "https://dashscope.aliyuncs.com",
        "https://dashscope-intl.aliyuncs.com",
        "https://dashscope-us.aliyuncs.com",
        "https://coding.dashscope.aliyuncs.com",
        "https://coding-intl.dashscope.aliyuncs.com",
    ],
    models_path: "/compatible-mode/v1/models",
    signals: &Signals::QWEN,
    terms: Some(
        "Qwen ended its free login on 15 April 2026; add a Model Studio or Coding Plan API key \
         (https://github.com/QwenLM/qwen-code/blob/main/docs/users/configuration/auth.md)",
    ),
    ..GENERIC
};
