//! The broker: one per process, over one vault folder that all processes share.
//!
//! It wires the services and hands each call to the one that answers it. What a call does is there.

mod keys;
mod stores;

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::runtime::Handle;

use crate::accounts_api::{AccountChanges, AccountService, Force, Revoke};
use crate::config::{ConfigReport, Inline, Project};
use crate::diagnose::{DiagnoseOptions, Diagnosis, DiagnosisService};
use crate::error::BrokerError;
use crate::fleet::FleetService;
use crate::host::Host;
use crate::keys::KeyService;
use crate::limits;
use crate::login::{LoginOptions, LoginProgress, LoginPrompt, LoginService};
use crate::migrate::{MigrateOptions, MigrationReport, MigrationService};
use crate::models::{KeyCheck, ModelList, ModelService, ModelsRequest};
use crate::notifier::Events;
use crate::oauth_endpoints::OauthEndpoints;
use crate::providers::{BoundItems, StreamShape};
use crate::refresh::Refresher;
use crate::request::{AuthRequest, Explained, Lease, Report, RequestService, Verdict};
use crate::stats::{Stats, StatsFilter};
use crate::status::{PoolStatus, ProviderSummary, StatusService, VaultStatus};
use crate::store::{Account, Filter, HeaderRules, Store};
use crate::transfer::{Imported, Logins, PassphraseRule, TransferService};
use crate::trust::ProjectTrust;

/// Lends credentials of the accounts in one vault.
pub struct Broker {
    store: Arc<Store>,
    refresher: Arc<Refresher>,
    requests: Arc<RequestService>,
    models: Arc<ModelService>,
    logins: Arc<LoginService>,
    accounts: Arc<AccountService>,
    migration: Arc<MigrationService>,
    transfer: Arc<TransferService>,
    status: Arc<StatusService>,
    keys: Arc<KeyService>,
    fleet: Arc<FleetService>,
    trust: Arc<ProjectTrust>,
    diagnosis: Arc<DiagnosisService>,
}

impl Broker {
    /// Reads the configuration; the vault opens on first use.
    pub fn new(host: Host, inline: &Inline, events: Arc<Events>) -> Result<Arc<Self>, BrokerError> {
        let store = Store::new(host, inline, events)?;
        let endpoints = Arc::new(OauthEndpoints::new(store.clone()));
        let refresher = Refresher::new(store.clone(), endpoints.clone());
        let requests = RequestService::new(store.clone(), refresher.clone());
        let migration = MigrationService::new(store.clone());
        let status = StatusService::new(store.clone(), requests.clone());
        let accounts = AccountService::new(
            store.clone(),
            refresher.clone(),
            endpoints.clone(),
            migration.clone(),
        );
        Ok(Arc::new(Self {
            models: ModelService::new(store.clone(), requests.clone()),
            logins: LoginService::new(store.clone(), endpoints),
            transfer: TransferService::new(store.clone(), migration.clone()),
            keys: KeyService::new(store.clone(), status.clone()),
            fleet: FleetService::new(store.clone(), accounts.clone()),
            accounts,
            trust: ProjectTrust::new(store.clone()),
            diagnosis: DiagnosisService::new(store.clone(), requests.clone()),
            store,
            refresher,
            requests,
            migration,
            status,
        }))
    }

    /// Whether the vault is open, from when on the settings are fixed.
    pub fn is_open(&self) -> bool {
        self.store.is_open()
    }

    /// Waits for token exchanges under way, then writes what is unwritten, for a few seconds at most: a
    /// refresh token that the server has already replaced must reach the disk. Called when
    /// the process ends.
    pub fn close(&self) {
        let began = self.store.uptime();
        self.refresher.close();
        let waited = self.store.uptime().saturating_sub(began);
        self.store.close(
            limits::EXIT_TIMEOUT
                .saturating_sub(waited)
                .max(limits::LAST_WRITES),
        );
    }

    /// The accounts and the configuration.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Headers at once, if nothing must be read, refreshed or waited for; `None` sends the caller
    /// to [`Broker::headers`].
    pub fn headers_now(
        &self,
        asked: &AuthRequest,
        runtime: &Handle,
    ) -> Option<Result<Lease, BrokerError>> {
        self.requests.headers_now(asked, runtime)
    }

