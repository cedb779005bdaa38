-- Where the sealed records of many vaults lie. Run it as a role that may create roles and schemas; running it again
-- changes nothing. No secret is ever in here: records, state and headers arrive sealed.
--
-- Three roles: pa_owner owns all and is not used at run time; pa_host is what a host's login role is a member of;
-- pa_admin makes vaults, admits roles to them and changes their keys. A login role for a host, for example:
--
--   create role pa_ci login password '…' in role pa_host connection limit 50;
--   alter role pa_ci set statement_timeout = '5s';
--   alter role pa_ci set idle_in_transaction_session_timeout = '5s';
--   select pa.admit('team-a', 'pa_ci');                      -- as a pa_admin of that vault

do $$
begin
  if to_regrole('pa_owner') is null then create role pa_owner nologin; end if;
  if to_regrole('pa_host') is null then create role pa_host nologin; end if;
  if to_regrole('pa_admin') is null then create role pa_admin nologin in role pa_host; end if;
  if not pg_has_role(current_user, 'pa_owner', 'member') then execute format('grant pa_owner to %I', current_user); end if;
  -- Whoever installs it makes the first vault.
  if not pg_has_role(current_user, 'pa_admin', 'member') then execute format('grant pa_admin to %I', current_user); end if;
end $$;

create schema if not exists pa authorization pa_owner;
set role pa_owner;
-- On a second run all of it is there.
set client_min_messages = warning;

create table if not exists pa.vault (
  id                uuid primary key,
  name              text not null unique check (length(name) between 1 and 100),
  header            bytea not null check (octet_length(header) <= 1 << 20),
  version           bigint not null check (version > 0),
  epoch             bigint not null check (epoch >= 0),
  schema            int not null default 1,
  -- Which start of the server this vault was last seen on, and since when.
  incarnation       bigint not null,
  incarnation_since timestamptz not null
);

-- Which roles may see a vault.
create table if not exists pa.member (
  vault uuid not null references pa.vault,
  role  name not null,
  primary key (vault, role)
);

-- A record and the claim on it are one row, so that one update decides on both.
create table if not exists pa.record (
  vault        uuid not null references pa.vault,
  id           text not null check (length(id) = 26),
  generation   bigint not null check (generation > 0),
  epoch        bigint not null check (epoch >= 0),
  sealed       bytea not null check (octet_length(sealed) <= 1 << 24),
  -- When it was removed; its seal says so too.
  gone_at      timestamptz,
  -- Which transaction wrote this generation.
  changed      xid8 not null default pg_current_xact_id(),
  -- The claim: which one, by whom, of which session on which start of the server, and until when.
  nonce        bytea,
  host         uuid,
  cookie       bytea,
  holder       text check (length(holder) <= 200),
  session      bigint,
  server       bigint,
  claimed_at   timestamptz,
  claim_until  timestamptz,
  suspected_at timestamptz,
  -- An exchange ended without an answer.
  no_outcome   boolean not null default false,
  primary key (vault, id)
) partition by hash (vault);

-- Half-full pages keep a new version of a row in its page.
do $$
begin
  for part in 0..7 loop
    execute format(
      'create table if not exists pa.record_%s partition of pa.record for values with (modulus 8, remainder %s) with (fillfactor = 50)',
      part, part);
  end loop;
end $$;
create index if not exists record_changed on pa.record (vault, changed);

create table if not exists pa.state (
  vault   uuid not null references pa.vault,
  key     text not null check (length(key) between 1 and 200),
  version bigint not null check (version > 0),
  sealed  bytea not null check (octet_length(sealed) <= 1 << 24),
  changed xid8 not null default pg_current_xact_id(),
  primary key (vault, key)
) with (fillfactor = 50);
create index if not exists state_changed on pa.state (vault, changed);

-- Damaged records, as they were.
create table if not exists pa.aside (
  vault      uuid not null references pa.vault,
  id         text not null,
  generation bigint not null,
  sealed     bytea not null,
  digest     bytea not null generated always as (sha256(sealed)) stored,
  at         timestamptz not null default clock_timestamp(),
  primary key (vault, id, generation, digest)
);

