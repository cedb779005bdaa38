//! Refusals of a refresh that need not name the end of the login.

use provider_auth_oauth::OauthError;
use provider_auth_policy::{AccountId, Timestamp};

use crate::refresh::{Due, Refresher};
use crate::store::credential::Credential;

/// Whether the server has refused for certain, by whatever name: in JSON, and as the fault of the
/// request.
pub(crate) fn is_refusal(error: &OauthError) -> bool {
    let OauthError::Rejected { status, error, .. } = error else {
        return false;
    };
    let passes = matches!(
        error.as_deref(),
        Some("temporarily_unavailable" | "server_error" | "slow_down")
    );
    // GitHub refuses with a 200.
    (400..500).contains(status) && !passes || (*status == 200 && error.is_some() && !passes)
}

/// Whether the access token serves no more.
pub(crate) fn has_ended(credential: &Credential, due: Due, now: Timestamp) -> bool {
    let has_ended = credential.expires_at().is_some_and(|at| at <= now);
    has_ended || matches!(due, Due::TokenRefused { .. })
}

impl Refresher {
    /// Whether one more refusal means the end of the login.
    pub(crate) fn is_refused_for_good(&self, id: &AccountId) -> bool {
        let now = self.store.now();
        self.store
            .state
            .read(|state| provider_auth_policy::is_refused_for_good(state, id, now))
    }

    /// Whether the server no longer knows a client that it has registered by itself: only a login
    /// brings another.
    pub(crate) fn forgets_client(&self, credential: &Credential, error: &OauthError) -> bool {
        let provider = self.store.provider(&credential.provider);
        let OauthError::Rejected {
            error: Some(name), ..
        } = error
        else {
            return false;
        };
        credential.audience.resource.is_some()
            && provider.is_ok_and(|provider| provider.client_id.is_none())
            && matches!(name.as_str(), "invalid_client" | "unauthorized_client")
    }
}
