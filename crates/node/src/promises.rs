//! Promises, which a task on the broker's runtime settles.

use std::future::Future;
use std::pin::Pin;

use napi::bindgen_prelude::*;
use napi::{Env, sys};
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
    settle(
        env,
        Box::pin(async move {
            let outcome = work.await;
            Box::new(move |env: &Env| match outcome {
                Ok(value) => Ok(Made(value.into_unknown(env)?.raw())),
                Err(error) => Err(to_js(env, &error)),
            }) as Answer
        }),
    )
}

/// Makes on the JavaScript thread what a promise resolves to, or the error that rejects it.
type Answer = Box<dyn FnOnce(&Env) -> Result<Made> + Send>;

/// What `later` does whatever the call returns: the runtime's and napi's code for it exists once,
/// and not for each call.
fn settle<'env>(
    env: &'env Env,
    work: Pin<Box<dyn Future<Output = Answer> + Send>>,
) -> Result<Promised<'env>> {
    let (deferred, promise) =
        env.create_deferred::<Made, Box<dyn FnOnce(Env) -> Result<Made> + Send>>()?;
    global::runtime().spawn(async move {
        // A panic inside is reported like any other failure: the promise must not hang.
        let outcome = global::runtime().spawn(work).await;
        deferred.resolve(Box::new(move |env| match outcome {
            Ok(answer) => answer(&env),
            Err(_) => Err(Error::new(
                Status::GenericFailure,
                "provider-auth failed inside; please report this",
            )),
        }));
    });
    Ok(promise.to_unknown())
}

/// A value of JavaScript that was just made.
struct Made(sys::napi_value);

impl ToNapiValue for Made {
    #[expect(
        unsafe_code,
        reason = "napi's trait declares it so; nothing in it is unsafe"
    )]
    unsafe fn to_napi_value(_: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        Ok(value.0)
    }
}
