//! What changed since a mark: names and numbers. The bytes are asked for when they are used.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use provider_auth_vault::RecordId;
use tokio_postgres::types::Type;

use crate::{
    backend::PostgresBackend,
    error::{BackendError, Failure},
    hearing::Mark,
    line::{Line, Parameter},
    poll::read_mark,
    row::{Stored, Transaction},
    sql,
    state::Versioned,
};

/// The first rows of both statements: where to go on from, and how often the header was written.
macro_rules! mark {
    () => {
        "select 'm', pg_snapshot_xmin(pg_current_snapshot())::text, pa.incarnation(),
            $2 <> pa.incarnation() or $3::text = '0', null::xid8, 0, null::bytea
         union all
         select 'h', '', version, false, null, 0, null from pa.vault where id = $1
         union all "
    };
}

/// `$2` server and `$3` transaction of the mark, which is of this start of the server, or else only the first row counts;
/// `$4` names of which the bytes are wanted too. The mark is a parameter and nothing that the server works out, so that it
/// plans a search of the index. It plans this each time, which costs more than to run it: so it does not branch for
/// a mark of another start.
const CHANGES: &str = concat!(
    mark!(),
    "select 'd', a.id, r.generation, false, null, 0, null from pa.aside a cross join lateral (
         select generation, changed, sealed from pa.record
         where vault = $1 and id = a.id and generation = a.generation offset 0) r
       where a.vault = $1 and r.changed >= $3::text::xid8 and a.digest = sha256(r.sealed)
     union all
     select 'r', id, generation, gone_at is not null, changed, epoch, case when id = any($4) then sealed end
       from pa.record where vault = $1 and changed >= $3::text::xid8
     union all
     select 's', key, version, false, null, 0, case when key = any($4) then sealed end
       from pa.state where vault = $1 and changed >= $3::text::xid8 and key <> '+'"
);

/// Names everything; has the parameters of [`CHANGES`].
const ALL: &str = concat!(
    mark!(),
    "select 'd', a.id, r.generation, false, null, 0, null from pa.aside a cross join lateral (
         select generation, sealed from pa.record
         where vault = $1 and id = a.id and generation = a.generation offset 0) r
       where a.vault = $1 and a.digest = sha256(r.sealed)
     union all
     select 'r', id, generation, gone_at is not null, changed, epoch, null from pa.record where vault = $1
     union all
     select 's', key, version, false, null, 0, null from pa.state where vault = $1 and key <> '+'"
);

/// What is there and was written since a mark. What a reader knows already may be among it: the
/// generation tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Where to go on from.
    pub mark: Mark,
    /// Whether this is everything there is: the mark was the start, or of another start of the server.
    pub is_all: bool,
    /// How often the header was written.
    pub header: u64,
    /// Records, by generation.
    pub records: Vec<Changed>,
    /// Records whose bytes were set aside as damaged, and are still in their place; by generation.
    pub damaged: Vec<(RecordId, u64)>,
    /// Entries of the shared state, by version.
    pub state: Vec<(String, u64)>,
    /// The bytes of some of the records.
    pub(crate) bytes: Vec<(RecordId, Vec<u8>)>,
    /// The bytes of some of the entries.
    pub(crate) entries: Vec<(String, Versioned)>,
}

impl Changes {
    /// Goes on to what was asked for from this mark on.
    pub(crate) fn go_on(&mut self, later: Self) {
        if later.is_all {
            *self = later;
            return;
        }
        let named: BTreeSet<RecordId> = later.records.iter().map(|one| one.id).collect();
        self.records.retain(|one| !named.contains(&one.id));
        self.records.extend(later.records);
        self.bytes.retain(|(id, _)| !named.contains(id));
        self.bytes.extend(later.bytes);
        self.damaged.retain(|(id, _)| !named.contains(id));
        self.damaged.extend(later.damaged);
    }
}

