//! Where a plan comes from that a user names.

use std::path::Path;

use antiphon::plan::{Plan, PlanError};

/// Reads the plan that a user names; `-` is standard input.
pub(crate) fn read(file: &Path) -> Result<Plan, PlanError> {
    match file.to_str() {
        Some("-") => Plan::read_stream(std::io::stdin().lock(), file),
        _ => Plan::read(file),
    }
}
