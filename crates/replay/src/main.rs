//! `npm run replay -- <scenario>…`: plays scenarios and writes their reports under `target/replay`.
//!
//! A scenario is a file, or the name of one under `crates/replay/scenarios`; without any, all of
//! those are played. `--write` also puts the results into `specs/14-rotation.md`.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use provider_auth_replay::{Player, Scenario, Tally, chart, page, play, report, table};

/// What `--write` replaces in the specification.
const BEGIN: &str = "<!-- results: npm run replay -- --write -->\n";
const END: &str = "<!-- end of results -->";

#[expect(
    clippy::print_stdout,
    reason = "the report is what a person at a terminal asked for"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = home.join("../..");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (options, names): (Vec<_>, Vec<_>) = arguments.iter().partition(|a| a.starts_with("--"));
    if let Some(unknown) = options.iter().find(|option| **option != "--write") {
        return Err(format!("unknown option {unknown}; there is --write").into());
    }
    let files = match names.is_empty() || !options.is_empty() {
        true => committed(&home.join("scenarios"))?,
        false => names.iter().map(|name| found(home, name)).collect(),
    };
    let out = root.join("target/replay");
    fs::create_dir_all(&out)?;
    let mut played: Vec<(Scenario, Vec<Tally>)> = Vec::new();
    for file in files {
        let text =
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let scenario =
            Scenario::parse(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        let tallies: Vec<Tally> = Player::ALL.map(|player| play(&scenario, player)).into();
        let stem = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let picture = format!("{stem}.svg");
        fs::write(out.join(&picture), chart(&scenario, &tallies))?;
        fs::write(
            out.join(format!("{stem}.md")),
            report(&scenario, &tallies, &picture),
        )?;
        println!("{}\n{}\n", scenario.title, table(&tallies));
        println!("target/replay/{stem}.md, target/replay/{picture}\n");
        played.push((scenario, tallies));
    }
    if !options.is_empty() {
        let spec = root.join("specs/14-rotation.md");
        let text = fs::read_to_string(&spec)?;
        let results = page(
            played
                .iter()
                .map(|(scenario, tallies)| (scenario, tallies.as_slice())),
        );
        fs::write(
            &spec,
            with_results(&text, &results).ok_or("the page has no place for results")?,
        )?;
    }
    Ok(())
}

/// The scenarios of the repository, by name.
fn committed(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

fn found(home: &Path, name: &str) -> PathBuf {
    let own = home.join("scenarios").join(format!("{name}.jsonc"));
    if own.exists() {
        own
    } else {
        PathBuf::from(name)
    }
}

fn with_results(page: &str, results: &str) -> Option<String> {
    let (head, rest) = page.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}\n{results}{END}{tail}"))
}
