//! A second process for the tests: does one thing to a vault, says what came of it, and ends or
//! waits to be killed.
//!
//! `vault_process <dir> <key>|auto|keychain open | count <id> <times> | hold <id> | churn <id> |
//! rotate <times> | turn`

#![expect(
    clippy::print_stdout,
    reason = "standard output is how the test hears from this process"
)]

use std::{error::Error, sync::Arc};

use provider_auth_vault::{Disk, KeySecrets, KeySource, Options, RecordId, Vault};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, key, deed, rest @ ..] = arguments.as_slice() else {
        return Err("too few arguments".into());
    };
    let options = match key.as_str() {
        "auto" => Options::new(dir),
        "keychain" => Options {
            key: KeySource::Keychain,
            ..Options::new(dir)
        },
        key => {
            let secrets = KeySecrets {
                key: Some(key.into()),
                ..KeySecrets::default()
            };
            Options {
                secrets,
                ..Options::new(dir)
            }
        }
    };
    let entropy = |bytes: &mut [u8]| getrandom::fill(bytes).expect("the system has entropy");
    let vault = Vault::open(options, Arc::new(Disk), Arc::new(entropy))?;
    let id = || -> Result<RecordId, Box<dyn Error>> { Ok(rest.first().ok_or("no id")?.parse()?) };
    match deed.as_str() {
        "open" => println!("{}", vault.key_id()),
        "count" => {
            for _ in 0..rest.get(1).ok_or("no number")?.parse()? {
                let guard = vault.lock(&id()?)?;
                let old = vault.read(&id()?)?.ok_or("the record is gone")?;
                vault.replace(&guard, &[old.plaintext(), b"x"].concat())?;
            }
        }
        "hold" => {
            let _guard = vault.lock(&id()?)?;
            println!("held");
            std::thread::park();
        }
        "churn" => {
            println!("churning");
            for round in 0_u64.. {
                let guard = vault.lock(&id()?)?;
                vault.replace(&guard, &round.to_le_bytes().repeat(300))?;
            }
        }
        "rotate" => {
            for _ in 0..rest.first().ok_or("no number")?.parse()? {
                vault.rotate_key()?;
            }
        }
        "turn" => {
            println!("turning");
            loop {
                vault.rotate_key()?;
            }
        }
        other => return Err(format!("what is {other}?").into()),
    }
    Ok(())
}
