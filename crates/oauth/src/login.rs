//! The authorization code login with PKCE: the page to open, and the answer that comes back (RFC
//! 6749 §4.1, 7636, 9207).

pub(crate) mod device;
pub(crate) mod page;
pub(crate) mod pasted;

use std::{borrow::Cow, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use oauth2::{
    AuthUrl, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, basic::BasicClient,
};
use secrecy::SecretString;
use url::{Url, form_urlencoded};

use crate::{
    CallbackError, Client, OauthError, Server,
    error::is_code,
    limits,
    secret::reveal,
    server::url_rules::endpoint,
    text::{clean, without_echo},
};

/// The random values of one login. They bind page, answer, code and id token together.
pub struct LoginSecrets {
    /// Comes back with the answer.
    pub state: String,
    /// Comes back in the id token.
    pub nonce: String,
    verifier: SecretString,
}

impl LoginSecrets {
    /// Draws three independent values: `state` travels through URLs and must tell nothing about the
    /// verifier.
    #[must_use]
    pub fn new(entropy: &mut dyn FnMut(&mut [u8])) -> Self {
        let mut draw = || {
            let mut bytes = [0; limits::LOGIN_ENTROPY_BYTES];
            entropy(&mut bytes);
            URL_SAFE_NO_PAD.encode(bytes)
        };
        Self {
            state: draw(),
            nonce: draw(),
            verifier: draw().into(),
        }
    }

    /// Returns the PKCE challenge (S256).
    pub(crate) fn challenge(&self) -> String {
        PkceCodeChallenge::from_code_verifier_sha256(&self.verifier())
            .as_str()
            .to_owned()
    }

    pub(crate) fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(reveal(&self.verifier).to_owned())
    }
}

impl fmt::Debug for LoginSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginSecrets").finish_non_exhaustive()
    }
}

/// The answer to a login: its code, not yet exchanged.
#[derive(Debug)]
pub struct Callback {
    pub(crate) code: SecretString,
    client_id: Option<String>,
}

impl Callback {
    /// Returns the client with which to go on: the one that the answer issues to a first login,
    /// else `client` itself.
    ///
    /// An answer that names another client than the one that asked is refused.
    pub fn client(&self, server: &Server, client: &Client) -> Result<Client, CallbackError> {
        let Some(issued) = &server.dialect.issued_client else {
            return Ok(client.clone());
        };
        match &self.client_id {
            Some(id) if client.id == issued.first_id => Ok(Client {
                id: id.clone(),
                ..client.clone()
            }),
            Some(id) if *id != client.id => Err(CallbackError::WrongClient),
            None if client.id == issued.first_id => Err(CallbackError::MissingClient),
            _ => Ok(client.clone()),
        }
    }
}

