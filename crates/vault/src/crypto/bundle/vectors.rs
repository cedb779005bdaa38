//! The published vectors of the age format (C2SP/CCTV) that apply to a passphrase and to the
//! payload.

use base64::engine::general_purpose::STANDARD as BASE64_PADDED;
use serde::Deserialize;
use sha2::Digest;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    files: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    expect: String,
    /// SHA-256 of what opens.
    payload: Option<String>,
    passphrase: Option<String>,
    /// Of a file whose header is for another kind of key, so that only the payload is tested.
    file_key: Option<String>,
    file: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Base64(String),
    Zeros(usize),
}

impl Vector {
    fn file(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for part in &self.file {
            match part {
                Part::Base64(text) => file.extend(BASE64_PADDED.decode(text).unwrap()),
                Part::Zeros(count) => file.resize(file.len() + count, 0),
            }
        }
        file
    }

    fn open(&self) -> Result<SecretSlice<u8>, VaultError> {
        let file = self.file();
        let Some(file_key) = &self.file_key else {
            let passphrase = self.passphrase.clone().unwrap();
            return open_bundle(&passphrase.into(), &file);
        };
        let mut payload = file.as_slice();
        while !line(&mut payload).unwrap().starts_with("--- ") {}
        let file_key = hex::decode(file_key).unwrap();
        open_payload(&FileKey::new(file_key.try_into().unwrap()), payload)
    }
}

#[test]
fn bundles_pass_the_vectors_of_the_age_format() {
    let Vectors { files } =
        serde_json::from_str(include_str!("../../../../../specs/vectors/age.json")).unwrap();
    assert_eq!(files.len(), 51);
    for vector in files {
        let (name, opened) = (&vector.name, vector.open());
        match (vector.expect.as_str(), &opened) {
            ("success", Ok(bytes)) => {
                let hash = hex::encode(Sha256::digest(bytes.expose_secret()));
                assert_eq!(Some(hash), vector.payload, "{name}");
            }
            // Another stanza is another kind of key: the passphrase is not even tried.
            ("no match", Err(VaultError::WrongPassphrase)) => {}
            ("no match", Err(_)) => assert_eq!(name, "scrypt_uppercase"),
            ("header failure" | "payload failure", Err(error)) => {
                assert!(
                    matches!(error, VaultError::BundleUnusable { .. }),
                    "{name}: {error}"
                );
            }
            (expect, _) => panic!("{name}: not {expect}, but {:?}", opened.map(drop)),
        }
    }
}
