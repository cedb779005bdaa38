//! One connection: opened, verified, asked whether it is direct, and driven.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use provider_auth_vault::RecordId;
use secrecy::ExposeSecret;
use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_postgres::{
    AsyncMessage, Client, Connection, NoTls, Row, RowStream,
    config::Host,
    tls::TlsStream,
    types::{ToSql, Type},
};
use uuid::Uuid;

use crate::{
    address::{Address, Pooler, Target, tls_for},
    error::{BackendError, Failure, SCHEMA_VERSION, wrong_schema},
    limits,
    options::Options,
    row::wait,
};

/// A parameter and its type.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection that works.
pub(crate) struct Line {
    client: Client,
    /// The lock that this connection holds for as long as it lives; `None` where its end proves
    /// nothing of us.
    pub(crate) session: Option<i64>,
    /// Whether changes of others are heard of at once.
    pub(crate) listens: bool,
    pub(crate) vault: Uuid,
    driven: watch::Receiver<()>,
}

/// What a connection is asked for before it knows its vault.
struct Raw {
    client: Client,
    driven: watch::Receiver<()>,
    /// The server's process, whose own notifications are no news.
    own: Arc<AtomicI32>,
    /// Our end of a TCP connection.
    port: Option<u16>,
}

/// Hears of notifications: gets what each says.
pub(crate) type Ear = Arc<dyn Fn(&str) + Send + Sync>;

impl Line {
    /// Connects to the first server that takes writes, and enters the vault.
    pub(crate) async fn open(
        address: &Address,
        options: &Options,
        ear: Ear,
    ) -> Result<Self, Failure> {
        let raw = dial(address, options, ear).await?;
        let session = match is_direct(&raw, address.pooler).await? {
            true => take_session(&raw, options.times.hold).await?,
            false => None,
        };
        let vault = enter(&raw.client, &address.vault).await?;
        Ok(Self {
            client: raw.client,
            session,
            listens: false,
            vault,
            driven: raw.driven,
        })
    }

    /// Listens, where many do not already and a session lasts.
    pub(crate) async fn listen(&mut self, hosts: i64) -> Result<(), Failure> {
        if self.session.is_some() && hosts <= limits::LISTENING_HOSTS {
            let statement = format!("listen {}", channel(self.vault));
            self.client.batch_execute(&statement).await?;
            self.listens = true;
        }
        Ok(())
    }

    /// Runs a statement without a name.
    pub(crate) async fn rows(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Failure> {
        Ok(self.client.query_typed(statement, parameters).await?)
    }

    /// The same, for who reads the first rows while the last ones come.
    pub(crate) async fn stream(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Pin<Box<RowStream>>, Failure> {
        let parameters = parameters.iter().cloned();
        Ok(Box::pin(
            self.client.query_typed_raw(statement, parameters).await?,
        ))
    }

    /// Runs a statement about one record of this vault; `rest` has its parameters from `$3` on.
    pub(crate) async fn about(
        &self,
        id: RecordId,
        statement: &str,
        rest: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let id = id.to_string();
        let mut all: Vec<Parameter<'_>> = vec![(&self.vault, Type::UUID), (&id, Type::TEXT)];
        all.extend(rest.iter().cloned());
        self.rows(statement, &all).await
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Waits until the connection ends.
    pub(crate) async fn ended(&self) {
        // Nothing is ever sent: an error says that the task which drove the connection is gone.
        let _ = self.driven.clone().changed().await;
    }

    pub(crate) fn channel(&self) -> String {
        channel(self.vault)
    }
}

/// Where changes of a vault are told.
fn channel(vault: Uuid) -> String {
    format!("pa_{}", vault.simple())
}

/// Connects as the owner of a database does, who need not have a vault yet.
pub(crate) async fn open_bare(address: &Address, options: &Options) -> Result<Client, Failure> {
    Ok(dial(address, options, Arc::new(|_| ())).await?.client)
}

async fn dial(address: &Address, options: &Options, ear: Ear) -> Result<Raw, Failure> {
    let asked = options.password.clone();
    let password = tokio::task::spawn_blocking(move || asked())
        .await
        .map_err(|_| Failure::refused("its password could not be had"))?
        .map_err(Failure::refused)?;
    let password = password.as_ref().map(ExposeSecret::expose_secret);
    let mut last = Failure::Down;
    for target in &address.targets {
        let one = reach(address, target, password, options, ear.clone());
        match timeout(options.times.call, one).await {
            Ok(Ok(raw)) => return Ok(raw),
            // Of several, the one that says most about what to mend.
            Ok(Err(failure)) if last == Failure::Down => last = failure,
            _ => (),
        }
    }
    Err(last)
}

async fn reach(
    address: &Address,
    target: &Target,
    password: Option<&str>,
    options: &Options,
    ear: Ear,
) -> Result<Raw, Failure> {
    let config = address.config_for(target, password);
    let raw = match &target.host {
        #[cfg(unix)]
        Host::Unix(folder) => {
            let path = folder.join(format!(".s.PGSQL.{}", target.port));
            let stream = tokio::net::UnixStream::connect(path)
                .await
                .map_err(|_| Failure::Down)?;
            let (client, connection) = config.connect_raw(stream, NoTls).await?;
            drive(client, connection, ear, None)
        }
        Host::Tcp(name) => {
            let stream = TcpStream::connect((name.as_str(), target.port))
                .await
                .map_err(|_| Failure::Down)?;
            let port = stream.local_addr().ok().map(|address| address.port());
            let _ = stream.set_nodelay(true);
            let keepalive = TcpKeepalive::new()
                .with_time(limits::KEEPALIVE)
                .with_interval(limits::KEEPALIVE / 3);
            let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
            match tls_for(target, &options.tls) {
                Some(tls) => {
                    let (client, connection) = config.connect_raw(stream, tls).await?;
                    drive(client, connection, ear, port)
                }
                None => {
                    let (client, connection) = config.connect_raw(stream, NoTls).await?;
                    drive(client, connection, ear, port)
                }
            }
        }
    };
    let row = one(
        &raw.client,
        "select current_setting('transaction_read_only')::bool, pg_backend_pid()",
        &[],
    )
    .await?;
    if row.try_get(0)? {
        // A standby, or a primary that is about to be one.
        return Err(Failure::Down);
    }
    raw.own.store(row.try_get(1)?, Ordering::Relaxed);
    Ok(raw)
}

fn drive<S, T>(client: Client, mut connection: Connection<S, T>, ear: Ear, port: Option<u16>) -> Raw
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: TlsStream + Unpin + Send + 'static,
{
    let (driving, driven) = watch::channel(());
    let own = Arc::new(AtomicI32::new(0));
    let mine = own.clone();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            match message {
                AsyncMessage::Notification(told)
                    if told.process_id() != mine.load(Ordering::Relaxed) =>
                {
                    ear(told.payload())
                }
                _ => (),
            }
        }
        drop(driving);
    });
    Raw {
        client,
        driven,
        own,
        port,
    }
}

