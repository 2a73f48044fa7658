//! A run that nobody declared: it comes into being where something is sent to it.

use antiphon_core::coordination::{CoordinationBudget, CoordinationConfig};

/// The label by which it is told apart from runs that somebody started.
pub const UNDECLARED: &str = "undeclared";

/// Ticks that it may last, at one a second: as many as a program can count in floating point.
const TICKS: u64 = (1 << 53) - 1;

/// What it begins with: open, and with ceilings that it does not reach. The engine gives it an id, or
/// whoever sends something to it has.
pub(crate) fn undeclared() -> CoordinationConfig {
    let budget = CoordinationBudget::new(u32::MAX, TICKS, 1, None);
    let budget = budget.expect("BUG: constant ceilings");
    let config = CoordinationConfig::open(Vec::new(), budget).expect("BUG: there is no work");
    config.with_label(UNDECLARED, "true")
}
