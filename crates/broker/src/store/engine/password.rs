//! The password of a store, from the first of its sources that has one. Asked for each connection:
//! some last for minutes.

use std::path::Path;
use std::sync::Arc;

use provider_auth_backend_postgres::Password;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::password_command::{Runner, first_line};
use super::password_file;
use crate::config::StoreSettings;
use crate::printable::visible;

/// What gives the password. Its errors name the source, and repeat nothing of what it gave.
pub(super) fn source(store: &StoreSettings) -> Password {
    let store = store.clone();
    Arc::new(move || find(&store))
}

fn find(store: &StoreSettings) -> Result<Option<SecretString>, String> {
    if let Some(password) = &store.password {
        return Ok(Some(password.clone()));
    }
    if let Some(file) = &store.password_file {
        return of_file(file).map(Some);
    }
    if let Some(command) = Runner::of(&store.password_command) {
        return command.password().map(Some);
    }
    match &store.passwords {
        // The address has one itself.
        _ if store.address.has_password => Ok(None),
        Some(file) => password_file::look_up(file, &store.address),
        None => Ok(None),
    }
}

fn of_file(file: &Path) -> Result<SecretString, String> {
    let named = format!(
        "the file {} of PROVIDER_AUTH_STORE_PASSWORD_FILE",
        visible(file)
    );
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|error| format!("{named} cannot be read: {error}"))?;
    first_line(&text).ok_or_else(|| format!("{named} has no password in its first line"))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::StoreUrl;

    fn store() -> StoreSettings {
        StoreSettings {
            address: StoreUrl {
                url: "".into(),
                shown: String::new(),
                user: "ci".to_owned(),
                has_password: false,
                servers: vec![("db.example".to_owned(), "5432".to_owned())],
                database: "auth".to_owned(),
                roots: None,
                certificate: None,
            },
            password: None,
            password_file: None,
            password_command: Vec::new(),
            passwords: None,
        }
    }

    fn given(store: &StoreSettings) -> Result<Option<String>, String> {
        let password = source(store)();
        password.map(|found| found.map(|password| password.expose_secret().to_owned()))
    }

    #[test]
    fn the_first_source_counts_and_is_asked_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&file, mode).unwrap();
            file
        };
        let found = |text: &str| Ok(Some(text.to_owned()));
        let mut store = store();
        assert_eq!(given(&store), Ok(None));
        store.passwords = Some(file("pgpass", "*:*:*:*:of-libpq"));
        assert_eq!(given(&store), found("of-libpq"));
        store.address.has_password = true;
        assert_eq!(given(&store), Ok(None), "the address has it");
        let minutes = file("minutes", "1");
        store.password_command = vec!["cat".to_owned(), minutes.display().to_string()];
        let asked = source(&store);
        file("minutes", "2");
        assert_eq!(asked().unwrap().unwrap().expose_secret(), "2");
        store.password_file = Some(file("own", "of-file\nmore"));
        assert_eq!(given(&store), found("of-file"));
        store.password = Some("of-variable".into());
        assert_eq!(given(&store), found("of-variable"));
    }

    #[test]
    fn a_source_that_has_none_is_named_and_no_other_is_taken() {
        let mut store = store();
        store.password_command = vec!["echo".to_owned(), "S3CRET".to_owned()];
        for (file, expect) in [
            ("/nowhere/pw", "cannot be read"),
            ("/dev/null", "no password"),
        ] {
            store.password_file = Some(file.into());
            let error = given(&store).unwrap_err();
            assert!(error.contains(file) && error.contains(expect), "{error}");
            assert!(!error.contains("S3CRET"), "{error}");
        }
    }
}
