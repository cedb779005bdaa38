//! The statements that decide about records. Each is whole by itself, and is sent without a name:
//! named ones break behind a transaction pooler.

/// Whether the vault's server has been up and known for `$settle` ms: until then hosts put back what
/// a failover lost, and nothing may be built on what is there.
macro_rules! settled {
    ($settle:literal) => {
        concat!(
            "exists (select from pa.vault v where v.id = $1 and v.incarnation = pa.incarnation()
               and v.incarnation_since + ",
            $settle,
            "::bigint * interval '1 ms' <= clock_timestamp())"
        )
    };
}

/// A time in ms, or null where no number is that large: one such row must not fail the statement for all others.
macro_rules! finite {
    ($at:literal) => {
        concat!("case when isfinite(", $at, ") then pa.ms(", $at, ") end")
    };
}

/// The columns of a record, for [`Stored`](crate::Stored).
macro_rules! stored {
    () => {
        concat!(
            "r.id, r.generation, r.epoch, r.sealed, r.gone_at is not null, r.no_outcome,
             r.nonce, r.host, r.holder, ",
            finite!("r.claimed_at"),
            ", ",
            finite!("r.claim_until"),
            ", r.suspected_at is not null, r.changed"
        )
    };
}

/// `$1` vault, `$2` id, `$3` generation, `$4` nonce, `$5` host, `$6` cookie, `$7` holder, `$8` session, `$9` hold,
/// `$10` settle, `$11` cookies of holders known to be dead, `$12` suspect, `$13` whether a claim that is over may be
/// taken. One row, one update: it is checked again on the row's newest version, so it never claims what was just spent.
///
/// In the order of the conditions: free; ours, asked for again after a broken line; this host's, whose holder is
/// known to be dead; of a session that was closed and not asserted anew; over, and its session is gone. A claim that has no
/// end, or one later than any is given, was not written by a host, and counts as over.
pub(crate) const CLAIM: &str = concat!(
    "update pa.record r set nonce = $4, host = $5, cookie = $6, holder = $7, session = $8, server = pa.incarnation(),
       claimed_at = clock_timestamp(), claim_until = clock_timestamp() + $9::bigint * interval '1 ms', suspected_at = null,
       no_outcome = r.no_outcome or (r.nonce is not null and r.nonce <> $4)
     where r.vault = $1 and r.id = $2 and r.generation = $3 and r.gone_at is null and ",
    settled!("$10"),
    " and (r.nonce is null
       or r.nonce = $4
       or (r.host = $5 and r.cookie = any($11))
       or (r.suspected_at + $12::bigint * interval '1 ms' < clock_timestamp() and r.claim_until > clock_timestamp()
           and r.server = pa.incarnation())
       or ($13 and (r.claim_until between clock_timestamp() and clock_timestamp() + 2 * $9::bigint * interval '1 ms') is not true
           and (r.session is null or r.server <> pa.incarnation() or not pa.lives(r.session))))
     returning ",
    stored!()
);

/// Why a claim or a change was not had: the row, from when on the vault is settled, and its epoch. Always one row.
pub(crate) const LOOK: &str = concat!(
    "select v.epoch, case when v.incarnation = pa.incarnation() then pa.ms(greatest(v.incarnation_since, 'epoch'))
       else pa.ms(clock_timestamp()) end, pa.ms(clock_timestamp()), ",
    stored!(),
    " from pa.vault v left join pa.record r on r.vault = v.id and r.id = $2 where v.id = $1"
);

/// Marks a claim whose session is closed, so that its holder has time to assert it anew.
pub(crate) const SUSPECT: &str = "update pa.record set suspected_at = clock_timestamp()
     where vault = $1 and id = $2 and nonce is not null and suspected_at is null and session is not null
       and server = pa.incarnation() and claim_until > clock_timestamp() and not pa.lives(session)";

