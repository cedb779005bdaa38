//! Hosts that share the vault, each with a key of its own: one joins, is admitted, is revoked. What
//! a revoked host could read is renewed where that can be done, and told where it cannot.

use std::sync::Arc;

use provider_auth_vault::{
    FleetHost, KeySecrets, KeySource, Options, StoreStatus, Vault, VaultError, line,
};
use tokio::task::JoinSet;

use crate::accounts_api::{AccountService, Force};
use crate::error::BrokerError;
use crate::host::blocking;
use crate::limits;
use crate::store::Store;
use crate::store::accounts::record_id;
use crate::store::credential::Credential;
use crate::store::entry::Entry;
use crate::store::secret::Secret;

/// What came of revoking a host.
#[derive(Debug)]
pub struct HostRevocation {
    /// Which host it was; `revoked` as long as a login is to be renewed.
    pub host: FleetHost,
    /// The accounts that it could read, oldest first.
    pub accounts: Vec<ExposedAccount>,
    /// What an administrator of the database has to run, where a store in a database is used.
    pub sql: Option<String>,
}

/// An account that a revoked host could read.
#[derive(Debug)]
pub struct ExposedAccount {
    /// ULID.
    pub id: String,
    /// Provider id.
    pub provider: String,
    /// Pool within the provider.
    pub namespace: String,
    /// The user's name for it.
    pub label: String,
    /// Whether its tokens were renewed: those that the host knew are spent.
    pub refreshed: bool,
    /// What is as the host knew it, and can be replaced only by its owner.
    pub replace: Vec<ToReplace>,
    /// Why its tokens could not be renewed.
    pub error: Option<BrokerError>,
}

impl ExposedAccount {
    /// Whether to try again would change nothing.
    fn is_settled(&self) -> bool {
        let code = self.error.as_ref().map(BrokerError::code);
        code.is_none_or(|code| code == "NEEDS_LOGIN")
    }
}

/// What of an account only its owner can replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToReplace {
    /// An API key: make a new one at the provider, and delete this one there.
    ApiKey,
    /// The secret of an OAuth client: make a new one where the client is registered.
    ClientSecret,
    /// A login that could not be renewed now: sign in again, and revoke the old one.
    Login,
    /// A token that nothing renews: it ends by itself, or at its provider.
    Token,
}

impl ToReplace {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::ClientSecret => "client_secret",
            Self::Login => "login",
            Self::Token => "token",
        }
    }
}

/// Handles the hosts of one vault.
pub(crate) struct FleetService {
    store: Arc<Store>,
    accounts: Arc<AccountService>,
}

impl FleetService {
    pub(crate) fn new(store: Arc<Store>, accounts: Arc<AccountService>) -> Arc<Self> {
        Arc::new(Self { store, accounts })
    }

    /// Makes this host's key, in the keychain or in a file, and returns the line with which another
    /// host admits it.
    pub(crate) async fn join(
        self: &Arc<Self>,
        place: Option<KeySource>,
    ) -> Result<String, BrokerError> {
        let configured = self.store.interactive_options();
        let options = match place {
            _ if configured.key == KeySource::Memory => {
                return Err(BrokerError::InvalidArgument(
                    "a vault in memory has one host: configure another keySource (PROVIDER_AUTH_KEY_SOURCE)".to_owned(),
                ));
            }
            Some(key @ (KeySource::Keychain | KeySource::Keyfile)) => Options { key, ..configured },
            Some(_) => {
                return Err(BrokerError::InvalidArgument(
                    "keySource: expected keychain or keyfile".to_owned(),
                ));
            }
            None => configured,
        };
        let engine = self.store.engine()?;
        let entropy = self.store.vault_entropy();
        Ok(blocking(move || Vault::join(&options, engine, &*entropy)).await?)
    }

