//! What is sent to the token and revocation endpoints.

use http::Request;
use provider_auth_oauth::{
    Client, ClientAuth, Encoding, OauthError, Server, StepDialect, TokenHint, exchange_code,
    read_pasted, refresh, revoke,
};
use serde_json::{Value, json};

use crate::support::{Script, confidential, form, public, run, secret, secrets, server, url};

const TOKEN: (u16, &str) = (200, r#"{"access_token":"a","token_type":"Bearer"}"#);

fn exchange(server: &Server, client: &Client) -> Request<Vec<u8>> {
    let http = Script::new([TOKEN]);
    let callback = read_pasted("abc", &secrets(), server).unwrap();
    let redirect = url("http://127.0.0.1:1455/callback");
    run(exchange_code(
        &http,
        server,
        client,
        callback,
        &secrets(),
        &redirect,
    ))
    .unwrap();
    http.only()
}

fn refreshed(server: &Server, client: &Client, scopes: Option<&[String]>) -> Request<Vec<u8>> {
    let http = Script::new([TOKEN]);
    run(refresh(&http, server, client, &secret("refresh"), scopes)).unwrap();
    http.only()
}

fn header<'a>(request: &'a Request<Vec<u8>>, name: &str) -> Option<&'a str> {
    request
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

#[test]
fn a_code_is_exchanged_with_all_that_binds_it() {
    let request = exchange(&server(), &public());
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "https://id.example/token");
    assert_eq!(header(&request, "accept"), Some("application/json"));
    assert_eq!(
        header(&request, "content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(header(&request, "authorization"), None);
    assert_eq!(
        form(request.body()),
        "client_id=app\ncode=abc\n\
         code_verifier=AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM\n\
         grant_type=authorization_code\nredirect_uri=http://127.0.0.1:1455/callback"
    );
}

#[test]
fn a_client_authenticates_the_way_it_is_told() {
    let secret = "client_secret=S3CRET +/:%&é";
    for (client, authorization, id_in_body, secret_in_body) in [
        (public(), None, true, false),
        // A secret that is not to be used is not sent.
        (confidential(ClientAuth::None), None, true, false),
        (confidential(ClientAuth::Post), None, true, true),
        // RFC 6749 §2.3.1: id and secret are form-encoded before they are joined.
        (
            confidential(ClientAuth::Basic),
            Some("Basic bXkrYXBwOlMzQ1JFVCslMkIlMkYlM0ElMjUlMjYlQzMlQTk="),
            false,
            false,
        ),
        (
            Client {
                auth: ClientAuth::Basic,
                ..public()
            },
            None,
            true,
            false,
        ),
    ] {
        let request = exchange(&server(), &client);
        let body = form(request.body());
        assert_eq!(
            header(&request, "authorization"),
            authorization,
            "{client:?}"
        );
        assert_eq!(body.contains("client_id="), id_in_body, "{client:?}");
        assert_eq!(body.contains(secret), secret_in_body, "{client:?}");
        assert_eq!(body.contains("S3CRET"), secret_in_body, "{client:?}");
    }
}

#[test]
fn a_refresh_keeps_the_granted_scopes_unless_told() {
    let request = refreshed(&server(), &public(), None);
    assert_eq!(
        form(request.body()),
        "client_id=app\ngrant_type=refresh_token\nrefresh_token=S3CRET-refresh"
    );
    let fewer = refreshed(
        &server(),
        &public(),
        Some(&["a".to_owned(), "b".to_owned()]),
    );
    assert!(form(fewer.body()).contains("scope=a b"));
}

#[test]
fn a_dialect_changes_encoding_and_parameters_of_its_step_only() {
    let mut server = server();
    server.dialect.state_in_token_body = true;
    server.dialect.token = StepDialect {
        encoding: Encoding::Json,
        params: vec![("resource".to_owned(), "https://api.example".to_owned())],
        ..StepDialect::default()
    };
    server.dialect.refresh.params = vec![("grant_type".to_owned(), "password".to_owned())];

    let request = exchange(&server, &public());
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    assert_eq!(
        serde_json::from_slice::<Value>(request.body()).unwrap(),
        json!({
            "grant_type": "authorization_code",
            "code": "abc",
            "code_verifier": "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM",
            "client_id": "app",
            "redirect_uri": "http://127.0.0.1:1455/callback",
            "state": secrets().state,
            "resource": "https://api.example",
        })
    );

    let request = refreshed(&server, &public(), None);
    assert_eq!(
        header(&request, "content-type"),
        Some("application/x-www-form-urlencoded")
    );
    let body = form(request.body());
    assert!(
        body.contains("grant_type=refresh_token") && !body.contains("password"),
        "{body}"
    );
}

#[test]
fn a_revocation_names_the_token_and_its_kind() {
    for (hint, name) in [
        (TokenHint::Access, "access_token"),
        (TokenHint::Refresh, "refresh_token"),
    ] {
        let http = Script::new([(200, "")]);
        run(revoke(&http, &server(), &public(), &secret("old"), hint)).unwrap();
        let request = http.only();
        assert_eq!(request.uri(), "https://id.example/revoke");
        assert_eq!(
            form(request.body()),
            format!("client_id=app\ntoken=S3CRET-old\ntoken_type_hint={name}")
        );
    }
}

#[test]
fn a_revocation_reaches_a_server_on_this_machine() {
    let server = Server {
        revocation_endpoint: Some(url("http://127.0.0.1:9/revoke")),
        ..server()
    };
    let http = Script::new([(200, "<html>")]);
    run(revoke(
        &http,
        &server,
        &public(),
        &secret("old"),
        TokenHint::Refresh,
    ))
    .unwrap();
    assert_eq!(http.only().uri(), "http://127.0.0.1:9/revoke");
}

#[test]
fn a_revocation_that_was_refused_says_so() {
    let http = Script::new([(400, r#"{"error":"unsupported_token_type"}"#), (503, "")]);
    let revoked = || {
        run(revoke(
            &http,
            &server(),
            &public(),
            &secret("old"),
            TokenHint::Access,
        ))
    };
    assert_eq!(
        revoked(),
        Err(OauthError::Rejected {
            status: 400,
            error: Some("unsupported_token_type".to_owned()),
            description: None
        })
    );
    assert_eq!(
        revoked(),
        Err(OauthError::Transient {
            status: 503,
            retry_after: None,
            date: None
        })
    );
}

#[test]
fn nothing_is_sent_without_a_client_id_or_to_an_unsafe_place() {
    let http = Script::new::<(u16, &str)>([]);
    let refused = |server: &Server, client: &Client| {
        run(refresh(&http, server, client, &secret("refresh"), None)).unwrap_err()
    };
    assert_eq!(
        refused(&server(), &Client::public("")),
        OauthError::MissingClientId
    );
    assert_eq!(
        refused(&Server::default(), &public()),
        OauthError::MissingEndpoint {
            which: "token endpoint"
        }
    );
    let plain = Server {
        token_endpoint: Some(url("http://id.example:81/token")),
        ..server()
    };
    assert!(matches!(
        refused(&plain, &public()),
        OauthError::InsecureEndpoint { .. }
    ));
}
