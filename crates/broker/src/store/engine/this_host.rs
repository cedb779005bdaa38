//! What a store knows this machine by: a number that stays, and what people call it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use provider_auth_vault::line;
use uuid::{Builder, Uuid};

use crate::host::{Entropy, Env};
use crate::log::Shown;
use crate::printable::visible_text;

/// In the vault's folder. Machines that were made from one image may share it.
const FILE: &str = "host-id";

/// The number of this machine: kept in the vault's folder, and made once. Where it cannot be kept it
/// is another one in each process.
pub(super) fn id(dir: &Path, entropy: &dyn Entropy) -> Uuid {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    let own = Builder::from_random_bytes(bytes).into_uuid();
    kept(dir, own).unwrap_or_else(|error| {
        line!(
            WARN,
            folder = dir,
            error = Shown(&error.to_string()),
            "this machine's number cannot be kept, so others take over late from a process of it that dies"
        );
        own
    })
}

fn kept(dir: &Path, own: Uuid) -> io::Result<Uuid> {
    let file = dir.join(FILE);
    if let Some(id) = read(&file)? {
        return Ok(id);
    }
    private_folder().create(dir)?;
    // It is there as a whole or not at all, and the first one counts.
    let whole = dir.join(format!("{FILE}.{own}"));
    private_file()
        .open(&whole)?
        .write_all(own.to_string().as_bytes())?;
    if fs::hard_link(&whole, &file).is_err() && read(&file)?.is_none() {
        // What is there is no number, or the disk knows no links.
        fs::rename(&whole, &file)?;
    } else {
        fs::remove_file(&whole)?;
    }
    Ok(read(&file)?.unwrap_or(own))
}

/// `None` where there is none, or what is there is no number.
fn read(file: &Path) -> io::Result<Option<Uuid>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Uuid::try_parse_ascii(bytes.trim_ascii()).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn private_folder() -> DirBuilder {
    let mut folder = DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// What people call this machine.
pub(super) fn name(env: &dyn Env) -> String {
    let name = visible_text(&system_name(env));
    match name.trim() {
        "" => "unnamed".to_owned(),
        name => name.chars().take(LONGEST_NAME).collect(),
    }
}

/// Characters of a name that a store takes.
const LONGEST_NAME: usize = 200;

#[cfg(unix)]
fn system_name(_: &dyn Env) -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn system_name(env: &dyn Env) -> String {
    env.var("COMPUTERNAME").unwrap_or_default()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::thread;

    use super::*;
    use crate::host::{SystemEntropy, SystemEnv};

    #[test]
    fn a_machine_has_one_number_whoever_asks_first() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("made/for it");
        let asked: Vec<_> = (0..8)
            .map(|_| {
                let dir = dir.clone();
                thread::spawn(move || id(&dir, &SystemEntropy))
            })
            .collect();
        let ids: Vec<Uuid> = asked.into_iter().map(|it| it.join().unwrap()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(id(&dir, &SystemEntropy), ids[0]);
        let left: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|it| it.unwrap().file_name())
            .collect();
        assert_eq!(left, [FILE], "nothing half written is left");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join(FILE))), (0o700, 0o600));
    }

    #[test]
    fn what_is_no_number_is_replaced_and_where_none_can_be_kept_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        for junk in ["", "no number", "\u{fffd}"] {
            fs::write(&file, junk).unwrap();
            let made = id(folder.path(), &SystemEntropy);
            assert_eq!(kept(folder.path(), Uuid::nil()).unwrap(), made);
        }
        let no_folder = folder.path().join(FILE);
        assert!(kept(&no_folder, Uuid::nil()).is_err());
        assert_ne!(
            id(&no_folder, &SystemEntropy),
            id(&no_folder, &SystemEntropy)
        );
    }

    #[test]
    fn a_machine_has_a_name_that_can_be_shown() {
        let name = name(&SystemEnv);
        assert!(!name.trim().is_empty() && name.chars().count() <= LONGEST_NAME);
    }
}
