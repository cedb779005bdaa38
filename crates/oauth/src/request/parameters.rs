//! The parameters of a request body, and which of them are secret.

use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::{Encoding, limits};

/// The parameters of a request body.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the form that the crate wrote and adds the extra ones that it did not set.
    pub(super) fn of(form: &[u8], extra: &[(String, String)]) -> Self {
        let mut pairs: Vec<(String, String)> = form_urlencoded::parse(form).into_owned().collect();
        for (name, value) in extra {
            if !pairs.iter().any(|(set, _)| set == name) {
                pairs.push((name.clone(), value.clone()));
            }
        }
        Self(pairs)
    }

    /// Adds these.
    pub(super) fn extend<const N: usize>(&mut self, pairs: [(&str, &str); N]) {
        let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.0.extend(owned);
    }

    /// Returns the content type and the body.
    pub(super) fn encode(&self, encoding: Encoding) -> (&'static str, Vec<u8>) {
        match encoding {
            Encoding::Form => {
                let form = form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(&self.0)
                    .finish();
                ("application/x-www-form-urlencoded", form.into_bytes())
            }
            Encoding::Json => {
                let body: Map<String, Value> = self
                    .0
                    .iter()
                    .map(|(name, value)| (name.clone(), value.as_str().into()))
                    .collect();
                (
                    "application/json",
                    Value::Object(body).to_string().into_bytes(),
                )
            }
        }
    }

    /// Returns the values that must not come back in an error message: all but those that the
    /// standards define and that anybody may know.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        const SECRET: [&str; 8] = [
            "assertion",
            "client_assertion",
            "code",
            "code_verifier",
            "device_code",
            "refresh_token",
            "token",
            "client_secret",
        ];
        const PUBLIC: [&str; 12] = [
            "audience",
            "client_assertion_type",
            "client_id",
            "code_challenge",
            "code_challenge_method",
            "grant_type",
            "redirect_uri",
            "requested_token_type",
            "resource",
            "scope",
            "subject_token_type",
            "token_type_hint",
        ];
        self.0
            .iter()
            .filter(|(name, value)| {
                let name = name.as_str();
                SECRET.contains(&name) || (!PUBLIC.contains(&name) && is_secret_value(value))
            })
            .map(|(_, value)| value.as_str())
    }
}

/// Whether a value is long enough to be one.
pub(super) fn is_secret_value(value: &str) -> bool {
    value.len() >= limits::SHORTEST_PARAMETER_BYTES
}
