//! Why bytes are not a receipt.

use super::bytes::TAG;
use crate::coordination::fault::CoordinationError;
use crate::id::IdError;

/// Why bytes are not a receipt. `at` counts from 0 and says where in them the value begins that is
/// wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ReceiptError {
    /// No receipt is that large, as it is appended with the event that names it.
    #[error("{actual} bytes are too many for a receipt; at most {max} are allowed")]
    TooLarge { actual: usize, max: usize },
    /// They begin with another tag.
    #[error("the bytes do not begin as a receipt does, with `{TAG}`")]
    NotAReceipt,
    /// They end in the middle of something, or hold a list that is longer than they are.
    #[error("the receipt is cut off at byte {at}, in {what}")]
    CutOff { at: usize, what: &'static str },
    /// Something follows the receipt.
    #[error("the receipt ends at byte {at}, and {count} more follow")]
    Trailing { at: usize, count: usize },
    /// A text is not UTF-8.
    #[error("{what} at byte {at} is not UTF-8")]
    NotText { at: usize, what: &'static str },
    /// A byte encodes no known value.
    #[error("{what} at byte {at} is {found}, which means nothing there")]
    UnknownCode { at: usize, what: &'static str, found: u8 },
    /// A text encodes no known value.
    #[error("{what} at byte {at} is {found:?}, which means nothing there")]
    UnknownWord { at: usize, what: &'static str, found: String },
    /// A list is longer than it may be.
    #[error("{what} at byte {at} has {actual} members; at most {max} are allowed")]
    TooMany { at: usize, what: &'static str, actual: usize, max: usize },
    /// A stream begins with version 1.
    #[error("the first version at byte {at} is {found}; every stream begins with 1")]
    FirstVersion { at: usize, found: u64 },
    /// An identifier is none.
    #[error("at byte {at}: {error}")]
    Id { at: usize, error: IdError },
    /// A ceiling is none.
    #[error("at byte {at}: {error}")]
    Budget { at: usize, error: CoordinationError },
}
