//! The accounts: per pool who would serve, and why each other one would not.

use std::sync::Arc;

use provider_auth_policy::{Chance, Selection, Standing, Timestamp, TracedAccount};

use super::finding::{Finding, relative};
use crate::request::{AuthRequest, Explained, RequestService};
use crate::store::Store;
use crate::store::entry::Entry;

pub(super) async fn check(store: &Arc<Store>, requests: &Arc<RequestService>) -> Vec<Finding> {
    let accounts = store.accounts();
    let mut findings = Vec::new();
    for (provider, namespace, _) in accounts.pools() {
        findings.extend(pool(store, requests, provider, namespace).await);
    }
    let now = store.now();
    let entries = accounts.entries().filter_map(|entry| ends(entry, now));
    findings.extend(entries);
    if accounts.len() == 0 {
        let finding = Finding::note("accounts.none", "the vault has no account");
        findings.push(
            finding.remedy("provider-auth login, or provider-auth migrate for those of OpenCode"),
        );
    }
    findings
}

async fn pool(
    store: &Arc<Store>,
    requests: &Arc<RequestService>,
    provider: &str,
    namespace: &str,
) -> Vec<Finding> {
    let pool = match namespace {
        crate::config::DEFAULT_NAMESPACE => provider.to_owned(),
        _ => format!("{provider} ({namespace})"),
    };
    let named = |finding: Finding| {
        finding
            .with("provider", provider)
            .with("namespace", namespace)
    };
    let unusable = |why: String| {
        let finding = Finding::problem(
            "pool.unusable",
            format!("no request to {pool} can be served"),
        );
        vec![named(finding.why(why).remedy("provider-auth config check"))]
    };
    let known = match store.provider(provider) {
        Ok(known) => known,
        Err(error) => return unusable(error.to_string()),
    };
    let Some(origin) = known.origins.first() else {
        return unusable(format!(
            "providers.{provider}.origins is empty, so its credentials go nowhere"
        ));
    };
    let asked = AuthRequest {
        provider: provider.to_owned(),
        namespace: Some(namespace.to_owned()),
        url: Some(format!("{origin}/")),
        ..AuthRequest::default()
    };
    let explained = match requests.explain(&asked).await {
        Ok(explained) => explained,
        Err(error) => return unusable(error.to_string()),
    };
    let now = store.now();
    let mut findings = vec![named(outcome(&pool, provider, &explained, now))];
    let serves = matches!(explained.trace.selection, Selection::Serve { .. });
    let broken = explained.trace.accounts.iter().filter(|_| serves);
    findings.extend(
        broken
            .filter_map(|account| broken_account(&pool, provider, account))
            .map(named),
    );
    findings
}

fn outcome(pool: &str, provider: &str, explained: &Explained, now: Timestamp) -> Finding {
    let trace = &explained.trace;
    let chosen = match &trace.selection {
        Selection::Serve { account, .. } => Some(account),
        _ => None,
    };
    let others = trace
        .accounts
        .iter()
        .filter(|it| Some(&it.account) != chosen);
    let others: Vec<_> = others.map(|account| said(account, now)).collect();
    let login = format!("provider-auth login {provider}");
    let until = |at: Timestamp| relative(at.as_millis(), now.as_millis());
    let finding = match &trace.selection {
        Selection::Serve { account, rule } => Finding::ok(
            "pool.serves",
            format!("{pool}: account {account} serves next ({})", rule.as_str()),
        )
        .with("accountId", account),
        Selection::Wait { until: at, .. } => Finding::warning(
            "pool.waits",
            format!(
                "{pool}: every account rests; the soonest serves {}",
                until(*at)
            ),
        ),
        Selection::Exhausted { retry_at, reason } => {
            let when = retry_at.map_or(String::new(), |at| {
                format!("; the soonest serves {}", until(at))
            });
            let title = format!(
                "{pool}: no account can serve now{when} ({})",
                reason.as_str()
            );
            Finding::warning("pool.exhausted", title)
                .remedy(format!("wait, add another account ({login}), or lift a cooldown that is no more: provider-auth unblock"))
        }
        Selection::NeedsLogin { reason, .. } => {
            let title = format!("{pool}: no account can serve until {}", needs(*reason));
            Finding::problem("pool.needs_login", title).remedy(login)
        }
        Selection::OriginRefused => {
            let title = format!(
                "{pool}: no account may go where the configuration says that the provider is"
            );
            let remedy = explained.refusal.clone().unwrap_or(login);
            Finding::problem("pool.origin_refused", title).remedy(remedy)
        }
        Selection::NoAccount => {
            let title = format!(
                "{pool}: every account is switched off, or not of the kind that the pool uses"
            );
            Finding::warning("pool.no_account", title)
                .remedy(format!("provider-auth enable <account>, or {login}"))
        }
        Selection::UnknownAccount => {
            let title = format!("{pool}: the configuration names an account that there is not");
            Finding::problem("pool.unknown_account", title).remedy(format!(
                "correct providers.{provider}.account (provider-auth config edit); provider-auth accounts lists them"
            ))
        }
    };
    match others.is_empty() {
        true => finding,
        false => finding.why(others.join("; ")),
    }
}

