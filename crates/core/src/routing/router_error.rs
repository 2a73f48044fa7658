//! Why a router cannot vote.

/// Why a router cannot vote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum RouterError {
    /// A priority is not a number.
    #[error("{key} is {found}; make it a number, such as 80")]
    NotANumber { key: &'static str, found: String },
    /// What should be names of tasks is something else.
    #[error("{key} is {found}; make it a list of names")]
    NotAList { key: &'static str, found: String },
}
