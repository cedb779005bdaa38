//! From an MCP server to where one signs in to it, and to a client of one's own there.

use http::Response;
use provider_auth_oauth::{
    Discovery, HttpError, Metadata, OauthError, Resource, Server, discover_resource, register,
};
use serde_json::{Value, json};

use crate::support::{IntoAnswer, Script, run, show, url};

const SERVER: &str = "https://mcp.example/v1/mcp";

type Answer = Result<Response<Vec<u8>>, HttpError>;

fn challenge(header: &str) -> Answer {
    let response = Response::builder()
        .status(401)
        .header("www-authenticate", header);
    Ok(response.body(Vec::new()).unwrap())
}

fn ok(body: Value) -> Answer {
    (200, body.to_string().as_str()).into_answer()
}

fn absent() -> Answer {
    (404, "<html>").into_answer()
}

/// The description of the resource, with some fields replaced.
fn description(changes: Value) -> Answer {
    ok(changed(
        json!({
            "resource": SERVER,
            "authorization_servers": ["https://id.example/tenant", "https://other.example"],
            "scopes_supported": ["read", "write"],
        }),
        changes,
    ))
}

/// The metadata of the authorization server, with some fields replaced.
fn metadata(issuer: &str, changes: Value) -> Answer {
    ok(changed(
        json!({
            "issuer": issuer,
            "authorization_endpoint": "https://id.example/authorize",
            "token_endpoint": "https://id.example/token",
            "registration_endpoint": "https://id.example/register",
            "code_challenge_methods_supported": ["plain", "S256"],
            "scopes_supported": ["read", "offline_access"],
        }),
        changes,
    ))
}

