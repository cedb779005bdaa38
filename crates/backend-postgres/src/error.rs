//! What can go wrong, by what one can do about it. No message quotes what a server said: that may
//! name users, and servers echo what they were sent.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

/// Why the database did not do what was asked. It holds no password, user or URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The database cannot be reached, is busy, or has only just come back. Nothing is known to
    /// have been written.
    #[error("the database does not answer now: ask again later")]
    Unavailable {
        /// When to ask again, in ms since the Unix epoch, by the database's clock as far as it is
        /// known.
        retry_at: u64,
    },
    /// Asking again does not help: a person must mend it.
    #[error("the database refuses: {why}")]
    Refused {
        /// What is wrong.
        why: String,
    },
    /// The tables are of a version that this one cannot use, or are not there (0).
    #[error("the database has schema {found}, and {wanted} is needed")]
    Schema {
        /// The version that is there; 0 where there is none.
        found: u32,
        /// The version that this library writes.
        wanted: u32,
    },
    /// The database has no vault of this name, or does not show it to this role.
    #[error("the database has no vault of this name, or this role may not see it")]
    Absent,
}

/// Why a single try failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The line broke or the server is busy: the same may work in a moment.
    Down,
    /// Not before this time of the database, in ms since the Unix epoch.
    Later(u64),
    /// For good.
    Final(BackendError),
}

impl Failure {
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Final(BackendError::Refused { why: why.into() })
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) => of_code(code),
            None if is_tls(&error) => Self::refused("its certificate is not trusted for this name"),
            None if error.is_closed() || is_io(&error) => Self::Down,
            None => Self::refused(
                "it does not speak TLS, or asks for a password and none is set, or is not PostgreSQL",
            ),
        }
    }
}

fn of_code(code: &SqlState) -> Failure {
    let refused = |why: &str| Failure::refused(format!("{why} (SQLSTATE {})", code.code()));
    match (code.code(), code.code().get(..2)) {
        // A pooler, or a server that starts, says so for a line that works in a moment.
        (_, Some("08" | "40" | "53" | "55" | "57" | "58" | "25")) => Failure::Down,
        ("42P01" | "3F000" | "42703" | "42883", _) => no_schema(),
        (_, Some("28")) => refused("this user or password is not accepted"),
        ("3D000", _) => refused("there is no database of this name"),
        ("42501", _) => refused("the role lacks the right to do this"),
        _ => refused("the statement failed"),
    }
}

/// The version of the schema that this library writes.
pub(crate) const SCHEMA_VERSION: u32 = 1;

fn no_schema() -> Failure {
    wrong_schema(0)
}

pub(crate) fn wrong_schema(found: u32) -> Failure {
    Failure::Final(BackendError::Schema {
        found,
        wanted: SCHEMA_VERSION,
    })
}

fn is_tls(error: &tokio_postgres::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<rustls::Error>() {
            return true;
        }
        // An I/O error does not name as its source what it wraps.
        cause = match inner.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|wrapped| wrapped as _),
            None => inner.source(),
        };
    }
    false
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    error
        .source()
        .is_some_and(|cause| cause.is::<std::io::Error>())
}
