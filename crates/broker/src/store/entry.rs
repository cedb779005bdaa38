//! One account of the vault as it was read: what the policy sees, what is sealed, and its headers.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use provider_auth_policy::{AccountId, AccountKind, AccountView, Timestamp};
use provider_auth_vault::{RecordId, Seen, Stamp, Vault, VaultError, line};
use secrecy::{ExposeSecret as _, SecretString};

use super::credential::Credential;
use super::headers::HeaderSet;
use crate::config::{Origin, Provider, Settings};
use crate::store::record_kind::KEPT_FILE;

static LAST_VERSION: AtomicU64 = AtomicU64::new(0);

/// One account: what the policy sees, what is sealed, and the headers made of it.
pub(crate) struct Entry {
    pub(crate) view: Arc<AccountView>,
    /// Without refresh token and client secret: `locks::read_locked` has them. Without any secret
    /// while the record is unread; that of an API key then is one with many others, and has neither its
    /// label nor its times.
    pub(crate) credential: Arc<Credential>,
    pub(crate) updated_at: Timestamp,
    /// Empty while the record is unread.
    pub(crate) headers: HeaderSet,
    /// Tells these headers from all others of the process, earlier ones of the account included.
    pub(crate) version: u64,
    /// Of a lasting secret: it finds the account of a key that is added once more.
    pub(super) secret_hash: Option<u64>,
    /// Of the record that this was made of: as long as the record has it, nothing changed.
    pub(super) stamp: Stamp,
    /// Whether this was made of the index, which has no secret: the record is read when it is to be
    /// lent.
    pub(crate) is_unread: bool,
}

/// What one record is.
pub(super) enum Found {
    Account(Arc<Entry>),
    KeptFile,
    /// It cannot be read; the others serve.
    Unreadable,
    Nothing,
}

impl Found {
    /// Looks at one record; `before` is the account as it was.
    pub(super) fn look(
        vault: &Vault,
        record_id: RecordId,
        before: Option<&Arc<Entry>>,
        settings: &Settings,
        taken: &BTreeSet<String>,
    ) -> Result<Self, VaultError> {
        match vault.read_unless(&record_id, before.map(|entry| entry.stamp)) {
            Ok(Seen::AsKnown) => {
                Ok(before.map_or(Self::Nothing, |entry| Self::Account(entry.clone())))
            }
            Ok(Seen::Found(_, record)) if record.kind == KEPT_FILE => Ok(Self::KeptFile),
            Ok(Seen::Found(stamp, record)) => {
                let id = AccountId::from(record_id.to_string());
                let of = (record.generation, stamp);
                let entry = Credential::open(&record)
                    .map(|credential| Entry::of_record(id, of, credential, settings, taken));
                Ok(entry.map_or(Self::Unreadable, |entry| Self::Account(Arc::new(entry))))
            }
            Ok(Seen::Absent) => Ok(Self::Nothing),
            // One record alone is the matter; anything else is the vault's.
            Err(
                error @ (VaultError::Corrupt { .. }
                | VaultError::NewerFormat { .. }
                | VaultError::Io { .. }
                | VaultError::Unsafe { .. }),
            ) => {
                line!(
                    WARN,
                    account = record_id,
                    error = error,
                    "an account cannot be read; the others serve"
                );
                Ok(Self::Unreadable)
            }
            Err(error) => Err(error),
        }
    }
}

impl Entry {
    fn of_record(
        id: AccountId,
        of: (u64, Stamp),
        credential: Credential,
        settings: &Settings,
        taken: &BTreeSet<String>,
    ) -> Self {
        let provider = provider_of(&credential, settings, taken);
        let headers = provider
            .as_deref()
            .map_or_else(HeaderSet::default, |provider| {
                HeaderSet::new(provider, &credential)
            });
        let secret_hash = credential.lasting().map(secret_hash);
        Self {
            headers,
            secret_hash,
            is_unread: false,
            ..Self::unread(id, of, credential, provider.as_deref())
        }
    }

    /// What can be known of an account without its record.
    fn unread(
        id: AccountId,
        (generation, stamp): (u64, Stamp),
        mut credential: Credential,
        provider: Option<&Provider>,
    ) -> Self {
        let mut view = credential.view(id, generation);
        credential.forget_grant();
        let renewal = provider.and_then(|provider| Some(provider.server.as_ref()?.dialect.renewal));
        view.refreshable &= credential.may_be_renewed(renewal);
        Self {
            view: Arc::new(view),
            updated_at: credential.updated_at,
            credential: Arc::new(credential),
            headers: HeaderSet::default(),
            version: LAST_VERSION.fetch_add(1, Ordering::Relaxed),
            secret_hash: None,
            stamp,
            is_unread: true,
        }
    }

    /// An account as the index has it: what it has in common with others, and what it alone has.
    pub(super) fn of_index(
        id: AccountId,
        of: (u64, Stamp),
        common: &Arc<Credential>,
        (label, created_at, updated_at): (String, Timestamp, Timestamp),
        settings: &Settings,
    ) -> Self {
        let provider = provider_of(common, settings, &BTreeSet::new());
        let credential = Credential {
            label,
            created_at,
            updated_at,
            ..(**common).clone()
        };
        let mut entry = Self::unread(id, of, credential, provider.as_deref());
        // What tells logins apart may be their label.
        if common.lasting().is_some() {
            entry.credential = common.clone();
        }
        entry
    }

    /// All that is known of the credential.
    pub(crate) fn known_credential(&self) -> Credential {
        Credential {
            label: self.view.label.clone(),
            created_at: self.view.created_at,
            updated_at: self.updated_at,
            ..(*self.credential).clone()
        }
    }

    /// The secret that authenticates a request; `None` while the record is unread.
    pub(crate) fn bearer(&self) -> Option<&SecretString> {
        (!self.is_unread).then(|| self.credential.bearer())
    }
}

/// The provider under which a credential is lent.
fn provider_of(
    credential: &Credential,
    settings: &Settings,
    taken: &BTreeSet<String>,
) -> Option<Arc<Provider>> {
    let settled = settings
        .provider(&credential.provider, || {
            taken.contains(&credential.provider)
        })
        .and_then(Result::ok);
    settled.or_else(|| {
        let origins = credential.audience.origins.clone();
        defines_provider(credential)
            .then(|| Provider::of_accounts(&credential.provider, origins, &settings.selections))?
            .map(Arc::new)
    })
}

impl Entry {
    /// Whether the credential may go to `origin` under this configuration: it is sealed with where
    /// it was made for.
    pub(crate) fn may_go(&self, provider: &Provider, origin: &Origin) -> bool {
        self.credential.audience.fits(provider) && self.credential.audience.origins.contains(origin)
    }

    /// Whether it may go wherever credentials of its provider go.
    pub(super) fn goes_everywhere(&self, provider: Option<&Provider>) -> bool {
        provider.is_some_and(|provider| {
            let origins = &provider.origins;
            origins.iter().all(|origin| self.may_go(provider, origin))
        })
    }

    pub(super) fn is_of_pool_of(&self, other: &Self) -> bool {
        let pool = |entry: &'_ Self| (entry.view.provider.clone(), entry.view.namespace.clone());
        pool(self) == pool(other)
    }
}

/// A hash of a secret that tells nothing of it: its key is drawn anew in each process.
pub(super) fn secret_hash(secret: &SecretString) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(secret.expose_secret())
}

/// Whether a provider is what its accounts say: the login of an MCP server and the token of a host
/// name one place.
pub(super) fn defines_provider(credential: &Credential) -> bool {
    matches!(credential.kind(), AccountKind::Mcp | AccountKind::Wellknown)
}
