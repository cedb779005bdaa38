//! Reads the files of the configuration, each with where it comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::{ConfigError, Place};
use super::inline::Inline;
use super::layer::{self, Layer};
use super::limits::{LONGEST_CONFIG_FILE, LONGEST_PROJECT_FILE};
use super::log::LogSettings;
use super::oci::{self, OciFile};
use super::paths::{self, Platform, expand, variable};
use super::provider::Provenance;
use super::tree::{self, Node, Parsed};
use crate::host::Env;
use crate::printable::visible;

/// What has been read so far.
#[derive(Default)]
pub(super) struct Sources {
    /// First the weakest.
    pub(super) layers: Vec<Layer>,
    /// What files of the project say that define a provider by themselves, without the layers.
    pub(super) project_definitions: Vec<Layer>,
    /// What is logged where neither the environment nor `configure` says.
    pub(super) log: LogSettings,
    /// The true path and the hash of each project file that was read.
    pub(super) hashes: BTreeMap<PathBuf, String>,
    /// Project files that do not count, and why.
    pub(super) ignored: Vec<(PathBuf, &'static str)>,
    pub(super) warnings: Vec<ConfigError>,
    /// What keeps the configuration from use; the first one is told.
    pub(super) faults: Vec<ConfigError>,
    /// Every file that was looked for.
    pub(super) files: Vec<SourceFile>,
    /// What was read as text, with where it comes from.
    pub(super) trees: Vec<(Provenance, Node)>,
    /// The user's own file, there or not, where a place for it is known.
    pub(super) user_file: Option<PathBuf>,
}

/// A file that was looked for.
pub(super) struct SourceFile {
    pub(super) kind: FileKind,
    pub(super) file: PathBuf,
    /// Why it does not count though it is there.
    pub(super) ignored: Option<String>,
    /// What keeps an `oci-auth.config.jsonc` from use; that of other files is with all faults.
    pub(super) faults: Vec<ConfigError>,
}

/// What a file of the configuration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The user's `config.jsonc`.
    User,
    /// The project's `provider-auth.jsonc`.
    Project,
    /// The `oci-auth.config.jsonc` beside OpenCode's own configuration.
    OciUser,
    /// The project's `oci-auth.config.jsonc`.
    OciProject,
}

impl Sources {
    /// Reads everything, and goes on after a fault.
    pub(super) fn read(env: &dyn Env, inline: &Inline) -> Self {
        let mut sources = Self::default();
        sources.user_file(env);
        sources.project_file(env);
        sources.oci_files(env);
        sources.inline(inline);
        sources
    }

    /// The same, if there is no fault.
    pub(super) fn without_fault(self) -> Result<Self, ConfigError> {
        match self.faults.first() {
            Some(fault) => Err(fault.clone()),
            None => Ok(self),
        }
    }

    /// Reads the user's file. It may be absent, unless the user says where it is.
    fn user_file(&mut self, env: &dyn Env) {
        let named = variable(env, "PROVIDER_AUTH_CONFIG").map(|path| expand(env, Path::new(&path)));
        let must_exist = named.is_some();
        let Some(file) = named.or_else(|| paths::default_user_file(env, Platform::HERE)) else {
            return;
        };
        self.looked_for(FileKind::User, &file, None);
        match paths::read(&file, LONGEST_CONFIG_FILE) {
            Ok(Some(text)) => self.file(&file, &text, Provenance::User(file.clone())),
            Ok(None) if must_exist => self.faults.push(
                Place::file(&file)
                    .fault("PROVIDER_AUTH_CONFIG names this file, and it does not exist"),
            ),
            Ok(None) => {}
            Err(fault) => self.faults.push(fault),
        }
        self.user_file = Some(file);
    }

    /// Reads the nearest project file, unless the user has named that very file as their own.
    fn project_file(&mut self, env: &dyn Env) {
        if let Some(git) = paths::ignored_git(env) {
            self.ignores(&git);
        }
        let mut nearest: Option<PathBuf> = None;
        for place in paths::project_files(env, paths::PROJECT_FILE) {
            if let Some(nearest) = &nearest {
                self.looked_for(FileKind::Project, &place.file, Some(farther_than(nearest)));
                continue;
            }
            let users = self.user_file.as_deref();
            if users.is_some_and(|users| paths::same_file(users, &place.file)) {
                nearest = Some(place.file);
                continue;
            }
            let ignored = self.ignores(&place);
            self.looked_for(
                FileKind::Project,
                &place.file,
                place.fault.map(str::to_owned),
            );
            if ignored {
                continue;
            }
            match paths::read(&place.file, LONGEST_PROJECT_FILE) {
                Ok(None) => continue,
                Ok(Some(text)) => {
                    let provenance = self.of_project(&place.file, &text);
                    self.file(&place.file, &text, provenance);
                }
                Err(fault) => self.faults.push(fault),
            }
            nearest = Some(place.file);
        }
    }

