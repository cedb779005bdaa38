//! What `getAuthHeaders` cannot be faster than: a native function that answers with a resolved promise of an object of
//! the same fields and sizes, made by the same calls of Node-API, and does nothing else. Built for `npm run bench` only.

use std::sync::OnceLock;

use napi::bindgen_prelude::*;
use napi::sys;
use napi_derive::napi;

static SAMPLE: OnceLock<Sample> = OnceLock::new();

/// A result of `getAuthHeaders`, to be answered again and again.
#[napi(object)]
pub struct Sample {
    /// The handle.
    pub attempt: String,
    /// The account's id.
    pub account_id: String,
    /// Names and values of the headers.
    pub headers: Vec<(String, String)>,
    /// Names of headers.
    pub strip: Vec<String>,
}

/// Sets what is answered; the first call counts.
#[napi]
pub fn answer_with(sample: Sample) {
    let _ = SAMPLE.set(sample);
}

/// Answers, and does not read `_request`.
#[napi(catch_unwind)]
pub fn get_auth_headers<'env>(env: &'env Env, _request: Unknown<'env>) -> Result<Unknown<'env>> {
    let sample = SAMPLE
        .get()
        .ok_or_else(|| Error::from_reason("nothing to answer with"))?;
    Ok(PromiseRaw::resolve(env, AuthHeaders(sample))?.to_unknown())
}

struct AuthHeaders(&'static Sample);

impl ToNapiValue for AuthHeaders {
    #[expect(
        unsafe_code,
        reason = "napi's trait declares it so; nothing in it is unsafe"
    )]
    unsafe fn to_napi_value(raw_env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        let env = Env::from_raw(raw_env);
        let sample = value.0;
        let mut headers = Object::new(&env)?;
        for (name, value) in &sample.headers {
            headers.set_named_property(name, env.create_string_latin1(value)?)?;
        }
        let mut strip = env.create_array(sample.strip.len() as u32)?;
        for (index, name) in sample.strip.iter().enumerate() {
            strip.set(index as u32, env.create_string_latin1(name)?)?;
        }
        let mut object = Object::new(&env)?;
        object.set_named_property("attempt", env.create_string_latin1(&sample.attempt)?)?;
        object.set_named_property("accountId", env.create_string_latin1(&sample.account_id)?)?;
        object.set_named_property("headers", headers)?;
        object.set_named_property("strip", strip)?;
        Ok(object.raw())
    }
}
