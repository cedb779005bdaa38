//! Published vectors: Wycheproof for AES-256-GCM, RFC 9106 for Argon2id.

use argon2::{AssociatedData, ParamsBuilder};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Aead {
    tests: Vec<AeadTest>,
}

#[derive(Deserialize)]
struct AeadTest {
    #[serde(rename = "tcId")]
    id: u32,
    comment: String,
    #[serde(with = "hex::serde")]
    key: Vec<u8>,
    #[serde(with = "hex::serde")]
    iv: [u8; NONCE],
    #[serde(with = "hex::serde")]
    aad: Vec<u8>,
    #[serde(with = "hex::serde")]
    msg: Vec<u8>,
    #[serde(with = "hex::serde")]
    ct: Vec<u8>,
    #[serde(with = "hex::serde")]
    tag: [u8; TAG],
    result: String,
}

/// Records, slots and earlier keys are all sealed and opened by these two functions.
#[test]
fn sealing_and_opening_pass_wycheproof() {
    let Aead { tests } =
        serde_json::from_str(include_str!("../../../../../specs/vectors/aes-gcm.json")).unwrap();
    assert_eq!(tests.len(), 66);
    for test in tests {
        let what = format!("{} {}", test.id, test.comment);
        let key = Key::from_slice(&test.key).unwrap();
        let sealed = [test.ct.as_slice(), &test.tag].concat();
        let mut made = test.msg.clone();
        key.seal(&test.iv, &test.aad, &mut made);
        let mut opened = sealed.clone();
        let result = key.open(&test.iv, &test.aad, &mut opened);
        match test.result.as_str() {
            "valid" => {
                assert_eq!(made, sealed, "{what}");
                assert_eq!((result, opened), (Ok(()), test.msg), "{what}");
            }
            "invalid" => {
                assert_ne!(made, sealed, "{what}");
                assert_eq!(result, Err(NotAuthentic), "{what}");
            }
            other => panic!("{what} is {other}"),
        }
    }
}

#[derive(Deserialize)]
struct Stretching {
    vectors: Vec<Stretched>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stretched {
    #[serde(with = "hex::serde")]
    password: Vec<u8>,
    #[serde(with = "hex::serde")]
    salt: Vec<u8>,
    #[serde(default, with = "hex::serde")]
    secret: Vec<u8>,
    #[serde(default, with = "hex::serde")]
    associated: Vec<u8>,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    #[serde(with = "hex::serde")]
    tag: [u8; 32],
}

impl Stretched {
    /// What [`Key::from_passphrase`] does, with the secret and the associated data that the RFC's
    /// vector has and a vault has not.
    fn with_secret(&self) -> [u8; 32] {
        let params = ParamsBuilder::new()
            .m_cost(self.memory_kib)
            .t_cost(self.passes)
            .p_cost(self.lanes)
            .output_len(32)
            .data(AssociatedData::new(&self.associated).unwrap())
            .build()
            .unwrap();
        let argon2 =
            Argon2::new_with_secret(&self.secret, Algorithm::Argon2id, Version::V0x13, params);
        let mut tag = [0; 32];
        argon2
            .unwrap()
            .hash_password_into(&self.password, &self.salt, &mut tag)
            .unwrap();
        tag
    }
}

#[test]
fn stretching_is_argon2id_of_rfc_9106() {
    let Stretching { vectors } =
        serde_json::from_str(include_str!("../../../../../specs/vectors/argon2id.json")).unwrap();
    let plain = |vector: &&Stretched| vector.secret.is_empty() && vector.associated.is_empty();
    assert_eq!(vectors.iter().filter(plain).count(), 4);
    for vector in &vectors {
        assert_eq!(vector.with_secret(), vector.tag);
    }
    for vector in vectors.iter().filter(plain) {
        let costs = Costs {
            memory_kib: vector.memory_kib,
            passes: vector.passes,
            lanes: vector.lanes,
        };
        let key = Key::from_passphrase(&vector.password, &vector.salt, costs).unwrap();
        assert_eq!(*key.bytes(), vector.tag);
    }
}
