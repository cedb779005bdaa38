//! A record's row, each byte of which somebody changes in turn: of one record each, all at the same time.

use provider_auth_vault::{Claimed, RecordId, Vault, VaultError};

use crate::{
    fleet::{Fleet, claim, renew, text, undamaged},
    support::{TIMES, pause, wait_until},
};

/// Records that are left alone.
const NEIGHBOURS: usize = 10;

/// A record for each byte of its row's sealed bytes, and the neighbours.
struct Rows {
    fleet: Fleet,
    ids: Vec<RecordId>,
    neighbours: Vec<RecordId>,
}

/// What is in every one of these records.
const CONTENT: &str = "tokens";

impl Rows {
    /// As many as there are bytes, or as asked for.
    fn start(count: Option<usize>) -> Option<(Self, Vault)> {
        let fleet = Fleet::start()?;
        let one = fleet.process(1);
        let add = || one.create(1, CONTENT.as_bytes()).unwrap().0;
        let mut neighbours = vec![add()];
        let length = fleet
            .server
            .sql("select octet_length(sealed) from pa.record");
        let count = count.unwrap_or_else(|| length.parse().unwrap());
        assert!(count > 0);
        let ids: Vec<RecordId> = (0..count).map(|_| add()).collect();
        neighbours.extend((1..NEIGHBOURS).map(|_| add()));
        for id in ids.iter().chain(&neighbours) {
            assert_eq!(text(&one, *id).as_deref(), Some(CONTENT));
        }
        let rows = Self {
            fleet,
            ids,
            neighbours,
        };
        Some((rows, one))
    }

    /// Changes a byte of each record's sealed bytes: of the first one the first.
    fn flip(&self, bit: u8) {
        let numbered = self.ids.iter().enumerate();
        let values: Vec<String> = numbered.map(|(at, id)| format!("('{id}', {at})")).collect();
        self.fleet.server.sql(&format!(
            "update pa.record set sealed = set_byte(sealed, at, get_byte(sealed, at) # {bit}), changed = pg_current_xact_id()
             from (values {}) as flips(of, at) where id = of",
            values.join(", ")
        ));
    }

    /// The bytes whose record does not read as it should.
    fn unread(&self, vault: &Vault) -> Vec<usize> {
        let numbered = self.ids.iter().enumerate();
        let bad = numbered.filter(|(_, id)| undamaged(vault, **id).as_deref() != Some(CONTENT));
        bad.map(|(at, _)| at).collect()
    }

    fn neighbours_are_well(&self, vault: &Vault) {
        for id in &self.neighbours {
            assert_eq!(text(vault, *id).as_deref(), Some(CONTENT));
        }
    }

    fn wait_until_mended(&self, vaults: &[&Vault]) {
        let mut bad = Vec::new();
        let mut is_mended = || {
            bad = vaults.iter().flat_map(|vault| self.unread(vault)).collect();
            bad.is_empty()
        };
        wait_until("every record is mended", &mut is_mended);
        for vault in vaults {
            self.neighbours_are_well(vault);
        }
    }
}

#[test]
fn a_flipped_byte_damages_its_record_alone_until_one_comes_that_knew_better() {
    let Some((rows, one)) = Rows::start(None) else {
        return;
    };
    drop(one);
    rows.flip(1);
    let two = rows.fleet.process(2);
    for (at, id) in rows.ids.iter().enumerate() {
        let read = two.read(id);
        let named = matches!(&read, Err(VaultError::Corrupt { id: of }) if of == id);
        assert!(
            named,
            "byte {at}: {:?}",
            read.map(|record| record.is_some())
        );
    }
    rows.neighbours_are_well(&two);
    // The neighbours are renewed as ever.
    let (guard, claimed) = claim(&two, rows.neighbours[0], 1);
    assert!(matches!(claimed, Claimed::Yes(_)), "{claimed:?}");
    renew(&two, guard, 1, CONTENT);
    let back = rows.fleet.process(1);
    rows.wait_until_mended(&[&two, &back, &rows.fleet.process(3)]);
    let aside = rows
        .fleet
        .server
        .sql("select count(distinct id) from pa.aside");
    assert_eq!(aside, rows.ids.len().to_string());
}

