//! An account as users see it, and which accounts a call is about.

use provider_auth_oauth::Identity;
use provider_auth_policy::{
    AccountId, AccountKind, AccountView, Block, Reason, Scope, SharedState, Source, Timestamp,
    Usage,
};

use super::credential::Credential;
use super::entry::Entry;

/// What the account rests from, a token that cannot be renewed yet included.
fn cooldowns(view: &AccountView, state: &SharedState, now: Timestamp) -> Vec<(Scope, Block)> {
    let mut cooldowns = state.cooldowns(view, now);
    if let Some(until) = provider_auth_policy::renewal_rest(state, view, now) {
        let scope = Scope::Account(view.id.clone());
        if !cooldowns.iter().any(|(known, _)| *known == scope) {
            let rest = Block::new(until, Reason::TokenExpired, Source::Ladder, now);
            cooldowns.push((scope, rest));
        }
    }
    cooldowns
}

/// An account as users see it.
#[derive(Clone, Debug)]
pub struct Account {
    /// ULID.
    pub id: String,
    /// Provider id.
    pub provider: String,
    /// Pool within the provider.
    pub namespace: String,
    /// The user's name for it.
    pub label: String,
    /// Kind of credential.
    pub kind: AccountKind,
    /// Who it is.
    pub identity: Option<Identity>,
    /// State of the whole account.
    pub state: &'static str,
    /// Whether the user lets it serve.
    pub enabled: bool,
    /// Lower serves first.
    pub priority: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When the record last changed.
    pub updated_at: Timestamp,
    /// When the access token ends.
    pub expires_at: Option<Timestamp>,
    /// Whether the access token can be renewed without a person.
    pub refreshable: bool,
    /// Live blocks.
    pub cooldowns: Vec<(Scope, Block)>,
    /// Status of the last response.
    pub last_status: Option<u16>,
    /// Responses with 2xx.
    pub successes: u64,
    /// Responses that were held against the account.
    pub failures: u64,
    /// When its login left in a bundle.
    pub moved_at: Option<Timestamp>,
    /// How its secret came: a way to log in, or `migrated`; `None` of a record that does not say.
    pub method: Option<String>,
    /// How much of each quota window is used, as the provider last said, by the window's name.
    pub quota: Vec<(String, Usage)>,
    /// What another program kept beside its API key.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl Account {
    pub(crate) fn of(entry: &Entry, state: &SharedState, now: Timestamp) -> Self {
        let counters = state.stats(&entry.view.id);
        let Credential {
            provider,
            namespace,
            enabled,
            priority,
            identity,
            moved_at,
            method,
            ..
        } = &*entry.credential;
        Self {
            id: entry.view.id.to_string(),
            provider: provider.clone(),
            namespace: namespace.clone(),
            label: entry.view.label.clone(),
            kind: entry.view.kind,
            identity: (*identity != Identity::default()).then(|| identity.clone()),
            state: provider_auth_policy::account_state(&entry.view, state, now).as_str(),
            enabled: *enabled,
            priority: *priority,
            created_at: entry.view.created_at,
            updated_at: entry.updated_at,
            expires_at: entry.view.expires_at,
            refreshable: entry.view.refreshable,
            cooldowns: cooldowns(&entry.view, state, now),
            last_status: counters.last_status,
            successes: counters.successes,
            failures: counters.failures,
            moved_at: *moved_at,
            method: method.clone(),
            quota: state.quota(&entry.view.id, now),
            metadata: entry
                .credential
                .taken_from
                .as_ref()
                .map(|from| from.metadata.fields().clone())
                .unwrap_or_default(),
        }
    }

    pub(crate) fn unreadable(id: &AccountId) -> Self {
        Self {
            id: id.to_string(),
            provider: String::new(),
            namespace: String::new(),
            label: String::new(),
            kind: AccountKind::Api,
            identity: None,
            state: "unreadable",
            enabled: false,
            priority: 0,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
            expires_at: None,
            refreshable: false,
            cooldowns: Vec::new(),
            last_status: None,
            successes: 0,
            failures: 0,
            moved_at: None,
            method: None,
            quota: Vec::new(),
            metadata: serde_json::Map::new(),
        }
    }
}

/// Which accounts a call is about; everything when empty.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this provider.
    pub provider: Option<String>,
    /// Of this namespace.
    pub namespace: Option<String>,
    /// With this id or label.
    pub account: Option<String>,
}

impl Filter {
    pub(crate) fn admits_pool(&self, provider: &str, namespace: &str) -> bool {
        self.provider
            .as_deref()
            .is_none_or(|wanted| wanted == provider)
            && self
                .namespace
                .as_deref()
                .is_none_or(|wanted| wanted == namespace)
    }

    pub(crate) fn admits(&self, entry: &Entry) -> bool {
        self.admits_pool(&entry.credential.provider, &entry.credential.namespace)
            && self
                .account
                .as_deref()
                .is_none_or(|wanted| wanted == entry.view.id.as_str() || wanted == entry.view.label)
    }
}
