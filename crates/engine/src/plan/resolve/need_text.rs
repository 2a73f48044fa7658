//! What an item needs as it is written.

use crate::coordination::{Need, SignalNeed};
use crate::keys::gate_of;
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

    /// The gate of the run that is needed, if one is, and where that is written.
    pub(in crate::plan) fn gate(&self) -> Option<(&str, Span)> {
        match &self.wants {
            Wanted::Event(Need::Key(need), span) if !need.looks_at_shared() => {
                Some((gate_of(&need.key)?, *span))
            }
            _ => None,
        }
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
    /// A gate or a key.
    Event(Need, Span),
    /// A signal, of an agent whose name may have placeholders.
    Signal(SignalNeed, Option<WantedAgent>, Span),
    /// A person's answer to a question, which may have placeholders.
    Approval(Spanned<Template>),
}

/// The agent of a signal.
#[derive(Debug)]
pub(in crate::plan) enum WantedAgent {
    /// The signal is about it.
    About(Spanned<Template>),
    /// It has sent the signal.
    From(Spanned<Template>),
}
