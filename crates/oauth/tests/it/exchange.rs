//! Exchanges that are no grant of RFC 6749, and clients that a server issues.

use std::{future::ready, sync::Mutex, time::Duration};

use provider_auth_oauth::{
    CallbackError, Client, ClientAuth, ErrorRule, IdTokenCheck, IssuedClient, Meaning, OauthError,
    PagePoll, Renewal, Server, authorization_url, check_id_token, client_credentials,
    exchange_assertion, exchange_token, poll_page, read_callback, start_page,
};
use serde_json::{Value, json};

use crate::support::{
    Script, confidential, form, jwt, object, public, run, secret, secrets, server, show, url,
};

fn exchanging(renewal: Renewal) -> Server {
    let mut server = server();
    server.exchange_endpoint = Some(url("https://api.example/exchange"));
    server.dialect.renewal = renewal;
    server.dialect.rename = vec![("token".to_owned(), "access_token".to_owned())];
    server.dialect.errors = vec![ErrorRule {
        status: Some(401),
        error: None,
        meaning: Meaning::InvalidGrant,
    }];
    server.dialect.ended = Some("shouldLogout".to_owned());
    server
}

#[test]
fn a_login_is_exchanged_for_the_token_that_the_api_takes() {
    for (renewal, method, body) in [
        (Renewal::ExchangeLogin, "GET", ""),
        (Renewal::Exchange, "POST", "{}"),
    ] {
        let answer = json!({ "token": "S3CRET-api;exp=1", "expires_at": 1_790_000_000_u64 });
        let http = Script::new([(200, answer.to_string().as_str())]);
        let tokens = run(exchange_token(
            &http,
            &exchanging(renewal),
            &secret("login"),
        ))
        .unwrap();
        assert_eq!(show(&tokens.access), "S3CRET-api;exp=1");
        assert_eq!(tokens.expires_at, Some(1_790_000_000));
        let request = http.only();
        assert_eq!(request.method(), method);
        assert_eq!(request.headers()["authorization"], "Bearer S3CRET-login");
        assert_eq!(request.body(), body.as_bytes());
        assert!(!format!("{request:?}").contains("S3CRET"));
    }
}

