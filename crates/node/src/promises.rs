//! Promises: settled at once on the calling thread, or later by a task on the broker's runtime.

use std::future::Future;

use napi::Env;
use napi::bindgen_prelude::*;
use provider_auth_broker::{BrokerError, global};

use crate::errors::to_js;

/// A promise in the hands of JavaScript.
pub(crate) type Promised<'env> = Unknown<'env>;

/// A promise that is settled already.
pub(crate) fn settled<'env, T: ToNapiValue + 'env>(
    env: &'env Env,
    outcome: std::result::Result<T, BrokerError>,
) -> Result<Promised<'env>> {
    match outcome {
        Ok(value) => Ok(PromiseRaw::resolve(env, value)?.to_unknown()),
        Err(error) => Ok(PromiseRaw::<()>::reject(env, to_js(env, &error))?.to_unknown()),
    }
}

/// A promise that a task settles. It keeps the process alive until then.
pub(crate) fn later<'env, T, F>(env: &'env Env, work: F) -> Result<Promised<'env>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = std::result::Result<T, BrokerError>> + Send + 'static,
{
    let (deferred, promise) =
        env.create_deferred::<T, Box<dyn FnOnce(Env) -> Result<T> + Send>>()?;
    global::runtime().spawn(async move {
        // A panic inside is reported like any other failure: the promise must not hang.
        let outcome = global::runtime().spawn(work).await;
        deferred.resolve(Box::new(move |env| match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(to_js(&env, &error)),
            Err(_) => Err(Error::new(
                Status::GenericFailure,
                "provider-auth failed inside; please report this",
            )),
        }));
    });
    Ok(promise.to_unknown())
}
