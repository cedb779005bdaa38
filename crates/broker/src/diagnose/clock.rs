//! The clock of this machine, against those of others.

use super::finding::{Finding, span};
use crate::limits;

const WHY: &str = "tokens seem good when they have ended, or are renewed for nothing, and logins fail whose \
                   server or id token names a time";

/// By the time of a file that was just written, which on a network disk is another machine's.
pub(super) fn of_files(ahead_ms: i64) -> Finding {
    let off = ahead_ms.unsigned_abs();
    if off < limits::CLOCK_OFF.as_millis() as u64 {
        return Finding::ok("clock.files", "the disk's clock and this machine's agree");
    }
    let title = format!(
        "the disk's clock and this machine's differ by {}",
        span(off)
    );
    Finding::warning("clock.files", title)
        .why("ages of files are told wrongly, so that changes may be seen late")
        .remedy("set the clocks of both machines by NTP")
        .with("aheadMs", ahead_ms)
}

/// By the clock of the vault's store, which is ahead by so many ms.
pub(super) fn of_store(ahead_ms: i64) -> Finding {
    let off = ahead_ms.unsigned_abs();
    if off <= limits::STORE_CLOCK_OFF.as_millis() as u64 {
        return Finding::ok(
            "clock.store",
            "this machine's clock agrees with the store's",
        );
    }
    let which = if ahead_ms > 0 { "behind" } else { "ahead of" };
    let seconds = off as f64 / 1000.0;
    let title = format!("this machine's clock is {seconds:.1} s {which} the store's");
    Finding::warning("clock.store", title)
        .why("the vault goes by the store's clock, and all else on this machine does not: times in logs differ")
        .remedy("set the clock by NTP (timedatectl set-ntp true)")
        .with("aheadMs", ahead_ms)
}

/// By what servers said of the time: by how much each is ahead, in ms.
pub(super) fn of_hosts(mut ahead_ms: Vec<i64>) -> Option<Finding> {
    ahead_ms.sort_unstable();
    // The one in the middle: one server may be wrong.
    let ahead = *ahead_ms.get(ahead_ms.len() / 2)?;
    let off = ahead.unsigned_abs();
    let count = ahead_ms.len();
    if off < limits::CLOCK_OFF.as_millis() as u64 {
        return Some(Finding::ok(
            "clock.hosts",
            "this machine's clock agrees with the providers' hosts",
        ));
    }
    let which = if ahead > 0 { "behind" } else { "ahead of" };
    let title = format!(
        "this machine's clock is {} s {which} the providers' hosts",
        off / 1000
    );
    let finding = match off >= limits::CLOCK_WRONG.as_millis() as u64 {
        true => Finding::problem("clock.hosts", title),
        false => Finding::warning("clock.hosts", title),
    };
    let finding = finding
        .why(WHY)
        .remedy("set the clock by NTP (timedatectl set-ntp true)");
    Some(finding.with("skewMs", -ahead).with("hosts", count))
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn one_wrong_server_does_not_make_the_clock_wrong() {
        let state = |ahead| of_hosts(ahead).map(|finding| finding.state);
        assert_eq!(state(vec![]), None);
        assert_eq!(state(vec![500, -900, 86_400_000]), Some(State::Ok));
        assert_eq!(state(vec![45_000, 45_500]), Some(State::Warning));
        assert_eq!(state(vec![-3_600_000]), Some(State::Problem));
        let title = of_hosts(vec![-3_600_000]).unwrap().title;
        assert!(title.contains("3600 s ahead of"), "{title}");
    }
}