#[test]
fn a_flipped_byte_is_mended_by_those_who_run() {
    let Some((rows, one)) = Rows::start(None) else {
        return;
    };
    let two = rows.fleet.process(2);
    rows.flip(128);
    rows.wait_until_mended(&[&one, &two, &rows.fleet.process(3)]);
}

/// What may be changed beside the bytes, with the disk's own rules off: each byte of each number, and a claim that was
/// made up.
fn columns() -> Vec<String> {
    let of_number =
        |name: &str, byte: u32| format!("{name} = {name} # (1::bigint << {})", 8 * byte);
    let numbers = ["generation", "epoch"];
    let mut columns: Vec<String> = numbers
        .iter()
        .flat_map(|name| (0..8).map(move |byte| of_number(name, byte)))
        .collect();
    // Its sign, and twice what makes a sum too large.
    columns.extend(numbers.map(|name| format!("{name} = {name} # (1::bigint << 63)")));
    columns.extend(["generation = generation # (1::bigint << 62)"; 2].map(str::to_owned));
    columns.extend((0..8).map(|byte| {
        format!(
            "changed = (changed::text::numeric + {})::text::xid8",
            1_u64 << (8 * byte)
        )
    }));
    columns.push("changed = '18446744073709551615'".into());
    columns.push("gone_at = clock_timestamp()".into());
    columns.push("gone_at = 'infinity'".into());
    columns.push("no_outcome = true".into());
    let claim = |until: &str| {
        format!(
            "nonce = '\\x01', host = gen_random_uuid(), holder = 'another', claim_until = {until}"
        )
    };
    columns.extend(
        [
            "null",
            "'infinity'",
            "'-infinity'",
            "clock_timestamp() + interval '1 year'",
        ]
        .map(claim),
    );
    columns.extend(
        [
            "host = gen_random_uuid()",
            "cookie = 'x'",
            "holder = 'x'",
            "session = 1",
            "server = 1",
            "claimed_at = 'infinity'",
            "claim_until = 'infinity'",
            "suspected_at = 'infinity'",
        ]
        .map(str::to_owned),
    );
    columns
}

#[test]
fn whatever_stands_beside_the_bytes_keeps_no_record_from_being_read_or_renewed() {
    let columns = columns();
    let Some((rows, one)) = Rows::start(Some(columns.len())) else {
        return;
    };
    rows.fleet.server.sql(
        "alter table pa.record drop constraint record_generation_check, drop constraint record_epoch_check",
    );
    for (set, id) in columns.iter().zip(&rows.ids) {
        let touched = format!("changed = pg_current_xact_id(), {set}");
        let set = if set.starts_with("changed") {
            set
        } else {
            &touched
        };
        rows.fleet
            .server
            .sql(&format!("update pa.record set {set} where id = '{id}'"));
    }
    let two = rows.fleet.process(2);
    rows.neighbours_are_well(&two);
    rows.wait_until_mended(&[&one, &two]);
    // Longer than any claim lasts.
    pause(TIMES.hold);
    for (set, id) in columns.iter().zip(&rows.ids) {
        let mut last = String::new();
        wait_until(&format!("{set}: it is renewed"), || {
            match claim(&two, *id, 1) {
                (guard, Claimed::Yes(_)) => {
                    renew(&two, guard, 1, "renewed");
                    true
                }
                (_, other) => {
                    last = format!("{other:?}");
                    false
                }
            }
        });
    }
    wait_until("everybody has what is new", || {
        rows.ids
            .iter()
            .all(|id| undamaged(&one, *id).as_deref() == Some("renewed"))
    });
}
