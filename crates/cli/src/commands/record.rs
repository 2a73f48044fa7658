//! The record of a run that has ended.

use std::path::Path;

use antiphon::id::CoordinationId;
use antiphon::ledger::verify::Scope;

use crate::command_error::{CommandError, Kind};
use crate::ledger::Ledger;

/// Checks the record of a coordination that has ended, and that its receipt can be rebuilt from it.
pub(super) fn check(dir: &Path, id: &CoordinationId) -> Result<(), CommandError> {
    let report = Ledger::at(dir).verify(&Scope::Coordination(id.clone()))?;
    match report.findings.first() {
        None => Ok(()),
        Some(finding) => Err(CommandError::new(
            Kind::Verification,
            format!("the record of {id} does not verify: {finding}"),
        )
        .with_hint(format!("`antiphon verify {id}` lists everything that is wrong"))),
    }
}
