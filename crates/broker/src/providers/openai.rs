//! OpenAI: API keys of the platform.

use super::{Descriptor, GENERIC};

pub(crate) const OPENAI: Descriptor = Descriptor {
    id: "openai",
    origins: &["https://api.openai.com"],
    terms: Some(
        "OpenAI issues client ids for Sign in with ChatGPT (https://developers.openai.com/siwc/quickstart); \
         or add an API key (https://platform.openai.com/api-keys)",
    ),
    ..GENERIC
};
