//! The accounts of large pools in the order of their ranks, so that choosing one does not look at
//! all of them: that would take 0.4 ms for 1,000 accounts and 8 ms and more for 10,000, where an
//! index takes 3 µs.
//!
//! An index follows what changes: a block or an answer of one account, its token, a request in
//! flight, the time at which a window resets. What it names is looked at once more before it serves, so an
//! index can cost an account its turn, and never serve one that must not.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::account::{AccountId, AccountView};
use crate::limits;
use crate::pool::Pool;
use crate::pool::changes::Changes;
use crate::pool::obstacle::Obstacle;
use crate::pool::ranks::{Places, Rank, Ranks};
use crate::pool::rendezvous::{Candidate, Candidates};
use crate::react::react_beside;
use crate::react::reaction::Reaction;
use crate::reason::Standing;
use crate::request::Request;
use crate::response::Response;
use crate::rotation::{Mode, Strategy};
use crate::select::explain::{Standings, standings};
use crate::select::refusal::Refusal;
use crate::select::selection::Selection;
use crate::select::{Indexed, choose};
use crate::signals::Signals;
use crate::state::SharedState;
use crate::state::credit::Credit;
use crate::state::difference::difference;
use crate::time::{Span, Timestamp};

/// Indexes of large pools, for one [`SharedState`] and one [`Traffic`](crate::Traffic).
#[derive(Debug, Default)]
pub struct Indexes {
    /// The most recently used last.
    kept: Vec<Index>,
    changes: Changes,
}

impl Indexes {
    /// Chooses the account that serves next, as [`select`](crate::select()) does.
    pub fn select(&mut self, pool: &Pool<'_>, request: &Request) -> Selection {
        let helps = helps(pool, request);
        let selection = choose(pool, request, |pool| {
            if !helps {
                return Indexed::Unknown;
            }
            let index = self.of(pool, request);
            match (index.refusal_of(pool, request), index.best(pool, request)) {
                (_, Some(best)) => Indexed::Best(best),
                (Some(refusal), None) => Indexed::Refused(refusal.selection.clone()),
                (None, None) => Indexed::Unknown,
            }
        });
        let is_refused = matches!(
            selection,
            Selection::Exhausted { .. } | Selection::NeedsLogin { .. } | Selection::NoAccount
        );
        if helps && is_refused && request.is_untried() {
            let index = self.of(pool, request);
            if index.refusal_of(pool, request).is_none() {
                index.refusal = Some(Refusal::new(pool, request, selection.clone()));
            }
        }
        selection
    }

    /// Decides what follows from the end of an attempt, as [`react`](crate::react()) does.
    pub fn react(
        &mut self,
        pool: &Pool<'_>,
        request: &mut Request,
        account: &AccountId,
        signals: &Signals,
        response: &Response<'_>,
        jitter: f64,
    ) -> Reaction {
        let is_good = response.is_good();
        // One that is not at hand costs more than it spares here.
        let is_at_hand = || self.kept.iter().any(|index| index.is_for(pool, request));
        let others = match !is_good && helps(pool, request) && is_at_hand() {
            true => Some(self.of(pool, request).free_others(request, account)),
            false => None,
        };
        react_beside(pool, request, (account, others), signals, response, jitter)
    }

    /// Says how the accounts stand for a request that was refused.
    pub fn standings(
        &mut self,
        pool: &Pool<'_>,
        request: &Request,
        selection: &Selection,
    ) -> Arc<Standings> {
        let found = || Arc::new(standings(pool, request, selection));
        if !helps(pool, request) {
            return found();
        }
        match &mut self.of(pool, request).refusal {
            Some(refusal) if refusal.holds(pool, request) && refusal.selection == *selection => {
                refusal.standings.get_or_insert_with(found).clone()
            }
            _ => found(),
        }
    }

    /// Notes what was merged into the state.
    pub fn learned(&mut self, delta: &SharedState) {
        if self.kept.is_empty() {
            return;
        }
        let mut spans_accounts = !delta.pools.is_empty();
        for id in delta.accounts.keys() {
            self.changes.note(id);
        }
        for scope in delta.blocks.keys() {
            match scope.account() {
                Some(id) => self.changes.note(id),
                None => spans_accounts = true,
            }
        }
        if spans_accounts {
            self.forget();
        }
    }

    /// Notes that a plain answer of this account was merged into the state.
    pub fn credited(&mut self, credit: &Credit<'_>) {
        if !self.kept.is_empty() {
            self.changes.note(credit.account);
        }
    }

