//! The files that all processes share, as this process last saw them, and how the state is written.
//!
//! A state is written whole while it is short. Beside one that is long lie its news: the entries that
//! changed since, whole, so that a block costs one small file to write, and others one to read. News
//! that have become many go into the state.

use std::sync::atomic::{AtomicBool, Ordering};

use provider_auth_policy::{SharedState, Timestamp};
use provider_auth_vault::{Shared, SharedGuard, Vault, VaultError, line};

use super::shared_rows::{ReadRows, Rows, Taken, WrittenRow};
use crate::limits;

/// One for the state, one for the history.
#[derive(Clone, Default)]
pub(super) struct Each<T> {
    state: T,
    history: T,
}

impl<T> Each<T> {
    pub(super) fn of(&self, shared: Shared) -> &T {
        match shared {
            Shared::State | Shared::News => &self.state,
            Shared::History => &self.history,
        }
    }

    pub(super) fn of_mut(&mut self, shared: Shared) -> &mut T {
        match shared {
            Shared::State | Shared::News => &mut self.state,
            Shared::History => &mut self.history,
        }
    }
}

/// The files as last seen; rows, where there are some in the place of the state.
#[derive(Clone, Default)]
pub(super) struct Files {
    /// With its news over it.
    state: Content,
    /// Of a state in rows, those that were last read or written.
    news: Content,
    pub(super) rows: Rows,
    history: Content,
    /// How often this process has replaced each.
    written: Each<u64>,
    /// How often something that was read was shown.
    shown: u64,
}

/// What a file holds.
#[derive(Clone, Default)]
pub(super) struct Content {
    entries: SharedState,
    /// Of the file, in bytes; 0 where there is none that can be read.
    length: usize,
}

impl Content {
    fn of(entries: SharedState, json: &[u8]) -> Self {
        Self {
            entries,
            length: json.len(),
        }
    }
}

impl Files {
    fn of(&self, shared: Shared) -> &Content {
        match shared {
            Shared::State => &self.state,
            Shared::News => &self.news,
            Shared::History => &self.history,
        }
    }

    pub(super) fn entries(&self, shared: Shared) -> &SharedState {
        &self.of(shared).entries
    }

    /// Whether news count: what lies beside a short state is void.
    pub(super) fn has_news(&self) -> bool {
        self.state.length >= limits::NEWS_FROM
    }

    /// How often this process has replaced a file, the news with their state.
    pub(super) fn written(&self, shared: Shared) -> u64 {
        *self.written.of(shared)
    }

    /// Notes that this process has replaced a file.
    pub(super) fn replaced(&mut self, shared: Shared) {
        *self.written.of_mut(shared) += 1;
    }

    /// How often something that was read was shown.
    pub(super) fn times_shown(&self) -> u64 {
        self.shown
    }

    /// Like [`Files::take_in`], of what a reader shows.
    pub(super) fn show(&mut self, seen: Vec<(Shared, Content)>) -> bool {
        self.shown += 1;
        self.take_in(seen)
    }

    /// Notes a change that is in the file, whose other content is not to be shown yet.
    pub(super) fn learn(&mut self, shared: Shared, change: &SharedState) {
        let content = match shared {
            Shared::State | Shared::News => &mut self.state,
            Shared::History => &mut self.history,
        };
        content.entries.merge(change);
    }

    /// Takes in what was read or written, of two contents of a file the later; returns whether there
    /// are only news.
    pub(super) fn take_in(&mut self, seen: Vec<(Shared, Content)>) -> bool {
        let is_only_news = seen.iter().all(|(shared, _)| *shared == Shared::News);
        for (shared, content) in seen {
            match shared {
                Shared::State => self.state = content,
                Shared::News => self.news = content,
                Shared::History => self.history = content,
            }
        }
        let news = || self.news.entries.clone();
        match (self.has_news(), is_only_news) {
            (false, _) => {}
            // They are of the state that is here.
            (true, true) => self.state.entries.replace(news()),
            (true, false) => self.state.entries.overlay(news()),
        }
        is_only_news
    }

