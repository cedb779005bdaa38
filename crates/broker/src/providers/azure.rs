//! Azure: a resource of Azure OpenAI, with its key. Each resource has its own host, so the origins
//! come from the user.

use super::descriptor::{Descriptor, Registration};
use super::generic::GENERIC;
use super::headers::Template;
use super::models::ModelLists;

pub(crate) const AZURE: Descriptor = Descriptor {
    id: "azure",
    api_header: Template::bare("api-key"),
    models: &ModelLists::AZURE,
    key_variables: &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
    // Of OpenAI's own client for Azure.
    token_variables: &["AZURE_OPENAI_AD_TOKEN"],
    terms: Some(
        "Register an application in your Microsoft Entra tenant and set its issuer, clientId and origins, or add the resource's key \
         (https://learn.microsoft.com/azure/ai-services/openai/reference)",
    ),
    registration: Some(&Registration {
        url: Some("https://learn.microsoft.com/azure/ai-services/openai/reference"),
        steps: &["Register an application in your Microsoft Entra tenant"],
        settings: &[
            ("issuer", "the tenant's issuer"),
            ("clientId", "the client id"),
            ("origins", "https://….openai.azure.com"),
        ],
    }),
    ..GENERIC
};
