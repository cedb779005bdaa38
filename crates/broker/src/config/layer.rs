//! One layer of configuration: what a file or an inline value says of providers, read but not yet
//! merged.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use provider_auth_policy::Gather as _;

use super::error::{ConfigError, Place};
use super::keys::{Context, Lay, Role, Table as _, known};
use super::limits::MOST_PROJECT_PROVIDERS;
use super::origin::Origin;
use super::provider::Provenance;
use super::provider_keys::{PROVIDERS, ProviderKeys, ROOT, RotationKeys};
use super::tree::{Entry, Node};
use super::user_keys::UserKeys;
use crate::providers;

/// What one file or inline value says about providers.
#[derive(Clone)]
pub(super) struct Layer {
    pub(super) provenance: Provenance,
    pub(super) providers: BTreeMap<String, ProviderPatch>,
    /// What is of no provider; never of a project.
    pub(super) user_keys: UserKeys,
    /// Whether the file is about one provider and nothing else. Of the user, it does not keep a
    /// project from defining that provider; of a project, it is a definition by itself.
    pub(super) dedicated: bool,
}

impl Layer {
    /// The providers that it says anything of. A file about one provider may not be there.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let is_said = |patch: &ProviderPatch| !patch.places.is_empty() || patch.fault.is_some();
        let named = self.providers.iter();
        let named = named.filter(move |(_, patch)| !self.dedicated || is_said(patch));
        named.map(|(id, _)| id.as_str())
    }

    pub(super) fn is_project(&self) -> bool {
        matches!(self.provenance, Provenance::Project(_))
    }
}

/// What a layer says about one provider.
#[derive(Clone, Default)]
pub(super) struct ProviderPatch {
    pub(super) place: Place,
    /// What is set.
    pub(super) keys: ProviderKeys,
    /// Where each key that is set stands, also those below `params` and `dialect`: `jwksUri`,
    /// `dialect.headers.token`.
    pub(super) places: BTreeMap<String, Place>,
    /// A hash of the keys that shape requests and answers; of a project's file only.
    pub(super) shape: Option<String>,
    /// Where a file that defines the provider by itself was looked for.
    pub(super) searched: Vec<PathBuf>,
    /// What is wrong with that file: of no matter to other providers.
    pub(super) fault: Option<ConfigError>,
}

impl ProviderPatch {
    /// Whether it says more than which accounts serve, and how they take turns.
    pub(super) fn defines(&self) -> bool {
        let mut defining = ProviderKeys::KEYS
            .iter()
            .filter(|key| !key.has(Role::ChoosesAccounts));
        defining.any(|key| self.places.contains_key(key.name))
    }

    /// The names of the provider's keys that are set, in alphabetical order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let known = |set: &String| {
            ProviderKeys::NAMES
                .iter()
                .find(|name| *name == set)
                .copied()
        };
        self.places.keys().filter_map(known)
    }

    /// Where a key stands, else the provider as a whole.
    pub(super) fn place_of(&self, key: &str) -> &Place {
        self.places.get(key).unwrap_or(&self.place)
    }

    /// The part of it that only chooses among accounts.
    pub(super) fn selection(&self) -> Self {
        let choosing = ProviderKeys::KEYS
            .iter()
            .filter(|key| key.has(Role::ChoosesAccounts));
        let places = choosing.filter_map(|key| self.places.get_key_value(key.name));
        let keys = &self.keys;
        Self {
            place: self.place.clone(),
            places: places
                .map(|(key, place)| (key.clone(), place.clone()))
                .gather(),
            keys: ProviderKeys {
                namespace: keys.namespace.clone(),
                account: keys.account.clone(),
                rotation: RotationKeys {
                    // To let logins stand in for one another is between the user and the provider,
                    // whose terms may forbid it.
                    rotate: keys.rotation.rotate.filter(|rotates| !rotates),
                    ..keys.rotation.clone()
                },
                ..ProviderKeys::default()
            },
            ..Self::default()
        }
    }
}

impl Lay for ProviderPatch {
    fn lay(&mut self, later: Self) {
        // A list of models that the new origins leave behind is not theirs.
        if let (Some(url), Some(origins)) = (&self.keys.models_url, &later.keys.origins) {
            let stays = Origin::of(url).is_some_and(|origin| {
                origins.contains(&origin) || self.keys.extra_origins.contains(&origin)
            });
            if !stays {
                self.keys.models_url = None;
            }
        }
        // The pin of an earlier layer is of that layer's pool.
        if later.keys.namespace.is_some() {
            self.keys.account = None;
        }
        self.place = later.place;
        self.keys.lay(later.keys);
        self.places.lay(later.places);
        self.shape.lay(later.shape);
        self.searched.lay(later.searched);
        self.fault.lay(later.fault);
    }
}