/// `$2` host, `$3` session, `$4` settle; of each claim `$5` id, `$6` nonce, `$7` generation (0 where it was not granted
/// yet), `$8` cookie, `$9` holder, `$10` how long it still lasts. The claims of this process are on this connection now. A
/// failover may have lost one that was granted: until the vault is settled no other can be, so it is taken anew.
pub(crate) const ASSERT: &str = concat!(
    "update pa.record r set session = $3, server = pa.incarnation(), suspected_at = null, nonce = mine.nonce,
       host = $2, cookie = case when r.nonce is null then mine.cookie else r.cookie end,
       holder = case when r.nonce is null then mine.holder else r.holder end,
       claimed_at = case when r.nonce is null then clock_timestamp() else r.claimed_at end,
       claim_until = case when r.nonce is null then clock_timestamp() + mine.lasts * interval '1 ms' else r.claim_until end
     from unnest($5::text[], $6::bytea[], $7::bigint[], $8::bytea[], $9::text[], $10::bigint[])
       as mine(id, nonce, generation, cookie, holder, lasts)
     where r.vault = $1 and r.id = mine.id and (
       (r.nonce = mine.nonce and (r.session is distinct from $3 or r.server <> pa.incarnation() or r.suspected_at is not null))
       or (r.nonce is null and r.generation = mine.generation and r.gone_at is null and mine.lasts > 0 and not ",
    settled!("$4"),
    "))"
);

/// `$4`: whether an exchange ended without an answer (null: nothing was sent).
pub(crate) const RELEASE: &str =
    "update pa.record set nonce = null, suspected_at = null, no_outcome = coalesce($4, no_outcome)
     where vault = $1 and id = $2 and nonce = $3";

/// `$3` from, `$4` generation, `$5` epoch, `$6` sealed, `$7` gone, `$8` whether these are new tokens, `$9` settle, `$10`
/// channel. New tokens end whatever claim there is and are never kept waiting; anything else keeps the claim.
pub(crate) const BRING: &str = concat!(
    "with done as (
       update pa.record r set generation = $4, epoch = $5, sealed = $6,
         gone_at = case when $7 then coalesce(r.gone_at, clock_timestamp()) end, changed = pg_current_xact_id(),
         nonce = case when $8 then null else r.nonce end,
         suspected_at = case when $8 then null else r.suspected_at end,
         no_outcome = r.no_outcome and not $8
       where r.vault = $1 and r.id = $2 and r.generation = $3 and (r.generation < $4 or r.epoch < $5)
         and (select v.epoch from pa.vault v where v.id = $1) = $5 and ($8 or ",
    settled!("$9"),
    ") returning r.id, r.generation)
     select pg_notify($10, 'r ' || id || ' ' || generation) from done"
);

/// `$3` generation, `$4` epoch, `$5` sealed, `$6` gone, `$7` channel. Over any lower generation, over the same bytes where
/// what stands beside them is wrong, and over what was set aside as damaged, whatever it says of itself. What was set
/// aside never comes back.
pub(crate) const PUT_BACK: &str = "with done as (
       insert into pa.record as r (vault, id, generation, epoch, sealed, gone_at)
       select v.id, $2, $3, $4, $5, case when $6 then clock_timestamp() end from pa.vault v where v.id = $1 and v.epoch = $4
       on conflict (vault, id) do update set generation = excluded.generation, epoch = excluded.epoch,
         sealed = excluded.sealed, gone_at = excluded.gone_at, changed = pg_current_xact_id(),
         nonce = null, suspected_at = null, no_outcome = false
       where (r.generation < excluded.generation
           or (r.sealed = excluded.sealed and (r.generation, r.epoch, r.gone_at is null)
               <> (excluded.generation, excluded.epoch, excluded.gone_at is null))
           or exists (select from pa.aside a where a.vault = r.vault and a.id = r.id and a.generation = r.generation
             and a.digest = sha256(r.sealed)))
         and not exists (select from pa.aside a where a.vault = r.vault and a.id = r.id
           and a.digest = sha256(excluded.sealed))
       returning r.id, r.generation)
     select pg_notify($7, 'r ' || id || ' ' || generation) from done";

/// Whose turn it is to add a record: a number that each addition moves by one.
pub(crate) const TURN: &str =
    "select coalesce((select version from pa.state where vault = $1 and key = '+'), 0)";

/// `$2` turn, `$3` id, `$4` generation, `$5` epoch, `$6` sealed, `$7` channel. Adds if no other call has added since the turn
/// was read.
pub(crate) const ADD: &str = "with turn as (
       insert into pa.state as s (vault, key, version, sealed) values ($1, '+', 1, '')
       on conflict (vault, key) do update set version = s.version + 1 where s.version = $2
       returning s.version),
     done as (
       insert into pa.record (vault, id, generation, epoch, sealed)
       select v.id, $3, $4, $5, $6 from pa.vault v, turn where v.id = $1 and v.epoch = $5
       on conflict do nothing returning id, generation)
     select pg_notify($7, 'r ' || id || ' ' || generation) from done";

pub(crate) const RECORDS: &str = concat!(
    "select ",
    stored!(),
    " from pa.record r where r.vault = $1 and r.id = any($2) order by r.id"
);

/// `$2` first id, `$3` last, `$4` how many at most. In a fifth of the time that the same ones take by their names.
pub(crate) const RECORDS_BETWEEN: &str = concat!(
    "select ",
    stored!(),
    " from pa.record r where r.vault = $1 and r.id between $2 and $3 order by r.id limit $4"
);
