//! What a server repeats or has just issued, in errors: nothing of it.

use std::fmt::Debug;

use base64::{Engine, engine::general_purpose::STANDARD};
use provider_auth_oauth::{
    CallbackError, ClientAuth, OauthError, exchange_code, read_callback, read_pasted, refresh,
    register, userinfo,
};
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use crate::support::{
    MARK, Script, confidential, object, public, run, secret, secrets, server, show, url,
};

const ACCESS: &str = "S3CRET-access";
const ADDRESS: &str = "ada.lovelace@mail.example";

/// A value as servers write it into their words.
fn forms(value: &str) -> Vec<String> {
    let percent: String = byte_serialize(value.as_bytes()).collect();
    let escaped: String = value
        .chars()
        .map(|c| format!("\\u{:04x}", c as u32))
        .collect();
    vec![
        value.to_owned(),
        byte_serialize(percent.as_bytes()).collect(),
        percent,
        escaped,
        STANDARD.encode(value),
        STANDARD.encode(format!("my+app:{value}")),
    ]
}

#[track_caller]
fn check(error: &(impl Debug + ToString), value: &str) {
    let shown = format!("{error:?} {}", error.to_string());
    for form in forms(value) {
        assert!(!shown.contains(&form), "{form}: {shown}");
    }
    for part in [MARK, "lovelace", "mail.example"] {
        assert!(!shown.contains(part), "{shown}");
    }
    assert!(shown.contains("for your eyes"), "the rest stays: {shown}");
}

fn refused(body: Value, status: u16) -> OauthError {
    let http = Script::new([(status, body.to_string().as_str())]);
    let client = confidential(ClientAuth::Basic);
    run(refresh(&http, &server(), &client, &secret("refresh"), None)).unwrap_err()
}

#[test]
fn what_was_sent_comes_back_in_no_form() {
    let client = confidential(ClientAuth::Basic);
    let refresh = secret("refresh");
    for value in [show(&refresh), show(client.secret.as_ref().unwrap())] {
        for form in forms(value) {
            let words = format!("{form} is not for your eyes");
            for status in [200, 400] {
                let body = json!({ "error": "invalid_grant", "error_description": words });
                check(&refused(body, status), value);
                let body = json!({ "error": { "code": form, "message": words } });
                check(&refused(body, status), value);
            }
        }
    }
}

#[test]
fn an_address_comes_back_in_no_form() {
    for form in &forms(ADDRESS) {
        for name in ["invalid_grant", form] {
            let words = format!("user {form} is not for your eyes");
            check(
                &refused(json!({ "error": name, "error_description": words }), 400),
                ADDRESS,
            );
        }
    }
}

#[test]
fn what_the_same_answer_issues_comes_back_in_no_form() {
    for form in forms(ACCESS) {
        let words = format!("{form} is for your eyes only");
        for body in [
            json!({ "error": "x", "error_description": words, "access_token": ACCESS }),
            json!({ "error": "x", "error_description": words, "data": { "token": [{ "apiKey": ACCESS }] } }),
        ] {
            check(&refused(body.clone(), 200), ACCESS);
            check(&refused(body, 400), ACCESS);
        }
    }
}

#[test]
fn a_token_of_another_answer_comes_back_in_no_form() {
    for form in forms(ACCESS) {
        let words = format!("{form} is not for your eyes");
        let body = json!({ "error": "invalid_grant", "error_description": words });
        let known = refused(body.clone(), 400).without(&[&ACCESS.into()]);
        check(&known, ACCESS);
        let http = Script::new([(401, body.to_string().as_str())]);
        let mut server = server();
        server.userinfo_endpoint = Some(url("https://id.example/me"));
        check(
            &run(userinfo(&http, &server, &ACCESS.into())).unwrap_err(),
            ACCESS,
        );
    }
}

#[test]
fn parameters_of_the_users_own_come_back_in_no_form() {
    let mut server = server();
    let key = "S3CRET-of-the-house";
    server.dialect.token.params = vec![("house_key".to_owned(), key.to_owned())];
    server.dialect.token.headers = vec![("x-house-key".to_owned(), key.to_owned())];
    let words = format!("{key} is not for your eyes");
    let body = json!({ "error": "x", "error_description": words }).to_string();
    let http = Script::new([(400, body.as_str())]);
    let secrets = secrets();
    let query = format!("code=abc&state={}", secrets.state);
    let callback = read_pasted(&query, &secrets, &server).unwrap();
    let back = url("http://127.0.0.1:1/callback");
    let client = public();
    let asked = exchange_code(&http, &server, &client, callback, &secrets, &back);
    check(&run(asked).unwrap_err(), key);
}

#[test]
fn a_registration_that_fails_shows_none_of_its_secrets() {
    let words = format!("{ACCESS} is not for your eyes");
    let body =
        json!({ "error": "x", "error_description": words, "registration_access_token": ACCESS });
    let (document, body) = (metadata(), body.to_string());
    let http = Script::new([(200, document.as_str()), (400, body.as_str())]);
    let found = run(provider_auth_oauth::discover(
        &http,
        &url("https://id.example"),
    ))
    .unwrap();
    let registered = run(register(
        &http,
        &found,
        &url("http://127.0.0.1:1/callback"),
        &[],
    ));
    check(&registered.unwrap_err(), ACCESS);
}

fn metadata() -> String {
    let mut document = object(json!({ "issuer": "https://id.example" }));
    document.insert(
        "registration_endpoint".to_owned(),
        json!("https://id.example/register"),
    );
    Value::Object(document).to_string()
}

#[test]
fn a_refusal_in_the_browser_shows_neither_address_nor_what_binds_the_login() {
    let secrets = secrets();
    let code = format!("{MARK}-code");
    for value in [ADDRESS, code.as_str(), secrets.state.as_str()] {
        for form in &forms(value)[..4] {
            let words = format!("{form} is not for your eyes");
            let words: String = byte_serialize(words.as_bytes()).collect();
            let query = format!(
                "error=access_denied&error_description={words}&code={code}&state={}",
                secrets.state
            );
            let error = read_callback(&query, &secrets, &server()).unwrap_err();
            assert!(matches!(error, CallbackError::Denied { .. }));
            check(&error, value);
        }
    }
}

#[test]
fn an_answer_that_issues_more_than_honest_ones_is_not_quoted() {
    let tokens: Vec<String> = (0..60_000)
        .map(|number| format!("token-{number}"))
        .collect();
    let words = tokens[..9_000].join(" ");
    let body = json!({ "error": "x", "error_description": words, "tokens": tokens });
    let OauthError::Rejected { description, .. } = refused(body, 400) else {
        panic!("a refusal");
    };
    assert_eq!(description, None);
}
