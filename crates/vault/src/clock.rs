//! A clock that also counts while the machine sleeps, and that cannot be set.

use std::time::Duration;

/// Returns the time since this machine started, or since another moment that stays.
#[cfg(unix)]
pub(crate) fn since_boot() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    // Elsewhere the monotonic clock counts sleep by itself.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: ClockId = ClockId::Monotonic;

    let time = clock_gettime(CLOCK);
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

/// Returns the time since another moment: of a system without such a clock the one on the wall.
#[cfg(not(unix))]
#[expect(
    clippy::disallowed_methods,
    reason = "this system has no other clock that counts sleep"
)]
pub(crate) fn since_boot() -> Duration {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}
