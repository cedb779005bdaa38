//! The claims of a process, as a new connection asserts them.

use std::collections::HashMap;

use provider_auth_vault::RecordId;
use tokio::time::Instant;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::{error::Failure, line::Line, row::wait, sql};

/// Which claim: drawn at random.
pub(crate) type Nonce = [u8; 16];

/// A claim that was asked for.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) nonce: Nonce,
    pub(crate) granted: Option<Granted>,
}

/// What the row says of a claim.
#[derive(Clone)]
pub(crate) struct Granted {
    pub(crate) generation: i64,
    pub(crate) cookie: Vec<u8>,
    pub(crate) holder: String,
    pub(crate) until: Instant,
}

impl Kept {
    pub(crate) fn asked_for(nonce: Nonce) -> Self {
        Self {
            nonce,
            granted: None,
        }
    }
}

/// Says that these claims are on this connection. Where they are, nothing is written.
pub(crate) async fn assert(
    line: &Line,
    host: Uuid,
    settle: i64,
    claims: &HashMap<RecordId, Kept>,
) -> Result<(), Failure> {
    let now = Instant::now();
    let ids: Vec<String> = claims.keys().map(RecordId::to_string).collect();
    let nonces: Vec<&[u8]> = claims.values().map(|kept| &kept.nonce[..]).collect();
    let granted = || claims.values().map(|kept| kept.granted.as_ref());
    let generations: Vec<i64> = granted()
        .map(|granted| granted.map_or(0, |it| it.generation))
        .collect();
    let cookies: Vec<&[u8]> = granted()
        .map(|granted| granted.map_or(&[][..], |it| &it.cookie))
        .collect();
    let holders: Vec<&str> = granted()
        .map(|granted| granted.map_or("", |it| &it.holder))
        .collect();
    let lasts: Vec<i64> = granted()
        .map(|granted| granted.map_or(0, |it| wait(it.until.saturating_duration_since(now))))
        .collect();
    line.rows(
        sql::ASSERT,
        &[
            (&line.vault, Type::UUID),
            (&host, Type::UUID),
            (&line.session, Type::INT8),
            (&settle, Type::INT8),
            (&ids, Type::TEXT_ARRAY),
            (&nonces, Type::BYTEA_ARRAY),
            (&generations, Type::INT8_ARRAY),
            (&cookies, Type::BYTEA_ARRAY),
            (&holders, Type::TEXT_ARRAY),
            (&lasts, Type::INT8_ARRAY),
        ],
    )
    .await
    .map(drop)
}
