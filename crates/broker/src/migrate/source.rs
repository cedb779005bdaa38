//! Where OpenCode keeps credentials: two files and a variable. And the variables that hold API
//! keys.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use provider_auth_vault::{Privacy, privacy};
use zeroize::Zeroizing;

use super::{KeyVariables, MigrateOptions, SkippedEntry};
use crate::config::{data_home, expand, variable};
use crate::error::BrokerError;
use crate::limits;
use crate::migrate::MigrationService;
use crate::providers::BUILT_IN;

/// Where OpenCode takes the content of `auth.json` from instead, if it is set and holds an object.
const AUTH_CONTENT: &str = "OPENCODE_AUTH_CONTENT";

/// Something that holds credentials of another program, as it was read.
pub(super) struct Source {
    /// Path of the file, or name of the variable.
    pub(super) name: String,
    pub(super) form: Form,
    pub(super) text: Zeroizing<String>,
    /// Of a file: where it truly is.
    pub(super) file: Option<PathBuf>,
    pub(super) warning: Option<&'static str>,
}

/// What the text of a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An object of credentials by provider.
    Auth,
    /// An object of logins by MCP server.
    Mcp,
    /// An API key of this provider.
    Key(&'static str),
}

/// Everything that was looked at.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) found: Vec<Source>,
    /// Those of which nothing can be read.
    pub(super) skipped: Vec<SkippedEntry>,
}

impl MigrationService {
    /// Reads all sources. A file that is there and cannot be read is an error, before anything was
    /// done.
    pub(super) fn sources(&self, options: &MigrateOptions) -> Result<Sources, BrokerError> {
        let mut sources = Sources::default();
        // The variable is of this process, and a folder that is named may be of another machine.
        if options.dir.is_none()
            && let Some(text) = variable(&*self.store.host.env, AUTH_CONTENT)
        {
            sources
                .found
                .push(Source::variable(AUTH_CONTENT, Form::Auth, text));
        }
        for (file, form) in self.legacy_files(options)? {
            if form == Form::Mcp && options.entries.is_some() {
                continue;
            }
            match read(&file)? {
                Content::Absent => {}
                Content::Text(content) => sources.found.push(Source {
                    name: name_of(&file)?,
                    form,
                    text: content.text,
                    file: Some(content.file),
                    warning: content.warning,
                }),
                Content::Useless(why) => sources.skip(&name_of(&file)?, why),
            }
        }
        self.key_variables(&options.keys, &mut sources);
        Ok(sources)
    }

    /// The paths of OpenCode's two files, whether they are there or not.
    pub(super) fn legacy_files(
        &self,
        options: &MigrateOptions,
    ) -> Result<[(PathBuf, Form); 2], BrokerError> {
        let env = &*self.store.host.env;
        let dir = match &options.dir {
            Some(dir) => expand(env, dir),
            // On every platform: OpenCode goes by the XDG specification on macOS and Windows too.
            None => data_home(env)
                .ok_or_else(|| {
                    BrokerError::InvalidArgument(
                        "dir: expected the folder of OpenCode's auth.json, since no home folder is known".to_owned(),
                    )
                })?
                .join("opencode"),
        };
        Ok([
            (dir.join("auth.json"), Form::Auth),
            (dir.join("mcp-auth.json"), Form::Mcp),
        ])
    }

    fn key_variables(&self, wanted: &KeyVariables, sources: &mut Sources) {
        let known = BUILT_IN.iter().flat_map(|descriptor| {
            let names = descriptor.key_variables.iter();
            names.map(|name| (*name, descriptor.id))
        });
        let names: Vec<&str> = match wanted {
            KeyVariables::None => Vec::new(),
            KeyVariables::Known => known.clone().map(|(name, _)| name).collect(),
            KeyVariables::Named(names) => names.iter().map(String::as_str).collect(),
        };
        for name in names {
            let Some(text) = variable(&*self.store.host.env, name) else {
                continue;
            };
            match known.clone().find(|(known, _)| *known == name) {
                Some((name, provider)) => {
                    let source = Source::variable(name, Form::Key(provider), text);
                    sources.found.push(source);
                }
                None => sources.skip(name, "no provider is known whose key it would hold"),
            }
        }
    }
}

impl Source {
    fn variable(name: &str, form: Form, text: String) -> Self {
        Self {
            name: name.to_owned(),
            form,
            text: text.into(),
            file: None,
            warning: None,
        }
    }
}

impl Sources {
    pub(super) fn skip(&mut self, file: &str, why: &str) {
        self.skipped.push(SkippedEntry {
            file: file.to_owned(),
            key: String::new(),
            why: why.to_owned(),
        });
    }
}

/// What is at the path of a file.
pub(super) enum Content {
    Absent,
    Text(Text),
    /// A file of which nothing can be understood: why.
    Useless(&'static str),
}

/// The text of a file.
pub(super) struct Text {
    pub(super) text: Zeroizing<String>,
    /// The file itself, where the path is a link to it.
    pub(super) file: PathBuf,
    warning: Option<&'static str>,
}

/// Reads a file, by way of links. Its bytes come as text, since JSON is text.
pub(super) fn read(path: &Path) -> Result<Content, BrokerError> {
    let unreadable = |error: std::io::Error| BrokerError::LegacyFile {
        path: path.to_owned(),
        why: format!("cannot be read: {error}"),
    };
    let refused = |why: &str| BrokerError::LegacyFile {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let file = match path.canonicalize() {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Content::Absent),
        Err(error) => return Err(unreadable(error)),
    };
    let metadata = std::fs::metadata(&file).map_err(unreadable)?;
    // Before it is opened: a pipe would wait for a writer.
    if !metadata.is_file() {
        return Err(refused("is not a file"));
    }
    let warning = match privacy(&metadata) {
        Privacy::Own => None,
        Privacy::Readable => Some("others can read it; run `chmod 600` on it"),
        Privacy::Foreign => {
            return Err(refused(
                "audience to another user, so it is not taken for yours",
            ));
        }
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        metadata.len().min(limits::LEGACY_LIMIT) as usize + 1,
    ));
    File::open(&file)
        .and_then(|open| open.take(limits::LEGACY_LIMIT + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > limits::LEGACY_LIMIT {
        return Ok(Content::Useless("it is longer than 10 MiB"));
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Content::Text(Text {
            text: text.into(),
            file,
            warning,
        })),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Ok(Content::Useless("it is not UTF-8 text"))
        }
    }
}

/// A path as reports name it, and as it is found again.
pub(super) fn name_of(path: &Path) -> Result<String, BrokerError> {
    let name = path.to_str().ok_or_else(|| BrokerError::LegacyFile {
        path: path.to_owned(),
        why: "has a name that is not Unicode".to_owned(),
    });
    name.map(str::to_owned)
}
