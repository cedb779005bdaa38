//! What processes share, damaged: what it says is believed or not, and no account is harmed.

use std::fs;

use provider_auth_broker::{AuthRequest, Filter};

use crate::world::{Process, World, bearer, pass, request};

/// A file in every damaged form: each byte changed, each shorter length.
fn damaged(whole: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let flipped = (0..whole.len()).map(|at| {
        let mut file = whole.to_vec();
        file[at] ^= 1;
        (format!("byte {at}"), file)
    });
    let cut = (0..whole.len()).map(|length| (format!("cut to {length}"), whole[..length].to_vec()));
    flipped.chain(cut)
}

#[tokio::test(start_paused = true)]
async fn a_state_damaged_anywhere_costs_cooldowns_and_no_account() {
    let world = World::new();
    let one = world.impatient_process();
    let resting = one.add_key("resting").await;
    let limited = one.lend().await.unwrap();
    one.answer(&limited, 429, &[("retry-after", "600")]).await;
    let key = one.add_key("key").await;
    let login = one.log_in("ada").await;
    one.token().await;
    one.rest().await;
    let file = world.vault_dir().join("state.json");
    let whole = fs::read(&file).unwrap();

    let pinned = |id: &str| AuthRequest {
        account: Some(id.to_owned()),
        ..request()
    };
    let login_token = bearer(&one.headers(&pinned(&login)).await.unwrap());
    let expected = [
        (&resting, "S3CRET-key-resting"),
        (&key, "S3CRET-key-key"),
        (&login, &login_token),
    ];
    let mut forgotten = 0;
    for (what, damage) in damaged(&whole) {
        fs::write(&file, &damage).unwrap();
        let process = world.impatient_process();
        let accounts = process.list_accounts(&Filter::default()).await.unwrap();
        let ids: Vec<_> = accounts.iter().map(|account| &account.id).collect();
        assert_eq!(ids, [&resting, &key, &login], "{what}");
        for (id, secret) in expected {
            match process.headers(&pinned(id)).await {
                Ok(lease) => {
                    assert_eq!(bearer(&lease), secret, "{what}");
                    forgotten += usize::from(id == &resting);
                }
                Err(error) => {
                    assert_eq!((error.code(), id), ("EXHAUSTED", &resting), "{what}");
                }
            }
        }
    }
    // Most of it shows: a file that is no JSON any more is forgotten.
    assert!(forgotten > whole.len(), "{forgotten} of {}", whole.len());
}

/// What may lie in the place of a file that processes share, and is none.
fn foreign() -> impl Iterator<Item = (String, Vec<u8>)> {
    const TOO_LONG: usize = 16 * 1024 * 1024 + 1;
    let texts = [
        "null",
        "[]",
        "7",
        "{}",
        r#"{"bindings":[]}"#,
        "PK\u{3}\u{4}",
    ];
    let named = texts.map(|text| (format!("foreign: {text}"), text.as_bytes().to_vec()));
    let long = ("too long".to_owned(), vec![b' '; TOO_LONG]);
    named.into_iter().chain([long])
}

#[tokio::test(start_paused = true)]
async fn a_history_damaged_anywhere_costs_bindings_and_no_cooldown() {
    let world = World::new();
    let one = world.impatient_process();
    let resting = one.add_key("resting").await;
    let limited = one.lend().await.unwrap();
    one.answer(&limited, 429, &[("retry-after", "600")]).await;
    for name in ["a", "b"] {
        one.add_key(name).await;
    }
    let talk = || AuthRequest {
        session: Some("talk".to_owned()),
        ..request()
    };
    let begun = one.headers(&talk()).await.unwrap();
    let first = begun.account_id().to_owned();
    one.answer(&begun, 429, &[("retry-after", "20")]).await;
    let moved = one.headers(&talk()).await.unwrap();
    one.answer(&moved, 200, &[]).await;
    let moved = moved.account_id().to_owned();
    one.rest().await;
    pass(30).await;

    let file = world.vault_dir().join("history.json");
    let whole = fs::read(&file).unwrap();
    let served_by = async |process: &Process| {
        let lease = process.headers(&talk()).await.unwrap();
        lease.account_id().to_owned()
    };
    assert_eq!(served_by(&world.impatient_process()).await, moved);
    let pinned = AuthRequest {
        account: Some(resting.clone()),
        ..request()
    };
    let (mut forgotten, mut unharmed) = (0, 0);
    for (what, damage) in damaged(&whole).chain(foreign()) {
        fs::write(&file, &damage).unwrap();
        let process = world.impatient_process();
        let account = served_by(&process).await;
        assert!(account == first || account == moved, "{what}: {account}");
        forgotten += usize::from(account == first);
        unharmed += usize::from(account == moved);
        let refused = process.headers(&pinned).await.err().unwrap();
        assert_eq!(refused.code(), "EXHAUSTED", "{what}");
    }
    // A digit of a count that is another one costs no binding; a file that is not JSON costs all.
    assert!(forgotten > whole.len(), "{forgotten} of {}", whole.len());
    assert!(unharmed > 0);

    // The next conversation is written down again, for all.
    let process = world.impatient_process();
    let lease = process.headers(&talk()).await.unwrap();
    process.answer(&lease, 429, &[("retry-after", "20")]).await;
    let again = process.headers(&talk()).await.unwrap();
    process.answer(&again, 200, &[]).await;
    process.rest().await;
    pass(30).await;
    let other = world.impatient_process();
    assert_eq!(served_by(&other).await, again.account_id());
    assert!(fs::metadata(&file).unwrap().len() < 4_096);
}
