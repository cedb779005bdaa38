//! The keys of providers that the layers set: which of them count, and where each stands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use provider_auth_policy::Gather as _;

use super::effective::shown_text;
use super::parts::{ProviderValue, ValueSource};
use crate::config::error::{ConfigError, Place};
use crate::config::keys::{Role, Table as _, UNKNOWN_KEY};
use crate::config::layer::Layer;
use crate::config::project::{Project, TrustState};
use crate::config::provider::Provenance;
use crate::config::provider_keys::{PROVIDERS, ProviderKeys};
use crate::config::secret::{SecretRef, SecretSource};
use crate::config::sources::Sources;
use crate::config::tree::{Content, Entry, Node};

/// Keys whose objects are laid over one another key by key; `*` is any.
const OBJECTS: &[&str] = &[
    "rotation",
    "headers",
    "params",
    "params.*",
    "dialect",
    "dialect.encoding",
    "dialect.headers",
    "dialect.headers.*",
    "dialect.fields",
    "dialect.poll",
    "dialect.identity",
];

/// Lists that layers add to.
const ADDED_UP: &[&str] = &["extraOrigins", "strip", "limits", "dialect.errors"];

/// Keys of secrets: where one is kept elsewhere, it is shown where.
const SECRETS: &[&str] = &["clientSecret", "privateKey", "assertion"];

/// What may hold a secret by mistake, though no key of a secret.
const MAYBE_SECRET: &[&str] = &[
    "headers",
    "params",
    "dialect.headers",
    "dialect.issuedClient",
];

/// Places whose values are not shown, since they are not what they should be.
pub(super) struct Withheld {
    /// By file: the paths of faults.
    faulty: BTreeMap<Option<PathBuf>, Vec<String>>,
    /// The paths of keys that are not known.
    unknown: BTreeSet<(Option<PathBuf>, String)>,
}

impl Withheld {
    pub(super) fn of<'a>(
        faults: impl Iterator<Item = &'a ConfigError>,
        warnings: &[ConfigError],
    ) -> Self {
        let mut faulty: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for ConfigError { file, path, .. } in faults {
            faulty.entry(file.clone()).or_default().push(path.clone());
        }
        let unknown = warnings.iter();
        let unknown = unknown.filter(|odd| odd.why.starts_with(UNKNOWN_KEY));
        Self {
            faulty,
            unknown: unknown
                .map(|odd| (odd.file.clone(), odd.path.clone()))
                .gather(),
        }
    }

    /// Whether a fault is here, in what stands here, or in what this stands in.
    fn is_faulty(&self, place: &Place) -> bool {
        let ConfigError { file, path, .. } = place.fault("");
        let faults = self.faulty.get(&file).into_iter().flatten();
        let mut faults = faults.filter(|fault| !fault.is_empty());
        faults.any(|fault| is_in(&path, fault) || is_in(fault, &path))
    }

    fn is_unknown(&self, place: &Place) -> bool {
        let ConfigError { file, path, .. } = place.fault("");
        self.unknown.contains(&(file, path))
    }
}

