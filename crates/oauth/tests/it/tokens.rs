//! What is made of a server's answer.

use std::time::Duration;

use http::Response;
use provider_auth_oauth::{
    Client, ClientAuth, ErrorRule, HttpError, Identity, Meaning, OauthError, Server, Tokens,
    exchange_code, identity, limits, read_pasted, refresh,
};
use serde_json::{Value, json};

use crate::support::{
    IntoAnswer, MARK, Script, confidential, jwt, object, public, run, secret, secrets, server,
    show, url,
};

fn answered(server: &Server, answer: impl IntoAnswer) -> Result<Tokens, OauthError> {
    let http = Script::new([answer]);
    run(refresh(
        &http,
        server,
        &confidential(ClientAuth::Basic),
        &secret("refresh"),
        None,
    ))
}

fn issued(body: &Value) -> Tokens {
    answered(&server(), (200, body.to_string().as_str())).unwrap()
}

#[test]
fn a_whole_answer_is_read() {
    let tokens = issued(&json!({
        "access_token": "S3CRET-a", "refresh_token": "S3CRET-r", "id_token": "S3CRET-i", "token_type": "BEARER",
        "expires_in": 3600, "scope": "openid  models:read", "earliest_refresh_at": 1_790_000_000,
        "resource_url": "portal.example", "account": { "uuid": "u-1", "session_token": "S3CRET-s" },
        "api_key": "S3CRET-k", "refresh_token_expires_in": 15_811_200, "nothing": null,
        "authed_user": { "access_token": "S3CRET-n" }, "large": "x".repeat(5000),
    }));
    assert_eq!(show(&tokens.access), "S3CRET-a");
    assert_eq!(tokens.refresh.as_ref().map(show), Some("S3CRET-r"));
    assert_eq!(tokens.id_token.as_ref().map(show), Some("S3CRET-i"));
    assert_eq!(tokens.expires_in, Some(Duration::from_secs(3600)));
    assert_eq!(
        tokens.scopes.as_deref(),
        Some(&["openid".to_owned(), "models:read".to_owned()][..])
    );
    let extra = json!({
        "earliest_refresh_at": 1_790_000_000, "resource_url": "portal.example", "account": { "uuid": "u-1" },
        "refresh_token_expires_in": 15_811_200, "authed_user": {},
    });
    assert_eq!(tokens.extra, object(extra));
    assert!(!format!("{tokens:?}").contains(MARK));
}

#[test]
fn an_answer_may_leave_out_all_but_the_token() {
    let tokens = issued(&json!({ "access_token": "a" }));
    assert!(tokens.refresh.is_none() && tokens.id_token.is_none() && tokens.scopes.is_none());
    assert_eq!((tokens.expires_in, tokens.expires_at), (None, None));
    assert_eq!(tokens.ends_at(1000), None);
    let tokens = issued(&json!({
        "access_token": "a", "refresh_token": null, "id_token": "", "token_type": null, "scope": null,
        "expires_in": null,
    }));
    assert!(tokens.refresh.is_none() && tokens.id_token.is_none() && tokens.scopes.is_none());
}

#[test]
fn a_life_is_read_in_whatever_form_it_comes() {
    let ten_years = limits::LONGEST_LIFE.as_secs();
    for (expires_in, expect) in [
        (json!(3600), Some(3600)),
        (json!(3599.9), Some(3599)),
        (json!("3600"), Some(3600)),
        (json!(" 3600.5 "), Some(3600)),
        (json!(1e300), Some(ten_years)),
        (json!(u64::MAX), Some(ten_years)),
        (json!("99999999999999999999999"), Some(ten_years)),
        // Taken by the letter, each request would refresh.
        (json!(0), None),
        (json!(-1), None),
        (json!("-3600"), None),
        (json!("never"), None),
        (json!("NaN"), None),
        (json!(""), None),
        (json!(null), None),
        (json!([3600]), None),
        (json!(true), None),
    ] {
        let tokens = issued(&json!({ "access_token": "a", "expires_in": expires_in }));
        assert_eq!(
            tokens.expires_in,
            expect.map(Duration::from_secs),
            "{expires_in}"
        );
        assert_eq!(
            tokens.ends_at(5_000),
            expect.map(|seconds| 5_000 + seconds * 1000),
            "{expires_in}"
        );
    }
}

