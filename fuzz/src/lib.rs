//! Feeds altered seeds to what reads untrusted bytes, for a set time; for tests alone.
//!
//! Each target has a folder `seeds/<target>` of real inputs. They are tried as they are, then
//! altered at random: bits, lengths, numbers, words of the format, JSON. An input with an outcome
//! that was not seen before becomes a seed of this run. A target asserts what must hold for every
//! input; when it panics, seed and input are printed and the input is kept.
//!
//! - `PROVIDER_AUTH_FUZZ_SECONDS`: how long a target runs; [`SECONDS`] unless set.
//! - `PROVIDER_AUTH_FUZZ_TARGETS`: names with commas between them, to which that is limited; other
//!   targets run for [`SECONDS`].
//! - `PROVIDER_AUTH_FUZZ_SEED`: a number; the same number tries the same inputs in the same order.
//!   0 unless set.
//! - `PROVIDER_AUTH_FUZZ_INPUT`: a file that is tried instead of everything else.

mod chance;
mod edit;
mod json;

use std::{
    any::Any,
    collections::HashSet,
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chance::Chance;

/// How long a target runs by default, in seconds: a part of every test run.
pub const SECONDS: u64 = 2;

/// Most inputs that are kept for their outcome, so that outcomes without end do not fill the
/// memory.
const KEPT: usize = 2000;

/// What is fed: its name, its seeds, and the words of its format.
pub struct Target {
    name: &'static str,
    words: Vec<&'static str>,
    seeds: Vec<Vec<u8>>,
}

impl Target {
    /// Reads the seeds of this target.
    pub fn new(name: &'static str, words: &[&'static str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("seeds")
            .join(name);
        let entries = fs::read_dir(&folder).expect("a target has a folder of seeds");
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.expect("a seed is listed").path())
            .collect();
        files.sort();
        let read = |file: &PathBuf| fs::read(file).expect("a seed can be read");
        let seeds: Vec<_> = files.iter().map(read).collect();
        assert!(!seeds.is_empty(), "{} has no seed", folder.display());
        Self {
            name,
            words: words.to_vec(),
            seeds,
        }
    }

    /// Returns the seeds as they lie on the disk.
    pub fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    /// Feeds `check` until the time is up.
    ///
    /// It panics when an invariant does not hold, and else says in a few words what became of the
    /// input.
    pub fn run(self, check: impl Fn(&[u8]) -> String) {
        if let Some(file) = env::var_os("PROVIDER_AUTH_FUZZ_INPUT") {
            check(&fs::read(file).expect("the input can be read"));
            return;
        }
        let chosen = env::var("PROVIDER_AUTH_FUZZ_TARGETS");
        let is_chosen = chosen.map_or(true, |names| names.split(',').any(|name| name == self.name));
        let seconds = number("SECONDS").filter(|_| is_chosen).unwrap_or(SECONDS);
        let seed = number("SEED").unwrap_or(0);
        say(format_args!("fuzzing {} from seed {seed}", self.name));
        let mut campaign = Campaign {
            chance: Chance::new(seed),
            corpus: Vec::new(),
            outcomes: HashSet::new(),
            target: self,
            check,
        };
        let begun = Instant::now();
        let inputs = campaign.run(begun + Duration::from_secs(seconds));
        say(format_args!(
            "fuzzed {}: {inputs} inputs, {:.0} a second, {} outcomes, no fault",
            campaign.target.name,
            inputs as f64 / begun.elapsed().as_secs_f64(),
            campaign.outcomes.len(),
        ));
    }
}

/// One run of one target.
struct Campaign<C> {
    target: Target,
    check: C,
    chance: Chance,
    /// The seeds, and the inputs that led to something new.
    corpus: Vec<Vec<u8>>,
    outcomes: HashSet<String>,
}

impl<C: Fn(&[u8]) -> String> Campaign<C> {
    /// Tries inputs until the time is up, and returns how many.
    fn run(&mut self, end: Instant) -> u64 {
        for seed in self.target.seeds.clone() {
            self.outcomes.insert(self.outcome(&seed));
            self.corpus.push(seed);
        }
        let mut inputs = self.corpus.len() as u64;
        while Instant::now() < end {
            let input = edit::altered(&self.corpus, &self.target.words, &mut self.chance);
            let outcome = self.outcome(&input);
            if self.outcomes.len() < KEPT && self.outcomes.insert(outcome) {
                self.corpus.push(input);
            }
            inputs += 1;
        }
        inputs
    }

    fn outcome(&self, input: &[u8]) -> String {
        catch_unwind(AssertUnwindSafe(|| (self.check)(input)))
            .unwrap_or_else(|fault| self.fail(input, fault))
    }

    /// Keeps the input that broke an invariant, says where, and fails the test.
    fn fail(&self, input: &[u8], fault: Box<dyn Any + Send>) -> ! {
        let folder = kept_in();
        let file = folder.join(format!("{}-{}", self.target.name, fingerprint(input)));
        let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, input));
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        say(format_args!(
            "{} fails on these {} bytes: {hex}\nkept in {} ({kept:?}); PROVIDER_AUTH_FUZZ_INPUT=<file> tries them again",
            self.target.name,
            input.len(),
            file.display(),
        ));
        resume_unwind(fault)
    }
}

/// The folder for inputs that broke an invariant.
fn kept_in() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    target.join("fuzz")
}

/// Names an input (FNV-1a).
fn fingerprint(input: &[u8]) -> String {
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn number(name: &str) -> Option<u64> {
    let name = format!("PROVIDER_AUTH_FUZZ_{name}");
    let text = env::var(&name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a whole number")),
    )
}

#[expect(clippy::print_stderr, reason = "a test reports on standard error")]
fn say(line: std::fmt::Arguments<'_>) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// What a campaign of a thousand inputs tries.
    fn tried(seed: u64) -> Vec<Vec<u8>> {
        let corpus = [br#"{"a":1}"#.to_vec()];
        let mut chance = Chance::new(seed);
        (0..1000)
            .map(|_| edit::altered(&corpus, &["word"], &mut chance))
            .collect()
    }

    #[test]
    fn the_same_seed_tries_the_same_inputs() {
        assert_eq!(tried(1), tried(1));
        assert_ne!(tried(1), tried(2));
    }

    #[test]
    fn a_planted_fault_is_found_and_kept() {
        let last = RefCell::new(Vec::new());
        let mut campaign = Campaign {
            chance: Chance::new(1),
            corpus: Vec::new(),
            outcomes: HashSet::new(),
            target: Target {
                name: "planted",
                words: vec!["word"],
                seeds: vec![br#"{"a":[1,2]}"#.to_vec()],
            },
            check: |input: &[u8]| {
                *last.borrow_mut() = input.to_vec();
                let nested = input.windows(3).any(|bytes| bytes == b"[[[");
                assert!(!nested, "planted");
                String::new()
            },
        };
        let end = Instant::now() + Duration::from_secs(60);
        let fault = catch_unwind(AssertUnwindSafe(|| campaign.run(end)));
        assert_eq!(
            fault.expect_err("the fault is found").downcast_ref(),
            Some(&"planted")
        );
        let name = format!("planted-{}", fingerprint(&last.borrow()));
        let kept = kept_in().join(name);
        assert_eq!(fs::read(&kept).unwrap(), *last.borrow());
        fs::remove_file(kept).unwrap();
    }
}
