//! The index of accounts: what their records say beside secrets, so that a process that opens ten
//! thousand need not read ten thousand files.
//!
//! The vault seals it. A row counts for a record that still has the stamp that the row names; any other
//! record is read. While the folder of all records has the stamp that the index names, none was added,
//! replaced or removed, and none is looked at. A record that was written in its place all the same, as
//! damage is, is found out when it is read.
//!
//! Most accounts of a pool differ in little, so what they have in common is kept once and is parsed
//! once: a *pattern* is a credential, as a record has it, without secrets and without what each row says
//! itself.
//!
//! Numbers are little-endian; a text is its length, as `u32`, and its bytes; a revision is 4 × `u128`:
//!
//! ```text
//! format u8 | has folder u8, revision | others u32, each an id text | patterns u32, each a text | rows u32, each:
//!   pattern u32 | id text | revision | generation u64 | created u64 | updated u64 | label text
//! ```

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::Arc;

use provider_auth_policy::{AccountId, Timestamp};
use provider_auth_vault::{RecordId, Revision, Stamp};

use super::accounts::Accounts;
use super::credential::Credential;
use super::entry::Entry;
use crate::config::Settings;

/// An index of another format says nothing.
const FORMAT: u8 = 1;

/// What an index says.
pub(super) struct Index {
    /// None of them read.
    pub(super) accounts: BTreeMap<AccountId, Arc<Entry>>,
    /// Of all records, when these were all there were.
    pub(super) folder: Stamp,
    /// The records that it says nothing of.
    pub(super) others: Vec<RecordId>,
}

/// The content of an index of these accounts, which are all that are there while the folder has this
/// stamp; and how many are in it: one whose record may have changed since it was read is not.
pub(super) fn encode(accounts: &Accounts, folder: Stamp) -> (Vec<u8>, usize) {
    let mut patterns: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut in_order = List::default();
    let (mut rows, mut others) = (List::default(), List::default());
    let unread = accounts.kept_files.iter().map(RecordId::to_string);
    let unread = unread.chain(accounts.unreadable.iter().map(AccountId::to_string));
    unread.for_each(|id| put_text(others.next(), id.as_bytes()));
    for entry in accounts.entries() {
        let (id, credential) = (entry.view.id.as_str().as_bytes(), &entry.credential);
        let Stamp::Settled(revision) = entry.stamp else {
            put_text(others.next(), id);
            continue;
        };
        let pattern = pattern(credential).plaintext().to_vec();
        let number = *patterns.entry(pattern).or_insert_with_key(|pattern| {
            put_text(in_order.next(), pattern);
            in_order.count - 1
        });
        let row = rows.next();
        row.extend(number.to_le_bytes());
        put_text(row, id);
        put_revision(row, revision);
        row.extend(entry.view.generation.to_le_bytes());
        for at in [entry.view.created_at, entry.updated_at] {
            row.extend(at.as_millis().to_le_bytes());
        }
        put_text(row, entry.view.label.as_bytes());
    }
    let mut content = vec![FORMAT];
    let revision = match folder {
        Stamp::Settled(revision) => Some(revision),
        _ => None,
    };
    content.push(u8::from(revision.is_some()));
    put_revision(&mut content, revision.unwrap_or(Revision([0; 4])));
    let count = rows.count as usize;
    for list in [others, in_order, rows] {
        content.extend(list.count.to_le_bytes());
        content.extend(list.bytes);
    }
    (content, count)
}

/// What an index says; `None` where it is not one of ours.
pub(super) fn decode(mut content: &[u8], settings: &Settings) -> Option<Index> {
    let rest = &mut content;
    let [FORMAT, has_folder] = take(rest)? else {
        return None;
    };
    let folder = Stamp::Settled(revision(rest)?);
    let others = list(rest, |rest| text(rest)?.parse().ok())?;
    let patterns: Vec<Arc<Credential>> =
        list(rest, |rest| serde_json::from_slice(take_text(rest)?).ok())?;
    let mut room = 0;
    let accounts = list(rest, |rest| {
        make_room(&mut room);
        row(rest, &patterns, settings)
    })?;
    rest.is_empty().then(|| Index {
        accounts: accounts.into_iter().collect(),
        folder: match has_folder {
            0 => Stamp::Unsettled,
            _ => folder,
        },
        others,
    })
}

fn row(
    rest: &mut &[u8],
    patterns: &[Arc<Credential>],
    settings: &Settings,
) -> Option<(AccountId, Arc<Entry>)> {
    let pattern = u32::from_le_bytes(take(rest)?);
    let id = AccountId::from(text(rest)?);
    let stamp = Stamp::Settled(revision(rest)?);
    let generation = u64::from_le_bytes(take(rest)?);
    let mut time = || Some(Timestamp::from_millis(u64::from_le_bytes(take(rest)?)));
    let (created_at, updated_at) = (time()?, time()?);
    let own = (text(rest)?.to_owned(), created_at, updated_at);
    let common = patterns.get(pattern as usize)?;
    let entry = Entry::of_index(id.clone(), (generation, stamp), common, own, settings);
    Some((id, Arc::new(entry)))
}

/// What an account may have in common with others.
fn pattern(credential: &Credential) -> Credential {
    let nothing = Timestamp::from_millis(0);
    Credential {
        label: String::new(),
        created_at: nothing,
        updated_at: nothing,
        ..credential.without_secrets()
    }
}

/// Has the allocator get memory for the next accounts at once, where it would otherwise ask the kernel
/// for each page by itself, as glibc does on all threads but the first.
fn make_room(left: &mut u32) {
    if *left == 0 {
        drop(black_box(Vec::<u8>::with_capacity(1 << 20)));
        *left = 1_000;
    }
    *left -= 1;
}

/// How many there are of something, and their bytes.
#[derive(Default)]
struct List {
    count: u32,
    bytes: Vec<u8>,
}

impl List {
    /// Where the next one goes.
    fn next(&mut self) -> &mut Vec<u8> {
        self.count += 1;
        &mut self.bytes
    }
}

fn list<T>(rest: &mut &[u8], mut one: impl FnMut(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = u32::from_le_bytes(take(rest)?);
    (0..count).map(|_| one(rest)).collect()
}

fn put_revision(to: &mut Vec<u8>, Revision(parts): Revision) {
    parts.iter().for_each(|part| to.extend(part.to_le_bytes()));
}

fn revision(rest: &mut &[u8]) -> Option<Revision> {
    let mut parts = [0; 4];
    for part in &mut parts {
        *part = u128::from_le_bytes(take(rest)?);
    }
    Some(Revision(parts))
}

fn put_text(to: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).expect("no text of an account is 4 GiB long");
    to.extend(length.to_le_bytes());
    to.extend(text);
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_text(rest)?).ok()
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(text)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*head)
}
