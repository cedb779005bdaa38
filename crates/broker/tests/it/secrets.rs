//! No secret in what can be printed, and none in clear on the disk.

use std::fmt::Debug;

use provider_auth_broker::config::{self, Inline};
use provider_auth_broker::{
    AccountChanges, AuthRequest, Env, Filter, Force, LoginOptions, Method, Report, SecretString,
};
use serde_json::json;

use crate::server::Answer;
use crate::world::{MARK, World, bearer, config as acme, pass, request};

#[tokio::test(start_paused = true)]
async fn debug_output_of_every_public_type_holds_no_secret() {
    let world = World::new();
    let settled = acme(json!({ "clientSecret": format!("{MARK}-client") }));
    let process = world.process_with(settled.clone());
    let id = process.log_in("ann").await;
    process.add_key("a").await;
    let lease = process.lend().await.unwrap();
    assert!(
        bearer(&lease).contains(MARK),
        "the marker is where secrets are"
    );
    let report = Report {
        attempt: lease.attempt.clone(),
        status: Some(429),
        ..Report::default()
    };
    let mut printed = vec![
        text(lease.headers()),
        text(&lease.strip()),
        text(&report),
        text(&process.report(&report).await.unwrap()),
        text(&process.list_accounts(&Filter::default()).await.unwrap()),
        text(&process.pool_status(&Filter::default()).await.unwrap()),
        text(&process.vault_status().await.unwrap()),
        text(&process.providers()),
        text(&process.seen()),
        text(&SecretString::from(MARK)),
    ];
    let options = LoginOptions {
        provider: "acme".to_owned(),
        method: Some(Method::Paste),
        ..LoginOptions::default()
    };
    printed.push(text(&options));
    printed.push(text(&process.start_login(options).await.unwrap()));
    let inline = Inline {
        config: Some(settled),
        ..Inline::default()
    };
    printed.push(text(&inline));
    printed.push(text(&config::load(&Marked, &inline).unwrap()));

    // Errors, with a server that echoes what it was sent.
    let echo = |sent: &str| {
        let body = json!({ "error": sent, "error_description": format!("{sent} {MARK}-client") });
        Answer::Status(400, &[], body.to_string().into_bytes())
    };
    pass(3601).await;
    world.server.script([
        echo(&format!("{MARK}-refresh-1")),
        echo(&format!("code-of-{MARK}")),
    ]);
    let pinned = provider_auth_broker::AuthRequest {
        account: Some(id.clone()),
        ..request()
    };
    let impatient = world.process_with(acme(json!({
        "clientSecret": format!("{MARK}-client"), "rotation": { "maxWaitMs": 0 },
    })));
    let error = impatient.headers(&pinned).await.err().unwrap();
    assert_eq!(error.code(), "REFRESH_FAILED");
    printed.extend([text(&error), error.to_string()]);
    let (number, pasted) = process.started_login(MARK).await;
    let error = process
        .finish_login(number, Some(pasted))
        .await
        .unwrap_err();
    printed.extend([text(&error), error.to_string()]);

    for text in printed {
        assert!(!text.contains(MARK), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_file_of_the_vault_holds_a_secret_or_an_address_in_clear() {
    let world = World::new();
    let process = world.process();
    process.log_in("ann").await;
    process.add_key("a").await;
    pass(3601).await;
    // A note stays behind as well.
    world
        .server
        .script([Answer::Failure(provider_auth_broker::HttpError::Timeout)]);
    process.token().await;
    let lease = process.lend().await.unwrap();
    process.answer(&lease, 429, &[]).await;
    process.rest().await;
    let files = world.files();
    assert!(files.iter().any(|(path, _)| path.ends_with("state.json")));
    for (path, content) in files {
        let content = String::from_utf8_lossy(&content);
        for word in [MARK, "ann", "acme.example"] {
            assert!(!content.contains(word), "{word} in {}", path.display());
        }
    }
}

fn text(value: &dyn Debug) -> String {
    format!("{value:?} {value:#?}")
}

/// An environment in which every secret is set.
struct Marked;

impl Env for Marked {
    fn var(&self, name: &str) -> Option<String> {
        let is_secret = [
            "PROVIDER_AUTH_KEY",
            "PROVIDER_AUTH_PASSPHRASE",
            "OPENCODE_VAULT_KEY",
        ]
        .contains(&name);
        is_secret.then(|| MARK.to_owned())
    }

    fn home_dir(&self) -> Option<std::path::PathBuf> {
        Some("/nowhere".into())
    }

    fn current_dir(&self) -> Option<std::path::PathBuf> {
        Some("/nowhere".into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_repeats_neither_the_token_that_was_issued_before_nor_an_address() {
    let world = World::new();
    let process = world.process();
    let id = process.log_in("ann").await;
    let access = bearer(&process.lend().await.unwrap());
    let access = access.trim_start_matches("Bearer ");
    for words in [
        format!("{access} of ann@mail.example"),
        access.replace('-', "%2D") + " of ann%40mail.example",
        access.replace('-', "\\u002d") + " of ann\\u0040mail.example",
    ] {
        let body = json!({ "error": "policy", "error_description": format!("{words} is locked") });
        let answer = Answer::Status(400, &[], body.to_string().into_bytes());
        world.server.script([answer]);
        let error = process.refresh_account(&id, Force::EvenIfGood).await;
        let shown = text(&error);
        assert_eq!(error.as_ref().unwrap_err().code(), "REFRESH_FAILED");
        assert!(
            shown.contains("policy") && shown.contains("is locked"),
            "{shown}"
        );
        for part in [access, MARK, "mail.example", "ann"] {
            assert!(!shown.contains(part), "{part}: {shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_does_not_repeat_an_address_or_a_key_that_a_call_passed_in() {
    let world = World::new();
    let process = world.process();
    process.add_key("a").await;
    for private in [
        "ann@mail.example",
        "sk-ant-api03-abcdefghijkl",
        "ghp_abcdefghijkl123456",
    ] {
        let unknown = AuthRequest {
            provider: private.to_owned(),
            ..request()
        };
        let pinned = AuthRequest {
            account: Some(private.to_owned()),
            ..request()
        };
        let in_pool = AuthRequest {
            namespace: Some(private.to_owned()),
            ..request()
        };
        let both = AuthRequest {
            account: Some(private.to_owned()),
            ..in_pool.clone()
        };
        let again = AuthRequest {
            retry_of: Some(private.to_owned()),
            ..request()
        };
        let mut errors = Vec::new();
        for asked in [unknown, pinned, in_pool, both, again] {
            errors.push(process.headers(&asked).await.err().unwrap());
        }
        let report = Report {
            attempt: private.to_owned(),
            ..Report::default()
        };
        errors.push(process.report(&report).await.err().unwrap());
        let filter = Filter {
            account: Some(private.to_owned()),
            ..Filter::default()
        };
        errors.push(process.clear_cooldowns(&filter).await.err().unwrap());
        let changes = AccountChanges::default();
        errors.push(
            process
                .update_account(private, changes)
                .await
                .err()
                .unwrap(),
        );
        errors.push(
            process
                .refresh_account(private, Force::EvenIfGood)
                .await
                .err()
                .unwrap(),
        );
        for error in errors {
            let shown = format!(
                "{error:?} {error} {:?} {:?}",
                error.provider(),
                error.account()
            );
            assert!(
                !shown.contains(private) && !shown.contains("mail.example"),
                "{shown}"
            );
        }
    }
}
