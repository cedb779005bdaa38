//! Stores for many machines: one is set up, and a vault moves in and back. The plain addon has none of these calls;
//! `npm/src/library.ts` refuses them for it.

use napi::bindgen_prelude::*;
use napi::{Env, Unknown};
use napi_derive::napi;
use provider_auth_broker::global::broker;

use crate::arguments::{Options, text};
use crate::promises::{Promised, call, later};
use crate::results::{MoveReport, StoreSetup};

#[napi(catch_unwind)]
pub fn store_status(env: &Env) -> Result<Promised<'_>> {
    later(env, async {
        broker()?.store_setup().await.map(StoreSetup::from)
    })
}

#[napi(catch_unwind)]
pub fn init_store<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || Options::of("initStore", &options)?.roles();
    call(env, read, |roles| async move {
        broker()?.init_store(roles).await.map(StoreSetup::from)
    })
}

#[napi(catch_unwind)]
pub fn migrate_store(env: &Env) -> Result<Promised<'_>> {
    later(env, async {
        broker()?.migrate_store().await.map(StoreSetup::from)
    })
}

#[napi(catch_unwind)]
pub fn store_sql<'env>(env: &'env Env, options: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || Options::of("storeSql", &options)?.roles();
    call(env, read, |roles| async move {
        broker()?.store_sql(roles).await
    })
}

#[napi(catch_unwind)]
pub fn move_vault<'env>(env: &'env Env, to: Unknown<'env>) -> Result<Promised<'env>> {
    let read = || text(&to, "to");
    call(env, read, |to| async move {
        broker()?.move_vault(&to).await.map(MoveReport::from)
    })
}
