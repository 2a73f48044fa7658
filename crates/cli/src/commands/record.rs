//! The record of a run that has ended.

use std::path::Path;

use antiphon::id::CoordinationId;
use antiphon::ledger::verify::Scope;

use crate::command_error::{CommandError, Kind};
use crate::ledger::Ledger;
use crate::run_outcome::Record;

/// Checks the record of a coordination that has ended, and that its receipt can be rebuilt from it,
/// unless something that it was made of was erased.
pub(super) fn check(dir: &Path, id: &CoordinationId) -> Result<Record, CommandError> {
    let report = Ledger::at(dir).verify(&Scope::Coordination(id.clone()))?;
    match report.findings.first() {
        None if report.not_rebuildable.is_empty() => Ok(Record::Sound),
        None => Ok(Record::Erased),
        Some(finding) => Err(CommandError::new(
            Kind::Verification,
            format!("the record of {id} does not verify: {finding}"),
        )
        .with_hint(format!("`antiphon verify {id}` lists everything that is wrong"))),
    }
}