/// Reads one layer, without the providers that have a fault. The first of the faults that it adds
/// is the one that comes first in the file's text.
pub(super) fn read(
    root: &Node,
    provenance: Provenance,
    warnings: &mut Vec<ConfigError>,
    faults: &mut Vec<ConfigError>,
) -> Layer {
    let mut layer = Layer {
        provenance,
        providers: BTreeMap::new(),
        user_keys: UserKeys::default(),
        dedicated: false,
    };
    let known = match known(root, ROOT, warnings) {
        Ok(known) => known,
        Err(fault) => {
            faults.push(fault);
            return layer;
        }
    };
    layer.user_keys = UserKeys::read(&known, layer.is_project(), warnings, faults);
    let providers = known.iter().find(|(key, _)| *key == PROVIDERS);
    let Some((_, Entry { node, .. })) = providers else {
        return layer;
    };
    let entries = match provider_entries(node, layer.is_project()) {
        Ok(entries) => entries,
        Err(fault) => {
            faults.push(fault);
            return layer;
        }
    };
    for entry in entries {
        let mut further = Vec::new();
        let mut context = Context {
            from: &layer.provenance,
            warnings,
            further: &mut further,
        };
        let read = provider_id(entry).and_then(|id| Ok((id, provider(&entry.node, &mut context)?)));
        match read {
            Ok(patch) => layer.providers.extend([patch]),
            Err(first) => faults.push(first),
        }
        faults.append(&mut further);
    }
    layer
}

/// What stands under the key `providers`.
fn provider_entries(node: &Node, is_project: bool) -> Result<&[Entry], ConfigError> {
    let entries = node.object()?;
    match is_project && entries.len() > MOST_PROJECT_PROVIDERS {
        true => Err(node.place.fault(format!(
            "a project's file may name {MOST_PROJECT_PROVIDERS} providers at most"
        ))),
        false => Ok(entries),
    }
}

fn provider_id(entry: &Entry) -> Result<String, ConfigError> {
    let id = &entry.key;
    if let Some(base) = providers::BASES.iter().find(|base| base.id == id) {
        let base = base.id;
        return Err(entry.place.fault(format!(
            "{base} is what other providers extend; give yours an id of its own"
        )));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.len() > 64 || !id.chars().all(fits) {
        return Err(entry
            .place
            .fault("a provider id has 1 to 64 letters, digits, dashes, underscores and dots"));
    }
    Ok(id.clone())
}

fn provider(node: &Node, context: &mut Context<'_>) -> Result<ProviderPatch, ConfigError> {
    let mut patch = ProviderPatch {
        place: node.place.clone(),
        keys: ProviderKeys::read(node, context)?,
        ..ProviderPatch::default()
    };
    for Entry { key, node, .. } in node.object()? {
        if !ProviderKeys::NAMES.contains(&key.as_str()) {
            continue;
        }
        patch.places.insert(key.clone(), node.place.clone());
        if matches!(key.as_str(), "params" | "dialect") {
            note_places(key, node, &mut patch.places);
        }
    }
    if matches!(context.from, Provenance::Project(_)) {
        patch.shape = shape(node);
    }
    Ok(patch)
}

/// Notes where the keys below this one stand, and what is said of single steps.
fn note_places(key: &str, node: &Node, places: &mut BTreeMap<String, Place>) {
    for entry in node.object().unwrap_or_default() {
        let key = format!("{key}.{}", entry.key);
        if matches!(key.as_str(), "dialect.encoding" | "dialect.headers") {
            note_places(&key, &entry.node, places);
        }
        places.insert(key, entry.node.place.clone());
    }
}

/// A hash of the keys that shape requests and answers; `None` where none is set.
fn shape(node: &Node) -> Option<String> {
    let shapes = |entry: &&Entry| {
        let mut keys = ProviderKeys::KEYS.iter();
        keys.any(|key| key.name == entry.key && key.has(Role::ShapesRequests))
    };
    let mut entries: Vec<&Entry> = node.object().ok()?.iter().filter(shapes).collect();
    entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let mut hash = Sha256::new();
    for Entry { key, node, .. } in &entries {
        hash.update(format!("{key:?}:{}\n", node.canonical()));
    }
    (!entries.is_empty()).then(|| hex::encode(hash.finalize()))
}
