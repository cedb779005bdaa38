//! The device login.

use std::{future::ready, sync::Mutex, time::Duration};

use provider_auth_oauth::{
    Client, DeviceGrant, ErrorRule, HttpError, Meaning, OauthError, Server, Tokens, poll_device,
    start_device,
};
use serde_json::{Value, json};

use crate::support::{IntoAnswer, Script, form, public, run, secrets, server, show, url};

type Answer = Result<http::Response<Vec<u8>>, HttpError>;

fn started(body: &Value) -> Result<DeviceGrant, OauthError> {
    let http = Script::new([(200, body.to_string().as_str())]);
    run(start_device(&http, &server(), &public(), &[], &secrets()))
}

fn device(interval: u64, expires_in: u64) -> DeviceGrant {
    started(&json!({
        "device_code": "S3CRET-device", "user_code": "ABCD-EFGH", "verification_uri": "https://id.example/go",
        "expires_in": expires_in, "interval": interval,
    }))
    .unwrap()
}

/// Polls against a script; returns the outcome and the pauses, in seconds.
fn polled(
    server: &Server,
    grant: &DeviceGrant,
    script: Vec<Answer>,
) -> (Result<Tokens, OauthError>, Vec<u64>) {
    let http = Script::new(script);
    let pauses = Mutex::new(Vec::new());
    let sleep = |pause: Duration| {
        pauses.lock().unwrap().push(pause.as_secs());
        ready(())
    };
    let outcome = run(poll_device(&http, server, &public(), grant, sleep));
    for request in http.seen() {
        assert_eq!(
            form(request.body()),
            "client_id=app\ndevice_code=S3CRET-device\ngrant_type=urn:ietf:params:oauth:grant-type:device_code"
        );
    }
    (outcome, pauses.into_inner().unwrap())
}

fn says(status: u16, body: &str) -> Answer {
    (status, body).into_answer()
}