    /// Reads the `oci-auth.config.jsonc` beside OpenCode's own configuration, as the weakest layer,
    /// and the nearest one of the project, which defines its provider by itself.
    fn oci_files(&mut self, env: &dyn Env) {
        let users = paths::opencode_file(env, oci::FILE);
        let mut searched = Vec::new();
        let mut projects = None;
        let mut nearest: Option<PathBuf> = None;
        for place in paths::project_files(env, oci::FILE) {
            let is_users =
                |users: &PathBuf| *users == place.file || paths::same_file(users, &place.file);
            if users.as_ref().is_some_and(is_users) {
                continue;
            }
            searched.push(place.file.clone());
            if let Some(nearest) = &nearest {
                self.looked_for(
                    FileKind::OciProject,
                    &place.file,
                    Some(farther_than(nearest)),
                );
                continue;
            }
            let ignored = self.ignores(&place);
            self.looked_for(
                FileKind::OciProject,
                &place.file,
                place.fault.map(str::to_owned),
            );
            if ignored {
                continue;
            }
            let text = paths::read(&place.file, LONGEST_PROJECT_FILE);
            let provenance = match &text {
                Ok(Some(text)) => self.of_project(&place.file, text),
                _ => Provenance::Project(place.file.clone()),
            };
            projects = self.oci_file(&place.file, text, provenance);
            nearest = projects.is_some().then_some(place.file);
        }
        let mut weakest = None;
        if let Some(file) = users {
            searched.push(file.clone());
            self.looked_for(FileKind::OciUser, &file, None);
            let text = paths::read(&file, LONGEST_CONFIG_FILE);
            weakest = self.oci_file(&file, text, Provenance::User(file.clone()));
        }
        match projects {
            Some(file) if file.patch.fault.is_none() => {
                self.project_definitions.push(file.into_layer(Vec::new()));
            }
            // A project's file with a fault is of no effect; a use of its provider says what is
            // wrong with it.
            Some(file) if weakest.is_none() => weakest = Some(file),
            _ => {}
        }
        let weakest = weakest.unwrap_or_default();
        self.log = weakest.log.clone();
        self.layers.insert(0, weakest.into_layer(searched));
    }

    /// Reads the file that was looked for last.
    fn oci_file(
        &mut self,
        file: &Path,
        text: Result<Option<String>, ConfigError>,
        provenance: Provenance,
    ) -> Option<OciFile> {
        let read = oci::read(file, text, provenance, &mut self.warnings)?;
        if let Some(last) = self.files.last_mut() {
            last.faults.clone_from(&read.faults);
        }
        Some(read)
    }

    fn looked_for(&mut self, kind: FileKind, file: &Path, ignored: Option<String>) {
        self.files.push(SourceFile {
            kind,
            file: file.to_owned(),
            ignored,
            faults: Vec::new(),
        });
    }

    /// Whether a project file is passed over, since another user may have made it.
    fn ignores(&mut self, place: &paths::ProjectPath) -> bool {
        let Some(why) = place.fault else {
            return false;
        };
        let fault = Place::file(&place.file).fault(format!("this file does not count: {why}"));
        self.warnings.push(fault);
        self.ignored.push((place.file.clone(), why));
        true
    }

    /// Notes what a project file holds, and names it by its true path.
    fn of_project(&mut self, file: &Path, text: &str) -> Provenance {
        let path = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let hash = hex::encode(Sha256::digest(text.as_bytes()));
        self.hashes.insert(path.clone(), hash);
        Provenance::Project(path)
    }

    pub(super) fn inline(&mut self, inline: &Inline) {
        let Some(config) = &inline.config else {
            return;
        };
        let before = self.faults.len();
        self.layer(tree::from_inline(config), Provenance::Inline);
        let faults = self.faults.split_off(before).into_iter();
        self.faults
            .extend(faults.map(|fault| fault.of_option("config")));
    }

    fn file(&mut self, file: &Path, text: &str, provenance: Provenance) {
        match tree::parse_file(file, text) {
            Ok(Parsed { root, twice }) => {
                self.faults.extend(twice);
                self.layer(root, provenance);
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    fn layer(&mut self, root: Node, provenance: Provenance) {
        self.layers.push(layer::read(
            &root,
            provenance.clone(),
            &mut self.warnings,
            &mut self.faults,
        ));
        self.trees.push((provenance, root));
    }
}

/// Why a project's file does not count when there is one nearer to the working folder.
fn farther_than(nearest: &Path) -> String {
    format!("{} is nearer, so it counts instead", visible(nearest))
}