fn changed(mut body: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// What discovery came to, and where it asked.
fn discover(
    answers: impl IntoIterator<Item = Answer>,
) -> (Result<Resource, OauthError>, Vec<String>) {
    discover_as(&Server::default(), answers)
}

/// The same where the user's configuration says how the login server differs.
fn discover_as(
    configured: &Server,
    answers: impl IntoIterator<Item = Answer>,
) -> (Result<Resource, OauthError>, Vec<String>) {
    let http = Script::new(answers);
    let found = run(discover_resource(&http, &url(SERVER), configured));
    let asked = http
        .seen()
        .into_iter()
        .map(|request| request.uri().to_string());
    (found, asked.collect())
}

#[test]
fn the_challenge_names_the_description_and_the_scopes() {
    let (found, asked) = discover([
        challenge(r#"Bearer resource_metadata="https://mcp.example/about", scope="read""#),
        description(json!({})),
        metadata("https://id.example/tenant", json!({})),
    ]);
    let found = found.unwrap();
    assert_eq!(found.id, SERVER);
    assert_eq!(found.scopes, ["read"]);
    assert_eq!(
        found.server.token_endpoint,
        Some(url("https://id.example/token"))
    );
    assert_eq!(found.server.scopes, ["read", "offline_access"]);
    assert_eq!(
        asked,
        [
            SERVER,
            "https://mcp.example/about",
            "https://id.example/.well-known/oauth-authorization-server/tenant",
        ]
    );
}

#[test]
fn without_a_challenge_the_places_are_tried_in_the_order_of_mcp() {
    let (found, asked) = discover([
        (405, "").into_answer(),
        absent(),
        description(json!({ "resource": "https://mcp.example/" })),
        absent(),
        (200, "<html>").into_answer(),
        metadata("https://id.example/tenant", json!({})),
    ]);
    let found = found.unwrap();
    assert_eq!(found.id, "https://mcp.example/", "as the server writes it");
    assert_eq!(found.scopes, ["read", "write"]);
    assert_eq!(
        asked,
        [
            SERVER,
            "https://mcp.example/.well-known/oauth-protected-resource/v1/mcp",
            "https://mcp.example/.well-known/oauth-protected-resource",
            "https://id.example/.well-known/oauth-authorization-server/tenant",
            "https://id.example/.well-known/openid-configuration/tenant",
            "https://id.example/tenant/.well-known/openid-configuration",
        ]
    );
}

#[test]
fn a_server_without_a_description_is_its_own_authorization_server() {
    for probe in [
        challenge("Bearer"),
        Err(HttpError::Timeout),
        (200, "{}").into_answer(),
    ] {
        let (found, asked) = discover([
            probe,
            absent(),
            (200, "<html>").into_answer(),
            metadata("https://mcp.example", json!({ "scopes_supported": null })),
        ]);
        let found = found.unwrap();
        assert_eq!(found.id, SERVER);
        assert!(found.scopes.is_empty());
        assert_eq!(
            asked.last().unwrap(),
            "https://mcp.example/.well-known/oauth-authorization-server"
        );
    }
    let alone = description(json!({ "authorization_servers": [] }));
    let (found, _) = discover([
        challenge("Bearer"),
        alone,
        metadata("https://mcp.example", json!({})),
    ]);
    assert_eq!(found.unwrap().server.issuer, url("https://mcp.example"));
}

#[test]
fn what_cannot_be_trusted_is_refused() {
    let refused = |answers: Vec<Answer>, expect: OauthError| {
        let (found, asked) = discover(answers);
        assert_eq!(found.unwrap_err(), expect, "{asked:?}");
    };
    let out_of_bounds = |place: &str| OauthError::OutOfBounds {
        server: "https://mcp.example".to_owned(),
        url: place.to_owned(),
    };
    let insecure = |place: &str| OauthError::InsecureEndpoint {
        url: place.to_owned(),
    };
    let named = |place: &str| challenge(&format!("Bearer resource_metadata=\"{place}\""));
    refused(
        vec![named("http://mcp.example/about")],
        insecure("http://mcp.example"),
    );
    refused(
        vec![named("http://127.0.0.1:9000/about")],
        out_of_bounds("http://127.0.0.1:9000"),
    );
    refused(
        vec![named("https://169.254.169.254/latest")],
        out_of_bounds("https://169.254.169.254"),
    );
    refused(
        vec![
            challenge("Bearer"),
            description(json!({ "resource": "https://bank.example" })),
        ],
        OauthError::ResourceMismatch {
            expected: SERVER.to_owned(),
            found: "https://bank.example".to_owned(),
        },
    );
    for (servers, expect) in [
        (json!(["http://id.example"]), insecure("http://id.example")),
        (
            json!(["http://localhost"]),
            out_of_bounds("http://localhost"),
        ),
        (
            json!([7]),
            OauthError::Malformed {
                field: "authorization_servers",
            },
        ),
        (
            json!({}),
            OauthError::Malformed {
                field: "authorization_servers",
            },
        ),
        (
            json!("https://id.example"),
            OauthError::Malformed {
                field: "authorization_servers",
            },
        ),
    ] {
        let about = description(json!({ "authorization_servers": servers }));
        refused(vec![challenge("Bearer"), about], expect);
    }
    let issuer = "https://id.example/tenant";
    for (server, expect) in [
        (
            metadata("https://evil.example", json!({})),
            OauthError::IssuerMismatch {
                expected: issuer.to_owned(),
                found: "https://evil.example".to_owned(),
            },
        ),
        (
            metadata(
                issuer,
                json!({ "token_endpoint": "http://id.example/token" }),
            ),
            insecure("http://id.example"),
        ),
        (
            metadata(
                issuer,
                json!({ "registration_endpoint": "http://127.0.0.1/register" }),
            ),
            out_of_bounds("http://127.0.0.1"),
        ),
        (
            metadata(
                issuer,
                json!({ "code_challenge_methods_supported": ["plain"] }),
            ),
            OauthError::NoPkce {
                issuer: issuer.to_owned(),
            },
        ),
        (
            metadata(issuer, json!({ "code_challenge_methods_supported": null })),
            OauthError::NoPkce {
                issuer: issuer.to_owned(),
            },
        ),
    ] {
        // Each place holds the same document, as one who wants to be believed would have it.
        let again = [(); 3].map(|()| server.clone());
        refused(
            [challenge("Bearer"), description(json!({}))]
                .into_iter()
                .chain(again)
                .collect(),
            expect,
        );
    }
}

#[test]
fn a_server_out_of_reach_or_out_of_order_is_not_one_without_a_description() {
    let busy = || (503, "").into_answer();
    for (answers, transient) in [
        (vec![Err(HttpError::Connect)], true),
        (vec![challenge("Bearer"), Err(HttpError::Connect)], true),
        (
            vec![challenge("Bearer"), absent(), Err(HttpError::Connect)],
            true,
        ),
        (
            vec![challenge("Bearer"), absent(), busy(), absent(), absent()],
            true,
        ),
    ] {
        let (found, asked) = discover(answers);
        let error = found.unwrap_err();
        assert_eq!(error.is_transient(), transient, "{error:?} {asked:?}");
    }
}

#[test]
fn trouble_at_one_place_does_not_end_the_search_for_a_description() {
    let status = |status| move || (status, "{}").into_answer();
    let json = |body: Value| move || ok(body.clone());
    let busy = |status| OauthError::Transient {
        status,
        retry_after: None,
        date: None,
    };
    let no_resource = OauthError::Malformed { field: "resource" };
    let timeout = OauthError::Http(HttpError::Timeout);
    let troubles: Vec<(Box<dyn Fn() -> Answer>, OauthError)> = vec![
        (Box::new(status(429)), busy(429)),
        (Box::new(status(500)), busy(500)),
        (Box::new(status(503)), busy(503)),
        (Box::new(json(json!({}))), no_resource.clone()),
        (
            Box::new(json(json!({ "resource": null }))),
            no_resource.clone(),
        ),
        (
            Box::new(json(json!({ "resource": ["x"] }))),
            no_resource.clone(),
        ),
        (
            Box::new(json(json!({ "message": "not found" }))),
            no_resource,
        ),
        (Box::new(|| Err(HttpError::TooLarge)), OauthError::TooLarge),
        (Box::new(|| Err(HttpError::Timeout)), timeout),
    ];
    for (trouble, told) in troubles {
        let about = r#"Bearer resource_metadata="https://mcp.example/about""#;
        let (found, asked) = discover([
            challenge(about),
            trouble(),
            trouble(),
            description(json!({ "resource": "https://mcp.example" })),
            metadata("https://id.example/tenant", json!({})),
        ]);
        assert_eq!(found.unwrap().id, "https://mcp.example", "{asked:?}");
        // Nor does it keep a server without a description from being its own login server.
        let own = metadata("https://mcp.example", json!({}));
        let (found, _) = discover([challenge("Bearer"), trouble(), absent(), own]);
        assert_eq!(found.unwrap().server.issuer, url("https://mcp.example"));
        // It is told where nothing else is found.
        let nothing = [(); 3].map(|()| absent());
        let (found, _) = discover(
            [challenge("Bearer"), trouble(), absent()]
                .into_iter()
                .chain(nothing),
        );
        assert_eq!(found.unwrap_err(), told);
    }
}

#[test]
fn what_is_not_needed_and_cannot_be_used_is_left_out() {
    let issuer = "https://id.example/tenant";
    for bad in [
        json!("/relative"),
        json!("http://id.example/plain"),
        json!(""),
        json!(7),
        json!(["https://id.example"]),
        json!({}),
    ] {
        for field in [
            "device_authorization_endpoint",
            "revocation_endpoint",
            "userinfo_endpoint",
            "jwks_uri",
            "registration_endpoint",
        ] {
            let (found, _) = discover([
                challenge("Bearer"),
                description(json!({})),
                metadata(issuer, json!({ field: bad })),
            ]);
            let server = found.unwrap_or_else(|error| panic!("{field} {bad}: {error}"));
            let server = server.server;
            assert_eq!(server.token_endpoint, Some(url("https://id.example/token")));
            let left = [
                server.device_authorization_endpoint,
                server.revocation_endpoint,
                server.userinfo_endpoint,
                server.jwks_uri,
                server
                    .registration_endpoint
                    .filter(|_| field == "registration_endpoint"),
            ];
            assert_eq!(left, [const { None }; 5], "{field} {bad}");
        }
        // A page to sign in on is not needed where a code can be entered elsewhere.
        let device = json!({
            "authorization_endpoint": bad,
            "device_authorization_endpoint": "https://id.example/device",
        });
        let (found, _) = discover([
            challenge("Bearer"),
            description(json!({})),
            metadata(issuer, device),
        ]);
        assert_eq!(found.unwrap().server.authorization_endpoint, None, "{bad}");
        // What the user has named is not needed either.
        let configured = Server {
            authorization_endpoint: Some(url("https://id.example/a")),
            token_endpoint: Some(url("https://id.example/t")),
            ..Server::default()
        };
        let both = json!({ "authorization_endpoint": bad, "token_endpoint": bad });
        let (found, _) = discover_as(
            &configured,
            [
                challenge("Bearer"),
                description(json!({})),
                metadata(issuer, both),
            ],
        );
        assert!(found.is_ok(), "{bad}: {found:?}");
    }
}

#[test]
fn a_login_server_has_the_names_and_the_place_that_the_user_says() {
    let issuer = "https://login.behind.example";
    let answers = || {
        [
            challenge("Bearer"),
            description(json!({})),
            metadata(issuer, json!({})),
        ]
    };
    let (found, _) = discover(answers());
    assert_eq!(
        found.unwrap_err(),
        OauthError::IssuerMismatch {
            expected: "https://id.example/tenant".to_owned(),
            found: issuer.to_owned(),
        }
    );
    let mut named = Server::default();
    named.dialect.issuers = vec![url("https://third.example"), url(issuer)];
    assert!(discover_as(&named, answers()).0.is_ok());
    let mut any = Server::default();
    any.dialect.any_issuer = true;
    assert!(discover_as(&any, answers()).0.is_ok());
    let mut other = Server::default();
    other.dialect.issuers = vec![url("https://third.example")];
    assert!(discover_as(&other, answers()).0.is_err());
    let mut elsewhere = Server::default();
    elsewhere.dialect.discovery = Discovery::Document {
        url: Some(url("https://10.0.0.7/own")),
        key: Some("server".to_owned()),
    };
    // The user names a host of the local network: what lies there is theirs to know.
    let nested = json!({ "server": {
        "issuer": "https://id.example/tenant",
        "authorization_endpoint": "https://id.example/authorize",
        "token_endpoint": "https://10.0.0.7/token",
        "code_challenge_methods_supported": ["S256"],
    }});
    let (found, asked) = discover_as(
        &elsewhere,
        [challenge("Bearer"), description(json!({})), ok(nested)],
    );
    assert_eq!(
        found.unwrap().server.token_endpoint,
        Some(url("https://10.0.0.7/token"))
    );
    assert_eq!(asked.last().unwrap(), "https://10.0.0.7/own");
    // No more than that origin is named by it.
    let beside = json!({ "server": {
        "issuer": "https://id.example/tenant",
        "authorization_endpoint": "https://id.example/authorize",
        "token_endpoint": "https://10.0.0.7/token",
        "registration_endpoint": "https://10.0.0.7:8443/admin",
        "code_challenge_methods_supported": ["S256"],
    }});
    let (found, _) = discover_as(
        &elsewhere,
        [challenge("Bearer"), description(json!({})), ok(beside)],
    );
    assert_eq!(
        found.unwrap_err(),
        OauthError::OutOfBounds {
            server: "https://mcp.example".to_owned(),
            url: "https://10.0.0.7:8443".to_owned(),
        }
    );
}

#[test]
fn scopes_that_the_login_server_does_not_list_are_not_registered() {
    let server = Metadata {
        scopes: vec!["openid".to_owned()],
        ..registrar(json!(null))
    };
    let (_, sent) = registered(&server, ok(json!({ "client_id": "app" })));
    assert_eq!(sent["scope"], json!(null));
}

/// The registration endpoint's server, with these ways of authentication.
fn registrar(client_auth: Value) -> Metadata {
    let changes = json!({ "token_endpoint_auth_methods_supported": client_auth });
    let (found, _) = discover([
        challenge("Bearer"),
        absent(),
        absent(),
        metadata("https://mcp.example", changes),
    ]);
    found.unwrap().server
}

fn registered(server: &Metadata, answer: Answer) -> (Result<String, OauthError>, Value) {
    let http = Script::new([answer]);
    let back = url("http://127.0.0.1:1455/callback");
    let found = run(register(&http, server, &back, &["read".to_owned()]));
    let request = http.only();
    assert_eq!(request.method(), "POST");
    assert_eq!(request.headers()["content-type"], "application/json");
    let found = found.map(|found| {
        let secret = found.client.secret.as_ref().map(show).unwrap_or_default();
        let ends_at = found.secret_ends_at.unwrap_or_default();
        format!(
            "{} {:?} {secret} {ends_at}",
            found.client.id, found.client.auth
        )
    });
    (found, serde_json::from_slice(request.body()).unwrap())
}

#[test]
fn a_client_is_registered_under_our_own_name_for_the_port_that_we_listen_on() {
    let (found, sent) = registered(&registrar(json!(null)), ok(json!({ "client_id": "app" })));
    assert_eq!(found.unwrap(), "app None  0");
    assert_eq!(
        sent,
        json!({
            "client_name": "provider-auth",
            "redirect_uris": ["http://127.0.0.1:1455/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
            "scope": "read",
        })
    );
}

#[test]
fn a_client_of_a_server_with_device_logins_is_registered_for_those_too() {
    let server = Metadata {
        device_authorization_endpoint: Some(url("https://id.example/device")),
        ..registrar(json!(null))
    };
    let (_, sent) = registered(&server, ok(json!({ "client_id": "app" })));
    assert_eq!(
        sent["grant_types"][2],
        "urn:ietf:params:oauth:grant-type:device_code"
    );
}

#[test]
fn what_the_server_registers_is_what_counts() {
    let all = json!([
        "private_key_jwt",
        "client_secret_post",
        "client_secret_basic"
    ]);
    for (known, asked) in [
        (json!(["client_secret_basic", "none"]), "none"),
        (json!(["client_secret_post"]), "client_secret_post"),
        (json!([]), "none"),
        (all, "client_secret_basic"),
    ] {
        let (_, sent) = registered(&registrar(known), ok(json!({ "client_id": "app" })));
        assert_eq!(sent["token_endpoint_auth_method"], asked);
    }
    let server = registrar(json!(null));
    for (answer, expect) in [
        (
            json!({ "client_secret": "s", "client_secret_expires_at": 0 }),
            "app Basic s 0",
        ),
        (
            json!({ "client_secret": "s", "client_secret_expires_at": 1800000000 }),
            "app Basic s 1800000000",
        ),
        (
            json!({ "client_secret": "s", "token_endpoint_auth_method": "client_secret_post" }),
            "app Post s 0",
        ),
        (
            json!({ "client_secret": "s", "token_endpoint_auth_method": "none" }),
            "app None s 0",
        ),
        (
            json!({ "client_secret": null, "token_endpoint_auth_method": "client_secret_basic" }),
            "app None  0",
        ),
        (
            json!({ "client_secret": "", "token_endpoint_auth_method": "", "client_secret_expires_at": "" }),
            "app None  0",
        ),
        (
            json!({ "client_secret": " ", "token_endpoint_auth_method": "none" }),
            "app None  0",
        ),
        (
            json!({ "client_secret": "s", "token_endpoint_auth_method": "", "client_secret_expires_at": "1800000000" }),
            "app Basic s 1800000000",
        ),
        (
            json!({ "client_secret": "s", "client_secret_expires_at": 1800000000.5 }),
            "app Basic s 1800000000",
        ),
        (
            json!({ "client_secret": "s", "client_secret_expires_at": "0" }),
            "app Basic s 0",
        ),
    ] {
        let answer = changed(json!({ "client_id": "app" }), answer);
        assert_eq!(registered(&server, ok(answer)).0.unwrap(), expect);
    }
}

#[test]
fn a_registration_that_cannot_be_used_says_why() {
    let server = registrar(json!(null));
    let malformed = |field| OauthError::Malformed { field };
    for (answer, expect) in [
        (
            (
                400,
                r#"{"error":"invalid_redirect_uri","error_description":"no \u001bhttp"}"#,
            )
                .into_answer(),
            OauthError::Rejected {
                status: 400,
                error: Some("invalid_redirect_uri".to_owned()),
                description: Some("no http".to_owned()),
            },
        ),
        (ok(json!({})), malformed("client_id")),
        (ok(json!({ "client_id": "" })), malformed("client_id")),
        (ok(json!({ "client_id": 7 })), malformed("client_id")),
        (ok(json!({ "client_id": "a\nb" })), malformed("client_id")),
        (
            ok(json!({ "client_id": "x".repeat(5000) })),
            malformed("client_id"),
        ),
        (
            ok(json!({ "client_id": "app", "client_secret": 7 })),
            malformed("client_secret"),
        ),
        (
            ok(
                json!({ "client_id": "app", "client_secret": "s", "token_endpoint_auth_method": "private_key_jwt" }),
            ),
            malformed("token_endpoint_auth_method"),
        ),
        (Err(HttpError::TooLarge), OauthError::TooLarge),
    ] {
        assert_eq!(registered(&server, answer).0.unwrap_err(), expect);
    }
    let none = Metadata {
        registration_endpoint: None,
        ..server
    };
    let http = Script::new::<Answer>([]);
    let error = run(register(&http, &none, &url("http://127.0.0.1/"), &[])).unwrap_err();
    assert_eq!(
        error,
        OauthError::MissingEndpoint {
            which: "registration endpoint"
        }
    );
}
