//! Bundles and the `age` command: each opens what the other made.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]
#![expect(clippy::print_stderr, reason = "a test that is left out says so")]

mod support;

use std::{
    fs,
    io::{ErrorKind, Write},
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use provider_auth_vault::{VaultError, open_bundle, seal_bundle};
use secrecy::ExposeSecret;
use support::entropy;

/// Made by age 1.1.1 of Debian 12: `age -p`, passphrase "correct horse".
const BY_AGE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBtWlg1WEVwZHJIRXAwZ1Q5SlU5RFRBIDE4CnR3SFZ6VE5YRDhzMHZYMFBwS3lFZDNjYnFPbGN3aXBFYzZFQmdEK0ZWaUUKLS0tIDVtdDJUaFJSekNyYnp3S2xqeHN3WWlCZWp4Q0xIVEwyT2ZWem9CZ1ZmS1EKURFsG941SSIE9j3cquL08QmzxhZhjgdKzWyypLmWfLmA8M04Oj4JuHHaelnmFUKoxoiBnk4=";

#[test]
fn a_bundle_made_by_the_age_command_opens() {
    let bundle = STANDARD.decode(BY_AGE).unwrap();
    let opened = open_bundle(&"correct horse".into(), &bundle).unwrap();
    assert_eq!(opened.expose_secret(), b"api keys and metadata");
    let error = open_bundle(&"wrong horse".into(), &bundle).unwrap_err();
    assert!(matches!(error, VaultError::WrongPassphrase), "{error:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_age_command_opens_a_bundle() {
    match Command::new("age").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("not run: there is no `age` command here");
            return;
        }
        version => assert!(version.unwrap().status.success()),
    }
    let folder = tempfile::tempdir().unwrap();
    let content = b"many bytes ".repeat(20_000);
    let bundle = seal_bundle(&"correct horse".into(), &content, &*entropy()).unwrap();
    fs::write(folder.path().join("bundle.age"), bundle).unwrap();
    // It asks for the passphrase at a terminal, which `script` provides.
    let mut age = Command::new("script")
        .args(["-qec", "age -d -o plain bundle.age", "/dev/null"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut terminal = age.stdin.take().unwrap();
    terminal.write_all(b"correct horse\n").unwrap();
    assert!(age.wait().unwrap().success());
    drop(terminal);
    assert_eq!(fs::read(folder.path().join("plain")).unwrap(), content);
}
