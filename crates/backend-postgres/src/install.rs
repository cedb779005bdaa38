//! What is done once: the tables, and a vault in them.

use secrecy::ExposeSecret;
use tokio::{runtime::Handle, time::timeout};
use tokio_postgres::{Client, types::Type};
use uuid::Uuid;

use crate::{
    address::Address,
    error::{BackendError, Failure},
    line::open_bare,
    options::Options,
};

/// Makes the tables, the roles and their rights; running it again changes nothing. For whoever would
/// rather read it and run it by hand.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Runs [`SCHEMA`]. The role of the address may create roles and schemas. Blocks for four times
/// [`Times::call`](crate::Times::call) at most.
pub fn install(options: &Options, runtime: &Handle) -> Result<(), BackendError> {
    once(options, runtime, async |client, _| {
        Ok(client.batch_execute(SCHEMA).await?)
    })
}

/// Makes the vault that the address names; false where there is one of this name or id. The role is
/// an administrator's, and the vault's first member. Blocks as [`install`] does.
pub fn create_vault(
    options: &Options,
    runtime: &Handle,
    id: Uuid,
    epoch: u32,
    header: &[u8],
) -> Result<bool, BackendError> {
    once(options, runtime, async |client, address| {
        let made: Option<bool> = client
            .query_typed(
                "select pa.create_vault($1, $2, $3, $4)",
                &[
                    (&id, Type::UUID),
                    (&address.vault, Type::TEXT),
                    (&header, Type::BYTEA),
                    (&i64::from(epoch), Type::INT8),
                ],
            )
            .await?
            .first()
            .ok_or(Failure::Down)?
            .try_get(0)?;
        Ok(made == Some(true))
    })
}

/// Lets another role of the database see the vault that the address names; false where it does
/// already, or where this role may not see it. Blocks as [`install`] does.
pub fn admit(options: &Options, runtime: &Handle, role: &str) -> Result<bool, BackendError> {
    once(options, runtime, async |client, address| {
        let admitted: Option<bool> = client
            .query_typed(
                "select pa.admit($1, $2::text::name)",
                &[(&address.vault, Type::TEXT), (&role, Type::TEXT)],
            )
            .await?
            .first()
            .ok_or(Failure::Down)?
            .try_get(0)?;
        Ok(admitted == Some(true))
    })
}

/// Does one thing over a connection of its own.
fn once<T>(
    options: &Options,
    runtime: &Handle,
    work: impl AsyncFn(&Client, &Address) -> Result<T, Failure>,
) -> Result<T, BackendError> {
    let address = Address::parse(options.url.expose_secret())?;
    let unavailable = BackendError::Unavailable { retry_at: 0 };
    runtime.block_on(async {
        let done = timeout(options.times.call * 4, async {
            let client = open_bare(&address, options).await?;
            work(&client, &address).await
        });
        match done.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Failure::Final(error))) => Err(error),
            _ => Err(unavailable),
        }
    })
}