    /// Takes in rows; the news are their entries then.
    pub(super) fn take_in_rows(&mut self, read: ReadRows, now: Timestamp) -> Taken {
        let taken = self.rows.take_in(&mut self.state.entries, read, now);
        self.news.entries = taken.named.clone();
        taken
    }

    /// The same of rows that this process has written; returns whether there are only news.
    pub(super) fn wrote_rows(&mut self, written: Vec<WrittenRow>) -> bool {
        self.replaced(Shared::State);
        let mut taken = Taken::default();
        for row in written {
            self.rows
                .take_written(&mut self.state.entries, row, &mut taken);
        }
        self.news.entries = taken.named;
        !taken.went
    }

    /// Writes a change of a guarded file, which holds what was last `read`, else what is here;
    /// returns what was written.
    pub(super) fn write(
        &self,
        vault: &Vault,
        guard: &SharedGuard,
        shared: Shared,
        read: &[(Shared, Content)],
        change: &SharedState,
        now: Timestamp,
    ) -> Result<Vec<(Shared, Content)>, VaultError> {
        let latest = |shared| {
            let read = read.iter().find(|(one, _)| *one == shared);
            read.map_or_else(|| self.of(shared), |(_, content)| content)
        };
        // Sweeping comes first: what a clock that was set back saw in the future would outrank the
        // change.
        let (file, news) = (latest(shared), latest(Shared::News));
        let has_news = shared == Shared::State && file.length >= limits::NEWS_FROM;
        if has_news {
            let mut entries = swept(file.entries.named_by(change), now);
            entries.overlay(swept(news.entries.named_by(change), now));
            entries.merge(change);
            let mut news = news.entries.clone();
            news.replace(entries);
            let json = json(&news);
            if json.len() <= limits::NEWS_LONGEST {
                vault.write_news(guard, &json)?;
                return Ok(vec![(Shared::News, Content::of(news, &json))]);
            }
        }
        let mut whole = swept(file.entries.clone(), now);
        if has_news {
            whole.overlay(swept(news.entries.clone(), now));
        }
        whole.merge(change);
        let bytes = whole.bounded_json();
        vault.write_shared(guard, &bytes)?;
        let mut written = vec![(shared, Content::of(whole, &bytes))];
        if shared == Shared::State && !news.entries.is_empty() {
            // Where this fails they stay, and say nothing that the state does not.
            let _ = vault.write_news(guard, &json(&SharedState::default()));
            written.push((Shared::News, Content::default()));
        }
        Ok(written)
    }
}

/// Reads a file; one that is damaged, or too long to be read, is forgotten: it costs cooldowns,
/// which the next answers bring back, and no login.
pub(super) fn read(
    vault: &Vault,
    shared: Shared,
    unreadable: &AtomicBool,
    now: Timestamp,
) -> Result<Content, VaultError> {
    let bytes = match vault.read_shared(shared) {
        Err(error) if error.is_too_long() => {
            if !unreadable.swap(true, Ordering::Relaxed) {
                line!(
                    WARN,
                    error = error,
                    "the shared state is too long; cooldowns and counters start afresh"
                );
            }
            return Ok(Content::default());
        }
        read => read?,
    };
    unreadable.store(false, Ordering::Relaxed);
    let Some(bytes) = bytes else {
        return Ok(Content::default());
    };
    match serde_json::from_slice(&bytes) {
        Ok(entries) => {
            let entries = match vault.has_rows() {
                true => SharedState::only_bindings(entries),
                false => entries,
            };
            Ok(Content::of(swept(entries, now), &bytes))
        }
        Err(error) => {
            line!(
                WARN,
                // The error itself could repeat what stands there.
                line = error.line(),
                column = error.column(),
                "the shared state is damaged; cooldowns and counters start afresh"
            );
            Ok(Content::default())
        }
    }
}

fn swept(mut state: SharedState, now: Timestamp) -> SharedState {
    state.sweep(now);
    state
}

fn json(state: &SharedState) -> Vec<u8> {
    serde_json::to_vec(state).expect("the state has only string keys")
}
