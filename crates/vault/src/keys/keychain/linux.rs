//! Linux: the Secret Service (GNOME Keyring, KWallet, KeePassXC), over D-Bus.
//!
//! This speaks to it through `secret-service`, on which the Linux stores of `keyring` are built,
//! because those stores unlock whatever they find, which opens a prompt, and start a runtime with a
//! thread per core that stays. Here the runtime has no thread of its own and ends with the call,
//! and a locked keychain is reported before a prompt is shown. Entries carry the attributes of
//! `keyring`, and `secret-tool lookup service provider-auth username <vault id>` shows the key.

use std::collections::HashMap;

use secret_service::{Collection, EncryptionType, Error, Item, SecretService};
use zeroize::Zeroizing;

use super::{Content, Prompts, Refusal, Request};

pub(super) fn find(request: &Request) -> Result<Option<Zeroizing<String>>, Refusal> {
    run(request, async {
        let service = connect(request).await?;
        let found = service.search_items(attributes(request)).await?;
        if let Some(item) = found.unlocked.first() {
            return read(item).await.map(Some);
        }
        if let Some(item) = found.locked.first() {
            permit(request)?;
            item.unlock().await?;
            return read(item).await.map(Some);
        }
        // Some services do not search what is locked: then "not found" means nothing.
        let collection = match service.get_default_collection().await {
            Err(Error::NoResult) => return Ok(None),
            found => found?,
        };
        if !collection.is_locked().await? {
            return Ok(None);
        }
        permit(request)?;
        collection.unlock().await?;
        match service
            .search_items(attributes(request))
            .await?
            .unlocked
            .first()
        {
            Some(item) => read(item).await.map(Some),
            None => Ok(None),
        }
    })
}

pub(super) fn keep(request: &Request, text: &str) -> Result<(), Refusal> {
    create(request, text, Existing::Stays)
}

pub(super) fn put(request: &Request, text: &str) -> Result<(), Refusal> {
    create(request, text, Existing::Replaced)
}

/// What becomes of an entry of the same name.
enum Existing {
    Stays,
    Replaced,
}

fn create(request: &Request, text: &str, existing: Existing) -> Result<(), Refusal> {
    run(request, async {
        let service = connect(request).await?;
        let collection = open_collection(&service, request).await?;
        collection
            .create_item(
                request.name.label,
                attributes(request),
                text.as_bytes(),
                matches!(existing, Existing::Replaced),
                "text/plain",
            )
            .await?;
        Ok(())
    })
}

pub(super) fn forget(request: &Request) -> Result<(), Refusal> {
    run(request, async {
        let service = connect(request).await?;
        let found = service.search_items(attributes(request)).await?;
        if !found.locked.is_empty() {
            permit(request)?;
        }
        for item in found.unlocked.iter().chain(&found.locked) {
            item.delete().await?;
        }
        Ok(())
    })
}

/// A session with the service. Agreeing on a key for it takes longer than all else, so public texts
/// go without.
async fn connect(request: &Request) -> Result<SecretService<'static>, Error> {
    SecretService::connect(match request.name.content {
        Content::Secret => EncryptionType::Dh,
        Content::Public => EncryptionType::Plain,
    })
    .await
}

async fn open_collection<'s>(
    service: &'s SecretService<'_>,
    request: &Request,
) -> Result<Collection<'s>, Refusal> {
    let collection = match service.get_default_collection().await {
        Err(Error::NoResult) => {
            permit(request)
                .map_err(|_| Refusal::Unavailable("it has no default collection yet".to_owned()))?;
            service.create_collection("Login", "default").await?
        }
        found => found?,
    };
    if collection.is_locked().await? {
        permit(request)?;
        collection.unlock().await?;
    }
    Ok(collection)
}

async fn read(item: &Item<'_>) -> Result<Zeroizing<String>, Refusal> {
    let secret = Zeroizing::new(item.get_secret().await?);
    let text = std::str::from_utf8(&secret)
        .map_err(|_| Refusal::Unavailable("its entry is not text".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Refuses what would open a prompt when no one is there to answer it.
fn permit(request: &Request) -> Result<(), Refusal> {
    match request.prompts {
        Prompts::Allowed => Ok(()),
        Prompts::Avoided | Prompts::Forbidden => Err(Refusal::Locked),
    }
}

fn attributes(request: &Request) -> HashMap<&str, &str> {
    let name = &request.name;
    HashMap::from([("service", name.service), ("username", &name.user)])
}

fn run<T>(request: &Request, call: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Refusal::Unavailable(error.to_string()))?;
    let answered = runtime.block_on(async { tokio::time::timeout(request.timeout, call).await });
    runtime.shutdown_background();
    answered.unwrap_or(Err(Refusal::TimedOut))
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Locked | Error::Prompt => Self::Locked,
            Error::Unavailable => {
                Self::Unavailable("no Secret Service runs in this session".to_owned())
            }
            Error::Zbus(error) => Self::Unavailable(format!("D-Bus says: {error}")),
            // The rest may quote what was sent.
            _ => Self::Unavailable(
                "the Secret Service gave an answer that makes no sense".to_owned(),
            ),
        }
    }
}
