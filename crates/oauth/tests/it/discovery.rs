//! Finding endpoints by an issuer.

use provider_auth_oauth::{Discovery, HttpError, OauthError, Server, discover, discover_of};

use crate::support::{IntoAnswer, Script, run, url};

const DOCUMENT: &str = r#"{
  "issuer": "https://id.example/tenant",
  "authorization_endpoint": "https://id.example/tenant/authorize",
  "token_endpoint": "https://tokens.example/token",
  "device_authorization_endpoint": "https://id.example/tenant/device",
  "revocation_endpoint": null,
  "authorization_response_iss_parameter_supported": true
}"#;

#[test]
fn the_document_is_looked_for_wherever_the_standards_put_it() {
    let missing = (404, "<html>");
    let http = Script::new([missing, missing, missing, (200, DOCUMENT)]);
    let metadata = run(discover(&http, &url("https://id.example/tenant"))).unwrap();
    assert_eq!(
        metadata.token_endpoint,
        Some(url("https://tokens.example/token"))
    );
    assert_eq!(metadata.revocation_endpoint, None);
    assert!(metadata.issuer_in_response);
    let asked: Vec<String> = http
        .seen()
        .iter()
        .map(|request| request.uri().to_string())
        .collect();
    assert_eq!(
        asked,
        [
            "https://id.example/tenant/.well-known/openid-configuration",
            "https://id.example/.well-known/oauth-authorization-server/tenant",
            "https://id.example/.well-known/openid-configuration/tenant",
            "https://id.example/tenant/.well-known/oauth-authorization-server",
        ]
    );
}

#[test]
fn an_issuer_without_a_path_has_two_places() {
    let http = Script::new([(404, "{}"), (404, "{}")]);
    let error = run(discover(&http, &url("https://id.example"))).unwrap_err();
    assert!(
        matches!(error, OauthError::Rejected { status: 404, .. }),
        "{error:?}"
    );
    assert_eq!(http.seen().len(), 2);
}

