//! Who served when, as a picture: one lane per policy, one colour per account.

use std::fmt::Write as _;
use std::time::Duration;

use crate::scenario::Scenario;
use crate::tally::Tally;

const COLOURS: [&str; 6] = [
    "#3b7dd8", "#e0a030", "#4a9d5b", "#9b59b6", "#16a3a3", "#8d6e63",
];
const LIMIT: &str = "#d63b3b";
const REFUSED: &str = "#333333";
const BUCKETS: usize = 240;
/// In user units of the picture.
const LEFT: usize = 150;
const WIDTH: usize = 960;
const LANE: usize = 34;
const BAR: usize = 18;
const TOP: usize = 34;

/// Draws the plays of a scenario as an SVG.
///
/// A bar is shared by the accounts in proportion to the answers that they gave at that time. A mark
/// under it is a 429 that was met; a darker one, a request that ended without an answer.
pub fn chart(scenario: &Scenario, tallies: &[Tally]) -> String {
    let height = TOP + LANE * tallies.len() + 24;
    let full = LEFT + WIDTH + 10;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {full} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{full}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    legend(&mut svg, scenario);
    for (place, tally) in tallies.iter().enumerate() {
        lane(&mut svg, scenario, tally, TOP + LANE * place);
    }
    let y = height - 8;
    let end = LEFT + WIDTH;
    draw(
        &mut svg,
        format_args!("<text x=\"{LEFT}\" y=\"{y}\" fill=\"#666666\">0 min</text>"),
    );
    draw(
        &mut svg,
        format_args!(
            "<text x=\"{end}\" y=\"{y}\" text-anchor=\"end\" fill=\"#666666\">{} min</text>",
            scenario.minutes
        ),
    );
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String, scenario: &Scenario) {
    let accounts = scenario.accounts.iter().enumerate();
    let accounts = accounts.map(|(place, account)| (account.id.as_str(), colour(place)));
    let marks = [("429", LIMIT), ("refused", REFUSED)];
    let mut x = LEFT;
    for (name, fill) in accounts.chain(marks) {
        let text = x + 14;
        draw(
            svg,
            format_args!(
                "<rect x=\"{x}\" y=\"8\" width=\"10\" height=\"10\" fill=\"{fill}\"/><text x=\"{text}\" y=\"17\">{}</text>",
                escaped(name)
            ),
        );
        x = text + 9 * name.chars().count() + 16;
    }
}

fn lane(svg: &mut String, scenario: &Scenario, tally: &Tally, y: usize) {
    let label = y + 14;
    let name = tally.player.name();
    draw(
        svg,
        format_args!("<text x=\"4\" y=\"{label}\">{name}</text>"),
    );
    draw(
        svg,
        format_args!(
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{BAR}\" fill=\"#f0f0f0\"/>"
        ),
    );
    let mut answers = vec![vec![0_u32; scenario.accounts.len()]; BUCKETS];
    let (mut limits, mut refusals) = ([false; BUCKETS], [false; BUCKETS]);
    let bucket = |after: Duration| {
        let share = after.as_secs_f64() / scenario.life().as_secs_f64().max(1.0);
        ((share * BUCKETS as f64) as usize).min(BUCKETS - 1)
    };
    for attempt in &tally.attempts {
        match attempt.status {
            ..300 => answers[bucket(attempt.after)][attempt.account] += 1,
            429 => limits[bucket(attempt.after)] = true,
            _ => {}
        }
    }
    for after in &tally.refusals {
        refusals[bucket(*after)] = true;
    }
    let step = WIDTH / BUCKETS;
    for (place, counts) in answers.iter().enumerate() {
        let x = LEFT + place * step;
        let all: u32 = counts.iter().sum();
        let mut top = y as f64;
        for (account, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let height = BAR as f64 * f64::from(*count) / f64::from(all);
            let fill = colour(account);
            draw(
                svg,
                format_args!(
                    "<rect x=\"{x}\" y=\"{top:.1}\" width=\"{step}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
                ),
            );
            top += height;
        }
        for (is_met, offset, fill) in [(limits[place], 1, LIMIT), (refusals[place], 5, REFUSED)] {
            if is_met {
                let top = y + BAR + offset;
                draw(
                    svg,
                    format_args!(
                        "<rect x=\"{x}\" y=\"{top}\" width=\"{step}\" height=\"3\" fill=\"{fill}\"/>"
                    ),
                );
            }
        }
    }
}

fn colour(account: usize) -> &'static str {
    COLOURS[account % COLOURS.len()]
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn draw(svg: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(svg, "{what}").expect("text takes any text");
}
