//! What is done once: the tables, and a vault in them.

use secrecy::ExposeSecret;
use tokio::{runtime::Handle, time::timeout};
use tokio_postgres::{Client, types::Type};
use uuid::Uuid;

use crate::{
    address::Address,
    clock::now_ms,
    error::{BackendError, Failure, SCHEMA_VERSION, wrong_schema},
    limits,
    line::open_bare,
    options::Options,
};

/// Makes the tables, the roles and their rights; running it again changes nothing. For whoever would
/// rather read it and run it by hand.
pub const SCHEMA: &str = include_str!("schema.sql");

/// How a database stands for the vault that an address names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Names servers, database and vault, without user and password.
    pub place: String,
    /// The version of its tables; `None` where there are none.
    pub schema: Option<u32>,
    /// Whether it has the vault, and shows it to this role.
    pub has_vault: bool,
    /// Whether this role may make vaults and admit roles to them.
    pub is_admin: bool,
}

/// Looks how a database stands. Needs no rights in it; blocks as [`install`] does.
///
/// # Errors
/// [`BackendError::Schema`] for tables of another version.
pub fn look(options: &Options, runtime: &Handle) -> Result<Standing, BackendError> {
    once(options, runtime, async |client, address| {
        let found = client
            .query_typed(
                "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'pa' and c.relname = 'vault'),
                        coalesce((select has_schema_privilege(n.oid, 'usage') from pg_namespace n where n.nspname = 'pa'), false),
                        coalesce((select pg_has_role(r.oid, 'usage') from pg_roles r where r.rolname = 'pa_admin'), false)",
                &[],
            )
            .await?;
        let found = found.first().ok_or(Failure::Down)?;
        let (has_tables, may_look, is_admin) =
            (found.try_get(0)?, found.try_get(1)?, found.try_get(2)?);
        let mut standing = Standing {
            place: address.name(),
            schema: None,
            has_vault: false,
            is_admin,
        };
        if has_tables {
            standing.schema = Some(SCHEMA_VERSION);
        }
        if has_tables && may_look {
            let vault = client
                .query_typed(
                    "select schema from pa.vault where name = $1",
                    &[(&address.vault, Type::TEXT)],
                )
                .await?;
            if let Some(vault) = vault.first() {
                let schema: i32 = vault.try_get(0)?;
                let schema = u32::try_from(schema).unwrap_or_default();
                if schema != SCHEMA_VERSION {
                    return Err(wrong_schema(schema));
                }
                standing.has_vault = true;
            }
        }
        Ok(standing)
    })
}

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
        admitted(client, address, role).await
    })
}

/// Like [`admit`], and gives the role the rights of a host where it has none; false where nothing was to
/// be done. Blocks as [`install`] does.
///
/// # Errors
/// [`BackendError::Refused`] where that role does not exist.
pub fn admit_host(options: &Options, runtime: &Handle, role: &str) -> Result<bool, BackendError> {
    once(options, runtime, async |client, address| {
        let known = client
            .query_typed(
                "select pg_has_role(r.oid, 'pa_host', 'member') from pg_roles r where r.rolname = $1",
                &[(&role, Type::TEXT)],
            )
            .await?;
        let Some(known) = known.first() else {
            let why = format!(
                "it has no role {role}: make it with `create role {} login`",
                quoted(role)
            );
            return Err(Failure::refused(why));
        };
        let has_rights: bool = known.try_get(0)?;
        if !has_rights {
            client.batch_execute(&lend_rights(role)).await?;
        }
        Ok(admitted(client, address, role).await? || !has_rights)
    })
}

/// The statement that gives a role the rights of a host.
pub fn lend_rights(role: &str) -> String {
    format!("grant pa_host to {};", quoted(role))
}

/// The statement that lets a role see the vault that an address names, for a member of that vault.
///
/// # Errors
/// [`BackendError::Refused`] where the address cannot be used.
pub fn admission(options: &Options, role: &str) -> Result<String, BackendError> {
    let address = Address::parse(options.url.expose_secret())?;
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    Ok(format!(
        "select pa.admit({}, {});",
        literal(&address.vault),
        literal(role)
    ))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn admitted(client: &Client, address: &Address, role: &str) -> Result<bool, Failure> {
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
}

/// Does one thing over a connection of its own.
fn once<T>(
    options: &Options,
    runtime: &Handle,
    work: impl AsyncFn(&Client, &Address) -> Result<T, Failure>,
) -> Result<T, BackendError> {
    let address = Address::parse(options.url.expose_secret())?;
    let pause = u64::try_from(limits::RETRY_AFTER.as_millis()).unwrap_or(0);
    runtime.block_on(async {
        let done = timeout(options.times.call * 4, async {
            let client = open_bare(&address, options).await?;
            work(&client, &address).await
        });
        match done.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Failure::Final(error))) => Err(error),
            _ => Err(BackendError::Unavailable {
                retry_at: now_ms() + pause,
            }),
        }
    })
}
