//! What a retry takes over succeeded in the run that it retries, and what it carries out did not, or
//! needs what did not.

use antiphon::coordination::{Need, WorkStage};
use antiphon::id::CoordinationId;

use super::findings::Findings;
use super::ledger::ReadLedger;
use super::record::Record;

/// Checks every run that retries another.
pub(super) fn check(ledger: &ReadLedger, findings: &mut Findings) {
    for (id, record) in &ledger.records {
        let Some(forerunner) = &record.run().started().forerunner else { continue };
        match ledger.records.get(&forerunner.coordination) {
            Some(earlier) if earlier.end.is_some_and(|(_, end)| end == forerunner.receipt) => {
                check_items(id, record, earlier, findings);
            }
            _ => findings.add(format!(
                "coordination/{id}: it retries {}, which has not ended as it says",
                forerunner.coordination
            )),
        }
    }
}

fn check_items(id: &CoordinationId, record: &Record, earlier: &Record, findings: &mut Findings) {
    for spec in record.items.values() {
        let work = &spec.id;
        let succeeded = earlier.run().work_stage(work.as_str()) == Some(WorkStage::Succeeded);
        if spec.reused.is_some() {
            if !succeeded {
                findings
                    .add(format!("coordination/{id}: {work} is taken over and had not succeeded"));
            }
            if record.bound.values().any(|bound| bound.work == *work) {
                findings.add(format!("coordination/{id}: {work} is taken over and ran again"));
            }
            continue;
        }
        let needs_what_runs = spec.needs.iter().any(|need| match need {
            Need::Work(need) => record.items.get(need).is_some_and(|need| need.reused.is_none()),
            _ => false,
        });
        if succeeded && !needs_what_runs {
            findings
                .add(format!("coordination/{id}: {work} had succeeded and is carried out again"));
        }
    }
}
