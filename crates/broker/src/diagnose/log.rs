//! The log: whether it can be written, who else can read it, and what has gone wrong of late.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use provider_auth_policy::Timestamp;
use provider_auth_vault::{LogFile, Privacy, loose_file, tighten};
use serde_json::Value;

use super::finding::Finding;
use crate::config::Settings;
use crate::host::logging::{self, LogKind};
use crate::{limits, named};

pub(super) fn check(settings: &Settings, now: Timestamp, fix: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, kind) in logging::files(settings) {
        match kind {
            LogKind::Ring => findings.extend(recent(&file, now)),
            LogKind::Configured => findings.push(configured(&file, fix)),
        }
    }
    findings
}

/// The file that the user names. It has been opened already, so it is there if it can be.
fn configured(file: &Path, fix: bool) -> Finding {
    let name = file.display();
    if let Err(why) = writable(file) {
        return Finding::warning("log.unwritable", format!("nothing is logged to {name}: {why}"))
            .why("only warnings and errors are kept, in the vault's folder")
            .remedy("make its folder, and the file writable for this user; or name another file: provider-auth config edit")
            .with("file", name);
    }
    let Some(found) = loose_file(file) else {
        return Finding::ok("log.file", format!("log lines go to {name}")).with("file", name);
    };
    let title = format!("other users can read the log {name}");
    let finding = Finding::warning("log.readable", title)
        .why("it tells which accounts there are and when they serve")
        .remedy(format!("chmod 600 {name}"))
        .with("file", name);
    match found.privacy {
        Privacy::Foreign => finding,
        _ => finding.fixable(fix && tighten(file).is_ok()),
    }
}

fn writable(file: &Path) -> Result<(), String> {
    let why = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "its folder is not there".to_owned(),
        _ => error.to_string(),
    };
    // Opening a pipe would wait for whatever reads it.
    match std::fs::metadata(file).map_err(why)?.is_file() {
        true => OpenOptions::new()
            .append(true)
            .open(file)
            .map(|_| ())
            .map_err(why),
        false => Err("it is no file".to_owned()),
    }
}

/// The warnings and errors of the last day.
fn recent(ring: &Path, now: Timestamp) -> Option<Finding> {
    let day = limits::RECENT_LOG.as_millis() as u64;
    // Texts of one form are in the order of their times.
    let since = named::rfc3339(Timestamp::from_millis(now.as_millis().saturating_sub(day)));
    let texts = [LogFile::before(ring), ring.to_owned()].map(|file| text(&file));
    let lines = texts.iter().flat_map(|text| text.lines());
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_recent = |line: &Value| line["time"].as_str().is_some_and(|time| *time >= *since);
    let lines: Vec<Value> = lines.filter(is_recent).collect();
    let last = lines.last()?;
    let errors = lines.iter().filter(|line| line["level"] == "error").count();
    let (said, at) = (last["message"].as_str()?, last["time"].as_str()?);
    let found = match (errors, lines.len() - errors) {
        (0, warnings) => counted(warnings, "warning"),
        (errors, 0) => counted(errors, "error"),
        (errors, warnings) => format!(
            "{} and {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        ),
    };
    let title = format!("the log has {found} of the last 24 h; the last one: {said}");
    let finding = match errors {
        0 => Finding::note("log.recent", title),
        _ => Finding::warning("log.recent", title),
    };
    Some(
        finding
            .why("it may be why a request or a login failed")
            .remedy("provider-auth logs --since 24h")
            .with("file", ring.display())
            .with("errors", errors)
            .with("warnings", lines.len() - errors)
            .with("lastAt", at),
    )
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What a file of the ring holds; nothing of one that cannot be read.
fn text(file: &Path) -> String {
    let mut bytes = Vec::new();
    if std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file())
        && let Ok(file) = File::open(file)
    {
        // One line may go beyond the size at which a file is full.
        let _ = file.take(2 * limits::RING_FILE).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn line(ago_ms: u64, level: &str, message: &str) -> String {
        let time = named::rfc3339(Timestamp::from_millis(NOW - ago_ms));
        format!(r#"{{"time":"{time}","level":"{level}","message":"{message}","pid":1}}"#) + "\n"
    }

    #[test]
    fn what_went_wrong_in_the_last_day_is_counted_over_both_files() {
        const HOUR: u64 = 3_600_000;
        let folder = tempfile::tempdir().unwrap();
        let ring = folder.path().join("log.jsonl");
        let look = || recent(&ring, Timestamp::from_millis(NOW));
        assert!(look().is_none());
        std::fs::write(&ring, line(25 * HOUR, "error", "old") + "cut off").unwrap();
        assert!(look().is_none());
        std::fs::write(&ring, line(HOUR, "warn", "new")).unwrap();
        let found = look().unwrap();
        assert_eq!(found.state, State::Note);
        assert_eq!(
            found.title,
            "the log has 1 warning of the last 24 h; the last one: new"
        );
        let older = line(25 * HOUR, "warn", "old") + &line(2 * HOUR, "error", "full");
        std::fs::write(folder.path().join("log.1.jsonl"), older).unwrap();
        let found = look().unwrap();
        assert_eq!(found.state, State::Warning);
        assert!(
            found.title.contains("1 error and 1 warning"),
            "{}",
            found.title
        );
    }

    #[test]
    fn a_log_that_cannot_be_written_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            folder.path().join("none/auth.log"),
            folder.path().to_owned(),
        ] {
            assert_eq!(configured(&file, false).id, "log.unwritable");
        }
        let file = folder.path().join("auth.log");
        std::fs::write(&file, "").unwrap();
        tighten(&file).unwrap();
        assert_eq!(configured(&file, false).id, "log.file");
    }
}
