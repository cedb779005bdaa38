//! Altered answers of a server: tokens that can be used, or an error that tells no secret.

use std::time::Duration;

use http::Response;
use provider_auth_fuzz::Target;
use provider_auth_oauth::{
    Callback, Client, ClientAuth, LoginSecrets, OauthError, Server, Tokens, bearer_challenge,
    discover, discover_resource, exchange_code, limits, read_pasted, refresh, start_device,
};

use crate::support::*;

const REFRESH_TOKEN: &str = "S3CRET-refresh-token";
const CLIENT_SECRET: &str = "S3CRET-client-secret";
const CODE: &str = "S3CRET-code";

const WORDS: &[&str] = &[
    "access_token",
    "refresh_token",
    "id_token",
    "token_type",
    "bearer",
    "DPoP",
    "expires_in",
    "expires_at",
    "scope",
    "error",
    "error_description",
    "invalid_grant",
    "code",
    "type",
    "message",
    "device_code",
    "user_code",
    "verification_uri",
    "verification_url",
    "interval",
    "issuer",
    "token_endpoint",
    "http://",
    "https://id.example",
    "S3CRET-refresh-token",
    "S3CRET-client-secret",
    "S3CRET-code",
    "200",
    "400",
    "429",
    "503",
];

/// An input is a status, the headers `content-type` and `retry-after`, each on its line, and the
/// body.
fn answer(input: &[u8]) -> Response<Vec<u8>> {
    let mut parts = input.splitn(4, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let status = std::str::from_utf8(part())
        .ok()
        .and_then(|text| text.parse().ok());
    let mut response = Response::builder().status(
        status
            .filter(|status| (100..=599).contains(status))
            .unwrap_or(200_u16),
    );
    for name in ["content-type", "retry-after"] {
        if let Ok(value) = http::HeaderValue::from_bytes(part()) {
            response = response.header(name, value);
        }
    }
    response.body(part().to_vec()).unwrap()
}

fn client() -> Client {
    Client {
        id: "app".to_owned(),
        secret: Some(CLIENT_SECRET.into()),
        auth: ClientAuth::Post,
        signer: None,
    }
}

fn code(secrets: &LoginSecrets) -> Callback {
    read_pasted(CODE, secrets, &server()).unwrap()
}

#[test]
fn an_answer_brings_tokens_that_serve_or_an_error_without_a_secret() {
    let target = Target::new("token-response", WORDS);
    let tokens = |input: &[u8]| {
        let http = Script::new([Ok(answer(input))]);
        run(refresh(
            &http,
            &server(),
            &client(),
            &REFRESH_TOKEN.into(),
            None,
        ))
    };
    assert_eq!(
        target
            .seeds()
            .iter()
            .filter(|seed| tokens(seed).is_ok())
            .count(),
        5
    );
    let secrets = secrets();
    target.run(|input| {
        let refreshed = checked(tokens(input), &[REFRESH_TOKEN, CLIENT_SECRET], check_tokens);
        let http = Script::new([Ok(answer(input))]);
        let (server, client, redirect) = (server(), client(), url("http://127.0.0.1/"));
        let exchanged = exchange_code(&http, &server, &client, code(&secrets), &secrets, &redirect);
        let exchanged = checked(run(exchanged), &[CODE, CLIENT_SECRET], check_tokens);
        let http = Script::new([Ok(answer(input))]);
        let started = run(start_device(&http, &server, &client, &[], &secrets));
        let started = checked(started, &[CLIENT_SECRET], |grant| {
            assert!(grant.interval >= limits::SHORTEST_POLL_INTERVAL);
            assert!(grant.interval <= limits::LONGEST_POLL_INTERVAL);
        });
        let http = Script::new([0; 3].map(|_| Ok(answer(input))));
        let found = run(discover(&http, &url("https://id.example")));
        let found = checked(found, &[], |found| {
            assert_eq!(found.issuer, url("https://id.example"))
        });
        let http = Script::new([0; 7].map(|_| Ok(answer(input))));
        let resource = run(discover_resource(
            &http,
            &url("https://mcp.example/mcp"),
            &Server::default(),
        ));
        let resource = checked(resource, &[], |found| assert!(found.server.knows_s256));
        format!("{refreshed} {exchanged} {started} {found} {resource}")
    });
}

#[test]
fn a_challenge_brings_scopes_and_a_place_or_nothing() {
    let words = &[
        "Bearer ",
        "Basic ",
        "scope=",
        "error=",
        "resource_metadata=",
        "realm=",
        "https://",
        "\"",
        "\\",
        ", ",
        "=",
    ];
    let target = Target::new("challenge", words);
    let read = |input: &[u8]| bearer_challenge(String::from_utf8_lossy(input).split('\n'));
    let seeds = target.seeds().iter();
    assert_eq!(seeds.filter(|seed| read(seed).is_some()).count(), 4);
    target.run(|input| {
        let Some(challenge) = read(input) else {
            return "none".to_owned();
        };
        assert!(challenge.scopes.len() <= limits::SCOPES);
        for scope in &challenge.scopes {
            assert!(!scope.is_empty() && scope.len() <= limits::SCOPE_BYTES);
            assert!(
                scope
                    .chars()
                    .all(|c| c.is_ascii_graphic() && !"\"\\".contains(c))
            );
        }
        let error = challenge.error.unwrap_or_default();
        assert!(
            error.chars().count() <= limits::ERROR_NAME_CHARS && !error.contains(char::is_control)
        );
        format!(
            "{} {} {}",
            challenge.scopes.len(),
            error,
            challenge.resource_metadata.is_some()
        )
    });
}

/// Says what became of an answer, and looks in every error for the secrets that were sent.
fn checked<T>(result: Result<T, OauthError>, sent: &[&str], check: impl FnOnce(&T)) -> String {
    match result {
        Ok(brought) => {
            check(&brought);
            "brought".to_owned()
        }
        Err(error) => {
            let said = format!("{error} {error:?}");
            for secret in sent {
                assert!(!said.contains(*secret), "{said}");
            }
            let variant = format!("{error:?}");
            let end = variant.find(|c: char| !c.is_ascii_alphanumeric());
            variant[..end.unwrap_or(variant.len())].to_owned()
        }
    }
}

fn check_tokens(tokens: &Tokens) {
    let can_be_sent =
        |token: &str| !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic());
    assert!(can_be_sent(show(&tokens.access)));
    assert!(
        tokens
            .refresh
            .as_ref()
            .is_none_or(|token| can_be_sent(show(token)))
    );
    let lives = Duration::from_secs(1)..=limits::LONGEST_LIFE;
    assert!(tokens.expires_in.is_none_or(|life| lives.contains(&life)));
    let latest = 1_000 + u64::try_from(limits::LONGEST_LIFE.as_millis()).unwrap();
    assert!(tokens.ends_at(1_000).is_none_or(|end| end <= latest));
    for (name, value) in &tokens.extra {
        // A number under such a name is a life, such as `refresh_token_expires_in`.
        let is_text = value.is_string() || value.is_object();
        let names_secret = name.to_ascii_lowercase().contains("token");
        assert!(!is_text || !names_secret, "{name} is kept");
        assert!(value.to_string().len() <= limits::EXTRA_FIELD_BYTES);
    }
}
