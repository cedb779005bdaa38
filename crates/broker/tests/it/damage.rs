//! A shared state that is damaged: what it says is believed or not, and no account is harmed.

use std::fs;

use provider_auth_broker::{AuthRequest, Filter};

use crate::world::{World, bearer, request};

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
