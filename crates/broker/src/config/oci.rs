//! An application in an Oracle Cloud identity domain, as `oci-auth.config.jsonc` describes it.
//!
//! The file has keys of its own and makes a layer of one provider, `oci-oidc`. What is wrong in it
//! is collected and said at once, when that provider is used: a template that a project ships does
//! no harm to the other ones.

use std::path::{Path, PathBuf};

use provider_auth_oauth::ClientAuth;

use provider_auth_policy::Gather as _;

use super::error::{ConfigError, Place};
use super::keys::known;
use super::layer::{Layer, ProviderPatch};
use super::log::{LOG_LEVELS, LogLevel, LogSettings};
use super::origin::Origin;
use super::provider::{Grant, Provenance};
use super::provider_keys::ProviderKeys;
use super::secret::is_reference;
use super::tree::{self, Content, Entry, Node, Parsed};
use super::user_keys::UserKeys;
use super::values::{endpoint, one_of, redirect_uri, scope_of, secret, word};
use crate::printable::visible;

/// The provider that the file makes.
const PROVIDER: &str = "oci-oidc";

/// The file's name, in a project and in OpenCode's folder.
pub(super) const FILE: &str = "oci-auth.config.jsonc";

/// The keys of the file.
pub(super) const KEYS: &[&str] = &[
    "domain_url",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "llm_base_url",
    "auth_method",
    "log_level",
    "log_file",
    "$schema",
];

/// Under which keys of a provider they stand, so that a fault which shows later names its place
/// here.
const SAME_AS: &[(&str, &str)] = &[
    ("domain_url", "issuer"),
    ("client_id", "clientId"),
    ("client_secret", "clientSecret"),
    ("redirect_uri", "redirectUri"),
    ("scope", "scopes"),
    ("llm_base_url", "origins"),
    ("llm_base_url", "modelsUrl"),
    ("auth_method", "grants"),
];

/// The kinds of application that Oracle Cloud knows and that sign people in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Application {
    /// Has a secret, and signs in on a page that answers on a loopback port.
    Confidential,
    /// Has no secret, and signs in with a device code.
    Mobile,
}

pub(super) const APPLICATIONS: &[(&str, Application)] = &[
    ("confidential_app", Application::Confidential),
    ("mobile_app", Application::Mobile),
];

/// What a file says; its default, where there is no file.
pub(super) struct OciFile {
    provenance: Provenance,
    /// What it says of the provider, or all that is wrong with it.
    pub(super) patch: ProviderPatch,
    pub(super) log: LogSettings,
    /// What is wrong with it, each by itself.
    pub(super) faults: Vec<ConfigError>,
}

impl Default for OciFile {
    fn default() -> Self {
        Self {
            provenance: Provenance::BuiltIn,
            patch: ProviderPatch::default(),
            log: LogSettings::default(),
            faults: Vec::new(),
        }
    }
}

/// Reads the text of a file; `None` where there is no file.
pub(super) fn read(
    file: &Path,
    text: Result<Option<String>, ConfigError>,
    provenance: Provenance,
    warnings: &mut Vec<ConfigError>,
) -> Option<OciFile> {
    let tree = match text {
        Ok(None) => return None,
        Ok(Some(text)) => tree::parse_file(file, &text),
        Err(fault) => Err(fault),
    };
    let read = tree.and_then(|parsed| OciFile::of(parsed, provenance, warnings));
    Some(read.unwrap_or_else(|fault| OciFile::faulty(vec![fault])))
}

impl OciFile {
    /// A file with a fault, of which nothing is used.
    fn faulty(faults: Vec<ConfigError>) -> Self {
        let mut file = Self::default();
        file.patch.fault = joined(faults.clone());
        file.faults = faults;
        file
    }

