//! Refreshes that were cut short, or that take too long, by the notes that they left.

use std::sync::Arc;

use provider_auth_policy::Timestamp;
use provider_auth_vault::{NoteFacts, RecordId, Vault};

use super::finding::{Finding, relative};
use crate::host::blocking;
use crate::limits;

const ORPHANED: &str = "refresh.orphaned";

pub(super) fn found(note: &NoteFacts, now: Timestamp) -> Option<Finding> {
    let now = now.as_millis();
    let since = note.started_at.map(|at| relative(at, now));
    let since = since.unwrap_or_else(|| "at an unknown time".to_owned());
    let finding = if note.is_abandoned {
        Finding::warning(ORPHANED, format!("a refresh of account {} was cut short {since}", note.id))
            .why("its process ended before the new token was on the disk; the provider may have replaced the old one")
            .remedy("opening the vault tries it again; provider-auth doctor --fix waits for the outcome. If this comes back, sign in again")
            .fixable(false)
    } else {
        let began = note.started_at.unwrap_or(now);
        if now.saturating_sub(began) < limits::LONG_REFRESH.as_millis() as u64 {
            return None;
        }
        Finding::warning(
            "refresh.long",
            format!("a refresh of account {} runs since {since}", note.id),
        )
        .why("every request of this account waits for it, in all processes")
        .remedy("look whether the process that runs it hangs or was stopped, and end it")
    };
    Some(finding.with("accountId", note.id))
}

/// Waits a moment for refreshes that were cut short, which opening the vault tries again.
pub(super) async fn finish(findings: &mut [Finding], vault: &Arc<Vault>) {
    let orphaned = findings.iter_mut().filter(|it| it.id == ORPHANED);
    let mut left: Vec<(RecordId, &mut Finding)> = orphaned
        .filter_map(|finding| Some((finding.details["accountId"].parse().ok()?, finding)))
        .collect();
    for _ in 0..limits::RECOVERY_LOOKS {
        let ids: Vec<_> = left.iter().map(|(id, _)| *id).collect();
        let vault = vault.clone();
        let is_over = move |id: &RecordId| matches!(vault.pending(id), Ok(None));
        let over = blocking(move || ids.iter().map(is_over).collect::<Vec<_>>()).await;
        let mut over = over.into_iter();
        left.retain_mut(|(_, finding)| {
            finding.fixed = over.next() == Some(true);
            !finding.fixed
        });
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(limits::RECOVERY_LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_is_worth_a_word_once_it_takes_too_long() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let note = |age_ms: u64, is_abandoned| NoteFacts {
            id: "01K8ZQ3V5N0000000000000000".parse().unwrap(),
            started_at: Some(now.as_millis() - age_ms),
            is_abandoned,
        };
        assert!(found(&note(5_000, false), now).is_none());
        assert_eq!(
            found(&note(600_000, false), now).unwrap().id,
            "refresh.long"
        );
        let orphaned = found(&note(5_000, true), now).unwrap();
        assert_eq!(orphaned.id, "refresh.orphaned");
        assert!(orphaned.title.ends_with("5 s ago"), "{}", orphaned.title);
    }
}
