//! Linux: the Secret Service (GNOME Keyring, KWallet, KeePassXC), over D-Bus.
//!
//! Nine methods are called, one after the other, on the thread that a call has anyway. The Linux
//! stores of `keyring` unlock whatever they find, which opens a prompt; here a locked keychain is
//! reported first. The clients beneath them bring a general D-Bus with its runtime, a sixth of the
//! addon. Entries carry the attributes of `keyring`, and
//! `secret-tool lookup service provider-auth username <vault id>` shows the key.

#[path = "linux/bus.rs"]
mod bus;
#[path = "linux/session.rs"]
mod session;
#[path = "linux/wire.rs"]
mod wire;

use bus::Bus;
use session::{Offer, SessionKey};
use wire::{Method, Writer};
use zeroize::Zeroizing;

use super::{Content, Prompts, Refusal, Request};

const SERVICE: &str = "/org/freedesktop/secrets";
/// What the service answers where there is no object.
const NOTHING: &str = "/";

pub(super) fn find(request: &Request) -> Result<Option<Zeroizing<String>>, Refusal> {
    let mut service = Service::connect(request)?;
    let found = service.search()?;
    if let Some(item) = found.unlocked.first() {
        return service.read(item).map(Some);
    }
    if let Some(item) = found.locked.first() {
        service.unlock(item)?;
        return service.read(item).map(Some);
    }
    // Some services do not search what is locked: then "not found" means nothing.
    let Some(collection) = service.default_collection()? else {
        return Ok(None);
    };
    if !service.is_locked(&collection)? {
        return Ok(None);
    }
    service.unlock(&collection)?;
    let found = service.search()?;
    found
        .unlocked
        .first()
        .map(|item| service.read(item))
        .transpose()
}

pub(super) fn keep(request: &Request, text: &str) -> Result<(), Refusal> {
    create(request, text, Existing::Stays)
}

pub(super) fn put(request: &Request, text: &str) -> Result<(), Refusal> {
    create(request, text, Existing::Replaced)
}

/// What becomes of an entry of the same name.
#[derive(Clone, Copy)]
enum Existing {
    Stays,
    Replaced,
}

fn create(request: &Request, text: &str, existing: Existing) -> Result<(), Refusal> {
    let mut service = Service::connect(request)?;
    let collection = service.open_collection()?;
    service.create_item(&collection, text, existing)
}

pub(super) fn forget(request: &Request) -> Result<(), Refusal> {
    let mut service = Service::connect(request)?;
    let found = service.search()?;
    for item in &found.locked {
        service.unlock(item)?;
    }
    for item in found.unlocked.iter().chain(&found.locked) {
        service.delete(item)?;
    }
    Ok(())
}

/// A session with the service.
struct Service<'r> {
    bus: Bus,
    request: &'r Request,
    /// The path of the session.
    session: String,
    key: Option<SessionKey>,
}

struct Found {
    unlocked: Vec<String>,
    locked: Vec<String>,
}

impl<'r> Service<'r> {
    /// Agreeing on a key takes longer than all else, so public texts go without.
    fn connect(request: &'r Request) -> Result<Self, Refusal> {
        let mut bus = Bus::connect(request.timeout)?;
        let open = |returns| of_the_service("OpenSession", "sv", returns);
        let (session, key) = match request.name.content {
            Content::Secret => {
                let offer = Offer::new()?;
                let public = offer.public();
                let answer = bus.call(&open("vo"), &|arguments| {
                    arguments.text("dh-ietf1024-sha256-aes128-cbc-pkcs7");
                    arguments.signature("ay");
                    arguments.bytes(&public);
                })?;
                let (theirs, session) = answer.read(|mut values| {
                    let theirs = values.variant("ay")?.bytes()?;
                    Some((theirs, values.text()?.to_owned()))
                })?;
                (session, Some(offer.agree(theirs)?))
            }
            Content::Public => {
                let answer = bus.call(&open("vo"), &|arguments| {
                    arguments.text("plain");
                    arguments.signature("s");
                    arguments.text("");
                })?;
                let session = answer.read(|mut values| {
                    values.variant("s")?.text()?;
                    values.text().map(str::to_owned)
                })?;
                (session, None)
            }
        };
        Ok(Self {
            bus,
            request,
            session,
            key,
        })
    }

