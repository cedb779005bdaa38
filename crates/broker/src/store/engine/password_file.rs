//! The file with passwords of many databases, as libpq has it: `host:port:database:user:password`,
//! with `*` for any, and a backslash before a colon or a backslash that is meant.

use std::io::ErrorKind;
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::config::StoreUrl;
use crate::printable::visible;

/// The password of the first server that has one. As with libpq, one that is not there or no regular
/// file has none, and one that others can read is not used; that is an error here.
pub(super) fn look_up(file: &Path, address: &StoreUrl) -> Result<Option<SecretString>, String> {
    let fault = |why: &str| format!("the password file {} {why}", visible(file));
    let unreadable = |error: std::io::Error| fault(&format!("cannot be read: {error}"));
    let found = match std::fs::metadata(file) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(error)),
    };
    if !found.is_file() {
        return Ok(None);
    }
    if is_open_to_others(&found) {
        return Err(fault(
            "can be read by others, so it is not used: run `chmod 600` on it",
        ));
    }
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(unreadable)?;
    let found = address.servers.iter().find_map(|server| {
        text.lines()
            .find_map(|line| password(line, server, address))
    });
    Ok(found)
}

#[cfg(unix)]
fn is_open_to_others(found: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &std::fs::Metadata) -> bool {
    false
}

/// What a line has for a server, if it is about it.
fn password(line: &str, server: &(String, String), address: &StoreUrl) -> Option<SecretString> {
    if line.starts_with('#') {
        return None;
    }
    let (host, port) = server;
    let database = match address.database.as_str() {
        "" => &address.user,
        named => named,
    };
    let mut fields = Fields(line);
    // A socket of this machine is called so, or by its folder.
    let wanted = fields.next()?;
    let is_local = host.starts_with('/') && wanted.as_str() == "localhost";
    if !is_local && !fits(&wanted, host) {
        return None;
    }
    for known in [port, database, &address.user] {
        if !fits(&fields.next()?, known) {
            return None;
        }
    }
    fields
        .next()
        .map(|password| SecretString::from(password.as_str()))
}

fn fits(written: &str, known: &str) -> bool {
    written == "*" || written == known
}

/// The fields of a line that are still to come.
struct Fields<'a>(&'a str);

impl Iterator for Fields<'_> {
    type Item = Zeroizing<String>;

    /// `None` where the line has no further colon before it.
    fn next(&mut self) -> Option<Zeroizing<String>> {
        if self.0.is_empty() {
            return None;
        }
        let mut field = Zeroizing::new(String::with_capacity(self.0.len()));
        let mut letters = self.0.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                ':' => {
                    self.0 = &self.0[at + 1..];
                    return Some(field);
                }
                '\\' => field.push(letters.next().map_or('\\', |(_, meant)| meant)),
                plain => field.push(plain),
            }
        }
        self.0 = "";
        Some(field)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn address(user: &str, servers: &[(&str, &str)], database: &str) -> StoreUrl {
        let server = |(name, port): &(&str, &str)| ((*name).to_owned(), (*port).to_owned());
        StoreUrl {
            url: "".into(),
            shown: String::new(),
            user: user.to_owned(),
            has_password: false,
            servers: servers.iter().map(server).collect(),
            database: database.to_owned(),
            roots: None,
            certificate: None,
        }
    }

    fn found(text: &str, address: &StoreUrl) -> Option<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), text).unwrap();
        let found = look_up(file.path(), address).unwrap();
        found.map(|password| password.expose_secret().to_owned())
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let ours = address("ci", &[("db.example", "5432")], "auth");
        for (text, expect) in [
            ("db.example:5432:auth:ci:S3CRET", Some("S3CRET")),
            ("*:*:*:*:any\ndb.example:5432:auth:ci:S3CRET", Some("any")),
            (
                "other:5432:auth:ci:no\n# *:*:*:*:no\n\ndb.example:*:auth:ci:yes\r\n",
                Some("yes"),
            ),
            ("db.example:5432:auth:ann:no", None),
            ("db.example:5432:other:ci:no", None),
            ("db.example:1:auth:ci:no", None),
            ("db.example:5432:auth:ci", None),
            ("db.example:5432:auth:ci:", None),
            (r"db.example:5432:auth:ci:a\:b\\c:rest", Some(r"a:b\c")),
            ("", None),
        ] {
            assert_eq!(found(text, &ours).as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn of_several_servers_the_first_that_has_one_counts() {
        let ours = address("c:i", &[("one", "5432"), ("/run/pg", "6000")], "");
        assert_eq!(found(r"two:*:*:*:no", &ours), None);
        let socket = r"localhost:6000:c\:i:c\:i:yes";
        assert_eq!(found(socket, &ours).as_deref(), Some("yes"));
        assert_eq!(found("/run/pg:*:*:*:too", &ours).as_deref(), Some("too"));
        let both = "/run/pg:*:*:*:second\none:*:*:*:first";
        assert_eq!(found(both, &ours).as_deref(), Some("first"));
    }

    #[test]
    fn one_that_others_can_read_is_refused_and_one_that_is_not_there_has_none() {
        let ours = address("ci", &[("db.example", "5432")], "auth");
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), "*:*:*:*:S3CRET").unwrap();
        for mode in [0o644, 0o640, 0o604, 0o660] {
            set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            let error = look_up(file.path(), &ours).unwrap_err();
            assert!(
                error.contains("chmod 600") && !error.contains("S3CRET"),
                "{error}"
            );
        }
        set_permissions(file.path(), Permissions::from_mode(0o400)).unwrap();
        assert!(look_up(file.path(), &ours).unwrap().is_some());
        for none in ["/nowhere/pgpass", "/dev/null", "/"] {
            assert!(look_up(Path::new(none), &ours).unwrap().is_none(), "{none}");
        }
    }
}
