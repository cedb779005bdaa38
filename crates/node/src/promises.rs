//! Promises, which a task on the broker's runtime settles.

use std::future::Future;

use napi::Env;
use napi::bindgen_prelude::*;
use provider_auth_broker::{BrokerError, global};

use crate::arguments::Read;
use crate::errors::to_js;

/// A promise in the hands of JavaScript.
pub(crate) type Promised<'env> = Unknown<'env>;

/// Reads the arguments of a call and does its work with them in a task. A call that returns a
/// promise never throws: what is wrong with its arguments rejects the promise, at once.
pub(crate) fn call<'env, A, T, F>(
    env: &'env Env,
    read: impl FnOnce() -> Read<A>,
    work: impl FnOnce(A) -> F,
) -> Result<Promised<'env>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = std::result::Result<T, BrokerError>> + Send + 'static,
{
    match read() {
        Ok(arguments) => later(env, work(arguments)),
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
