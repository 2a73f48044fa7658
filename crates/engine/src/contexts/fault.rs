//! What is wrong with a context.

/// What is wrong with a package.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ContextFault {
    /// Where, as a JSON pointer.
    pub pointer: String,
    pub detail: String,
}
