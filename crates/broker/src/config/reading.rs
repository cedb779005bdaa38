//! Reads the files of the configuration, each with where it comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::Inline;
use super::error::{ConfigError, Place};
use super::limits::{LONGEST_CONFIG_FILE, LONGEST_PROJECT_FILE};
use super::oci::{self, OciFile};
use super::places::{self, Platform, expand, variable};
use super::provider::Provenance;
use super::schema::{self, Layer};
use super::tree::{self, Node};
use super::values::hex;
use crate::host::Env;

/// What has been read so far.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) layers: Vec<Layer>,
    pub(super) oci: OciFile,
    /// The project's own Oracle file.
    pub(super) project_oci: Option<oci::Found>,
    /// The true path and the hash of each project file that was read.
    pub(super) hashes: BTreeMap<PathBuf, String>,
    /// Project files that do not count, and why.
    pub(super) ignored: Vec<(PathBuf, &'static str)>,
    pub(super) warnings: Vec<String>,
    pub(super) files: Vec<PathBuf>,
}

impl Reading {
    /// Reads the user's file. It may be absent, unless the user says where it is.
    pub(super) fn user_file(&mut self, env: &dyn Env) -> Result<Option<PathBuf>, ConfigError> {
        let named = variable(env, "PROVIDER_AUTH_CONFIG").map(|path| expand(env, Path::new(&path)));
        let must_exist = named.is_some();
        let Some(file) = named.or_else(|| places::default_user_file(env, Platform::HERE)) else {
            return Ok(None);
        };
        let found = self.file(&file, Provenance::User(file.clone()))?;
        if must_exist && !found {
            return Err(
                Place::file(&file).fault("PROVIDER_AUTH_CONFIG names this file, and there is none")
            );
        }
        Ok(Some(file))
    }

    /// Reads the nearest project file, unless the user has named that very file as their own.
    pub(super) fn project_file(
        &mut self,
        env: &dyn Env,
        user_file: Option<&Path>,
    ) -> Result<(), ConfigError> {
        if let Some(git) = places::ignored_git(env) {
            self.ignores(&git);
        }
        for place in places::project_files(env, places::PROJECT_FILE) {
            if user_file.is_some_and(|user_file| places::same_file(user_file, &place.file)) {
                return Ok(());
            }
            self.files.push(place.file.clone());
            if self.ignores(&place) {
                continue;
            }
            let Some(text) = places::read(&place.file, LONGEST_PROJECT_FILE)? else {
                continue;
            };
            let provenance = self.of_project(&place.file, &text);
            return self.layer(&tree::parse_file(&place.file, &text)?, provenance);
        }
        Ok(())
    }

    /// Reads the `oci-auth.config.jsonc` beside OpenCode's own configuration, and the nearest one of the project.
    pub(super) fn oci_files(&mut self, env: &dyn Env) {
        let users = places::opencode_file(env, oci::FILE);
        for place in places::project_files(env, oci::FILE) {
            let is_users =
                |users: &PathBuf| *users == place.file || places::same_file(users, &place.file);
            if users.as_ref().is_some_and(is_users) {
                continue;
            }
            self.files.push(place.file.clone());
            self.oci.searched.push(place.file.clone());
            if self.project_oci.is_some() || self.ignores(&place) {
                continue;
            }
            let text = places::read(&place.file, LONGEST_PROJECT_FILE);
            let provenance = match &text {
                Ok(Some(text)) => self.of_project(&place.file, text),
                _ => Provenance::Project(place.file.clone()),
            };
            self.project_oci = self.oci_found(&place.file, text, provenance);
        }
        if let Some(file) = users {
            self.files.push(file.clone());
            self.oci.searched.push(file.clone());
            let text = places::read(&file, LONGEST_CONFIG_FILE);
            self.oci.found = self.oci_found(&file, text, Provenance::User(file.clone()));
        }
        // A project's file with a fault is of no effect; who needs it is told what is wrong with it.
        if self.oci.found.is_none() {
            let faulty = self.project_oci.take_if(|found| found.provider.is_err());
            self.oci.found = faulty;
        }
    }

    fn oci_found(
        &mut self,
        file: &Path,
        text: Result<Option<String>, ConfigError>,
        provenance: Provenance,
    ) -> Option<oci::Found> {
        let tree = match text {
            Ok(None) => return None,
            Ok(Some(text)) => tree::parse_file(file, &text),
            Err(fault) => Err(fault),
        };
        Some(match tree {
            Ok(root) => oci::Found::read(&root, provenance, &mut self.warnings),
            Err(fault) => oci::Found::faulty(provenance, fault),
        })
    }

    /// Whether a project file is passed over, since somebody else may have made it.
    fn ignores(&mut self, place: &places::ProjectPlace) -> bool {
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
        let hash = hex(&Sha256::digest(text.as_bytes()));
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
            .push(schema::read(root, provenance, &mut self.warnings)?);
        Ok(())
    }

    /// Reads one file and says whether it was there.
    fn file(&mut self, file: &Path, provenance: Provenance) -> Result<bool, ConfigError> {
        self.files.push(file.to_owned());
        let Some(text) = places::read(file, LONGEST_CONFIG_FILE)? else {
            return Ok(false);
        };
        self.layer(&tree::parse_file(file, &text)?, provenance)?;
        Ok(true)
    }
}