    fn search(&mut self) -> Result<Found, Refusal> {
        let request = self.request;
        let method = of_the_service("SearchItems", "a{ss}", "aoao");
        let answer = self.bus.call(&method, &|arguments| {
            attributes(request, arguments);
        })?;
        answer.read(|mut values| {
            let mut paths = || Some(values.texts()?.into_iter().map(str::to_owned).collect());
            Some(Found {
                unlocked: paths()?,
                locked: paths()?,
            })
        })
    }

    /// Returns the collection for new entries, if there is one.
    fn default_collection(&mut self) -> Result<Option<String>, Refusal> {
        let method = of_the_service("ReadAlias", "s", "o");
        let answer = self
            .bus
            .call(&method, &|arguments| arguments.text("default"))?;
        let path = answer.read(|mut values| values.text().map(str::to_owned))?;
        Ok((path != NOTHING).then_some(path))
    }

    /// Returns that collection, unlocked; makes one if there is none.
    fn open_collection(&mut self) -> Result<String, Refusal> {
        let Some(collection) = self.default_collection()? else {
            return self.create_collection();
        };
        if self.is_locked(&collection)? {
            self.unlock(&collection)?;
        }
        Ok(collection)
    }

    fn create_collection(&mut self) -> Result<String, Refusal> {
        self.permit()
            .map_err(|_| Refusal::Unavailable("it has no default collection yet".to_owned()))?;
        let method = of_the_service("CreateCollection", "a{sv}s", "oo");
        let answer = self.bus.call(&method, &|arguments| {
            arguments.array(8, &|properties| {
                label(
                    properties,
                    "org.freedesktop.Secret.Collection.Label",
                    "Login",
                );
            });
            arguments.text("default");
        })?;
        let (made, prompt) = answer.read(|mut values| Some((values.text()?, values.text()?)))?;
        if made != NOTHING {
            return Ok(made.to_owned());
        }
        let answer = self.ask(prompt)?;
        answer.read(|mut values| {
            values.truth()?;
            values.variant("o")?.text().map(str::to_owned)
        })
    }

    fn is_locked(&mut self, collection: &str) -> Result<bool, Refusal> {
        let method = Method {
            interface: "org.freedesktop.DBus.Properties",
            path: collection,
            ..of_the_service("Get", "ss", "v")
        };
        let answer = self.bus.call(&method, &|arguments| {
            arguments.text("org.freedesktop.Secret.Collection");
            arguments.text("Locked");
        })?;
        answer.read(|mut values| values.variant("b")?.truth())
    }

    /// Unlocks an item or a collection, if a prompt may be shown.
    fn unlock(&mut self, path: &str) -> Result<(), Refusal> {
        self.permit()?;
        let method = of_the_service("Unlock", "ao", "aoo");
        let answer = self.bus.call(&method, &|arguments| {
            arguments.array(4, &|paths| paths.text(path));
        })?;
        let (unlocked, prompt) =
            answer.read(|mut values| Some((values.texts()?, values.text()?)))?;
        if unlocked.is_empty() {
            self.ask(prompt)?;
        }
        Ok(())
    }

