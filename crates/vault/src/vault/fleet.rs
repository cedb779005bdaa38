//! Hosts that share a vault, each with a key of its own. A host shows the public half of its key, and
//! one that opens the vault seals the data key to it. So a new data key reaches every host, and not
//! one that was revoked, and no host has the key of another.

use std::sync::Arc;

use crate::{
    Entropy, KeySecrets, Options, Vault, VaultError,
    backend::{Engine, Lock},
    format::{
        header::RevokedHost,
        slot::{HostKey, Slot},
    },
    keys::finder::KeyFinder,
    limits,
    vault::{
        rotate::InUse,
        status::first_readable_header,
        unlock::{Unlocked, refuse_orphans},
    },
};

/// A host that was admitted to a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetHost {
    /// First 8 hex digits of the check value of its key: the id of its slot.
    pub id: String,
    /// What the one who admitted it called it; no two hosts of a vault have one name.
    pub name: String,
    /// When it was admitted, in ms since the Unix epoch.
    pub added: u64,
    /// Whether it was taken out since, by a [revocation](Vault::revoke_host) that is not finished.
    pub revoked: bool,
}

impl Vault {
    /// Makes this host's key for a vault, and returns what [`Vault::admit_host`] takes, on a host
    /// that opens the vault. No secret; the same each time.
    ///
    /// The key goes to the keychain, or, with [`KeySource::Keyfile`](crate::KeySource), to a file
    /// beside the key file.
    pub fn join(
        options: &Options,
        engine: Arc<dyn Engine>,
        entropy: &dyn Entropy,
    ) -> Result<String, VaultError> {
        let none_yet = refused("there is no vault yet that it could join");
        let Some(backend) = engine.find(options)? else {
            return Err(none_yet);
        };
        let Some((header, _)) = first_readable_header(&*backend)? else {
            refuse_orphans(&*backend)?;
            return Err(none_yet);
        };
        // Two that join at once would each make a key.
        let _held = backend.lock(Lock::Vault, options.lock_timeout())?;
        let finder = KeyFinder::new(options, backend.host_disk());
        let key = finder.find_or_make_host(&header.vault, entropy)?;
        Ok(HostKey::of(&key, &header.vault).to_text(&header.vault))
    }

    /// Lets a host open the vault with its own key; `key` is what it got from [`Vault::join`].
    ///
    /// [`VaultError::HostRefused`] for a key that is none, of another vault, or in already, and for
    /// a name that another host has; nothing was changed.
    pub fn admit_host(&self, key: &str, name: &str) -> Result<FleetHost, VaultError> {
        let Some((vault, host)) = HostKey::from_text(key) else {
            return Err(refused("its key is not what `fleet join` prints"));
        };
        if !is_a_name(name) {
            return Err(refused(
                "a name is 1 to 64 letters, digits, dots, hyphens and underscores",
            ));
        }
        let _keys_lock = self.lock_keys()?;
        let unlocked = self.unlocked()?;
        let mut header = unlocked.header;
        if vault != header.vault {
            return Err(refused("its key was made for another vault"));
        }
        if header.slots.iter().any(|slot| slot.is_of(&host)) {
            return Err(refused("its key is in already"));
        }
        if header.slots.iter().any(|slot| is_named(slot, name)) {
            return Err(refused("another host has that name"));
        }
        let of = (&header.vault, header.epoch);
        let facts = (name, self.backend.now());
        let slot = Slot::of_host(of, &host, facts, &unlocked.data_key, &*self.entropy)
            .ok_or(refused("nothing can be sealed to its key"))?;
        header.slots.push(slot);
        self.change_header(&header, &unlocked.data_key)?;
        let admitted = header.slots.last().and_then(host_of);
        Ok(admitted.expect("the slot of a host was just added"))
    }

    /// Returns the hosts that were admitted, in that order, and then those whose revocation is not
    /// finished.
    pub fn hosts(&self) -> Result<Vec<FleetHost>, VaultError> {
        let header = self.unlocked()?.header;
        let admitted = header.slots.iter().filter_map(host_of);
        let revoked = header.revoked.iter().map(revoked_host);
        Ok(admitted.chain(revoked).collect())
    }

    /// Takes a host out, and gives the vault a new data key, of which that host learns nothing; `None`
    /// when no host has that name. `given` is as in [`Vault::rotate_key_with`].
    ///
    /// The header keeps the host's name until [`Vault::finish_revocation`]: until then this goes on
    /// where it was cut off.
    ///
    /// What the host has read it still knows. If it knows the key of another slot too, such as a
    /// passphrase, that slot must go as well, before this.
    pub fn revoke_host(
        &self,
        name: &str,
        given: &KeySecrets,
    ) -> Result<Option<FleetHost>, VaultError> {
        let _keys_lock = self.lock_keys()?;
        let mut old = self.unlocked()?;
        let slots = old.header.slots.iter().cloned();
        let (gone, left): (Vec<Slot>, Vec<Slot>) = slots.partition(|slot| is_named(slot, name));
        let Some(gone) = gone.first() else {
            let is_it = |revoked: &&RevokedHost| revoked.host.name == name;
            let Some(revoked) = old.header.revoked.iter().find(is_it) else {
                return Ok(None);
            };
            // All records may not be under the new key yet.
            self.move_records(InUse::Wait)?;
            return Ok(Some(revoked_host(revoked)));
        };
        if gone.has_wrapping_key(&old.wrapping_key, &old.header.vault) {
            return Err(refused(
                "it cannot be revoked by itself: do that on another host",
            ));
        }
        let Some(host) = gone.host.clone() else {
            return Ok(None);
        };
        let id = gone.id();
        let revoked = RevokedHost { id, host };
        let told = revoked_host(&revoked);
        old.header.revoked.push(revoked);
        self.rotate_into(&old, &left, given)?;
        Ok(Some(told))
    }

    /// Forgets a host that was revoked: what it could read was renewed, or cannot be.
    pub fn finish_revocation(&self, name: &str) -> Result<(), VaultError> {
        let _keys_lock = self.lock_keys()?;
        let Unlocked {
            mut header,
            data_key,
            ..
        } = self.unlocked()?;
        header.revoked.retain(|revoked| revoked.host.name != name);
        self.change_header(&header, &data_key)
    }
}

fn host_of(slot: &Slot) -> Option<FleetHost> {
    let host = slot.host.as_ref()?;
    Some(FleetHost {
        id: slot.id(),
        name: host.name.clone(),
        added: host.added,
        revoked: false,
    })
}

fn revoked_host(RevokedHost { id, host }: &RevokedHost) -> FleetHost {
    FleetHost {
        id: id.clone(),
        name: host.name.clone(),
        added: host.added,
        revoked: true,
    }
}

fn is_named(slot: &Slot, name: &str) -> bool {
    slot.host.as_ref().is_some_and(|host| host.name == name)
}

/// A name stands in a shell, a table and an SQL statement as it is.
fn is_a_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=limits::HOST_NAME).contains(&name.len()) && name.bytes().all(fits)
}

fn refused(why: &'static str) -> VaultError {
    VaultError::HostRefused { why }
}