/// Returns the page where the user signs in.
///
/// PKCE is always S256. The nonce is sent when an id token is asked for (`openid`). Extra
/// parameters of the dialect are added where the flow itself sets none of that name.
pub fn authorization_url(
    server: &Server,
    client: &Client,
    scopes: &[String],
    redirect_uri: &Url,
    secrets: &LoginSecrets,
    login_hint: Option<&str>,
) -> Result<Url, OauthError> {
    let page = endpoint(
        server.authorization_endpoint.as_ref(),
        "authorization endpoint",
    )?;
    // Many servers take the first of two parameters, so a page that brings its own could have the
    // code go elsewhere.
    let is_ours =
        |(name, _): &(Cow<'_, str>, _)| OF_THE_FLOW.contains(&&*name.to_ascii_lowercase());
    if page.query_pairs().any(|pair| is_ours(&pair)) {
        return Err(OauthError::PageWithParameters {
            url: page.origin().ascii_serialization(),
        });
    }
    let client_id = client.checked_id()?;
    let client = BasicClient::new(client_id.clone()).set_auth_uri(AuthUrl::from_url(page.clone()));
    let mut request = client
        .authorize_url(|| CsrfToken::new(secrets.state.clone()))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(
            &secrets.verifier(),
        ))
        .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect_uri.clone())))
        .add_scopes(scopes.iter().cloned().map(Scope::new));
    if scopes.iter().any(|scope| scope == "openid") {
        request = request.add_extra_param("nonce", &secrets.nonce);
    }
    if let Some(hint) = login_hint {
        request = request.add_extra_param("login_hint", hint);
    }
    let (mut url, _state) = request.url();
    let issued = server.dialect.issued_client.as_ref();
    let first = issued.filter(|issued| issued.first_id == client_id.as_str());
    let of_first = first.into_iter().flat_map(|issued| &issued.params);
    for (name, value) in server.dialect.authorize.iter().chain(of_first) {
        if !url.query_pairs().any(|(set, _)| set == *name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    Ok(url)
}

/// Parameters of a page that say who signs in to what, and where the code goes.
const OF_THE_FLOW: &[&str] = &[
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_type",
    "scope",
    "state",
];

/// Reads the query of the redirect that ends the login.
///
/// Only an answer with the state of this very login counts, be it a code or the server's refusal.
pub fn read_callback(
    query: &str,
    secrets: &LoginSecrets,
    server: &Server,
) -> Result<Callback, CallbackError> {
    let answer = Answer::parse(query)?;
    check_state(answer.state.as_deref(), secrets)?;
    check_issuer(answer.issuer.as_deref(), server)?;
    if let Some(error) = answer.error {
        let ours = [&secrets.state, &secrets.nonce].map(String::as_str);
        let sent: Vec<&str> = ours
            .into_iter()
            .chain([reveal(&secrets.verifier)])
            .chain(answer.code.as_deref())
            .collect();
        return Err(CallbackError::Denied {
            error: without_echo(&error, limits::ERROR_NAME_CHARS, &sent)
                .unwrap_or_else(|| "access_denied".to_owned()),
            description: answer
                .description
                .and_then(|text| without_echo(&text, limits::DESCRIPTION_CHARS, &sent)),
        });
    }
    Ok(Callback {
        client_id: answer
            .client_id
            .and_then(|id| clean(&id, limits::CLAIM_CHARS)),
        ..callback(answer.code.as_deref().unwrap_or_default())?
    })
}

/// Returns the server's error code in an answer, whether the answer counts or not: for a person to
/// see. `None` for anything but a plain word as the standard has it (RFC 6749 §4.1.2.1).
#[must_use]
pub fn error_code(query: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, code) = pairs.find(|(name, _)| name == "error")?;
    is_code(&code).then(|| code.into_owned())
}

/// The parameters of an authorization response that we know.
#[derive(Default)]
struct Answer {
    state: Option<String>,
    code: Option<String>,
    issuer: Option<String>,
    client_id: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

impl Answer {
    fn parse(query: &str) -> Result<Self, CallbackError> {
        let mut answer = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut answer.state,
                "code" => &mut answer.code,
                "iss" => &mut answer.issuer,
                "client_id" => &mut answer.client_id,
                "error" => &mut answer.error,
                "error_description" => &mut answer.description,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(CallbackError::RepeatedParameter);
            }
        }
        Ok(answer)
    }
}

pub(crate) fn check_state(
    state: Option<&str>,
    secrets: &LoginSecrets,
) -> Result<(), CallbackError> {
    match state {
        None | Some("") => Err(CallbackError::MissingState),
        Some(state) if same_bytes(state, &secrets.state) => Ok(()),
        Some(_) => Err(CallbackError::WrongState),
    }
}

fn check_issuer(issuer: Option<&str>, server: &Server) -> Result<(), CallbackError> {
    let right = match (issuer, &server.issuer) {
        (Some(issuer), Some(_)) => server.matches_issuer(issuer),
        (Some(_), None) => true,
        (None, _) => !server.issuer_in_response,
    };
    if right {
        Ok(())
    } else {
        Err(CallbackError::WrongIssuer)
    }
}

pub(crate) fn callback(code: &str) -> Result<Callback, CallbackError> {
    let printable = |c: char| c.is_ascii_graphic();
    if code.is_empty() || !code.chars().all(printable) {
        return Err(CallbackError::MissingCode);
    }
    Ok(Callback {
        code: code.into(),
        client_id: None,
    })
}

/// Compares in a time that tells nothing about where two texts differ.
fn same_bytes(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one
            .bytes()
            .zip(other.bytes())
            .fold(0, |seen, (a, b)| seen | (a ^ b))
            == 0
}