    fn of(
        Parsed { root, twice }: Parsed,
        provenance: Provenance,
        warnings: &mut Vec<ConfigError>,
    ) -> Result<Self, ConfigError> {
        let mut keys = Keys {
            place: &root.place,
            entries: known(&root, KEYS, warnings)?,
            problems: twice,
        };
        let log = LogSettings {
            level: keys.log_level(&provenance, warnings).unwrap_or_default(),
            file: keys.log_file(&provenance, warnings),
        };
        let patch = keys.provider(&provenance);
        Ok(match keys.problems.is_empty() {
            false => Self {
                log,
                ..Self::faulty(keys.problems)
            },
            true => Self {
                provenance,
                patch,
                log,
                faults: Vec::new(),
            },
        })
    }

    /// The layer that it makes. `searched`: where it was looked for.
    pub(super) fn into_layer(mut self, searched: Vec<PathBuf>) -> Layer {
        if let Some(fault) = &mut self.patch.fault {
            let places: Vec<String> = searched.iter().map(|path| visible(path)).collect();
            let places = places.join(", ");
            fault.why.push_str(&format!(". Searched: {places}"));
        }
        self.patch.searched = searched;
        Layer {
            provenance: self.provenance,
            providers: [(PROVIDER.to_owned(), self.patch)].into(),
            user_keys: UserKeys::default(),
            dedicated: true,
        }
    }
}

/// The keys that are set, and what is wrong with them.
struct Keys<'a> {
    place: &'a Place,
    entries: Vec<(&'static str, &'a Entry)>,
    problems: Vec<ConfigError>,
}

impl<'a> Keys<'a> {
    fn provider(&mut self, from: &Provenance) -> ProviderPatch {
        let issuer = self.required("domain_url", domain);
        let client_id = self.required("client_id", word);
        let base = self.required("llm_base_url", endpoint);
        let origins = base
            .as_ref()
            .map(|base| Origin::of(base).into_iter().collect());
        // Of a bare host, the list lies where it does for any.
        let base = base.filter(|base| base.path() != "/");
        let models_url = base.map(|mut base| {
            let path = format!("{}/models", base.path().trim_end_matches('/'));
            base.set_path(&path);
            base
        });
        let redirect_uri = self.optional("redirect_uri", redirect_uri);
        let scopes = self.optional("scope", |node| {
            node.text()?
                .split_ascii_whitespace()
                .map(|scope| scope_of(&node.place, scope))
                .collect()
        });
        let application = self
            .optional("auth_method", |node| {
                one_of(&node.place, node.text()?, APPLICATIONS)
            })
            .unwrap_or(Application::Confidential);
        let (client_auth, grant) = match application {
            Application::Confidential => (ClientAuth::Basic, Grant::AuthorizationCode),
            Application::Mobile => (ClientAuth::None, Grant::DeviceCode),
        };
        let client_secret = match application {
            Application::Confidential => self.required("client_secret", |node| secret(node, from)),
            Application::Mobile => {
                let node = self.node("client_secret");
                self.problems.extend(node.map(|node| {
                    let why = "a mobile_app has no secret: remove it, or set auth_method to confidential_app";
                    node.place.fault(why)
                }));
                None
            }
        };
        let places = SAME_AS.iter().filter_map(|(key, ours)| {
            let node = self.node(key)?;
            Some(((*ours).to_owned(), node.place.clone()))
        });
        ProviderPatch {
            place: self.place.clone(),
            keys: ProviderKeys {
                issuer,
                client_id,
                client_secret,
                client_auth: Some(client_auth),
                grants: Some(vec![grant]),
                scopes,
                redirect_uri,
                origins,
                models_url,
                ..ProviderKeys::default()
            },
            places: places.gather(),
            ..ProviderPatch::default()
        }
    }