#[test]
fn an_end_is_taken_from_the_best_source_there_is() {
    let end = 1_790_000_000_u64;
    let token = jwt(json!({ "exp": end + 7 }));
    for (body, expect) in [
        (
            json!({ "access_token": token, "expires_in": 60, "expires_at": end }),
            100_000 + 60_000,
        ),
        (
            json!({ "access_token": token, "expires_at": end }),
            end * 1000,
        ),
        (
            json!({ "access_token": token, "expires_in": 0, "expires_at": end.to_string() }),
            end * 1000,
        ),
        (
            json!({ "access_token": token, "expires_at": end * 1000 }),
            end * 1000,
        ),
        (json!({ "access_token": token }), (end + 7) * 1000),
        (
            json!({ "access_token": jwt(json!({ "exp": end as f64 + 7.5 })) }),
            (end + 7) * 1000,
        ),
        (
            json!({ "access_token": jwt(json!({ "exp": (end + 7).to_string() })) }),
            (end + 7) * 1000,
        ),
        (
            json!({ "access_token": token, "expires_at": end as f64 + 0.25 }),
            end * 1000,
        ),
    ] {
        // The largest believed life counts from the request; these ends are within it.
        let requested_at_ms = if body.get("expires_in") == Some(&json!(60)) {
            100_000
        } else {
            (end - 60) * 1000
        };
        assert_eq!(
            issued(&body).ends_at(requested_at_ms),
            Some(expect),
            "{body}"
        );
    }
    let absurd = issued(&json!({ "access_token": jwt(json!({ "exp": u64::MAX })) }));
    assert_eq!(
        absurd.ends_at(0),
        Some(limits::LONGEST_LIFE.as_millis() as u64)
    );
}

#[test]
fn the_servers_clock_comes_with_the_tokens_and_no_field_stands_for_it() {
    let said = |header: Option<&str>| {
        let mut response = Response::builder().status(200);
        if let Some(date) = header {
            response = response.header("date", date);
        }
        let body = r#"{"access_token":"a","date":"Thu, 01 Jan 1970 00:00:00 GMT"}"#;
        let response = response.body(body.as_bytes().to_vec()).unwrap();
        answered(&server(), Ok(response)).unwrap().date
    };
    let date = "Wed, 21 Oct 2026 07:27:00 GMT";
    assert_eq!(said(Some(date)).as_deref(), Some(date));
    assert_eq!(said(None), None);
}

#[test]
fn fields_under_other_names_are_found() {
    let mut server = server();
    server.dialect.rename = vec![
        ("accessToken".to_owned(), "access_token".to_owned()),
        ("refreshToken".to_owned(), "refresh_token".to_owned()),
    ];
    let tokens = answered(
        &server,
        (
            200,
            r#"{"accessToken":"a","refreshToken":"r","authId":"x|1"}"#,
        ),
    )
    .unwrap();
    assert_eq!(show(&tokens.access), "a");
    assert_eq!(tokens.refresh.as_ref().map(show), Some("r"));
    assert_eq!(tokens.extra, object(json!({ "authId": "x|1" })));
}