#[test]
fn an_exchange_that_is_refused_says_whether_the_login_is_over() {
    for (status, body, dead) in [
        (401, "", true),
        (200, r#"{"access_token":"","shouldLogout":true}"#, true),
        (403, r#"{"message":"no seat"}"#, false),
        (500, "", false),
        (200, "<html>", false),
    ] {
        let http = Script::new([(status, body)]);
        let server = exchanging(Renewal::ExchangeLogin);
        let error = run(exchange_token(&http, &server, &secret("login"))).unwrap_err();
        let is_dead = matches!(error, OauthError::InvalidGrant { .. });
        assert_eq!(is_dead, dead, "{status} {body}: {error}");
    }
}

#[test]
fn where_a_login_is_not_exchanged_its_own_token_serves() {
    let mut server = exchanging(Renewal::ExchangeLogin);
    for (no_exchange, status, body, serves) in [
        (Some(404), 404, r#"{"message":"Not Found"}"#, true),
        (None, 404, r#"{"message":"Not Found"}"#, false),
        (Some(404), 404, "<html>", false),
        (Some(404), 403, r#"{"message":"no seat"}"#, false),
        (Some(404), 401, r#"{"message":"Bad credentials"}"#, false),
        (Some(404), 503, "", false),
    ] {
        server.dialect.no_exchange = no_exchange;
        let http = Script::new([(status, body)]);
        let tokens = run(exchange_token(&http, &server, &secret("login")));
        let token = tokens.as_ref().map(|tokens| show(&tokens.access));
        assert_eq!(
            token.ok() == Some("S3CRET-login"),
            serves,
            "{status} {body}"
        );
        assert!(tokens.is_err() || tokens.unwrap().ends_at(0).is_none());
    }
}

#[test]
fn an_assertion_is_exchanged_without_a_client() {
    let mut server = server();
    server.dialect.assertion.params = vec![("rule".to_owned(), "r1".to_owned())];
    server.dialect.assertion.headers = vec![("x-beta".to_owned(), "b".to_owned())];
    let http = Script::new([(200, r#"{"access_token":"S3CRET-short","expires_in":60}"#)]);
    let tokens = run(exchange_assertion(&http, &server, &secret("jwt"))).unwrap();
    assert!(tokens.refresh.is_none());
    let request = http.only();
    assert_eq!(request.headers()["x-beta"], "b");
    assert_eq!(
        form(request.body()),
        "assertion=S3CRET-jwt\ngrant_type=urn:ietf:params:oauth:grant-type:jwt-bearer\nrule=r1"
    );
    // A server that repeats what it was sent does not bring it into the error.
    let http = Script::new([(
        400,
        r#"{"error":"invalid_grant","error_description":"S3CRET-jwt has expired"}"#,
    )]);
    let error = run(exchange_assertion(&http, &server, &secret("jwt"))).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("S3CRET"), "{error}");
    let long = "x".repeat(16 * 1024 + 1).into();
    let refused = run(exchange_assertion(&http, &server, &long)).unwrap_err();
    assert_eq!(refused, OauthError::Malformed { field: "assertion" });
}

#[test]
fn the_outcome_of_a_page_is_polled_for_ever_more_slowly() {
    let mut server = server();
    server.dialect.page_poll = Some(PagePoll {
        challenge: "challenge".to_owned(),
        id: "uuid".to_owned(),
        proof: "verifier".to_owned(),
    });
    server.dialect.rename = vec![("accessToken".to_owned(), "access_token".to_owned())];
    let means = |status, meaning| ErrorRule {
        status: Some(status),
        error: None,
        meaning,
    };
    server.dialect.errors = vec![means(404, Meaning::Pending), means(403, Meaning::Denied)];
    let login = start_page(&server, &secrets(), "id-1").unwrap();
    assert_eq!(login.url.path(), "/authorize");
    assert!(!format!("{login:?} {}", login.url).contains("AwMD"));
    let waited = Mutex::new(Vec::new());
    let sleep = |pause: Duration| {
        waited.lock().unwrap().push(pause.as_millis());
        ready(())
    };
    let http = Script::new([(404, ""), (502, ""), (200, r#"{"accessToken":"S3CRET-a"}"#)]);
    let tokens = run(poll_page(&http, &server, &login, sleep)).unwrap();
    assert_eq!(show(&tokens.access), "S3CRET-a");
    assert_eq!(*waited.lock().unwrap(), [1000, 1200, 1440]);
    let request = &http.seen()[0];
    let query = request.uri().query().unwrap();
    assert!(query.contains("uuid=id-1") && query.contains("verifier=AwMD"));
    let http = Script::new([(403, "")]);
    let refused = run(poll_page(&http, &server, &login, |_| ready(()))).unwrap_err();
    assert_eq!(refused, OauthError::Denied);
}

fn issuing() -> Server {
    let mut server = server();
    server.dialect.issued_client = Some(IssuedClient {
        first_id: "first".to_owned(),
        params: vec![("name".to_owned(), "me".to_owned())],
        installation: "host".to_owned(),
    });
    server
}

#[test]
fn a_client_is_issued_with_the_first_login_and_serves_from_then_on() {
    let state = secrets().state;
    let check = |asks: &str, answer: &str, expect: Result<&str, CallbackError>| {
        let query = format!("code=c&state={state}{answer}");
        let callback = read_callback(&query, &secrets(), &issuing()).unwrap();
        let client = callback.client(&issuing(), &Client::public(asks));
        let id = client.as_ref().map(|client| client.id.as_str());
        assert_eq!(id, expect.as_ref().copied(), "{asks} {answer}");
    };
    check("first", "&client_id=issued", Ok("issued"));
    check("first", "", Err(CallbackError::MissingClient));
    check("issued", "", Ok("issued"));
    check("issued", "&client_id=issued", Ok("issued"));
    check(
        "issued",
        "&client_id=another",
        Err(CallbackError::WrongClient),
    );
    let page = |id: &str| {
        let redirect = url("http://127.0.0.1:1/cb");
        let client = Client::public(id);
        authorization_url(&issuing(), &client, &[], &redirect, &secrets(), None).unwrap()
    };
    assert!(page("first").query().unwrap().contains("name=me"));
    assert!(!page("issued").query().unwrap().contains("name=me"));
}

#[test]
fn an_id_token_that_must_be_signed_and_is_not_is_refused() {
    let mut server = server();
    server.dialect.id_token = IdTokenCheck::Signature;
    server.jwks_uri = Some(url("https://id.example/keys"));
    let issued = |id_token: &str| {
        let answer = json!({ "access_token": "a", "id_token": id_token }).to_string();
        let http = Script::new([(200, answer.as_str())]);
        run(exchange_token(
            &http,
            &exchanging(Renewal::Exchange),
            &secret("x"),
        ))
        .unwrap()
    };
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"RS256"}"#,
        "{}",
    ] {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let claims =
            json!({ "iss": "https://id.example", "aud": "app", "sub": "u", "exp": 9e9 as u64 });
        let token = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let http = Script::new([(
            200,
            r#"{"keys":[{"kty":"oct","k":"AA"},{"kty":"RSA","n":"AQ","e":"AQAB"}]}"#,
        )]);
        let checked = run(check_id_token(
            &http,
            &server,
            &public(),
            &issued(&token),
            0,
        ));
        assert!(
            matches!(checked, Err(OauthError::UntrustedIdToken { .. })),
            "{header}: {checked:?}"
        );
    }
}

#[test]
fn an_id_token_is_checked_as_far_as_the_dialect_says() {
    let claims = |changes: Value| {
        let mut claims = object(
            json!({ "iss": "https://id.example", "aud": ["app"], "sub": "u", "exp": 1_000 }),
        );
        claims.extend(object(changes));
        jwt(Value::Object(claims))
    };
    let check = |level: IdTokenCheck, id_token: Option<String>, expect: bool| {
        let mut server = server();
        server.dialect.id_token = level;
        let answer = json!({ "access_token": "a", "id_token": id_token }).to_string();
        let http = Script::new([(200, answer.as_str())]);
        let tokens = run(client_credentials(&http, &server, &public(), &[])).unwrap();
        let nothing = Script::new([(404, "{}")]);
        let checked = run(check_id_token(
            &nothing,
            &server,
            &public(),
            &tokens,
            900_000,
        ));
        assert_eq!(
            checked.is_ok(),
            expect,
            "{level:?} {id_token:?} {checked:?}"
        );
        assert!(nothing.seen().is_empty(), "no key is needed");
    };
    use IdTokenCheck::{Claims, Nonce, Off};
    for level in [Off, Nonce] {
        check(level, None, true);
        check(level, Some(claims(json!({ "aud": "another" }))), true);
    }
    check(Claims, Some(claims(json!({}))), true);
    check(Claims, None, false);
    check(Claims, Some("opaque".to_owned()), false);
    for wrong in [
        json!({ "aud": "another" }),
        json!({ "iss": "https://evil.example" }),
        json!({ "exp": 1 }),
        json!({ "sub": "" }),
    ] {
        check(Claims, Some(claims(wrong)), false);
    }
}

#[test]
fn a_client_asks_for_a_token_of_its_own() {
    let mut server = server();
    server.dialect.token.params = vec![("audience".to_owned(), "api".to_owned())];
    let http = Script::new([(200, r#"{"access_token":"S3CRET-a","expires_in":60}"#)]);
    let scopes = ["use:it".to_owned()];
    let tokens = run(client_credentials(
        &http,
        &server,
        &confidential(ClientAuth::Basic),
        &scopes,
    ))
    .unwrap();
    assert!(tokens.refresh.is_none());
    let request = http.only();
    assert_eq!(
        form(request.body()),
        "audience=api\ngrant_type=client_credentials\nscope=use:it"
    );
    assert!(request.headers().contains_key("authorization"));
    let refused = Script::new([(401, r#"{"error":"invalid_client"}"#)]);
    let error = run(client_credentials(
        &refused,
        &server,
        &confidential(ClientAuth::Post),
        &[],
    ))
    .unwrap_err();
    assert!(
        matches!(error, OauthError::Rejected { status: 401, .. }),
        "{error:?}"
    );
}
