//! What the files of a project want, and whether they are trusted.

use napi_derive::napi;
use provider_auth_broker::config::{self, TrustState};

use super::list;

#[napi(object, object_from_js = false)]
pub struct ProjectTrust {
    pub trusted: bool,
    pub files: Vec<ProjectFile>,
}

impl From<config::Project> for ProjectTrust {
    fn from(project: config::Project) -> Self {
        Self {
            trusted: !project
                .files
                .iter()
                .any(config::ProjectFile::asks_for_trust),
            files: list(project.files),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct ProjectFile {
    pub file: String,
    pub state: &'static str,
    pub why: Option<&'static str>,
    pub sha256: String,
    pub shown: String,
    pub providers: Vec<ProjectProvider>,
}

impl From<config::ProjectFile> for ProjectFile {
    fn from(file: config::ProjectFile) -> Self {
        Self {
            file: file.file.to_string_lossy().into_owned(),
            state: file.state.as_str(),
            why: match file.state {
                TrustState::Ignored(why) => Some(why),
                _ => None,
            },
            sha256: file.sha256,
            shown: file.shown,
            providers: list(file.providers),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct ProjectProvider {
    pub id: String,
    pub known: bool,
    pub sets: Vec<&'static str>,
    pub hosts: Vec<HostUse>,
    pub reads: Vec<SecretUse>,
    pub methods: Vec<&'static str>,
}

impl From<config::ProjectProvider> for ProjectProvider {
    fn from(want: config::ProjectProvider) -> Self {
        Self {
            id: want.provider,
            known: want.known,
            sets: want.sets,
            hosts: list(want.hosts),
            reads: list(want.reads),
            methods: want.methods,
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct HostUse {
    pub origin: String,
    pub role: &'static str,
    pub gets: &'static str,
}

impl From<config::HostUse> for HostUse {
    fn from(host: config::HostUse) -> Self {
        Self {
            origin: host.origin,
            role: host.role,
            gets: host.gets,
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct SecretUse {
    pub kind: &'static str,
    pub name: String,
    pub role: &'static str,
    pub refusal: Option<String>,
}

impl From<config::SecretUse> for SecretUse {
    fn from(secret: config::SecretUse) -> Self {
        Self {
            kind: secret.kind,
            name: secret.name,
            role: secret.role,
            refusal: secret.refusal,
        }
    }
}