/// Whether one path is the other, or goes on from it.
fn is_in(path: &str, other: &str) -> bool {
    let rest = path.strip_prefix(other);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

struct Row {
    key: String,
    value: Shown,
    source: ValueSource,
}

enum Shown {
    Value(Value),
    /// It is or may be a secret.
    Hidden,
    /// As the merged provider has it.
    OfProvider,
}

/// What is set of each provider, as far as it counts.
pub(super) struct SetValues(BTreeMap<String, Vec<Row>>);

impl SetValues {
    pub(super) fn of(sources: &Sources, project: &Project, withheld: &Withheld) -> Self {
        let is_trusted = |file: &Path| {
            let mut files = project.files.iter();
            files.any(|known| known.file == file && known.state == TrustState::Trusted)
        };
        let mut set = Self(BTreeMap::new());
        let by_themselves = sources.project_definitions.iter().filter(|layer| {
            let file = layer.provenance.file();
            file.is_some_and(is_trusted)
        });
        let by_themselves: Vec<&Layer> = by_themselves.collect();
        let of_its_own = |id: &str| {
            by_themselves
                .iter()
                .any(|layer| layer.providers.contains_key(id))
        };
        for layer in &by_themselves {
            set.lay_dedicated(layer);
        }
        for layer in sources.layers.iter().filter(|layer| layer.dedicated) {
            if !layer.providers.keys().any(|id| of_its_own(id)) {
                set.lay_dedicated(layer);
            }
        }
        for (provenance, root) in &sources.trees {
            let is_own = match provenance {
                Provenance::Project(file) => is_trusted(file),
                _ => true,
            };
            for Entry { key: id, node, .. } in providers(root) {
                let mut rows = Vec::new();
                let known = entries(node).iter();
                let known = known.filter(|entry| ProviderKeys::NAMES.contains(&entry.key.as_str()));
                for Entry { key, node, .. } in known {
                    read(key, node, withheld, &mut rows);
                }
                if !is_own || of_its_own(id) {
                    rows.retain(|row| only_chooses(row, provenance));
                }
                set.lay(id, rows);
            }
        }
        set.0.retain(|_, rows| !rows.is_empty());
        set
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What is set of one provider. `known`: what its keys come to.
    pub(super) fn values(&self, id: &str, known: &[(&'static str, Value)]) -> Vec<ProviderValue> {
        let of_provider = |key: &str| {
            let found = known.iter().find(|(known, _)| *known == key);
            found.map(|(_, value)| value.clone())
        };
        let rows = self.0.get(id).into_iter().flatten();
        // A list of models that later origins leave behind does not count.
        let counts = |row: &&Row| match (&row.value, &*row.key) {
            (Shown::Value(url), "modelsUrl") => {
                of_provider("modelsUrl").is_none_or(|known| known == *url)
            }
            _ => true,
        };
        rows.filter(counts)
            .map(|row| ProviderValue {
                key: row.key.clone(),
                value: match &row.value {
                    Shown::Value(value) => Some(value.clone()),
                    Shown::Hidden => None,
                    Shown::OfProvider => of_provider(&row.key),
                },
                source: row.source.clone(),
            })
            .collect()
    }

    /// Lays a file over the others that has keys of its own, such as `oci-auth.config.jsonc`.
    fn lay_dedicated(&mut self, layer: &Layer) {
        for (id, patch) in &layer.providers {
            let rows = patch.places.iter().map(|(key, place)| Row {
                key: key.clone(),
                value: match (&**key, &patch.keys.client_secret) {
                    ("clientSecret", Some(secret)) => shown_secret(secret),
                    _ => Shown::OfProvider,
                },
                source: ValueSource::of(place),
            });
            self.lay(id, rows.collect());
        }
    }

    fn lay(&mut self, id: &str, rows: Vec<Row>) {
        let laid = self.0.entry(id.to_owned()).or_default();
        // The pin of an earlier layer is of that layer's pool.
        if rows.iter().any(|row| row.key == "namespace") {
            laid.retain(|row| row.key != "account");
        }
        for row in rows {
            if !ADDED_UP.contains(&row.key.as_str()) {
                laid.retain(|earlier| earlier.key != row.key);
            }
            laid.push(row);
        }
    }
}

/// The entries under `providers` of a file.
fn providers(root: &Node) -> &[Entry] {
    let found = entries(root).iter().find(|entry| entry.key == PROVIDERS);
    found.map_or(&[], |entry| entries(&entry.node))
}

fn entries(node: &Node) -> &[Entry] {
    node.object().unwrap_or_default()
}

/// Whether a row is one that a project's file may set untrusted.
fn only_chooses(row: &Row, provenance: &Provenance) -> bool {
    let (name, _) = row.key.split_once('.').unwrap_or((&row.key, ""));
    let mut keys = ProviderKeys::KEYS.iter();
    let chooses = keys.any(|key| key.name == name && key.has(Role::ChoosesAccounts));
    let pools_logins = matches!(provenance, Provenance::Project(_))
        && row.key == "rotation.rotate"
        && matches!(row.value, Shown::Value(Value::Bool(true)));
    chooses && !pools_logins
}

/// Reads what a key sets, and the keys below it.
fn read(key: &str, node: &Node, withheld: &Withheld, rows: &mut Vec<Row>) {
    let is_object = OBJECTS.iter().any(|object| match object.strip_suffix('*') {
        Some(parent) => key
            .strip_prefix(parent)
            .is_some_and(|name| !name.contains('.')),
        None => *object == key,
    });
    if is_object {
        for entry in entries(node) {
            if !withheld.is_unknown(&entry.node.place) {
                read(&format!("{key}.{}", entry.key), &entry.node, withheld, rows);
            }
        }
        return;
    }
    if withheld.is_faulty(&node.place) {
        return;
    }
    let is_private = MAYBE_SECRET.iter().any(|private| is_in(key, private));
    let value = match &node.value {
        Content::Text(text) if SECRETS.contains(&key) => match SecretSource::parse(text) {
            Ok(SecretSource::Env(_) | SecretSource::File(_)) => Shown::Value(Value::from(&**text)),
            _ => Shown::Hidden,
        },
        Content::Null => Shown::Value(Value::Null),
        _ if is_private => Shown::Hidden,
        _ => Shown::Value(shown(node, withheld)),
    };
    rows.push(Row {
        key: key.to_owned(),
        value,
        source: ValueSource::of(&node.place),
    });
}

/// Where a secret is kept; of one in clear, that it is set.
fn shown_secret(secret: &SecretRef) -> Shown {
    match &secret.source {
        SecretSource::Plain(_) => Shown::Hidden,
        SecretSource::Env(name) => Shown::Value(Value::from(format!("{{env:{name}}}"))),
        SecretSource::File(path) => {
            Shown::Value(Value::from(format!("{{file:{}}}", path.to_string_lossy())))
        }
    }
}

/// The value, without keys that are not known.
fn shown(node: &Node, withheld: &Withheld) -> Value {
    match &node.value {
        Content::Null => Value::Null,
        Content::Flag(flag) => Value::from(*flag),
        Content::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            Value::from(*number as i64)
        }
        Content::Number(number) => Value::from(*number),
        Content::Text(text) => Value::from(shown_text(text)),
        Content::List(items) => items.iter().map(|item| shown(item, withheld)).collect(),
        Content::Object(entries) => {
            let known = entries.iter();
            let known = known.filter(|entry| !withheld.is_unknown(&entry.node.place));
            let known = known.map(|entry| (entry.key.clone(), shown(&entry.node, withheld)));
            Value::Object(known.collect::<Map<_, _>>())
        }
    }
}
