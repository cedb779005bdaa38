//! A client that authenticates by a key of its own: it signs a short-lived token for each request
//! (RFC 7523 §2.2, `private_key_jwt` of OpenID Connect Core §9).

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use crate::{OauthError, limits, secret::reveal};

/// Makes the token that a request to an authorization server carries; a new one each time, since
/// servers refuse a second use.
pub trait SignsForClient: Send + Sync {
    /// The token of this client, for a server that knows itself by this URL.
    fn assertion(&self, client_id: &str, audience: &Url) -> Result<SecretString, OauthError>;
}

/// The private key of a client. What ring draws for a signature is its own; nothing else here is
/// random.
pub struct ClientKey {
    key: Key,
    id: Option<String>,
}

enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey").finish_non_exhaustive()
    }
}

impl ClientKey {
    /// Reads a key from PEM: PKCS#8 of RSA or P-256, or PKCS#1 of RSA. `id` tells the server which
    /// of the client's keys it is. `None` for anything else.
    #[must_use]
    pub fn read(pem: &SecretString, id: Option<String>) -> Option<Self> {
        let text = reveal(pem);
        let (_, rest) = text.split_once("-----BEGIN ")?;
        let (label, rest) = rest.split_once("-----")?;
        let (body, _) = rest.split_once("-----END ")?;
        let base64: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(base64).ok()?;
        let key = match label {
            "RSA PRIVATE KEY" => Key::Rsa(RsaKeyPair::from_der(&der).ok()?),
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der)
                .map(Key::Rsa)
                .ok()
                .or_else(|| {
                    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
                    let pair = EcdsaKeyPair::from_pkcs8(algorithm, &der, &SystemRandom::new());
                    pair.map(Key::P256).ok()
                })?,
            _ => return None,
        };
        Some(Self { key, id })
    }

    /// A token of this client for a server, good for a minute from `now` (Unix seconds) and for one
    /// use, by its `jti`.
    pub fn assertion(
        &self,
        client_id: &str,
        audience: &Url,
        now: u64,
        jti: &str,
    ) -> Result<SecretString, OauthError> {
        let mut header = json!({ "alg": self.algorithm(), "typ": "JWT" });
        if let Some(id) = &self.id {
            header["kid"] = id.as_str().into();
        }
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": audience.as_str(),
            "jti": jti,
            "iat": now,
            "exp": now + limits::CLIENT_ASSERTION_LIFE.as_secs(),
        });
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = self
            .signature(signed.as_bytes())
            .map_err(|_| OauthError::UnusableKey)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
    }

    fn algorithm(&self) -> &'static str {
        match self.key {
            Key::Rsa(_) => "RS256",
            Key::P256(_) => "ES256",
        }
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(pair) => {
                let mut signature = vec![0; rsa::PublicKey::modulus_len(pair.public())];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
            Key::P256(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};

    use super::*;
    use crate::tokens::claims;

    /// A new key as a PEM. Those of RSA, which ring does not make, are tested at a real server.
    fn pem() -> String {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let lines: Vec<String> = STANDARD
            .encode(der)
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        let body = lines.join("\r\n");
        format!("a comment\n-----BEGIN PRIVATE KEY-----\r\n{body}\r\n-----END PRIVATE KEY-----\n")
    }

    fn read(pem: &str) -> Option<ClientKey> {
        ClientKey::read(&pem.into(), Some("k1".to_owned()))
    }

    #[test]
    fn a_key_signs_what_its_public_half_confirms() {
        let key = read(&pem()).unwrap();
        let Key::P256(pair) = &key.key else {
            panic!("another kind of key");
        };
        let audience = "https://id.example/token".parse().unwrap();
        let token = key.assertion("ours", &audience, 1_000, "once").unwrap();
        let (signed, signature) = reveal(&token).rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .unwrap();
        let header = URL_SAFE_NO_PAD.decode(signed.split('.').next().unwrap());
        let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
        assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" }));
        let expect = json!({
            "iss": "ours", "sub": "ours", "aud": "https://id.example/token", "jti": "once", "iat": 1_000, "exp": 1_060
        });
        assert_eq!(Value::Object(claims(&token).unwrap()), expect);
    }

    #[test]
    fn anything_but_a_private_key_is_refused() {
        let public = pem().replace("PRIVATE KEY", "PUBLIC KEY");
        let torn = pem().replace("-----END", "");
        let empty = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
        for text in ["", "S3CRET", empty, &public, &torn] {
            assert!(read(text).is_none());
        }
        assert_eq!(format!("{:?}", read(&pem()).unwrap()), "ClientKey { .. }");
    }
}
