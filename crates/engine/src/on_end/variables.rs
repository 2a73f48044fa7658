//! What the command learns of its run, in variables of its environment.

use antiphon_core::coordination::Ending;

use crate::mailbox::Status;

/// The variables that say which run has ended, and how.
pub(super) fn variables(status: &Status) -> Vec<(&'static str, String)> {
    let summary = &status.summary;
    let counts = &summary.totals;
    let stop = summary.ending.as_ref().map(|ending| match ending {
        Ending::Completed(stop) => stop.to_string(),
        Ending::Aborted(reason) => reason.to_string(),
    });
    vec![
        ("ANTIPHON_RUN", status.run.to_string()),
        ("ANTIPHON_NAME", summary.name.clone().unwrap_or_default()),
        ("ANTIPHON_VERDICT", status.stage.to_string()),
        ("ANTIPHON_STOP", stop.unwrap_or_default()),
        ("ANTIPHON_SUCCEEDED", counts.work_succeeded.to_string()),
        ("ANTIPHON_FAILED", counts.work_failed.to_string()),
        ("ANTIPHON_SKIPPED", (counts.work_skipped + counts.work_skipped_by_rule).to_string()),
        ("ANTIPHON_NOT_RUN", counts.work_unfinished.to_string()),
    ]
}
