//! Accounts, pools, and events of both.

use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::threadsafe_function::{ThreadsafeFunctionCallMode, UnknownReturnValue};
use napi::{Env, Unknown};
use napi_derive::napi;
use provider_auth_broker::{
    Event, Force, Revoke,
    global::{self, broker},
};

use crate::arguments::{Options, text};
use crate::promises::{Promised, call};
use crate::results::{Account, AuthEvent, account_pages, pool_pages, stats_pages};

#[napi(catch_unwind)]
pub fn list_accounts<'env>(env: &'env Env, filter: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || Options::of("listAccounts", &filter)?.filter();
    call(env, read, |filter| async move {
        let accounts = broker()?.list_accounts(&filter).await?;
        Ok(account_pages(accounts))
    })
}

#[napi(catch_unwind)]
pub fn add_api_key<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || {
        let options = Options::of("addApiKey", &options)?;
        Ok((
            options.needed_text("provider")?,
            options.secret("apiKey")?,
            options.text("namespace")?,
            options.text("label")?,
            options.priority()?,
        ))
    };
    call(
        env,
        read,
        |(provider, key, namespace, label, priority)| async move {
            let account = broker()?
                .add_api_key(&provider, key, namespace, label, priority)
                .await?;
            Ok(Account::from(account))
        },
    )
}

#[napi(catch_unwind)]
pub fn update_account<'env>(
    env: &'env Env,
    id: Unknown<'env>,
    changes: Unknown<'env>,
) -> Result<Promised<'env>> {
    let read = || {
        let id = text(&id, "id")?;
        Ok((id, Options::of("updateAccount", &changes)?.changes()?))
    };
    call(env, read, |(id, changes)| async move {
        let account = broker()?.update_account(&id, changes).await?;
        Ok(Account::from(account))
    })
}

#[napi(catch_unwind)]
pub fn remove_account<'env>(
    env: &'env Env,
    id: Unknown<'env>,
    options: Unknown<'env>,
) -> Result<Promised<'env>> {
    let read = || {
        let id = text(&id, "id")?;
        let options = Options::of("removeAccount", &options)?;
        let revoke = options.choice("revoke", Revoke::AtProvider, Revoke::Locally)?;
        Ok((id, revoke))
    };
    call(env, read, |(id, revoke)| async move {
        broker()?.remove_account(&id, revoke).await
    })
}

#[napi(catch_unwind)]
pub fn refresh_account<'env>(
    env: &'env Env,
    id: Unknown<'env>,
    options: Unknown<'env>,
) -> Result<Promised<'env>> {
    let read = || {
        let id = text(&id, "id")?;
        let options = Options::of("refreshAccount", &options)?;
        let force = options.choice("force", Force::EvenIfGood, Force::IfNeeded)?;
        Ok((id, force))
    };
    call(env, read, |(id, force)| async move {
        let account = broker()?.refresh_account(&id, force).await?;
        Ok(Account::from(account))
    })
}

#[napi(catch_unwind)]
pub fn clear_cooldowns<'env>(env: &'env Env, filter: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || Options::of("clearCooldowns", &filter)?.filter();
    call(env, read, |filter| async move {
        let count = broker()?.clear_cooldowns(&filter).await?;
        Ok(count as f64)
    })
}

#[napi(catch_unwind)]
pub fn pool_status<'env>(env: &'env Env, filter: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || Options::of("poolStatus", &filter)?.filter();
    call(env, read, |filter| async move {
        let pools = broker()?.pool_status(&filter).await?;
        Ok(pool_pages(pools))
    })
}

#[napi(catch_unwind)]
pub fn stats<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || Options::of("stats", &options)?.stats_filter();
    call(env, read, |filter| async move {
        let stats = broker()?.stats(filter).await?;
        Ok(stats_pages(stats))
    })
}

/// Tells `listener` of each decision, without keeping the process alive. Returns a number for
/// `unsubscribe`.
#[napi(catch_unwind)]
pub fn subscribe(listener: Function<'_, AuthEvent, UnknownReturnValue>) -> Result<f64> {
    let listener = listener
        .build_threadsafe_function::<AuthEvent>()
        .weak::<true>()
        .build()?;
    let listener = Arc::new(listener);
    let number = global::events().subscribe(Arc::new(move |event: &Event| {
        listener.call(event.into(), ThreadsafeFunctionCallMode::NonBlocking);
    }));
    Ok(number as f64)
}

#[napi(catch_unwind)]
pub fn unsubscribe(listener: f64) {
    global::events().unsubscribe(listener as u64);
}