/// A record that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The record.
    pub id: RecordId,
    /// As which generation.
    pub generation: u64,
    /// Under which data key.
    pub epoch: u32,
    /// By which transaction.
    pub changed: u64,
    /// Whether it was removed.
    pub gone: bool,
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl PostgresBackend {
    /// Returns what changed since a mark, and the next mark. None is ever missed, however writers
    /// commit; after a restart or failover of the server everything is named again.
    pub fn changes(&self, since: Mark) -> Result<Changes, BackendError> {
        self.changes_with(since, &BTreeSet::new())
    }

    /// The same, with the bytes of what has one of these names: all of one moment.
    pub(crate) fn changes_with(
        &self,
        since: Mark,
        names: &BTreeSet<String>,
    ) -> Result<Changes, BackendError> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.ask(async |line| {
            if since != Mark::START {
                let changes = ask(line, CHANGES, since, &names).await?;
                if !changes.is_all {
                    return Ok(changes);
                }
            }
            ask(line, ALL, Mark::START, &[]).await
        })
    }

    /// Returns records as they are now, in the order of their ids; those that are not there are left
    /// out.
    pub fn records(&self, ids: &[RecordId]) -> Result<Vec<Stored>, BackendError> {
        let ids: Vec<String> = ids.iter().map(RecordId::to_string).collect();
        self.stored(sql::RECORDS, &[(&ids, Type::TEXT_ARRAY)])
    }

    /// The same of those that the database sorts between two, both included; `limit` of them. In the locales of some
    /// databases these are not all.
    pub(crate) fn records_between(
        &self,
        (first, last): (RecordId, RecordId),
        limit: usize,
    ) -> Result<Vec<Stored>, BackendError> {
        let (first, last) = (first.to_string(), last.to_string());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rest: [Parameter<'_>; 3] = [
            (&first, Type::TEXT),
            (&last, Type::TEXT),
            (&limit, Type::INT8),
        ];
        self.stored(sql::RECORDS_BETWEEN, &rest)
    }

    /// Runs a statement that shows records of this vault; `rest` has its parameters from `$2` on.
    fn stored(&self, statement: &str, rest: &[Parameter<'_>]) -> Result<Vec<Stored>, BackendError> {
        self.ask(async |line| {
            let mut parameters: Vec<Parameter<'_>> = vec![(&line.vault, Type::UUID)];
            parameters.extend(rest.iter().cloned());
            let rows = line.rows(statement, &parameters).await?;
            rows.iter()
                .filter_map(|row| Stored::read(row, 0).transpose())
                .collect()
        })
    }
}

async fn ask(
    line: &Line,
    statement: &str,
    since: Mark,
    names: &[&str],
) -> Result<Changes, Failure> {
    let transaction = since.transaction.to_string();
    let mut rows = line
        .stream(
            statement,
            &[
                (&line.vault, Type::UUID),
                (&since.server, Type::INT8),
                (&transaction, Type::TEXT),
                (&names, Type::TEXT_ARRAY),
            ],
        )
        .await?;
    let mut changes = Changes {
        mark: Mark::START,
        is_all: false,
        header: 0,
        records: Vec::new(),
        damaged: Vec::new(),
        state: Vec::new(),
        bytes: Vec::new(),
        entries: Vec::new(),
    };
    while let Some(row) = rows.try_next().await? {
        let (kind, name, number): (&str, &str, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        match kind {
            "m" => {
                changes.mark = read_mark(number, name);
                changes.is_all = row.try_get(3)?;
            }
            "h" => changes.header = unsigned(number),
            "d" => {
                let damaged = name.parse().ok().map(|id| (id, unsigned(number)));
                changes.damaged.extend(damaged);
            }
            "s" => {
                let version = unsigned(number);
                changes.state.push((name.to_owned(), version));
                if let Some(bytes) = row.try_get(6)? {
                    let entry = Versioned { version, bytes };
                    changes.entries.push((name.to_owned(), entry));
                }
            }
            // Our hosts give ids as names.
            _ => {
                let Ok(id) = name.parse() else { continue };
                changes.records.push(Changed {
                    id,
                    generation: unsigned(number),
                    epoch: u32::try_from(row.try_get::<_, i64>(5)?).unwrap_or(u32::MAX),
                    changed: row.try_get::<_, Transaction>(4)?.0,
                    gone: row.try_get(3)?,
                });
                let bytes: Option<Vec<u8>> = row.try_get(6)?;
                changes.bytes.extend(bytes.map(|bytes| (id, bytes)));
            }
        }
    }
    Ok(changes)
}
