//! Reads the files of the configuration, each with where it comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::{ConfigError, Place};
use super::inline::Inline;
use super::layer::{self, Layer};
use super::limits::{LONGEST_CONFIG_FILE, LONGEST_PROJECT_FILE};
use super::log::LogSettings;
use super::oci;
use super::paths::{self, Platform, expand, variable};
use super::provider::Provenance;

use super::tree::{self, Node};
use crate::host::Env;

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
    pub(super) warnings: Vec<String>,
}

impl Sources {
    /// Reads the user's file. It may be absent, unless the user says where it is.
    pub(super) fn user_file(&mut self, env: &dyn Env) -> Result<Option<PathBuf>, ConfigError> {
        let named = variable(env, "PROVIDER_AUTH_CONFIG").map(|path| expand(env, Path::new(&path)));
        let must_exist = named.is_some();
        let Some(file) = named.or_else(|| paths::default_user_file(env, Platform::HERE)) else {
            return Ok(None);
        };
        let found = self.file(&file, Provenance::User(file.clone()))?;
        if must_exist && !found {
            return Err(Place::file(&file)
                .fault("PROVIDER_AUTH_CONFIG names this file, and it does not exist"));
        }
        Ok(Some(file))
    }

    /// Reads the nearest project file, unless the user has named that very file as their own.
    pub(super) fn project_file(
        &mut self,
        env: &dyn Env,
        user_file: Option<&Path>,
    ) -> Result<(), ConfigError> {
        if let Some(git) = paths::ignored_git(env) {
            self.ignores(&git);
        }
        for place in paths::project_files(env, paths::PROJECT_FILE) {
            if user_file.is_some_and(|user_file| paths::same_file(user_file, &place.file)) {
                return Ok(());
            }
            if self.ignores(&place) {
                continue;
            }
            let Some(text) = paths::read(&place.file, LONGEST_PROJECT_FILE)? else {
                continue;
            };
            let provenance = self.of_project(&place.file, &text);
            return self.layer(&tree::parse_file(&place.file, &text)?, provenance);
        }
        Ok(())
    }

    /// Reads the `oci-auth.config.jsonc` beside OpenCode's own configuration, as the weakest layer,
    /// and the nearest one of the project, which defines its provider by itself.
    pub(super) fn oci_files(&mut self, env: &dyn Env) {
        let users = paths::opencode_file(env, oci::FILE);
        let mut searched = Vec::new();
        let mut projects = None;
        for place in paths::project_files(env, oci::FILE) {
            let is_users =
                |users: &PathBuf| *users == place.file || paths::same_file(users, &place.file);
            if users.as_ref().is_some_and(is_users) {
                continue;
            }
            searched.push(place.file.clone());
            if projects.is_some() || self.ignores(&place) {
                continue;
            }
            let text = paths::read(&place.file, LONGEST_PROJECT_FILE);
            let provenance = match &text {
                Ok(Some(text)) => self.of_project(&place.file, text),
                _ => Provenance::Project(place.file.clone()),
            };
            projects = oci::read(&place.file, text, provenance, &mut self.warnings);
        }
        let mut weakest = None;
        if let Some(file) = users {
            searched.push(file.clone());
            let text = paths::read(&file, LONGEST_CONFIG_FILE);
            weakest = oci::read(
                &file,
                text,
                Provenance::User(file.clone()),
                &mut self.warnings,
            );
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

    /// Whether a project file is passed over, since another user may have made it.
    fn ignores(&mut self, place: &paths::ProjectPath) -> bool {
        let Some(why) = place.fault else {
            return false;
        };
        let fault = Place::file(&place.file).fault(format!("this file does not count: {why}"));
        self.warnings.push(fault.to_string());
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

    pub(super) fn inline(&mut self, inline: &Inline) -> Result<(), ConfigError> {
        if let Some(config) = &inline.config {
            self.layer(&tree::from_inline(config), Provenance::Inline)
                .map_err(|fault| fault.of_option("config"))?;
        }
        Ok(())
    }

    fn layer(&mut self, root: &Node, provenance: Provenance) -> Result<(), ConfigError> {
        self.layers
            .push(layer::read(root, provenance, &mut self.warnings)?);
        Ok(())
    }

    /// Reads one file and says whether it was there.
    fn file(&mut self, file: &Path, provenance: Provenance) -> Result<bool, ConfigError> {
        let Some(text) = paths::read(file, LONGEST_CONFIG_FILE)? else {
            return Ok(false);
        };
        self.layer(&tree::parse_file(file, &text)?, provenance)?;
        Ok(true)
    }
}