    /// The same for a request that was asked for before, by the number that its lease has; `None`
    /// also when it is forgotten, or may mean something else by now.
    pub fn headers_again(&self, number: u64, runtime: &Handle) -> Option<Lease> {
        self.requests.headers_again(number, runtime)
    }

    /// What in a provider's requests only the account that made it can serve.
    pub fn bound_items(&self, provider: &str) -> Result<&'static BoundItems, BrokerError> {
        self.requests.bound_items(provider)
    }

    /// How a provider's event streams look.
    pub fn stream_shapes(&self, provider: &str) -> Result<&'static [StreamShape], BrokerError> {
        self.requests.stream_shapes(provider)
    }

    /// What becomes of a provider's further headers where a caller sets them too.
    pub fn header_rules(&self, provider: &str) -> Result<HeaderRules, BrokerError> {
        self.requests.header_rules(provider)
    }

    /// What the account of an attempt is lent with now; `None` for an attempt or an account that is
    /// not known.
    pub fn lent(&self, attempt: &str) -> Option<Lease> {
        self.requests.lent(attempt)
    }

    /// Picks an account and returns its headers, after a refresh or a wait where need be.
    ///
    /// Dropping the future ends the wait, and nothing else: a token exchange under way goes on.
    pub async fn headers(&self, asked: &AuthRequest) -> Result<Lease, BrokerError> {
        self.requests.headers(asked).await
    }

    /// The verdict on a 2xx at once; `None` sends the caller to [`Broker::report`].
    pub fn report_now(
        &self,
        report: &Report,
        runtime: &Handle,
    ) -> Option<Result<Verdict, BrokerError>> {
        self.requests.report_now(report, runtime)
    }

    /// Judges a response; a new block is on disk before this returns.
    pub async fn report(&self, report: &Report) -> Result<Verdict, BrokerError> {
        self.requests.report(report).await
    }

    /// Explains how a request would fare now. Nothing is lent, counted or waited for.
    pub async fn explain(&self, asked: &AuthRequest) -> Result<Explained, BrokerError> {
        self.requests.explain(asked).await
    }

    /// Lists the models that the pool may use, as the account sees them that would serve now.
    ///
    /// Dropping the future ends the wait; those who wait for the same list go on.
    pub async fn discover_models(&self, wanted: &ModelsRequest) -> Result<ModelList, BrokerError> {
        self.models.discover_models(wanted).await
    }

    /// Lists the accounts, oldest first.
    pub async fn list_accounts(&self, filter: &Filter) -> Result<Vec<Account>, BrokerError> {
        self.accounts.list_accounts(filter).await
    }

    /// Asks the provider whether it takes an API key. Nothing is stored.
    pub async fn check_api_key(
        &self,
        provider: &str,
        key: SecretString,
    ) -> Result<KeyCheck, BrokerError> {
        self.models.check_api_key(provider, key).await
    }

    /// Stores an API key. The same key of the same pool updates its record.
    pub async fn add_api_key(
        &self,
        provider: &str,
        key: SecretString,
        namespace: Option<String>,
        label: Option<String>,
        priority: Option<i64>,
    ) -> Result<Account, BrokerError> {
        self.accounts
            .add_api_key(provider, key, namespace, label, priority)
            .await
    }

    /// Changes what a user may change of an account.
    pub async fn update_account(
        &self,
        id: &str,
        changes: AccountChanges,
    ) -> Result<Account, BrokerError> {
        self.accounts.update_account(id, changes).await
    }

    /// Lets accounts serve again at once; returns how many blocks were lifted.
    pub async fn clear_cooldowns(&self, filter: &Filter) -> Result<usize, BrokerError> {
        self.accounts.clear_cooldowns(filter).await
    }

    /// Renews the token of one account for the user.
    pub async fn refresh_account(&self, id: &str, force: Force) -> Result<Account, BrokerError> {
        self.accounts.refresh_account(id, force).await
    }

    /// Removes an account, named by id or label; with `revoke`, first at the provider.
    ///
    /// The copies go first: killed in between, the account is still there and can be removed again.
    pub async fn remove_account(&self, id: &str, revoke: Revoke) -> Result<bool, BrokerError> {
        self.accounts.remove_account(id, revoke).await
    }

    /// Begins a login and says what to show to the user.
    pub async fn start_login(&self, options: LoginOptions) -> Result<LoginPrompt, BrokerError> {
        self.logins.start_login(options).await
    }

    /// Waits for a login to end; a pasted code or redirect URL may end it. A paste that cannot be
    /// used leaves it open.
    pub async fn finish_login(
        &self,
        number: u64,
        code: Option<String>,
    ) -> Result<Account, BrokerError> {
        self.logins.finish_login(number, code).await
    }

    /// How far a login is; `None` for one that is not known any more.
    pub fn login_progress(&self, number: u64) -> Option<LoginProgress> {
        self.logins.login_progress(number)
    }

    /// Calls a login off and closes its port. Does nothing for one that has ended.
    pub fn cancel_login(&self, number: u64) {
        self.logins.cancel_login(number)
    }

    /// Returns a bundle of all API keys, and with [`Logins::Move`] of the logins; the stock `age`
    /// command opens it too.
    ///
    /// The logins leave only once the bundle is sealed and a copy of it is on the disk, and all of
    /// them or none. A login that has ended stays, and so does one that may be an old copy.
    pub async fn export_vault(
        &self,
        passphrase: SecretString,
        rule: PassphraseRule,
        logins: Logins,
    ) -> Result<Vec<u8>, BrokerError> {
        self.transfer.export_vault(passphrase, rule, logins).await
    }

    /// Brings the accounts of a bundle into the vault: by identity, and never over a newer
    /// generation. Importing it again changes nothing.
    pub async fn import_vault(
        &self,
        bundle: Vec<u8>,
        passphrase: SecretString,
    ) -> Result<Imported, BrokerError> {
        self.transfer.import_vault(bundle, passphrase).await
    }

    /// The last bundle that took logins along, as it was returned, for who did not receive it;
    /// `None` once it is not needed.
    pub async fn moved_bundle(&self) -> Result<Option<Vec<u8>>, BrokerError> {
        self.transfer.moved_bundle().await
    }

    /// Brings OpenCode's credentials into the vault, or undoes that.
    ///
    /// A second run changes nothing. With [`MigrateOptions::dry_run`] nothing is written, and no
    /// vault is made.
    pub async fn migrate(&self, options: MigrateOptions) -> Result<MigrationReport, BrokerError> {
        self.migration.migrate(options).await
    }

    /// How each pool stands that has an account or has been asked.
    pub async fn pool_status(&self, filter: &Filter) -> Result<Vec<PoolStatus>, BrokerError> {
        self.status.pool_status(filter).await
    }

    /// What happened in the last weeks, as all processes have counted it.
    pub async fn stats(&self, filter: StatsFilter) -> Result<Stats, BrokerError> {
        self.status.stats(filter).await
    }

    /// Whether there is a vault, which takes neither its key nor a keychain to tell.
    pub async fn has_vault(&self) -> Result<bool, BrokerError> {
        self.status.has_vault().await
    }

    /// How the vault stands. It is not created, and no prompt is shown.
    pub async fn vault_status(&self) -> Result<VaultStatus, BrokerError> {
        self.status.vault_status().await
    }

    /// Every provider that can be used under this configuration.
    pub fn providers(&self) -> Vec<ProviderSummary> {
        self.status.providers()
    }

    /// What the files of the project want now, and whether they are trusted. Reads files only; the
    /// vault stays as it is.
    pub async fn project_trust(&self) -> Result<Project, BrokerError> {
        self.trust.project_trust().await
    }

    /// Keeps that a person trusts the files of the project, and has what they want take effect.
    ///
    /// `shown` names each file with the hash of what the person saw; a file that has changed since
    /// is not trusted. Without it, the files are trusted as they are.
    pub async fn trust_project(
        &self,
        shown: Option<Vec<(PathBuf, String)>>,
    ) -> Result<Project, BrokerError> {
        self.trust.trust_project(shown).await
    }

    /// Takes the trust in the files of the project back.
    pub async fn untrust_project(&self) -> Result<Project, BrokerError> {
        self.trust.untrust_project().await
    }

    /// Looks at everything between a request and its credential. What is wrong is a finding; so is
    /// what the report on its configuration says.
    pub async fn diagnose(&self, options: DiagnoseOptions, report: &ConfigReport) -> Diagnosis {
        self.diagnosis.diagnose(options, report).await
    }
}
