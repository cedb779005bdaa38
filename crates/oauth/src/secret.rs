//! The one place that lays a secret bare.

use secrecy::{ExposeSecret, SecretString};

/// Returns the text of a secret, to be sent to the server that it is meant for or to be read.
pub(crate) fn reveal(secret: &SecretString) -> &str {
    secret.expose_secret()
}