#[test]
fn trouble_at_one_place_does_not_end_the_search() {
    let troubles: [Result<(u16, &str), HttpError>; 7] = [
        Ok((429, "{}")),
        Ok((500, "<html>")),
        Ok((503, "{}")),
        Ok((200, "{}")),
        Ok((200, r#"{"message":"not found"}"#)),
        Err(HttpError::TooLarge),
        Err(HttpError::Timeout),
    ];
    for trouble in troubles {
        let answer = || match trouble.clone() {
            Ok(answer) => answer.into_answer(),
            Err(error) => error.into_answer(),
        };
        let http = Script::new([answer(), answer(), (200, DOCUMENT).into_answer()]);
        let found = run(discover(&http, &url("https://id.example/tenant")));
        assert!(found.is_ok(), "{trouble:?}: {found:?}");
    }
}

#[test]
fn a_byte_order_mark_is_not_part_of_an_answer() {
    let marked = format!("\u{feff}{DOCUMENT}");
    let http = Script::new([(200, marked.as_str())]);
    assert!(run(discover(&http, &url("https://id.example/tenant"))).is_ok());
}

#[test]
fn explicit_endpoints_win_over_discovered_ones() {
    let http = Script::new([(200, DOCUMENT)]);
    let metadata = run(discover(&http, &url("https://id.example/tenant/"))).unwrap();
    let server = Server {
        token_endpoint: Some(url("https://mine.example/token")),
        ..Server::default()
    };
    let server = server.complete_with(metadata);
    assert_eq!(
        server.token_endpoint,
        Some(url("https://mine.example/token"))
    );
    assert_eq!(
        server.authorization_endpoint,
        Some(url("https://id.example/tenant/authorize"))
    );
    assert_eq!(server.issuer, Some(url("https://id.example/tenant/")));
    assert!(server.issuer_in_response);
}

#[test]
fn a_document_that_cannot_be_trusted_is_refused() {
    let check = |document: &str, expect: OauthError| {
        let http = Script::new([(200, document)]);
        let found = run(discover(&http, &url("https://id.example/tenant")));
        assert_eq!(found.unwrap_err(), expect, "{document}");
    };
    let mismatch = |found: &str| OauthError::IssuerMismatch {
        expected: "https://id.example/tenant".to_owned(),
        found: found.to_owned(),
    };
    check(
        &DOCUMENT.replace(
            "id.example/tenant\",\n  \"auth",
            "evil.example\",\n  \"auth",
        ),
        mismatch("https://evil.example"),
    );
    check(
        &DOCUMENT.replace("\"issuer\"", "\"name\""),
        mismatch("no issuer"),
    );
    check(
        &DOCUMENT.replace("https://tokens", "http://tokens"),
        OauthError::InsecureEndpoint {
            url: "http://tokens.example".to_owned(),
        },
    );
    check(
        &DOCUMENT.replace("https://tokens.example/token", "token"),
        OauthError::Malformed {
            field: "token_endpoint",
        },
    );
}

#[test]
fn a_server_out_of_reach_is_told_from_one_without_a_document() {
    let issuer = url("https://id.example");
    let http = Script::new([HttpError::Connect]);
    assert_eq!(
        run(discover(&http, &issuer)).unwrap_err(),
        OauthError::Http(HttpError::Connect)
    );

    let http = Script::new([(503, "<html>"), (404, "<html>")]);
    let busy = run(discover(&http, &issuer)).unwrap_err();
    assert_eq!(
        busy,
        OauthError::Transient {
            status: 503,
            retry_after: None,
            date: None
        }
    );

    let http = Script::new([(200, "<html>"), (302, "")]);
    let page = run(discover(&http, &issuer)).unwrap_err();
    assert!(matches!(page, OauthError::NotJson { .. }), "{page:?}");

    let http = Script::new::<HttpError>([]);
    let insecure = run(discover(&http, &url("http://id.example"))).unwrap_err();
    assert_eq!(
        insecure,
        OauthError::InsecureEndpoint {
            url: "http://id.example".to_owned()
        }
    );
}

#[test]
fn a_document_of_its_own_may_lie_elsewhere_and_nest_what_it_says() {
    let nested =
        format!(r#"{{ "issuer": "https://evil.example", "openid-configuration": {DOCUMENT} }}"#);
    let server = |key: &str| {
        let mut server = Server {
            issuer: Some(url("https://id.example/tenant")),
            ..Server::default()
        };
        server.dialect.discovery = Discovery::Document {
            url: Some(url("https://id.example/own")),
            key: Some(key.to_owned()),
        };
        server
    };
    let http = Script::new([(200, nested.as_str())]);
    let metadata = run(discover_of(&http, &server("openid-configuration"))).unwrap();
    assert_eq!(http.only().uri(), "https://id.example/own");
    assert_eq!(
        metadata.token_endpoint,
        Some(url("https://tokens.example/token"))
    );
    assert_eq!(metadata.issuer, url("https://id.example/tenant"));

    let http = Script::new([(200, nested.as_str())]);
    let error = run(discover_of(&http, &server("elsewhere"))).unwrap_err();
    assert_eq!(
        error,
        OauthError::Malformed {
            field: "discovery key"
        }
    );
}

#[test]
fn a_server_may_have_other_names_or_any() {
    let found = |change: &dyn Fn(&mut Server)| {
        let mut server = Server {
            issuer: Some(url("https://id.example/other")),
            ..Server::default()
        };
        change(&mut server);
        let http = Script::new([(200, DOCUMENT)]);
        run(discover_of(&http, &server)).map(|metadata| metadata.issuer)
    };
    let own = url("https://id.example/other");
    assert!(matches!(
        found(&|_| {}),
        Err(OauthError::IssuerMismatch { .. })
    ));
    let named = found(&|server| server.dialect.issuers = vec![url("https://id.example/tenant")]);
    assert_eq!(named, Ok(own.clone()));
    assert_eq!(found(&|server| server.dialect.any_issuer = true), Ok(own));
    let other = found(&|server| server.dialect.issuers = vec![url("https://id.example/third")]);
    assert!(matches!(other, Err(OauthError::IssuerMismatch { .. })));
}