    /// Lets a host open the vault.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        key: String,
        name: String,
    ) -> Result<FleetHost, BrokerError> {
        let vault = self.store.opened_interactive().await?;
        Ok(blocking(move || vault.admit_host(&key, &name)).await?)
    }

    /// The hosts that were admitted, and those whose revocation is not finished.
    pub(crate) async fn hosts(self: &Arc<Self>) -> Result<Vec<FleetHost>, BrokerError> {
        let vault = self.store.opened().await?;
        Ok(blocking(move || vault.hosts()).await?)
    }

    /// Takes a host out, gives the vault a new key, and renews every login once. Only then: what is
    /// renewed before, the host can still read. Where this is cut off, or a login cannot be renewed
    /// now, it can be done again.
    pub(crate) async fn revoke(
        self: &Arc<Self>,
        name: String,
        given: KeySecrets,
    ) -> Result<HostRevocation, BrokerError> {
        let vault = self.store.opened_interactive().await?;
        let sql = vault.store_status().and_then(|store| sql_for(&store));
        let revoked = {
            let (vault, name) = (vault.clone(), name.clone());
            blocking(move || vault.revoke_host(&name, &given)).await?
        };
        let Some(mut host) = revoked else {
            return Err(BrokerError::InvalidArgument(
                "no host has that name; `provider-auth fleet hosts` lists them".to_owned(),
            ));
        };
        self.store.reread(&vault).await?;
        let known = self.store.accounts();
        // A login that has moved left no token here.
        let entries: Vec<_> = known
            .entries()
            .filter(|entry| entry.credential.moved_at.is_none())
            .cloned()
            .collect();
        let mut accounts = Vec::with_capacity(entries.len());
        for some in entries.chunks(limits::REFRESHED_AT_ONCE) {
            let mut under_way = JoinSet::new();
            for (place, entry) in some.iter().cloned().enumerate() {
                let (fleet, vault) = (self.clone(), vault.clone());
                under_way.spawn(async move { (place, fleet.renewed(&vault, &entry).await) });
            }
            let mut done = under_way.join_all().await;
            done.sort_by_key(|(place, _)| *place);
            accounts.extend(done.into_iter().map(|(_, account)| account));
        }
        if accounts.iter().all(ExposedAccount::is_settled) {
            match blocking(move || vault.finish_revocation(&name)).await {
                Ok(()) => host.revoked = false,
                Err(error) => line!(
                    WARN,
                    error = error,
                    "that a revocation is finished could not be written: its host is listed until it is revoked again"
                ),
            }
        }
        Ok(HostRevocation {
            host,
            accounts,
            sql,
        })
    }

    /// Renews what can be renewed of an account.
    async fn renewed(self: &Arc<Self>, vault: &Arc<Vault>, entry: &Entry) -> ExposedAccount {
        let mut account = ExposedAccount {
            id: entry.view.id.to_string(),
            provider: entry.view.provider.to_string(),
            namespace: entry.view.namespace.to_string(),
            label: entry.view.label.clone(),
            refreshed: false,
            replace: Vec::new(),
            error: None,
        };
        if entry.view.refreshable {
            match self
                .accounts
                .refresh_account(&account.id, Force::EvenIfGood)
                .await
            {
                Ok(_) => account.refreshed = true,
                Err(error) => {
                    account.replace.push(ToReplace::Login);
                    account.error = Some(error);
                }
            }
        }
        match self.lasting_secret(vault, entry).await {
            Ok(lasting) => account.replace.extend(lasting),
            Err(error) => account.error = Some(account.error.unwrap_or(error)),
        }
        account
    }

    /// What of an account stays as it is, also when its tokens are renewed.
    async fn lasting_secret(
        &self,
        vault: &Arc<Vault>,
        entry: &Entry,
    ) -> Result<Option<ToReplace>, BrokerError> {
        let (vault, id) = (vault.clone(), record_id(&entry.view.id)?);
        // An account in memory does not hold the secret of its client.
        let read = blocking(move || -> Result<_, VaultError> {
            Ok(vault
                .read(&id)?
                .and_then(|record| Credential::open(&record)))
        });
        let refreshable = entry.view.refreshable;
        Ok(read.await?.and_then(|credential| match credential.secret {
            Secret::Api { .. } => Some(ToReplace::ApiKey),
            Secret::Wellknown { .. } => Some(ToReplace::Token),
            Secret::Oauth {
                client_secret: Some(_),
                ..
            } => Some(ToReplace::ClientSecret),
            Secret::Oauth { .. } => (!refreshable).then_some(ToReplace::Token),
        }))
    }
}

/// What ends the sessions of a host whose role in the database is its own. No library may do that.
fn sql_for(store: &StoreStatus) -> Option<String> {
    (store.kind == "postgres").then(|| {
        "alter role \"<its role>\" nologin;\n\
         select pg_terminate_backend(pid) from pg_stat_activity where usename = '<its role>';"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use provider_auth_vault::StoreState;

    use super::*;

    #[test]
    fn a_database_is_left_to_its_administrator() {
        let store = |kind| StoreStatus {
            kind,
            place: "db.example/auth".to_owned(),
            state: StoreState::Listening,
            since: 0,
            direct: None,
            schema: 1,
            hosts: None,
            outbox: 0,
            settles_in: None,
            clock_offset: 0,
        };
        let sql = sql_for(&store("postgres")).unwrap();
        assert!(sql.contains("nologin;") && sql.ends_with("';"), "{sql}");
        assert_eq!(sql_for(&store("another")), None);
    }
}
