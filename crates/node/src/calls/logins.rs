//! Logins, step by step.

use napi::bindgen_prelude::*;
use napi::{Env, Unknown};
use napi_derive::napi;
use provider_auth_broker::{
    BrokerError,
    global::{self, broker},
};

use super::in_wait;
use crate::arguments::{Options, optional_text};
use crate::promises::{Promised, call};
use crate::results::{Account, LoginProgress, NativePrompt};

/// `wait` is the number under which `endWait` ends this call's waiting.
#[napi(catch_unwind)]
pub fn start_login<'env>(
    env: &'env Env,
    options: Unknown<'env>,
    wait: Option<f64>,
) -> Result<Promised<'env>> {
    let read = || Options::of("startLogin", &options)?.login();
    call(env, read, move |options| async move {
        let work = async { broker()?.start_login(options).await };
        match in_wait(wait, work).await {
            Err(BrokerError::Aborted) => Err(BrokerError::LoginCancelled),
            begun => begun.map(NativePrompt::from),
        }
    })
}

#[napi(catch_unwind)]
pub fn finish_login<'env>(
    env: &'env Env,
    login: f64,
    code: Unknown<'env>,
) -> Result<Promised<'env>> {
    let read = || optional_text(&code, "code");
    call(env, read, move |code| async move {
        let account = broker()?.finish_login(login as u64, code).await?;
        Ok(Account::from(account))
    })
}

/// How far a login is; `None` for one that is not known any more.
#[napi(catch_unwind)]
pub fn login_progress(login: f64) -> Option<LoginProgress> {
    let progress = global::current()?.login_progress(login as u64)?;
    Some(progress.into())
}

#[napi(catch_unwind)]
pub fn cancel_login(login: f64) {
    if let Some(broker) = global::current() {
        broker.cancel_login(login as u64);
    }
}

#[napi(catch_unwind)]
pub fn open_browser(url: String) -> bool {
    global::open_browser(&url).is_ok()
}
