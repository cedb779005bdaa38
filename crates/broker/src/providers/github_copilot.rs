//! GitHub Copilot: the token of a GitHub app of one's own.

use super::{Descriptor, GENERIC};

pub(crate) const GITHUB_COPILOT: Descriptor = Descriptor {
    id: "github-copilot",
    // One host per kind of seat; all are GitHub's.
    origins: &[
        "https://api.githubcopilot.com",
        "https://api.individual.githubcopilot.com",
        "https://api.business.githubcopilot.com",
        "https://api.enterprise.githubcopilot.com",
    ],
    models_path: "/models",
    terms: Some(
        "Register a GitHub app of your own and set its clientId (https://docs.github.com/en/copilot/how-tos/copilot-sdk)",
    ),
    ..GENERIC
};
