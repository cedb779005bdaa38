//! Errors as JavaScript sees them: an `Error` with `code` and, where known, what it is about.

use napi::bindgen_prelude::*;
use napi::{Env, Error, Status};
use provider_auth_broker::{BrokerError, visible_text};

/// The error as a value that rejects a promise or is thrown.
pub(crate) fn to_js(env: &Env, error: &BrokerError) -> Error {
    build(env, error).map_or_else(|failure| failure, |object| Error::from(object.to_unknown()))
}

fn build<'env>(env: &'env Env, error: &BrokerError) -> Result<Object<'env>> {
    let mut object = env.create_error(Error::new(Status::GenericFailure, sentence(error)))?;
    object.set_named_property("code", error.code())?;
    if let Some(path) = error.path() {
        object.set_named_property("path", path)?;
    }
    if let Some(file) = error.file() {
        object.set_named_property("file", &*file.to_string_lossy())?;
    }
    if let Some(provider) = error.provider() {
        object.set_named_property("provider", provider)?;
    }
    if let Some(account) = error.account() {
        object.set_named_property("accountId", account)?;
    }
    if let Some(refusal) = error.refusal() {
        object.set_named_property("reason", refusal.reason.as_str())?;
        let mut answer = Object::new(env)?;
        answer.set_named_property("status", u32::from(refusal.status))?;
        answer.set_named_property("statusText", refusal.status_text)?;
        answer.set_named_property("contentType", refusal.content_type.as_str())?;
        answer.set_named_property("body", refusal.body.as_str())?;
        object.set_named_property("answer", answer)?;
    }
    if let Some(at) = error.retry_at() {
        object.set_named_property("retryAt", at.as_millis() as f64)?;
    }
    Ok(object)
}

/// The whole chain of causes in one line.
fn sentence(error: &BrokerError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    visible_text(&text)
}
