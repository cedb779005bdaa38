//! The client that talks to a server, and how it authenticates.

use std::{fmt, sync::Arc};

use oauth2::ClientId;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{OauthError, SignsForClient};

/// The client that the user registered with the server.
#[derive(Clone)]
pub struct Client {
    /// Client id.
    pub id: String,
    /// Client secret, of a confidential client.
    pub secret: Option<SecretString>,
    /// How the client authenticates.
    pub auth: ClientAuth,
    /// What signs for it, where it authenticates by a key.
    pub signer: Option<Arc<dyn SignsForClient>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("secret", &self.secret)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Returns a client without a secret.
    #[must_use]
    pub fn public(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            secret: None,
            auth: ClientAuth::None,
            signer: None,
        }
    }

    /// Returns the id, or [`OauthError::MissingClientId`].
    pub(crate) fn checked_id(&self) -> Result<ClientId, OauthError> {
        if self.id.trim().is_empty() {
            return Err(OauthError::MissingClientId);
        }
        Ok(ClientId::new(self.id.clone()))
    }
}

/// How a client authenticates at the token endpoint (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// By its id alone; a secret is not sent.
    #[default]
    None,
    /// By an `authorization: Basic` header.
    Basic,
    /// By `client_secret` in the body.
    Post,
    /// By a token that a key of the client's own signs (RFC 7523 §2.2).
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
}

impl ClientAuth {
    /// Returns the way of this name (RFC 7591 §2), if a client that is registered on the spot can
    /// go it: it has no key.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "client_secret_basic" => Some(Self::Basic),
            "client_secret_post" => Some(Self::Post),
            _ => None,
        }
    }

    /// Returns the name under which servers know it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}