#[test]
fn each_kind_of_failure_is_told_apart() {
    let rejected = |status, error: Option<&str>, description: Option<&str>| OauthError::Rejected {
        status,
        error: error.map(str::to_owned),
        description: description.map(str::to_owned),
    };
    let dead = |description: Option<&str>| OauthError::InvalidGrant {
        description: description.map(str::to_owned),
    };
    let transient = |status| OauthError::Transient {
        status,
        retry_after: None,
        date: None,
    };
    let page = |status| OauthError::NotJson {
        status,
        content_type: Some("text/html".to_owned()),
    };
    let json = |status| OauthError::NotJson {
        status,
        content_type: Some("application/json; charset=utf-8".to_owned()),
    };
    for (status, body, expect, may_pass) in [
        (
            400,
            r#"{"error":"invalid_grant","error_description":"Token revoked."}"#,
            dead(Some("Token revoked.")),
            false,
        ),
        (
            401,
            r#"{"error":"invalid_grant","code":"refresh_token_reused"}"#,
            dead(None),
            false,
        ),
        (200, r#"{"error":"invalid_grant"}"#, dead(None), false),
        (
            400,
            r#"{"error":{"code":"invalid_grant","message":"Gone."}}"#,
            dead(Some("Gone.")),
            false,
        ),
        (
            401,
            r#"{"error":"invalid_client"}"#,
            rejected(401, Some("invalid_client"), None),
            false,
        ),
        (
            400,
            r#"{"error":"invalid_scope","error_uri":"https://x"}"#,
            rejected(400, Some("invalid_scope"), None),
            false,
        ),
        (
            400,
            r#"{"code":"BadRequest","message":"No."}"#,
            rejected(400, Some("BadRequest"), Some("No.")),
            false,
        ),
        (403, r#"{}"#, rejected(403, None, None), false),
        (
            200,
            r#"{"error":"bad_verification_code","access_token":"a"}"#,
            rejected(200, Some("bad_verification_code"), None),
            false,
        ),
        // Only a poll is pending.
        (
            400,
            r#"{"error":"authorization_pending"}"#,
            rejected(400, Some("authorization_pending"), None),
            false,
        ),
        (
            400,
            r#"{"error":"access_denied"}"#,
            rejected(400, Some("access_denied"), None),
            false,
        ),
        (408, "{}", transient(408), true),
        (429, r#"{"error":"invalid_grant"}"#, transient(429), true),
        (500, r#"{"error":"invalid_grant"}"#, transient(500), true),
        (502, "<html>", transient(502), true),
        (503, "", transient(503), true),
        (529, "{}", transient(529), true),
        (200, "<html>", page(200), true),
        (302, "<html>", page(302), true),
        (403, "<html>", page(403), true),
        (200, "", json(200), true),
        (200, "[]", json(200), true),
        (200, r#"{"access_token":"a"#, json(200), true),
        (
            200,
            r#"{"access_token":""}"#,
            OauthError::Malformed {
                field: "access_token",
            },
            true,
        ),
        (
            200,
            r#"{"access_token":null}"#,
            OauthError::Malformed {
                field: "access_token",
            },
            true,
        ),
        (
            200,
            r#"{"access_token":7}"#,
            OauthError::Malformed {
                field: "access_token",
            },
            true,
        ),
        (
            200,
            r#"{"access_token":"a\r\nx-evil: 1"}"#,
            OauthError::Malformed {
                field: "access_token",
            },
            true,
        ),
        (
            200,
            r#"{"access_token":"a","token_type":"mac"}"#,
            OauthError::NotBearer,
            false,
        ),
        (
            200,
            r#"{"access_token":"a","token_type":7}"#,
            OauthError::NotBearer,
            false,
        ),
    ] {
        let failure = answered(&server(), (status, body)).unwrap_err();
        assert_eq!(failure, expect, "{status} {body}");
        assert_eq!(failure.is_transient(), may_pass, "{status} {body}");
    }
    for (error, expect) in [
        (HttpError::Timeout, OauthError::Http(HttpError::Timeout)),
        (HttpError::TooLarge, OauthError::TooLarge),
    ] {
        let failure = answered(&server(), error).unwrap_err();
        assert_eq!(failure, expect);
        assert!(failure.is_transient());
    }
}

#[test]
fn an_empty_error_counts_as_absent() {
    for error in ["null", "\"\"", "false"] {
        let body = format!(r#"{{"access_token":"a","error":{error}}}"#);
        assert_eq!(
            show(&answered(&server(), (200, body.as_str())).unwrap().access),
            "a"
        );
    }
}

#[test]
fn a_stated_wait_is_passed_on_as_it_was_sent() {
    let response = Response::builder()
        .status(429)
        .header("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")
        .header("date", "Wed, 21 Oct 2026 07:27:00 GMT");
    let failure = answered(&server(), Ok(response.body(b"{}".to_vec()).unwrap())).unwrap_err();
    let retry_after = Some("Wed, 21 Oct 2026 07:28:00 GMT".to_owned());
    assert_eq!(
        failure,
        OauthError::Transient {
            status: 429,
            retry_after,
            date: Some("Wed, 21 Oct 2026 07:27:00 GMT".to_owned()),
        }
    );
}

#[test]
fn a_dialect_can_say_what_a_refusal_means() {
    let mut server = server();
    server.dialect.errors = vec![ErrorRule {
        status: None,
        error: Some("refresh_token_expired".to_owned()),
        meaning: Meaning::InvalidGrant,
    }];
    let body = r#"{"error":{"code":"refresh_token_expired"}}"#;
    assert_eq!(
        answered(&server, (401, body)).unwrap_err(),
        OauthError::InvalidGrant { description: None }
    );
}

#[test]
fn a_server_that_echoes_a_secret_is_not_quoted() {
    for body in [
        r#"{"error":"invalid_grant","error_description":"no such token S3CRET-refresh"}"#,
        r#"{"error":"S3CRET-refresh","error_description":"S3CRET +/:%&é"}"#,
        r#"{"error":"x","refresh_token":"S3CRET-refresh"}"#,
        r#"{"access_token":"S3CRET\u0000"}"#,
        r#"S3CRET-refresh"#,
    ] {
        let failure = answered(&server(), (400, body)).unwrap_err();
        assert!(
            !format!("{failure:?} {failure}").contains(MARK),
            "{failure:?}"
        );
    }
}

#[test]
fn a_message_from_a_server_is_short_and_plain() {
    let body =
        json!({ "error": "x\u{1b}[2J", "error_description": "y\u{7}\n".repeat(9999) }).to_string();
    let OauthError::Rejected {
        error, description, ..
    } = answered(&server(), (400, body.as_str())).unwrap_err()
    else {
        panic!("a refusal");
    };
    assert_eq!(error.as_deref(), Some("x[2J"));
    let description = description.unwrap();
    assert!(
        description.len() <= limits::DESCRIPTION_CHARS && !description.contains(char::is_control)
    );
}

#[test]
fn an_id_token_of_another_login_is_refused() {
    let exchanged = |claims: Value| {
        let http = Script::new([(
            200,
            json!({ "access_token": "a", "id_token": jwt(claims) })
                .to_string()
                .as_str(),
        )]);
        let secrets = secrets();
        let callback = read_pasted("abc", &secrets, &server()).unwrap();
        run(exchange_code(
            &http,
            &server(),
            &public(),
            callback,
            &secrets,
            &url("http://127.0.0.1:1/callback"),
        ))
    };
    assert!(exchanged(json!({ "sub": "1", "nonce": secrets().nonce })).is_ok());
    assert!(exchanged(json!({ "sub": "1" })).is_ok());
    for nonce in [json!("other"), json!(""), json!(7), json!(null)] {
        let refused = exchanged(json!({ "sub": "1", "nonce": nonce })).unwrap_err();
        assert_eq!(refused, OauthError::WrongNonce);
    }
}

#[test]
fn the_identity_is_read_where_the_dialect_says() {
    let check = |server: &Server, body: Value, expect: [Option<&str>; 5]| {
        let [issuer, subject, organization, email, plan] =
            expect.map(|text| text.map(str::to_owned));
        let found = identity(&issued(&body), server, None);
        assert_eq!(
            found,
            Identity {
                issuer,
                subject,
                organization,
                email,
                plan
            },
            "{body}"
        );
    };
    let here = Some("https://id.example/");
    check(
        &server(),
        json!({
            "access_token": jwt(json!({ "sub": "of the access token" })),
            "id_token": jwt(json!({ "iss": "https://id.example", "sub": "ada", "org_id": 42, "email": "ada@x.example" })),
        }),
        [
            Some("https://id.example"),
            Some("ada"),
            Some("42"),
            Some("ada@x.example"),
            None,
        ],
    );
    check(
        &server(),
        json!({ "access_token": jwt(json!({ "sub": "ada" })) }),
        [here, Some("ada"), None, None, None],
    );
    for broken in ["opaque", "a.b", "a.!!.c", "a.bm8.c", "a.b.c.d.e", ".."] {
        check(
            &server(),
            json!({ "access_token": "a", "id_token": broken }),
            [here, None, None, None, None],
        );
    }
    check(
        &server(),
        json!({ "access_token": jwt(json!({ "sub": 42.0, "org_id": 4.5 })) }),
        [here, Some("42"), None, None, None],
    );
    let mut nested = server();
    nested.dialect.identity.subject = vec!["/account/uuid".to_owned()];
    nested.dialect.identity.organization = vec!["/organization/uuid".to_owned()];
    nested.dialect.identity.plan = vec!["/https:~1~1api.example~1auth/plan".to_owned()];
    check(
        &nested,
        json!({
            "access_token": "a", "account": { "uuid": "u" }, "organization": { "uuid": "o" },
            "id_token": jwt(json!({ "https://api.example/auth": { "plan": "pro" } })),
        }),
        [here, Some("u"), Some("o"), None, Some("pro")],
    );
}

#[test]
fn no_public_type_shows_a_secret() {
    let client = Client {
        secret: Some(secret("client")),
        ..public()
    };
    let tokens = issued(
        &json!({ "access_token": "S3CRET-a", "refresh_token": "S3CRET-r", "x": "S3CRET-x" }),
    );
    let shown = format!("{client:?} {tokens:?}");
    assert!(!shown.contains(MARK), "{shown}");
}