    /// What is logged. A project's wish is not followed: how much is written is the user's choice.
    fn log_level(
        &mut self,
        from: &Provenance,
        warnings: &mut Vec<ConfigError>,
    ) -> Option<LogLevel> {
        if self.is_projects("log_level", from, "PROVIDER_AUTH_LOG", warnings) {
            return None;
        }
        self.optional("log_level", |node| {
            let name = node.text()?.to_ascii_lowercase();
            // As the plugin `opencode-oci-oidc` calls it, whose files are read here too.
            let name = match name.as_str() {
                "verbose" => "trace",
                name => name,
            };
            one_of(&node.place, name, LOG_LEVELS)
        })
    }

    /// Where to log. A project could have any file written to, so its wish is not followed.
    fn log_file(&mut self, from: &Provenance, warnings: &mut Vec<ConfigError>) -> Option<PathBuf> {
        if self.is_projects("log_file", from, "PROVIDER_AUTH_LOG_FILE", warnings) {
            return None;
        }
        self.optional("log_file", |node| {
            let path = PathBuf::from(word(node)?);
            let folder = from.file().and_then(|file| file.parent());
            Ok(match folder {
                Some(folder) if !path.starts_with("~") => folder.join(path),
                _ => path,
            })
        })
    }

    /// Whether a project's file sets this key, which then has no effect.
    fn is_projects(
        &self,
        key: &str,
        from: &Provenance,
        instead: &str,
        warnings: &mut Vec<ConfigError>,
    ) -> bool {
        let (Provenance::Project(_), Some(node)) = (from, self.node(key)) else {
            return false;
        };
        let ignored =
            format!("ignored, since a project file may not choose what is logged; set {instead}");
        warnings.push(node.place.fault(ignored));
        true
    }

    /// The value of a key; an empty text counts as not set, since templates leave keys out that
    /// way.
    fn node(&self, key: &str) -> Option<&'a Node> {
        let entry = self.entries.iter().find(|(known, _)| *known == key);
        let node = entry.map(|(_, entry)| &entry.node);
        node.filter(|node| !matches!(&node.value, Content::Text(text) if text.trim().is_empty()))
    }

    fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&'a Node) -> Result<T, ConfigError>,
    ) -> Option<T> {
        let node = self.node(key)?;
        let read = match is_placeholder(node) {
            true => Err(node
                .place
                .fault("still a placeholder: put a value of your own here")),
            false => read(node),
        };
        read.map_err(|fault| self.problems.push(fault)).ok()
    }

    fn required<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&'a Node) -> Result<T, ConfigError>,
    ) -> Option<T> {
        if self.node(key).is_none() {
            self.problems.push(self.place.missing(key).fault("missing"));
        }
        self.optional(key, read)
    }
}

/// The issuer of a domain, which the console shows with its default port.
fn domain(node: &Node) -> Result<url::Url, ConfigError> {
    let url = endpoint(node)?;
    if url.path() != "/" || url.query().is_some() {
        return Err(node.place.fault(
            "expected the URL of the domain alone, such as https://idcs-….identity.oraclecloud.com",
        ));
    }
    Ok(url)
}

/// Whether a template was not filled in: `<your-client-id>`, also within a URL or a reference. A
/// secret may hold such brackets by chance, so there only the whole text counts.
fn is_placeholder(node: &Node) -> bool {
    let Content::Text(text) = &node.value else {
        return false;
    };
    let text = text.trim();
    let bracketed = text
        .split_once('<')
        .and_then(|(before, rest)| Some((before, rest.split_once('>')?.1)));
    bracketed.is_some_and(|(before, after)| {
        let whole = before.is_empty() && after.is_empty();
        whole || text.contains("://") || is_reference(text)
    })
}

/// All faults in one; `None` without any.
fn joined(problems: Vec<ConfigError>) -> Option<ConfigError> {
    let mut problems = problems.into_iter();
    let mut first = problems.next()?;
    for ConfigError {
        line,
        column,
        path,
        why,
        ..
    } in problems
    {
        let place = line.zip(column);
        let at = place.map_or_else(String::new, |(line, column)| format!(" ({line}:{column})"));
        first.why.push_str(&format!("; {path}{at}: {why}"));
    }
    Some(first)
}