/// Whether the server's session is ours alone, so that its end tells our end. Through a pooler the
/// server sees the pooler's port.
async fn is_direct(raw: &Raw, pooler: Pooler) -> Result<bool, Failure> {
    match (pooler, raw.port) {
        (Pooler::Transaction, _) | (Pooler::Detect, None) => Ok(false),
        (Pooler::None, _) => Ok(true),
        (Pooler::Detect, Some(port)) => {
            let seen: Option<i32> = one(&raw.client, "select inet_client_port()", &[])
                .await?
                .try_get(0)?;
            Ok(seen == Some(i32::from(port)))
        }
    }
}

/// Takes a lock that ends with this session, under a key of its own, and has the server keep a
/// silent session for longer than a claim lasts: then one that ends earlier was closed by the kernel
/// of its process. `None` where the server cannot be told so.
async fn take_session(raw: &Raw, hold: Duration) -> Result<Option<i64>, Failure> {
    const TAKE: &str = "select pg_try_advisory_lock($1), set_config('tcp_keepalives_idle', $2, false),
         set_config('tcp_keepalives_interval', '1', false), set_config('tcp_user_timeout', $3, false),
         set_config('statement_timeout', '5s', false), set_config('idle_in_transaction_session_timeout', '5s', false)";
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| Failure::Down)?;
    let key = i64::from_le_bytes(random);
    // The server gives a silent session up at its second question, a second after the first.
    let seconds = hold.as_secs() + 1;
    let (idle, silent) = (seconds.to_string(), (seconds * 1000).to_string());
    let parameters: [Parameter<'_>; 3] = [
        (&key, Type::INT8),
        (&idle, Type::TEXT),
        (&silent, Type::TEXT),
    ];
    let row = one(&raw.client, TAKE, &parameters).await?;
    // What `set_config` returns is what the kernel then says.
    let kept = |column: usize| -> Result<i64, Failure> {
        Ok(row.try_get::<_, &str>(column)?.parse().unwrap_or(0))
    };
    let is_kept = raw.port.is_none() || (kept(1)? * 1000 > wait(hold) && kept(3)? > wait(hold));
    Ok((is_kept && row.try_get(0)?).then_some(key))
}

async fn enter(client: &Client, name: &str) -> Result<Uuid, Failure> {
    let found = client
        .query_typed(
            "select id, schema from pa.vault where name = $1",
            &[(&name, Type::TEXT)],
        )
        .await?;
    let Some(row) = found.first() else {
        return Err(Failure::Final(BackendError::Absent));
    };
    let schema: i32 = row.try_get(1)?;
    let schema = u32::try_from(schema).unwrap_or(0);
    // The next version only adds.
    if schema != SCHEMA_VERSION && schema != SCHEMA_VERSION + 1 {
        return Err(wrong_schema(schema));
    }
    Ok(row.try_get(0)?)
}

async fn one(
    client: &Client,
    statement: &str,
    parameters: &[Parameter<'_>],
) -> Result<Row, Failure> {
    let mut rows = client.query_typed(statement, parameters).await?;
    rows.pop().ok_or(Failure::Down)
}
