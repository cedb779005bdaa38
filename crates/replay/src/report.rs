//! What happened, as Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use crate::scenario::Scenario;
use crate::tally::Tally;

/// Returns the report of one scenario; `chart` is the file with its picture.
pub fn report(scenario: &Scenario, tallies: &[Tally], chart: &str) -> String {
    let Scenario { title, about, .. } = scenario;
    let table = table(tallies);
    format!("# {title}\n\n{about}\n\n{table}\n![Who served when]({chart})\n\n{LEGEND}")
}

/// Returns one row per policy.
pub fn table(tallies: &[Tally]) -> String {
    let mut table = String::from(
        "| policy | answered | refused | of them needlessly | good ones here | 429s met | 5xx met | switches with a cause | without | cold turns | waited | longest wait | exhausted |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for tally in tallies {
        let name = match tally.player.is_model() {
            true => format!("_{}_", tally.player.name()),
            false => tally.player.name().to_owned(),
        };
        writeln!(
            table,
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            tally.served,
            tally.refused,
            tally.refused_needlessly,
            tally.good_refused_here,
            tally.limits_met,
            tally.failures_met,
            tally.switches_with_cause,
            tally.switches_without_cause,
            tally.cold_turns,
            span(tally.waited),
            span(tally.longest_wait),
            span(tally.exhausted_for),
        )
        .expect("text takes any text");
    }
    table
}

/// Returns the results of all scenarios, for the specification.
pub fn page<'a>(played: impl IntoIterator<Item = (&'a Scenario, &'a [Tally])>) -> String {
    let mut page = String::new();
    for (scenario, tallies) in played {
        let Scenario { title, about, .. } = scenario;
        write!(page, "### {title}\n\n{about}\n\n{}\n", table(tallies))
            .expect("text takes any text");
    }
    page
}

const LEGEND: &str = "\
- Rows in italics are models of what other credential layers do, told the same and reacting at once.
- *Needlessly* refused: some account would have answered at that moment.
- *Good ones here*: refused by the policy itself, without asking the provider, though nothing is wrong with them.
- A *switch* is a turn of a conversation on another account than its last one, while the cache there is warm. It has a
  *cause* when the account that it left had failed this request, would have refused it, or had refused before and the
  time that it stated is not over (15 minutes, if it stated none and has not answered since).
- A *cold turn* goes to an account without the conversation's prompt cache while the cache is warm elsewhere.
- *Exhausted* is the time from each refused request to the next answered one.
";

fn span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    match seconds {
        0.0 => "–".to_owned(),
        ..60.0 => format!("{seconds:.1} s"),
        60.0..3_600.0 => format!("{:.1} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}
