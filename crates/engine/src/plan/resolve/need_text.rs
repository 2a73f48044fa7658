//! What an item needs as it is written.

use crate::coordination::Need;
use crate::plan::text::{Millis, Span, Spanned, Template};

/// A need as it is written.
#[derive(Debug)]
pub(in crate::plan) struct NeedText {
    wants: Wanted,
    timeout: Option<Millis>,
}

impl NeedText {
    pub(in crate::plan) fn new(wants: Wanted, timeout: Option<Millis>) -> Self {
        Self { wants, timeout }
    }

    pub(super) fn wants(&self) -> &Wanted {
        &self.wants
    }

    /// How long it is waited for, if that is said.
    pub(super) fn timeout(&self) -> Option<Millis> {
        self.timeout
    }
}

/// What is needed.
#[derive(Debug)]
pub(in crate::plan) enum Wanted {
    /// Items, by a name.
    Named(Spanned<Template>),
    /// A signal or a key.
    Event(Need, Span),
}
