//! What a request is lent where it settles at once, made by hand and in parts: this is the path of
//! every request.

use napi::bindgen_prelude::*;
use napi::{Env, sys};
use provider_auth_broker::Lease;

/// What of a lease is new to a caller that knows the account's headers: `[attempt, url, again]`.
pub(crate) struct AtHand(pub(crate) Lease);

/// The same for a request that was asked for before: the attempt, or `[attempt, url]`.
pub(crate) struct AtHandAgain(pub(crate) Lease);

impl ToNapiValue for AtHand {
    #[expect(
        unsafe_code,
        reason = "napi's trait declares it so; nothing in it is unsafe"
    )]
    unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        let (env, lease) = (&Env::from_raw(env), value.0);
        let mut array = env.create_array(3)?;
        array.set(0, env.create_string_latin1(&lease.attempt)?)?;
        array.set(1, lease.url)?;
        array.set(2, lease.again.map(|number| number as f64))?;
        Ok(array.raw())
    }
}

impl ToNapiValue for AtHandAgain {
    #[expect(
        unsafe_code,
        reason = "napi's trait declares it so; nothing in it is unsafe"
    )]
    unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        let (env, lease) = (&Env::from_raw(env), value.0);
        let attempt = env.create_string_latin1(&lease.attempt)?;
        let Some(url) = &lease.url else {
            return Ok(attempt.raw());
        };
        let mut array = env.create_array(2)?;
        array.set(0, attempt)?;
        array.set(1, url.as_str())?;
        Ok(array.raw())
    }
}

/// What a lease is made of beside its attempt: `[version, accountId, headers, strip]`.
pub(crate) struct Lent(pub(crate) Lease);

impl ToNapiValue for Lent {
    #[expect(
        unsafe_code,
        reason = "napi's trait declares it so; nothing in it is unsafe"
    )]
    unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        let (env, lease) = (&Env::from_raw(env), value.0);
        let mut array = env.create_array(4)?;
        array.set(0, lease.version())?;
        array.set(1, lease.account_id())?;
        array.set(2, headers(env, &lease)?)?;
        array.set(3, lease.strip().to_vec())?;
        Ok(array.raw())
    }
}

fn headers<'env>(env: &'env Env, lease: &Lease) -> Result<Object<'env>> {
    let mut headers = Object::new(env)?;
    for (name, value) in lease.headers().iter() {
        // Header values are ASCII, which a Latin-1 string takes without decoding.
        headers.set_named_property(name, env.create_string_latin1(value)?)?;
    }
    Ok(headers)
}
