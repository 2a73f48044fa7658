//! Why a budget cannot be raised.

use crate::coordination::spent::SpentCeiling;
use crate::id::SessionId;

/// Why a budget cannot be raised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum RaiseError {
    /// A ceiling would be zero or taken away, or the tick rate or currency changed.
    #[error(
        "the budget of a run can only be raised, at the same tick rate and in the same currency"
    )]
    BudgetNotRaised,
    /// A ceiling would be lower than it is.
    #[error(
        "the ceiling on {meter} is {ceiling}, and {asked} is lower; a ceiling can only be raised"
    )]
    Lowered { meter: &'static str, ceiling: String, asked: String },
    /// The run could not start anything with these ceilings.
    #[error("{}", not_enough(.spent))]
    NotEnough { spent: Vec<SpentCeiling> },
    /// A ceiling would be raised that the budget does not have.
    #[error("the budget has no ceiling on {meter} to raise")]
    NoCeiling { meter: &'static str },
    /// A nested coordination would get more than the session that it carries out was granted.
    #[error(
        "this budget is above what session {session_id} was granted; a nested run cannot be \
         given more"
    )]
    AboveGrant { session_id: SessionId },
}

/// Which ceilings are reached, and what would be enough.
fn not_enough(spent: &[SpentCeiling]) -> String {
    let told = spent.iter().map(|spent| {
        let (meter, enough) = (spent.meter().key(), spent.enough());
        format!("{spent}; to continue, the ceiling on {meter} must be at least {enough}")
    });
    told.collect::<Vec<_>>().join("; ")
}
