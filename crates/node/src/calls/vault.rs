//! The vault: its key, its bundles, and what moves into it.

use napi::bindgen_prelude::*;
use napi::{Env, Unknown};
use napi_derive::napi;
use provider_auth_broker::{ExistingKey, Logins, PassphraseRule, SecretString, global::broker};

use crate::arguments::{Options, bytes, text};
use crate::promises::{Promised, call, later};
use crate::results::{
    ExportedKey, FleetHost, HostRevocation, ImportReport, KeySlot, MigrationReport, VaultStatus,
    list,
};

#[napi(catch_unwind)]
pub fn has_vault(env: &Env) -> Result<Promised<'_>> {
    later(env, async { broker()?.has_vault().await })
}

#[napi(catch_unwind)]
pub fn vault_status(env: &Env) -> Result<Promised<'_>> {
    later(env, async {
        broker()?.vault_status().await.map(VaultStatus::from)
    })
}

#[napi(catch_unwind)]
pub fn init_vault_key<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || {
        let options = Options::of("initVaultKey", &options)?;
        let source = options.key_source()?;
        let existing = options.choice("force", ExistingKey::Replace, ExistingKey::Refuse)?;
        Ok((source, existing))
    };
    call(env, read, |(source, existing)| async move {
        let status = broker()?.init_key(source, existing).await?;
        Ok(VaultStatus::from(status))
    })
}

#[napi(catch_unwind)]
pub fn export_vault_key(env: &Env) -> Result<Promised<'_>> {
    later(env, async { broker()?.export_key().await.map(ExportedKey) })
}

#[napi(catch_unwind)]
pub fn import_vault_key<'env>(
    env: &'env Env,
    key: Unknown<'env>,
    options: Unknown<'env>,
) -> Result<Promised<'env>> {
    let read = || {
        let key = SecretString::from(text(&key, "key")?);
        Ok((key, Options::of("importVaultKey", &options)?.key_source()?))
    };
    call(env, read, |(key, source)| async move {
        let status = broker()?.import_key(key, source).await?;
        Ok(VaultStatus::from(status))
    })
}

#[napi(catch_unwind)]
pub fn rotate_vault_key<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || Options::of("rotateVaultKey", &options)?.key_secrets();
    call(env, read, |given| async move {
        let status = broker()?.rotate_key(given).await?;
        Ok(VaultStatus::from(status))
    })
}

#[napi(catch_unwind)]
pub fn add_vault_slot<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || {
        let options = Options::of("addVaultSlot", &options)?;
        Ok((options.needed_key_source()?, options.key_secrets()?))
    };
    call(env, read, |(source, given)| async move {
        let slot = broker()?.add_slot(source, given).await?;
        Ok(KeySlot::from(slot))
    })
}

#[napi(catch_unwind)]
pub fn remove_vault_slot<'env>(env: &'env Env, id: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || text(&id, "id");
    call(
        env,
        read,
        |id| async move { broker()?.remove_slot(id).await },
    )
}

#[napi(catch_unwind)]
pub fn join_fleet<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || Options::of("joinFleet", &options)?.key_source();
    call(env, read, |place| async move {
        broker()?.join_fleet(place).await
    })
}

#[napi(catch_unwind)]
pub fn admit_host<'env>(
    env: &'env Env,
    key: Unknown<'env>,
    name: Unknown<'env>,
) -> Result<Promised<'env>> {
    let read = || Ok((text(&key, "key")?, text(&name, "name")?));
    call(env, read, |(key, name)| async move {
        broker()?.admit_host(key, name).await.map(FleetHost::from)
    })
}

#[napi(catch_unwind)]
pub fn fleet_hosts(env: &Env) -> Result<Promised<'_>> {
    later(env, async {
        let hosts = broker()?.fleet_hosts().await?;
        Ok(list::<FleetHost, _>(hosts))
    })
}

#[napi(catch_unwind)]
pub fn revoke_host<'env>(
    env: &'env Env,
    name: Unknown<'env>,
    options: Unknown<'env>,
) -> Result<Promised<'env>> {
    let read = || {
        let name = text(&name, "name")?;
        Ok((name, Options::of("revokeHost", &options)?.key_secrets()?))
    };
    call(env, read, |(name, given)| async move {
        let revoked = broker()?.revoke_host(name, given).await?;
        Ok(HostRevocation::from(revoked))
    })
}

#[napi(catch_unwind)]
pub fn export_vault<'env>(
    env: &'env Env,
    passphrase: Unknown<'env>,
    options: Unknown<'env>,
) -> Result<Promised<'env>> {
    let read = || {
        let passphrase = SecretString::from(text(&passphrase, "passphrase")?);
        let options = Options::of("exportVault", &options)?;
        let logins = options.choice("includeOAuth", Logins::Move, Logins::Stay)?;
        let rule = options.choice(
            "allowWeakPassphrase",
            PassphraseRule::Any,
            PassphraseRule::HardToGuess,
        )?;
        Ok((passphrase, rule, logins))
    };
    call(env, read, |(passphrase, rule, logins)| async move {
        let bundle = broker()?.export_vault(passphrase, rule, logins).await?;
        Ok(Uint8Array::from(bundle))
    })
}

#[napi(catch_unwind)]
pub fn moved_bundle(env: &Env) -> Result<Promised<'_>> {
    later(env, async {
        Ok(match broker()?.moved_bundle().await? {
            Some(bundle) => Either::A(Uint8Array::from(bundle)),
            None => Either::B(()),
        })
    })
}

#[napi(catch_unwind)]
pub fn import_vault<'env>(
    env: &'env Env,
    bundle: Unknown<'env>,
    passphrase: Unknown<'env>,
) -> Result<Promised<'env>> {
    let read = || {
        let bundle = bytes(bundle, "bundle")?;
        Ok((bundle, SecretString::from(text(&passphrase, "passphrase")?)))
    };
    call(env, read, |(bundle, passphrase)| async move {
        let imported = broker()?.import_vault(bundle, passphrase).await?;
        Ok(ImportReport::from(imported))
    })
}

#[napi(catch_unwind)]
pub fn migrate<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || Options::of("migrate", &options)?.migration();
    call(env, read, |options| async move {
        broker()?.migrate(options).await.map(MigrationReport::from)
    })
}
