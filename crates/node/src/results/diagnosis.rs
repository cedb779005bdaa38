//! What a diagnosis found.

use std::collections::BTreeMap;

use napi_derive::napi;
use provider_auth_broker as broker;

use super::{list, millis};

#[napi(object, object_from_js = false)]
pub struct Diagnosis {
    pub at: f64,
    pub findings: Vec<Finding>,
}

impl From<broker::Diagnosis> for Diagnosis {
    fn from(diagnosis: broker::Diagnosis) -> Self {
        Self {
            at: millis(diagnosis.at),
            findings: list(diagnosis.findings),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct Finding {
    pub id: &'static str,
    pub state: &'static str,
    pub title: String,
    pub why: Option<String>,
    pub remedy: Option<String>,
    pub fixable: Option<bool>,
    pub fixed: Option<bool>,
    pub details: Option<BTreeMap<String, String>>,
}

impl From<broker::Finding> for Finding {
    fn from(finding: broker::Finding) -> Self {
        Self {
            id: finding.id,
            state: finding.state.as_str(),
            title: finding.title,
            why: finding.why,
            remedy: finding.remedy,
            fixable: finding.fixable.then_some(true),
            fixed: finding.fixed.then_some(true),
            details: Some(finding.details).filter(|details| !details.is_empty()),
        }
    }
}
