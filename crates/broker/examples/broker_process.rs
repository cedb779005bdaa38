//! The product without a language around it, as a process that a test can kill: it starts in a
//! tenth of the time of Node.
//!
//! `broker_process show | add <key> | refresh <id> | remove <id> | move | return | rotate | export
//! | import <key> | migrate <folder> keep|backup|remove|undo | work <namespace> <id>...`
//!
//! The vault, its key and the provider `local` come from the environment, as for every user of the
//! broker. `work` goes on until it is killed and says on standard output what it is about to do
//! (`try …`) and what is done (`did …`).

#![expect(
    clippy::print_stdout,
    reason = "standard output is how the test hears from this process"
)]

use std::{error::Error, fs, io::Write, sync::Arc, time::Duration};

use provider_auth_broker::{
    Account, AccountChanges, AuthRequest, Broker, Direction, Entropy, Env, Events, Filter, Force,
    Host, Logins, MigrateOptions, PassphraseRule, Revoke, SourceAction, SystemEntropy, SystemEnv,
    config::Inline,
};
use provider_auth_vault::{Disk, KeySecrets, KeySource, Options, Vault};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::{runtime::Builder, task::spawn_blocking};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Of the bundles.
const PASSPHRASE: &str = "correct horse battery staple";

/// Accounts of one worker: few enough that opening the vault stays quick.
const MOST_ACCOUNTS: usize = 4;
/// Labels to choose from: so many that two of a pool are hardly ever the same.
const LABELS: usize = 1 << 40;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // One thread for the disk, so that its calls come in the same order each time.
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .thread_keep_alive(Duration::from_mins(1))
        .enable_all()
        .build()?;
    let broker = Broker::new(
        Host::system(),
        &Inline::default(),
        Arc::new(Events::default()),
    )?;
    let outcome = runtime.block_on(async {
        spawn_blocking(count_ahead).await??;
        act(&broker, &arguments).await
    });
    broker.close();
    outcome
}

/// `strace` counts calls for each thread by itself: from here on the numbers of the disk's thread
/// are its own.
fn count_ahead() -> std::io::Result<()> {
    for _ in 0..64 {
        let mut nowhere = fs::OpenOptions::new().write(true).open("/dev/null")?;
        nowhere.write_all(b".")?;
    }
    Ok(())
}

async fn act(broker: &Arc<Broker>, arguments: &[String]) -> Outcome {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["show"] => println!("{}", show(broker).await?),
        ["add", key] => add(broker, key, None, None).await.map(drop)?,
        ["refresh", id] => broker
            .refresh_account(id, Force::EvenIfGood)
            .await
            .map(drop)?,
        ["remove", id] => match broker.remove_account(id, Revoke::Locally).await {
            // An earlier try got that far.
            Err(error) if error.code() == "UNKNOWN_ACCOUNT" => {}
            removed => drop(removed?),
        },
        ["move"] => broker
            .export_vault(PASSPHRASE.into(), PassphraseRule::HardToGuess, Logins::Move)
            .await
            .map(drop)?,
        ["return"] => take_back(broker).await?,
        ["export"] => println!("{}", spawn_blocking(export).await??),
        ["rotate"] => spawn_blocking(rotate).await??,
        ["import", key] => {
            let key = SecretString::from(*key);
            spawn_blocking(move || import(&key)).await??;
        }
        ["migrate", folder, how] => migrate(broker, folder, how).await?,
        ["work", namespace, logins @ ..] => work(broker, namespace, logins).await?,
        other => return Err(format!("what is {other:?}?").into()),
    }
    Ok(())
}

/// Brings moved logins back with the bundle that got lost on its way, if there is one.
async fn take_back(broker: &Arc<Broker>) -> Outcome {
    if let Some(bundle) = broker.moved_bundle().await? {
        broker.import_vault(bundle, PASSPHRASE.into()).await?;
    }
    Ok(())
}

/// All accounts, and the secret that each would be called with.
async fn show(broker: &Arc<Broker>) -> Outcome<serde_json::Value> {
    let mut shown = Vec::new();
    for account in broker.list_accounts(&Filter::default()).await? {
        let Account {
            id, label, state, ..
        } = &account;
        let bearer = bearer(broker, &account).await.ok();
        shown.push(json!({ "id": id, "label": label, "state": state, "bearer": bearer }));
    }
    let quarantined = broker.vault_status().await?.quarantined;
    Ok(json!({ "accounts": shown, "quarantined": quarantined }))
}

async fn bearer(broker: &Arc<Broker>, account: &Account) -> Outcome<String> {
    let providers = broker.providers();
    let provider = providers.iter().find(|known| known.id == account.provider);
    let origin = provider.and_then(|provider| provider.origins.first());
    let asked = AuthRequest {
        provider: account.provider.clone(),
        namespace: Some(account.namespace.clone()),
        url: Some(origin.ok_or("no origin")?.clone()),
        account: Some(account.id.clone()),
        ..AuthRequest::default()
    };
    let lease = broker.headers(&asked).await?;
    let (_, value) = lease.headers().iter().next().ok_or("no header")?;
    Ok(value.trim_start_matches("Bearer ").to_owned())
}

