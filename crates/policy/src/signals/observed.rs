//! The names of all response headers that are read.

use std::sync::LazyLock;

use crate::signals::{Meter, Signals, Window};

/// Headers that are read whichever the provider.
const OF_ALL: &[&str] = &[
    "content-type",
    "date",
    "retry-after",
    "retry-after-ms",
    "www-authenticate",
    "x-should-retry",
    "ratelimit",
    "ratelimit-policy",
];

/// The name of every response header that [`react`](crate::react()) may read, in lower case.
pub static OBSERVED_HEADERS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut names = OF_ALL.to_vec();
    for name in Signals::TABLES.iter().flat_map(Signals::headers) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
});

impl Signals {
    /// Returns the headers that this table reads.
    fn headers(&self) -> impl Iterator<Item = &'static str> {
        let windows = self.windows.iter().chain(&self.overall);
        let meters = self.meters.iter();
        windows
            .flat_map(Window::headers)
            .chain(meters.flat_map(Meter::headers))
    }
}

impl Window {
    fn headers(&self) -> impl Iterator<Item = &'static str> + use<> {
        let used = self.used.map(|(name, _)| name);
        [self.status, Some(self.reset), used, self.minutes]
            .into_iter()
            .flatten()
    }
}

impl Meter {
    fn headers(&self) -> [&'static str; 2] {
        [self.remaining, self.reset]
    }
}