create table if not exists pa.host (
  vault      uuid not null references pa.vault,
  id         uuid not null,
  name       text not null check (length(name) <= 200),
  version    text not null check (length(version) <= 100),
  public_key bytea,
  seen_at    timestamptz not null default clock_timestamp(),
  primary key (vault, id)
);

-- Which start of the server this is: after a restart or a failover it is another.
create or replace function pa.incarnation() returns bigint language sql stable as
  $$ select (extract(epoch from pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint $$;

create or replace function pa.ms(at timestamptz) returns bigint language sql immutable as
  $$ select (extract(epoch from at) * 1000)::bigint $$;

-- Whether a session lives that holds the lock of this key. It asks and takes nothing, so it never stands in anybody's way.
create or replace function pa.lives(key bigint) returns boolean language sql volatile as $$
  select exists (
    select from pg_catalog.pg_locks l
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1
      and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
      and l.classid::bigint = ((key >> 32) & 4294967295) and l.objid::bigint = (key & 4294967295))
$$;

-- Makes a vault; its first member is the role that asks.
create or replace function pa.create_vault(id uuid, name text, header bytea, epoch bigint) returns boolean
  language sql security definer set search_path = pg_catalog, pg_temp as $$
  with made as (
    insert into pa.vault (id, name, header, version, epoch, incarnation, incarnation_since)
    values ($1, $2, $3, 1, $4, pa.incarnation(), '-infinity')
    on conflict do nothing returning vault.id)
  insert into pa.member select made.id, session_user from made returning true
$$;

-- Lets a role see a vault (`admit`), or no longer (`expel`). The role that asks is a member of it.
create or replace function pa.admit(vault text, role name) returns boolean
  language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into pa.member
  select v.id, $2 from pa.vault v join pa.member m on m.vault = v.id and m.role = session_user where v.name = $1
  on conflict do nothing returning true
$$;
create or replace function pa.expel(vault text, role name) returns boolean
  language sql security definer set search_path = pg_catalog, pg_temp as $$
  delete from pa.member gone using pa.vault v, pa.member m
  where v.name = $1 and m.vault = v.id and m.role = session_user and gone.vault = v.id and gone.role = $2
  returning true
$$;
revoke execute on function pa.create_vault, pa.admit, pa.expel from public;

grant usage on schema pa to pa_host;
grant execute on function pa.create_vault, pa.admit, pa.expel to pa_admin;
grant select on pa.vault, pa.member, pa.aside to pa_host;
grant update (incarnation, incarnation_since) on pa.vault to pa_host;
grant update (header, version, epoch) on pa.vault to pa_admin;
grant select, insert, update on pa.record, pa.state, pa.host to pa_host;
grant insert (vault, id, generation, sealed) on pa.aside to pa_host;
grant delete on pa.record to pa_admin;

do $$
declare
  t text;
  mine constant text := 'in (select m.vault from pa.member m where m.role = current_user)';
begin
  for t in select tablename from pg_tables where schemaname = 'pa' and tablename !~ '^record_' loop
    execute format('alter table pa.%I enable row level security', t);
    execute format('drop policy if exists seen on pa.%I', t);
    execute format('drop policy if exists added on pa.%I', t);
    execute format('drop policy if exists changed on pa.%I', t);
    if t = 'member' then
      create policy seen on pa.member for select using (role = current_user);
    elsif t = 'vault' then
      execute format('create policy seen on pa.vault for select using (id %s)', mine);
      execute format('create policy changed on pa.vault for update using (id %s)', mine);
    else
      execute format('create policy seen on pa.%I for select using (vault %s)', t, mine);
      execute format('create policy added on pa.%I for insert with check (vault %s)', t, mine);
      execute format('create policy changed on pa.%I for update using (vault %s)', t, mine);
    end if;
  end loop;
  -- What was removed is forgotten after 90 days, not before.
  drop policy if exists swept on pa.record;
  execute format('create policy swept on pa.record for delete using (vault %s and gone_at < now() - interval ''90 days'')', mine);
end $$;

reset client_min_messages;
reset role;
