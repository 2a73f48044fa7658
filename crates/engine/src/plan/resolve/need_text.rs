//! What an item needs as it is written.

use crate::coordination::Need;
use crate::plan::text::{Millis, Span, Spanned, Template};

/// A need as it is written.
#[derive(Debug)]
pub(in crate::plan) struct NeedText {
    pub(in crate::plan) wants: Wanted,
    pub(in crate::plan) timeout: Option<Millis>,
}

/// What is needed.
#[derive(Debug)]
pub(in crate::plan) enum Wanted {
    /// Items, by a name.
    Named(Spanned<Template>),
    /// A signal or a key.
    Event(Need, Span),
}
