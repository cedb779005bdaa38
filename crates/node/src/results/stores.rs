//! How a store for many machines stands.

use napi_derive::napi;
use provider_auth_broker as broker;

#[napi(object, object_from_js = false)]
pub struct StoreSetup {
    #[napi(js_name = "where")]
    pub place: String,
    pub schema: Option<u32>,
    pub vault: bool,
    pub admin: bool,
    pub installed: bool,
    pub made: bool,
    pub admitted: Vec<String>,
}

impl From<broker::StoreSetup> for StoreSetup {
    fn from(setup: broker::StoreSetup) -> Self {
        Self {
            place: setup.place,
            schema: setup.schema,
            vault: setup.has_vault,
            admin: setup.is_admin,
            installed: setup.installed,
            made: setup.made,
            admitted: setup.admitted,
        }
    }
}
