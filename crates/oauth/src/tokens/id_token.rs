//! Checks an id token in full: signature, issuer, audience, time (OpenID Connect Core §3.1.3.7).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Map, Value};

use crate::{
    Client, Http, IdTokenCheck, OauthError, Server, Tokens, limits,
    request::{answer, bearer_request, get_json},
    secret::reveal,
    server::url_rules::endpoint,
    text::lenient::{unix_seconds, whole},
    tokens::claims,
};

/// Checks the id token of a login as far as the dialect asks for it. `now_ms` is Unix milliseconds.
///
/// RS256 and ES256 are known. A key is looked up by its id in what the server publishes.
pub async fn check_id_token(
    http: &dyn Http,
    server: &Server,
    client: &Client,
    tokens: &Tokens,
    now_ms: u64,
) -> Result<(), OauthError> {
    if server.dialect.id_token < IdTokenCheck::Claims {
        return Ok(());
    }
    let token = tokens
        .id_token
        .as_ref()
        .ok_or(untrusted("the server sent none"))?;
    if server.dialect.id_token == IdTokenCheck::Signature {
        signature(reveal(token), &keys(http, server, tokens).await?)?;
    }
    let claims = claims(token).ok_or(untrusted("it is not a JWT"))?;
    check_claims(&claims, server, client, now_ms)
}

/// What the server publishes to check its signatures with.
async fn keys(
    http: &dyn Http,
    server: &Server,
    tokens: &Tokens,
) -> Result<Map<String, Value>, OauthError> {
    let url = endpoint(server.jwks_uri.as_ref(), "key set")?;
    let request = match server.dialect.jwks_needs_token {
        true => bearer_request(Method::GET, url, &tokens.access)?,
        false => get_json(url, "key set")?,
    };
    answer::document(&http.send(request).await?, &[])
}

fn check_claims(
    claims: &Map<String, Value>,
    server: &Server,
    client: &Client,
    now_ms: u64,
) -> Result<(), OauthError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if !text("iss").is_some_and(|issuer| server.matches_issuer(issuer)) {
        return Err(untrusted("its issuer (iss) is another server"));
    }
    let is_us = |audience: &Value| audience.as_str() == Some(client.id.as_str());
    let for_us = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_us),
        Some(audience) => is_us(audience),
        None => false,
    };
    if !for_us {
        return Err(untrusted("its audience (aud) is another client"));
    }
    let skew = limits::ID_TOKEN_SKEW.as_secs();
    let ends_at = claims.get("exp").and_then(whole).map(unix_seconds);
    if ends_at.is_none_or(|ends_at| ends_at.saturating_add(skew) < now_ms / 1000) {
        return Err(untrusted("it has expired"));
    }
    if text("sub").is_none_or(str::is_empty) {
        return Err(untrusted("it has no subject (sub)"));
    }
    Ok(())
}

/// Checks the signature with the key that the token names.
fn signature(token: &str, keys: &Map<String, Value>) -> Result<(), OauthError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(untrusted("it is not a JWT"))?;
    let header = signed.split('.').next().and_then(decoded);
    let header: Map<String, Value> = header
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or(untrusted("it is not a JWT"))?;
    let signature = decoded(signature).ok_or(untrusted("it is not a JWT"))?;
    let text = |object: &Map<String, Value>, name: &str| {
        object.get(name).and_then(Value::as_str).map(str::to_owned)
    };
    let (algorithm, id) = (text(&header, "alg"), text(&header, "kid"));
    let published = keys.get("keys").and_then(Value::as_array);
    let mut candidates = published
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .filter(|key| id.is_none() || text(key, "kid") == id);
    let bytes = |key: &Map<String, Value>, name: &str| decoded(&text(key, name)?);
    let fits = |key: &Map<String, Value>| match (algorithm.as_deref(), text(key, "kty").as_deref())
    {
        (Some("RS256"), Some("RSA")) => {
            let (n, e) = (bytes(key, "n")?, bytes(key, "e")?);
            RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
                .ok()
        }
        (Some("ES256"), Some("EC")) => {
            let point = [vec![4], bytes(key, "x")?, bytes(key, "y")?].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(signed.as_bytes(), &signature)
                .ok()
        }
        _ => None,
    };
    match candidates.any(|key| fits(key).is_some()) {
        true => Ok(()),
        false => Err(untrusted("no key of the server verifies its signature")),
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

const fn untrusted(why: &'static str) -> OauthError {
    OauthError::UntrustedIdToken { why }
}