    /// Notes what is different in a state that was read anew.
    pub fn replaced(&mut self, before: &SharedState, after: &SharedState) {
        if self.kept.is_empty() {
            return;
        }
        self.learned(&difference(before, after));
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        self.kept.clear();
    }

    /// Returns the index for this pool and model, up to date.
    fn of(&mut self, pool: &Pool<'_>, request: &Request) -> &mut Index {
        let known = self
            .kept
            .iter()
            .position(|index| index.is_for(pool, request));
        let mut index = match known {
            Some(place) => self.kept.remove(place),
            None => Index::new(pool, request, &self.changes),
        };
        index.follow(pool, request, &self.changes);
        if self.kept.len() >= limits::INDEXES_KEPT {
            self.kept.remove(0);
        }
        self.kept.push(index);
        self.kept.last_mut().expect("an index was just kept")
    }
}

/// Tells whether an index knows all that there is to know about the choice.
fn helps(pool: &Pool<'_>, request: &Request) -> bool {
    pool.roster.len() >= limits::INDEXED_FROM
        && pool.rotation.rotate
        && pool.rotation.pool_logins
        && request.pin.is_none()
        && request.affinity().is_none()
        && request.origin_refused.is_empty()
}

/// The accounts that can serve one model, by rank.
#[derive(Debug)]
struct Index {
    roster: Arc<()>,
    provider: Arc<str>,
    namespace: Arc<str>,
    model: Option<Arc<str>>,
    path: Option<String>,
    has_session: bool,
    strategy: Strategy,
    mode: Mode,
    places: Places,
    /// In the order of their ids.
    accounts: Vec<Member>,
    ready: BTreeMap<Rank, Candidates>,
    /// When an account has to be looked at again, and its place.
    due: BTreeSet<(Timestamp, usize)>,
    /// The latest time at which an account turned into what it is in here.
    since: Timestamp,
    /// Changes of the state that are in here.
    learned: u64,
    /// Changes of the traffic that are in here.
    moved: u64,
    /// Changes of the roster that are in here.
    replaced: u64,
    refusal: Option<Refusal>,
}

#[derive(Debug)]
struct Member {
    id: AccountId,
    candidate: Candidate,
    /// `None` when it cannot serve.
    rank: Option<Rank>,
    due: Option<Timestamp>,
    standing: Standing,
    obstacle: Option<Obstacle>,
}

impl Index {
    fn new(pool: &Pool<'_>, request: &Request, changes: &Changes) -> Self {
        let member = |(place, account): (usize, &AccountView)| Member {
            id: account.id.clone(),
            candidate: Candidate::new(account.id.as_str(), place),
            rank: None,
            due: None,
            standing: Standing::Serving,
            obstacle: None,
        };
        let mut index = Self {
            roster: pool.roster.identity().clone(),
            provider: request.provider.clone(),
            namespace: request.namespace.clone(),
            model: request.model.clone(),
            path: request.path().map(str::to_owned),
            has_session: request.session.is_some(),
            strategy: pool.rotation.strategy,
            mode: pool.rotation.mode,
            places: pool.places(&request.provider, &request.namespace),
            accounts: pool.roster.iter().enumerate().map(member).collect(),
            ready: BTreeMap::new(),
            due: BTreeSet::new(),
            since: Timestamp::default(),
            learned: changes.count(),
            moved: pool.traffic.changes().count(),
            replaced: pool.roster.replaced().count(),
            refusal: None,
        };
        for place in 0..index.accounts.len() {
            index.judge(pool, request, place);
        }
        index
    }

    fn is_for(&self, pool: &Pool<'_>, request: &Request) -> bool {
        Arc::ptr_eq(&self.roster, pool.roster.identity())
            && self.model == request.model
            && self.path.as_deref() == request.path()
            && self.has_session == request.session.is_some()
            && self.provider == request.provider
            && self.namespace == request.namespace
            && (self.strategy, self.mode) == (pool.rotation.strategy, pool.rotation.mode)
    }

