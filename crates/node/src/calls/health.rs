//! What stands between a request and its credential.

use napi::bindgen_prelude::*;
use napi::{Env, Unknown};
use napi_derive::napi;
use provider_auth_broker::global;

use super::in_wait;
use crate::arguments::Options;
use crate::promises::{Promised, call};
use crate::results::Diagnosis;

/// `wait` is the number under which `endWait` ends this call's waiting.
#[napi(catch_unwind)]
pub fn diagnose<'env>(
    env: &'env Env,
    options: Unknown<'env>,
    wait: Option<f64>,
) -> Result<Promised<'env>> {
    let read = || Options::of("diagnose", &options)?.diagnosis();
    call(env, read, move |options| async move {
        let work = async { Ok(global::diagnosis(options).await) };
        in_wait(wait, work).await.map(Diagnosis::from)
    })
}
