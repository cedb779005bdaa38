//! Where each value of the configuration comes from, and all that is wrong with it.

use napi_derive::napi;
use provider_auth_broker::config::{self, ConfigError, FileKind, FileState, TrustState};
use serde_json::Value;

use super::list;

#[napi(object, object_from_js = false)]
pub struct ConfigReport {
    pub files: Vec<ConfigFile>,
    pub settings: Vec<ConfigSetting>,
    pub variables: Vec<ConfigVariable>,
    pub providers: Vec<ConfigProvider>,
    pub faults: Vec<ConfigProblem>,
    pub warnings: Vec<ConfigProblem>,
}

impl From<config::ConfigReport> for ConfigReport {
    fn from(report: config::ConfigReport) -> Self {
        Self {
            files: list(report.files),
            settings: list(report.settings),
            variables: list(report.variables),
            providers: list(report.providers),
            faults: list(report.faults),
            warnings: list(report.warnings),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct ConfigFile {
    pub kind: &'static str,
    pub file: String,
    pub exists: bool,
    pub state: &'static str,
    pub why: Option<String>,
    pub faults: Vec<ConfigProblem>,
    pub warnings: Vec<ConfigProblem>,
}

impl From<config::FileReport> for ConfigFile {
    fn from(report: config::FileReport) -> Self {
        let (state, why) = match report.state {
            FileState::Absent => ("absent", None),
            FileState::Read => ("read", None),
            FileState::Faulty => ("faulty", None),
            FileState::Ignored(why) => ("ignored", Some(why)),
            FileState::Project(TrustState::Ignored(why)) => ("ignored", Some(why.to_owned())),
            FileState::Project(state) => (state.as_str(), None),
        };
        Self {
            kind: match report.kind {
                FileKind::User => "user",
                FileKind::Project => "project",
                FileKind::OciUser => "oci-user",
                FileKind::OciProject => "oci-project",
            },
            file: report.file.to_string_lossy().into_owned(),
            exists: report.exists,
            state,
            why,
            faults: list(report.faults),
            warnings: list(report.warnings),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct ConfigProblem {
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub path: String,
    pub message: String,
}

impl From<ConfigError> for ConfigProblem {
    fn from(fault: ConfigError) -> Self {
        Self {
            line: fault.line.map(|line| line as u32),
            column: fault.column.map(|column| column as u32),
            path: fault.path,
            message: fault.why,
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct ConfigSetting {
    pub name: &'static str,
    pub value: Option<String>,
    pub source: ConfigSource,
}

impl From<config::Setting> for ConfigSetting {
    fn from(setting: config::Setting) -> Self {
        Self {
            name: setting.name,
            value: setting.value,
            source: setting.source.into(),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct ConfigVariable {
    pub name: String,
    pub value: Option<String>,
}

impl From<config::Variable> for ConfigVariable {
    fn from(variable: config::Variable) -> Self {
        Self {
            name: variable.name,
            value: variable.value,
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct ConfigProvider {
    pub id: String,
    pub configured: bool,
    pub values: Vec<ConfigValue>,
}

impl From<config::ProviderReport> for ConfigProvider {
    fn from(provider: config::ProviderReport) -> Self {
        Self {
            id: provider.id,
            configured: provider.configured,
            values: list(provider.values),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct ConfigValue {
    pub key: String,
    pub value: Option<Value>,
    pub source: ConfigSource,
}

impl From<config::ProviderValue> for ConfigValue {
    fn from(value: config::ProviderValue) -> Self {
        Self {
            key: value.key,
            value: value.value,
            source: value.source.into(),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct ConfigSource {
    pub kind: &'static str,
    pub name: Option<&'static str>,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
}

impl From<config::ValueSource> for ConfigSource {
    fn from(source: config::ValueSource) -> Self {
        let mut made = Self {
            kind: "default",
            name: None,
            file: None,
            line: None,
            column: None,
        };
        match source {
            config::ValueSource::Default => {}
            config::ValueSource::BuiltIn => made.kind = "built-in",
            config::ValueSource::Variable(name) => {
                (made.kind, made.name) = ("variable", Some(name))
            }
            config::ValueSource::Configure => made.kind = "configure",
            config::ValueSource::File(file, place) => {
                made.kind = "file";
                made.file = Some(file.to_string_lossy().into_owned());
                made.line = place.map(|(line, _)| line as u32);
                made.column = place.map(|(_, column)| column as u32);
            }
        }
        made
    }
}