    /// Looks again at whatever changed since the last time.
    fn follow(&mut self, pool: &Pool<'_>, request: &Request, changes: &Changes) {
        // Threads look at the clock in turns, and it may be set back.
        let set_back = pool.now < self.since;
        let news = (
            changes.since(self.learned),
            pool.traffic.changes().since(self.moved),
            pool.roster.replaced().since(self.replaced),
        );
        let (false, (Some(learned), Some(moved), Some(replaced))) = (set_back, news) else {
            *self = Self::new(pool, request, changes);
            return;
        };
        if pool.roster.replaced().count() != self.replaced {
            self.refusal = None;
        }
        // One request changes its account several times.
        let mut last = None;
        let changed = learned.chain(moved).chain(replaced);
        let changed = changed.filter(|id| last.replace(*id) != Some(*id));
        let changed = changed.filter_map(|id| self.place(id).ok());
        let mut changed: Vec<usize> = changed.collect();
        changed.sort_unstable();
        changed.dedup();
        for place in changed {
            self.judge(pool, request, place);
        }
        while let Some((at, place)) = self.due.first().copied()
            && at <= pool.now
        {
            self.due.remove(&(at, place));
            self.judge(pool, request, place);
        }
        self.learned = changes.count();
        self.moved = pool.traffic.changes().count();
        self.replaced = pool.roster.replaced().count();
    }

    /// Looks at one account.
    fn judge(&mut self, pool: &Pool<'_>, request: &Request, place: usize) {
        let member = &self.accounts[place];
        let view = pool.roster.get(&member.id);
        let ranks = Ranks {
            pool: *pool,
            session: 0,
            has_session: self.has_session,
            places: Cow::Borrowed(&self.places),
        };
        let standing = view.map_or(Standing::Serving, |account| pool.standing(account));
        let outlook = view.map(|account| pool.outlook(account, request.target()));
        let (obstacle, Span { from, until: due }) = outlook.unwrap_or_default();
        self.since = self.since.max(from.unwrap_or_default());
        let serves = |account: &&AccountView| {
            pool.fits(account, request) && standing == Standing::Serving && obstacle.is_none()
        };
        let rank = view.filter(serves).map(|account| ranks.of(account));
        if (rank, standing, obstacle) != (member.rank, member.standing, member.obstacle) {
            self.refusal = None;
        }
        let candidate = member.candidate;
        let (old_rank, old_due) = (member.rank, member.due);
        if rank != old_rank {
            if let Some(candidates) = old_rank.and_then(|old| self.ready.get_mut(&old)) {
                candidates.remove(candidate);
            }
            if let Some(old) = old_rank.filter(|old| self.ready[old].is_empty()) {
                self.ready.remove(&old);
            }
            if let Some(rank) = rank {
                self.ready.entry(rank).or_default().insert(candidate);
            }
        }
        if let Some(old) = old_due {
            self.due.remove(&(old, place));
        }
        self.due.extend(due.map(|due| (due, place)));
        let member = &mut self.accounts[place];
        (member.rank, member.due) = (rank, due);
        (member.standing, member.obstacle) = (standing, obstacle);
    }

    /// Returns the best account that is free for this request, if one is known.
    fn best<'a>(&self, pool: &Pool<'a>, request: &Request) -> Option<&'a AccountView> {
        let touched: Vec<&Member> = request
            .tried_accounts()
            .filter_map(|id| Some(&self.accounts[self.place(id).ok()?]))
            .collect();
        let session = request.session_hash();
        let place = self.ready.iter().find_map(|(rank, candidates)| {
            let tried = touched.iter().filter(|member| member.rank == Some(*rank));
            let tried: Vec<Candidate> = tried.map(|member| member.candidate).collect();
            candidates.pick(session, &tried)
        })?;
        let account = pool.roster.get(&self.accounts[place].id)?;
        let serves = pool.fits(account, request)
            && pool.standing(account) == Standing::Serving
            && pool.is_free(request, account);
        serves.then_some(account)
    }

    /// Returns what is known to come out for this request, because no account can serve it.
    fn refusal_of(&self, pool: &Pool<'_>, request: &Request) -> Option<&Refusal> {
        let known = self.refusal.as_ref();
        known.filter(|refusal| refusal.holds(pool, request))
    }

    /// Returns how many accounts are free beside this one and those that had the request, as far as
    /// it matters.
    fn free_others(&self, request: &Request, account: &AccountId) -> u32 {
        let mut had: Vec<usize> = request
            .tried_accounts()
            .chain([account])
            .filter_map(|id| self.place(id).ok())
            .filter(|place| self.accounts[*place].rank.is_some())
            .collect();
        had.sort_unstable();
        had.dedup();
        let enough = limits::MAX_ATTEMPTS as usize + had.len();
        let mut ready = 0;
        for candidates in self.ready.values() {
            ready += candidates.len();
            if ready >= enough {
                break;
            }
        }
        (ready.min(enough) - had.len()) as u32
    }

    fn place(&self, id: &AccountId) -> Result<usize, usize> {
        self.accounts.binary_search_by(|member| member.id.cmp(id))
    }
}