async fn add(
    broker: &Arc<Broker>,
    key: &str,
    namespace: Option<&str>,
    label: Option<&str>,
) -> Outcome<String> {
    let [namespace, label] = [namespace, label].map(|text| text.map(str::to_owned));
    let added = broker.add_api_key("local", key.into(), namespace, label, None);
    Ok(added.await?.id)
}

async fn migrate(broker: &Arc<Broker>, folder: &str, how: &str) -> Outcome {
    let (direction, source_action) = match how {
        "keep" => (Direction::IntoVault, SourceAction::Keep),
        "backup" => (Direction::IntoVault, SourceAction::Backup),
        "remove" => (Direction::IntoVault, SourceAction::Remove),
        "undo" => (Direction::Undo, SourceAction::Keep),
        other => return Err(format!("what is {other:?}?").into()),
    };
    let options = MigrateOptions {
        dir: Some(folder.into()),
        direction,
        source_action,
        ..MigrateOptions::default()
    };
    Ok(broker.migrate(options).await.map(drop)?)
}

/// Adds, renames and removes accounts of its own, and renews logins that it shares with others,
/// until it is killed.
async fn work(broker: &Arc<Broker>, namespace: &str, logins: &[&str]) -> Outcome {
    let own = Filter {
        namespace: Some(namespace.to_owned()),
        ..Filter::default()
    };
    let mut accounts: Vec<(String, usize)> = Vec::new();
    for account in broker.list_accounts(&own).await? {
        println!("has {} {}", account.id, account.label);
        accounts.push((account.id, account.label.parse()?));
    }
    println!("ready");
    loop {
        let chosen = below(accounts.len());
        match below(8) {
            _ if accounts.is_empty() => accounts.push(add_one(broker, namespace).await?),
            0 if accounts.len() < MOST_ACCOUNTS => {
                accounts.push(add_one(broker, namespace).await?);
            }
            1 => {
                let (id, _) = accounts.remove(chosen);
                println!("try remove {id}");
                match broker.remove_account(&id, Revoke::Locally).await {
                    // Another process was faster.
                    Err(error) if error.code() == "UNKNOWN_ACCOUNT" => {}
                    removed => drop(removed?),
                }
                println!("did remove {id}");
            }
            2 if !logins.is_empty() => {
                let id = logins[below(logins.len())];
                println!("try refresh {id}");
                let account = broker.refresh_account(id, Force::EvenIfGood).await?;
                println!("did refresh {id} {}", bearer(broker, &account).await?);
            }
            _ => {
                let (id, label) = &mut accounts[chosen];
                *label += 1;
                println!("try label {id} {label}");
                let changes = AccountChanges {
                    label: Some(label.to_string()),
                    ..AccountChanges::default()
                };
                broker.update_account(id, changes).await?;
                println!("did label {id} {label}");
            }
        }
    }
}

async fn add_one(broker: &Arc<Broker>, namespace: &str) -> Outcome<(String, usize)> {
    let key = format!("key-{}", below(usize::MAX));
    // No other account of the pool has it, so that it stays as it is.
    let number = below(LABELS);
    println!("try add {key} {number}");
    let label = number.to_string();
    let id = add(broker, &key, Some(namespace), Some(&label)).await?;
    println!("did add {id} {label}");
    Ok((id, number))
}

/// A random number below a limit; 0 where there is none.
fn below(limit: usize) -> usize {
    let mut bytes = [0; 8];
    SystemEntropy.fill(&mut bytes);
    usize::from_le_bytes(bytes).checked_rem(limit).unwrap_or(0)
}

fn rotate() -> Outcome {
    let vault = Vault::open(options()?, Arc::new(Disk), Arc::new(entropy))?;
    Ok(vault.rotate_key()?)
}

fn export() -> Outcome<String> {
    let vault = Vault::open(options()?, Arc::new(Disk), Arc::new(entropy))?;
    Ok(vault.export_key()?.expose_secret().to_owned())
}

fn import(key: &SecretString) -> Outcome {
    Vault::import_key(options()?, key, Arc::new(Disk), Arc::new(entropy))?;
    Ok(())
}

fn options() -> Outcome<Options> {
    let dir = SystemEnv.var("PROVIDER_AUTH_DIR").ok_or("no folder")?;
    let secrets = KeySecrets {
        key: SystemEnv.var("PROVIDER_AUTH_KEY").map(SecretString::from),
        ..KeySecrets::default()
    };
    Ok(Options {
        key: KeySource::Env,
        secrets,
        ..Options::new(dir)
    })
}

fn entropy(bytes: &mut [u8]) {
    SystemEntropy.fill(bytes);
}
