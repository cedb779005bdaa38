//! One question that a process asks every few seconds: is there anything new, what time is it, and is
//! this still the server that it was.

use tokio_postgres::types::Type;

use crate::{
    clock::{Clock, uptime},
    error::Failure,
    hearing::{Hearing, Mark},
    line::Line,
};

/// `$2` server and `$3` transaction of the mark. Marks are transactions, not a sequence: numbers of a
/// sequence commit out of order, and the late one would be missed.
///
/// The sums are -1 where the mark is of another start of the server. They are cut to what fits: a row that somebody wrote a
/// large number into must not end the polls.
const POLL: &str = "select pa.incarnation(), pg_snapshot_xmin(pg_current_snapshot())::text, pa.ms(clock_timestamp()),
       (select incarnation from pa.vault where id = $1) = pa.incarnation(),
       case when $2 <> pa.incarnation() then -1 else coalesce((
         select sum(generation) % 4611686018427387904 from pa.record where vault = $1 and changed >= $3::text::xid8), 0)::bigint end,
       case when $2 <> pa.incarnation() then -1 else coalesce((
         select sum(version) % 4611686018427387904 from pa.state where vault = $1 and changed >= $3::text::xid8 and key <> '+'), 0)::bigint end,
       (select version from pa.vault where id = $1)";

/// The first to see that the server was started anew, or is another one, writes it down.
const INCARNATION: &str =
    "update pa.vault set incarnation = pa.incarnation(), incarnation_since = clock_timestamp()
     where id = $1 and incarnation <> pa.incarnation()";

/// What was there at the last question.
pub(crate) struct Poll {
    /// Which mark was asked about, and the next one.
    asked: Mark,
    mark: Mark,
    /// The sums of what had changed since: they grow with each change, and tell one that a long
    /// transaction keeps in sight from a new one.
    seen: (i64, i64),
    /// How often the header was written, by then.
    header: i64,
}

impl Poll {
    pub(crate) fn new() -> Self {
        Self {
            asked: Mark::START,
            mark: Mark::START,
            seen: (0, 0),
            header: 0,
        }
    }

    /// Asks, and passes on what it learns.
    pub(crate) async fn ask(
        &mut self,
        line: &Line,
        clock: &Clock,
        hearing: &Hearing,
    ) -> Result<(), Failure> {
        let before = uptime();
        // What was taken in is not asked about again.
        let reached = hearing.reached();
        if reached.server == self.mark.server && reached.transaction > self.mark.transaction {
            self.mark = reached;
        }
        let transaction = self.mark.transaction.to_string();
        let rows = line
            .rows(
                POLL,
                &[
                    (&line.vault, Type::UUID),
                    (&self.mark.server, Type::INT8),
                    (&transaction, Type::TEXT),
                ],
            )
            .await?;
        let row = rows.first().ok_or(Failure::Down)?;
        let after = uptime();
        let database: i64 = row.try_get(2)?;
        clock.learn(before, database, after);
        let seen = (row.try_get(4)?, row.try_get(5)?);
        let header = row.try_get::<_, Option<i64>>(6)?.unwrap_or(0);
        let is_new = seen != (0, 0) && (self.asked, self.seen) != (self.mark, seen);
        if is_new || header != self.header {
            hearing.hear();
        }
        hearing.calm(u64::try_from(database).unwrap_or(0));
        *self = Self {
            asked: self.mark,
            mark: read_mark(row.try_get(0)?, row.try_get(1)?),
            seen,
            header,
        };
        if !row.try_get::<_, bool>(3)? {
            line.rows(INCARNATION, &[(&line.vault, Type::UUID)]).await?;
        }
        Ok(())
    }
}

/// Makes a mark of what the database said.
pub(crate) fn read_mark(server: i64, transaction: &str) -> Mark {
    Mark {
        server,
        transaction: transaction.parse().unwrap_or(0),
    }
}