    fn read(&mut self, item: &str) -> Result<Zeroizing<String>, Refusal> {
        let session = &*self.session;
        let method = of_an_item(item, "GetSecret", "o", "(oayays)");
        let answer = self
            .bus
            .call(&method, &|arguments| arguments.text(session))?;
        let (vector, value) = answer.read(|mut values| {
            values.structure()?;
            values.text()?;
            Some((values.bytes()?, values.bytes()?))
        })?;
        let secret = match &self.key {
            Some(key) => key.open(vector, value)?,
            None => Zeroizing::new(value.to_vec()),
        };
        let text = std::str::from_utf8(&secret)
            .map_err(|_| Refusal::Unavailable("its entry is not text".to_owned()))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn create_item(
        &mut self,
        collection: &str,
        text: &str,
        existing: Existing,
    ) -> Result<(), Refusal> {
        let (request, session) = (self.request, &*self.session);
        let (vector, value) = match &self.key {
            Some(key) => key.seal(text.as_bytes())?,
            None => (Vec::new(), text.as_bytes().to_vec()),
        };
        let method = Method {
            interface: "org.freedesktop.Secret.Collection",
            path: collection,
            ..of_the_service("CreateItem", "a{sv}(oayays)b", "oo")
        };
        let answer = self.bus.call(&method, &|arguments| {
            arguments.array(8, &|properties| {
                let name = request.name.label;
                label(properties, "org.freedesktop.Secret.Item.Label", name);
                properties.structure();
                properties.text("org.freedesktop.Secret.Item.Attributes");
                properties.signature("a{ss}");
                attributes(request, properties);
            });
            arguments.structure();
            arguments.text(session);
            arguments.bytes(&vector);
            arguments.bytes(&value);
            arguments.text("text/plain");
            arguments.truth(matches!(existing, Existing::Replaced));
        })?;
        let (made, prompt) = answer.read(|mut values| Some((values.text()?, values.text()?)))?;
        if made == NOTHING {
            self.ask(prompt)?;
        }
        Ok(())
    }

    fn delete(&mut self, item: &str) -> Result<(), Refusal> {
        let answer = self
            .bus
            .call(&of_an_item(item, "Delete", "", "o"), &|_| {})?;
        let prompt = answer.read(|mut values| values.text())?;
        if prompt != NOTHING {
            self.ask(prompt)?;
        }
        Ok(())
    }

    /// Shows a prompt and returns what came of it.
    fn ask(&mut self, prompt: &str) -> Result<bus::Answer, Refusal> {
        const PROMPT: &str = "org.freedesktop.Secret.Prompt";
        const COMPLETED: &str = "Completed";
        self.bus.listen(PROMPT, COMPLETED)?;
        let method = Method {
            interface: PROMPT,
            path: prompt,
            ..of_the_service("Prompt", "s", "")
        };
        let shown = self.bus.call(&method, &|arguments| arguments.text(""))?;
        // Any program on the bus can send such a signal.
        let completed = self.bus.signal("bv", &|signal| {
            signal.sender == shown.message.sender
                && signal.path == prompt
                && signal.interface == PROMPT
                && signal.member == COMPLETED
        })?;
        match completed.read(|mut values| values.truth())? {
            true => Err(Refusal::Locked),
            false => Ok(completed),
        }
    }

    /// Refuses what would open a prompt where a person cannot answer it.
    fn permit(&self) -> Result<(), Refusal> {
        match self.request.prompts {
            Prompts::Allowed => Ok(()),
            Prompts::Avoided | Prompts::Forbidden => Err(Refusal::Locked),
        }
    }
}

fn of_the_service(
    name: &'static str,
    takes: &'static str,
    returns: &'static str,
) -> Method<'static> {
    Method {
        destination: "org.freedesktop.secrets",
        path: SERVICE,
        interface: "org.freedesktop.Secret.Service",
        name,
        takes,
        returns,
    }
}

fn of_an_item<'i>(
    path: &'i str,
    name: &'static str,
    takes: &'static str,
    returns: &'static str,
) -> Method<'i> {
    Method {
        interface: "org.freedesktop.Secret.Item",
        path,
        ..of_the_service(name, takes, returns)
    }
}

/// Writes what an entry is found by.
fn attributes(request: &Request, arguments: &mut Writer) {
    arguments.array(8, &|entries| {
        for (name, value) in [
            ("service", request.name.service),
            ("username", &request.name.user),
        ] {
            entries.structure();
            entries.text(name);
            entries.text(value);
        }
    });
}

fn label(properties: &mut Writer, property: &str, label: &str) {
    properties.structure();
    properties.text(property);
    properties.signature("s");
    properties.text(label);
}
