//! Fills a vault for `npm run bench`: makes copies of its one account, an API key, until there are so
//! many. The library reads all accounts before it adds one, which is right for a person and slow for
//! ten thousand.
//!
//! `fill <dir> <number>`, with the key in `PROVIDER_AUTH_KEY`

#![expect(clippy::disallowed_methods, reason = "a program has an environment")]

use std::{error::Error, sync::Arc};

use provider_auth_vault::{Disk, KeySecrets, Options, Vault};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, number] = arguments.as_slice() else {
        return Err("fill <dir> <number>".into());
    };
    let secrets = KeySecrets {
        key: Some(std::env::var("PROVIDER_AUTH_KEY")?.into()),
        ..KeySecrets::default()
    };
    let options = Options {
        secrets,
        ..Options::new(dir)
    };
    let entropy = |bytes: &mut [u8]| getrandom::fill(bytes).expect("the system has entropy");
    let vault = Vault::open(options, Arc::new(Disk), Arc::new(entropy))?;
    let [id] = vault.ids()?.try_into().map_err(|_| "not one account")?;
    let record = vault.read(&id)?.ok_or("the account is gone")?;
    let mut account: Value = serde_json::from_slice(record.plaintext())?;
    let key = account["secret"]["key"].as_str().ok_or("no API key")?;
    let key = key.to_owned();
    for copy in 2..=number.parse()? {
        account["label"] = json!(format!("account {copy}"));
        account["secret"]["key"] = json!(format!("{key}-{copy}"));
        vault.create(record.kind, &serde_json::to_vec(&account)?)?;
    }
    Ok(())
}