/// What keeps one account from serving next.
fn said(account: &TracedAccount, now: Timestamp) -> String {
    let id = &account.account;
    match account.chance {
        Chance::Eligible | Chance::Stands(Standing::Serving) => format!("{id} could serve too"),
        Chance::LowQuota => format!("{id} has little of its quota left"),
        Chance::Resting { until, reason } => {
            let until = relative(until.as_millis(), now.as_millis());
            let scope = account
                .charged
                .as_ref()
                .map_or("account", |(scope, _)| scope);
            match scope {
                "account" => format!("{id} rests and serves again {until} ({})", reason.as_str()),
                _ => format!(
                    "{id} rests for {scope}, until {until} ({})",
                    reason.as_str()
                ),
            }
        }
        Chance::Stands(standing) => format!("{id} waits until {}", needs(standing)),
        Chance::Disabled => format!("{id} is switched off"),
        Chance::Unreadable => format!("{id} cannot be read"),
        Chance::OtherKind => format!("{id} is not of the kind that the pool's mode uses"),
        Chance::OriginRefused => format!("{id} was made for other origins"),
        Chance::NotPinned | Chance::BoundElsewhere => {
            format!("{id} is not the one that is asked for")
        }
        Chance::NotFirst => format!("{id} is not the first, and the pool does not rotate"),
        Chance::Tried | Chance::NoChangesLeft => format!("{id} was tried"),
    }
}

fn needs(standing: Standing) -> &'static str {
    match standing {
        Standing::Serving => "nothing happens",
        Standing::NeedsLogin => "somebody signs in again",
        Standing::NeedsVerification => "its owner verifies it on the provider's page",
        Standing::BlockedByProvider => "the provider lifts its ban",
        Standing::RollbackSuspected => {
            "somebody signs in again, since it may be an old copy from a backup"
        }
    }
}

/// An account that a person must see to, though another one serves.
fn broken_account(pool: &str, provider: &str, account: &TracedAccount) -> Option<Finding> {
    let id = &account.account;
    let (finding, title) = match account.chance {
        Chance::Stands(Standing::Serving) => return None,
        Chance::Stands(standing) => (
            "account.needs_login",
            format!(
                "{pool}: account {id} cannot serve until {}",
                needs(standing)
            ),
        ),
        Chance::Unreadable => (
            "account.unreadable",
            format!("{pool}: account {id} cannot be read"),
        ),
        Chance::OriginRefused => (
            "account.origin_refused",
            format!(
                "{pool}: account {id} was made for other origins than those that are configured now"
            ),
        ),
        _ => return None,
    };
    Some(
        Finding::warning(finding, title)
            .why("the other accounts of its pool carry its load")
            .remedy(format!(
                "provider-auth login {provider}, or provider-auth remove {id}"
            ))
            .with("accountId", id),
    )
}

/// A token that ends and cannot be renewed without a person.
fn ends(entry: &Entry, now: Timestamp) -> Option<Finding> {
    let view = &entry.view;
    let at = view.expires_at?;
    if view.refreshable || !view.enabled || at <= now {
        return None;
    }
    let (id, when) = (&view.id, relative(at.as_millis(), now.as_millis()));
    let title = format!("{}: the token of account {id} ends {when}", view.provider);
    Some(
        Finding::note("account.ends", title)
            .why("it cannot be renewed without a person")
            .remedy(format!("provider-auth login {} before then", view.provider))
            .with("accountId", id)
            .with("provider", &view.provider),
    )
}