fn pending() -> Answer {
    says(400, r#"{"error":"authorization_pending"}"#)
}

fn done() -> Answer {
    says(200, r#"{"access_token":"S3CRET-a","token_type":"bearer"}"#)
}

#[test]
fn a_login_starts_with_what_the_user_must_see() {
    let http = Script::new([(
        200,
        r#"{"device_code":"S3CRET-device","user_code":"ABCD-EFGH","verification_uri":"https://id.example/go",
            "verification_uri_complete":"https://id.example/go?code=ABCD-EFGH","expires_in":300,"interval":7}"#,
    )]);
    let mut server = server();
    server.dialect.device.params = vec![("response_type".to_owned(), "device_code".to_owned())];
    let scopes = ["openid".to_owned(), "offline_access".to_owned()];
    let grant = run(start_device(&http, &server, &public(), &scopes, &secrets())).unwrap();
    assert_eq!(grant.user_code, "ABCD-EFGH");
    assert_eq!(grant.verification_uri, url("https://id.example/go"));
    assert_eq!(
        grant.verification_uri_complete,
        Some(url("https://id.example/go?code=ABCD-EFGH"))
    );
    assert_eq!(
        (grant.expires_in, grant.interval),
        (Duration::from_secs(300), Duration::from_secs(7))
    );
    assert!(!format!("{grant:?}").contains("S3CRET"));
    let request = http.only();
    assert_eq!(request.uri(), "https://id.example/device");
    assert_eq!(
        form(request.body()),
        "client_id=app\nresponse_type=device_code\nscope=openid offline_access"
    );
}

#[test]
fn times_of_a_login_are_read_in_whatever_form_they_come() {
    for (times, expires_in, interval) in [
        (json!({}), 900, 5),
        (json!({ "expires_in": "300", "interval": "2" }), 300, 2),
        (json!({ "expires_in": 300, "interval": "0" }), 300, 1),
        (json!({ "expires_in": 0, "interval": 0 }), 900, 1),
        (json!({ "expires_in": null, "interval": null }), 900, 5),
        (json!({ "expires_in": 1e18, "interval": 1e18 }), 3600, 60),
    ] {
        let mut body = json!({
            "device_code": "d", "user_code": "u", "verification_url": "https://id.example/go",
            "verification_uri": "https://id.example/go",
        });
        body.as_object_mut()
            .unwrap()
            .extend(times.as_object().unwrap().clone());
        let grant = started(&body).unwrap();
        let found = (grant.expires_in.as_secs(), grant.interval.as_secs());
        assert_eq!(found, (expires_in, interval), "{times}");
    }
}

#[test]
fn a_page_that_is_no_web_page_is_not_opened() {
    for page in [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "vscode://x",
        "go",
        "",
    ] {
        let body = json!({ "device_code": "d", "user_code": "u", "verification_uri": page });
        let refused = started(&body).unwrap_err();
        assert_eq!(
            refused,
            OauthError::Malformed {
                field: "verification_uri"
            },
            "{page}"
        );
    }
    let body = json!({
        "device_code": "d", "user_code": "u", "verification_uri": "https://id.example/go",
        "verification_uri_complete": "javascript:alert(1)",
    });
    assert_eq!(started(&body).unwrap().verification_uri_complete, None);
    let escape = json!({
        "device_code": "d", "user_code": "\u{1b}]0;x\u{7}", "verification_uri": "https://id.example/go",
    });
    assert_eq!(
        started(&escape).unwrap_err(),
        OauthError::Malformed { field: "user_code" }
    );
}

#[test]
fn polling_waits_as_long_as_it_is_told() {
    let slow_down = || says(400, r#"{"error":"slow_down"}"#);
    for (script, pauses) in [
        (vec![done()], vec![5]),
        (vec![pending(), pending(), done()], vec![5, 5, 5]),
        (
            vec![pending(), slow_down(), pending(), slow_down(), done()],
            vec![5, 5, 10, 10, 15],
        ),
        // GitHub says so with a 200, Qwen asks to slow down with a 429.
        (
            vec![says(200, r#"{"error":"authorization_pending"}"#), done()],
            vec![5, 5],
        ),
        (
            vec![says(429, r#"{"error":"slow_down"}"#), done()],
            vec![5, 10],
        ),
        // Trouble on the way makes the pauses longer and ends nothing.
        (
            vec![
                Err(HttpError::Timeout),
                Err(HttpError::Connect),
                pending(),
                done(),
            ],
            vec![5, 10, 20, 20],
        ),
        (
            vec![
                says(503, "<html>"),
                says(429, "{}"),
                says(200, "<html>"),
                done(),
            ],
            vec![5, 10, 20, 30],
        ),
        (
            vec![says(200, r#"{"access_token":null}"#), done()],
            vec![5, 10],
        ),
    ] {
        let (outcome, waited) = polled(&server(), &device(5, 900), script);
        assert_eq!(show(&outcome.unwrap().access), "S3CRET-a");
        assert_eq!(waited, pauses);
    }
}

#[test]
fn trouble_never_shortens_the_pause_that_the_server_asked_for() {
    let (outcome, waited) = polled(
        &server(),
        &device(45, 900),
        vec![Err(HttpError::Connect), pending(), done()],
    );
    assert!(outcome.is_ok());
    assert!(waited.iter().all(|pause| *pause >= 45), "{waited:?}");
}

#[test]
fn polling_ends_when_the_server_says_no() {
    let rejected = |status, error: Option<&str>| OauthError::Rejected {
        status,
        error: error.map(str::to_owned),
        description: None,
    };
    for (status, body, expect) in [
        (400, r#"{"error":"access_denied"}"#, OauthError::Denied),
        (
            400,
            r#"{"error":"authorization_declined"}"#,
            OauthError::Denied,
        ),
        (200, r#"{"error":"expired_token"}"#, OauthError::Expired),
        (
            400,
            r#"{"error":"invalid_grant"}"#,
            OauthError::InvalidGrant { description: None },
        ),
        (
            401,
            r#"{"error":"invalid_client"}"#,
            rejected(401, Some("invalid_client")),
        ),
        (
            200,
            r#"{"error":"device_flow_disabled"}"#,
            rejected(200, Some("device_flow_disabled")),
        ),
        (
            200,
            r#"{"access_token":"a","token_type":"mac"}"#,
            OauthError::NotBearer,
        ),
        (
            404,
            "<html>",
            OauthError::NotJson {
                status: 404,
                content_type: Some("text/html".to_owned()),
            },
        ),
    ] {
        let (outcome, _) = polled(
            &server(),
            &device(5, 900),
            vec![pending(), says(status, body)],
        );
        assert_eq!(outcome.unwrap_err(), expect, "{status} {body}");
    }
}

#[test]
fn polling_ends_when_the_code_has_run_out() {
    let (outcome, waited) = polled(
        &server(),
        &device(5, 20),
        vec![pending(), pending(), pending(), pending()],
    );
    assert_eq!(outcome.unwrap_err(), OauthError::Expired);
    assert_eq!(waited, [5, 5, 5, 5, 5]);
}

#[test]
fn a_dialect_can_say_pending_in_its_own_way() {
    let mut server = server();
    let rule = |status, meaning| ErrorRule {
        status: Some(status),
        error: None,
        meaning,
    };
    server.dialect.errors = vec![rule(404, Meaning::Pending), rule(403, Meaning::Denied)];
    let (outcome, waited) = polled(
        &server,
        &device(5, 900),
        vec![says(404, ""), says(404, "<html>"), done()],
    );
    assert!(outcome.is_ok());
    assert_eq!(waited, [5, 5, 5]);
    let (outcome, _) = polled(&server, &device(5, 900), vec![says(403, "")]);
    assert_eq!(outcome.unwrap_err(), OauthError::Denied);
}

#[test]
fn a_provider_without_device_login_says_so() {
    let http = Script::new::<HttpError>([]);
    let refused = run(start_device(
        &http,
        &Server::default(),
        &Client::public("app"),
        &[],
        &secrets(),
    ))
    .unwrap_err();
    assert_eq!(
        refused,
        OauthError::MissingEndpoint {
            which: "device authorization endpoint"
        }
    );
}

#[test]
fn the_pause_and_its_growth_are_those_of_the_dialect_where_the_server_names_none() {
    let mut server = server();
    server.dialect.poll_interval = Some(Duration::from_secs(2));
    server.dialect.slow_down = Some(Duration::from_secs(1));
    let start = |interval: &str| {
        let body = format!(
            r#"{{"device_code":"S3CRET-device","user_code":"A","verification_uri":"https://id.example/go"{interval}}}"#
        );
        let http = Script::new([(200, body.as_str())]);
        run(start_device(&http, &server, &public(), &[], &secrets())).unwrap()
    };
    assert_eq!(start(r#","interval":9"#).interval, Duration::from_secs(9));
    let grant = start("");
    assert_eq!(grant.interval, Duration::from_secs(2));
    let slow_down = || says(400, r#"{"error":"slow_down"}"#);
    let script = vec![pending(), slow_down(), pending(), slow_down(), done()];
    let (outcome, pauses) = polled(&server, &grant, script);
    assert!(outcome.is_ok());
    assert_eq!(pauses, [2, 2, 3, 3, 4]);
}
