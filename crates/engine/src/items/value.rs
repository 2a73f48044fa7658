//! The value that an item puts out, which is not what its sessions printed, unless it has no other.

use antiphon_core::coordination::{NextStep, TreeReport, WorkItemOutcome};
use antiphon_core::digest::Digest;
use antiphon_core::event::SessionUnbound;
use antiphon_core::id::CoordinationId;

use super::error::ItemError;
use super::last_end::{LastEnd, last_end};
use super::record::RunItems;
use crate::ledger::Store;

/// What the value of an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueSource {
    /// What its session put out: its declared outputs, what its result file says, or what its
    /// function returned.
    Output,
    /// The standard output of its program, byte for byte: it declares no output and has put out
    /// none.
    Stdout,
}

impl ValueSource {
    /// Of a session that did its work: where its value is. A program that printed nothing has an
    /// empty one.
    pub(super) fn of(unbound: &SessionUnbound) -> Option<(Self, Option<Digest>)> {
        // A session that lacks an output which its item declares has failed.
        match (unbound.output, unbound.tree.as_deref()) {
            (Some(digest), _) => Some((Self::Output, Some(digest))),
            (None, Some(TreeReport { stdout, .. })) => Some((Self::Stdout, *stdout)),
            (None, None) => None,
        }
    }

    /// The same of how an item came to its end, in whichever run did.
    pub(super) fn of_end(end: &LastEnd) -> Option<(Self, Option<Digest>)> {
        match end {
            LastEnd::TakenOver(reused) => reused.output.map(|digest| (Self::Output, Some(digest))),
            LastEnd::Session(unbound) => match unbound.then {
                NextStep::Done(WorkItemOutcome::Succeeded) => Self::of(unbound),
                _ => None,
            },
        }
    }

    /// The source as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Stdout => "stdout",
        }
    }
}

/// The value that an item puts out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Value {
    pub source: ValueSource,
    pub bytes: Vec<u8>,
}

impl Value {
    /// Reads it from the ledger; of an item that was taken over, from the run that carried it out.
    ///
    /// # Errors
    /// [`ItemError`] if there is no such run or item, the item has no value or none yet, or the
    /// ledger cannot be read.
    pub fn read(store: &dyn Store, run: &CoordinationId, item: &str) -> Result<Self, ItemError> {
        let none = |why: &str| ItemError::NoValue {
            run: run.clone(),
            item: item.to_owned(),
            why: why.to_owned(),
        };
        let found = match last_end(store, run.clone(), item.to_owned())? {
            None => {
                let items = RunItems::read(store, run)?;
                let stage = items.find(item)?.stage;
                return Err(none(&format!("it is {stage}")));
            }
            Some(LastEnd::Session(unbound)) => match &unbound.then {
                NextStep::Done(WorkItemOutcome::Succeeded) => ValueSource::of(&unbound),
                NextStep::Done(WorkItemOutcome::Failed) => return Err(none("it failed")),
                NextStep::Done(_) => return Err(none("it was skipped")),
                _ => return Err(none("it has not succeeded yet")),
            },
            Some(end) => ValueSource::of_end(&end),
        };
        let (source, digest) = found.ok_or_else(|| none("it has none"))?;
        let bytes = match digest {
            None => Vec::new(),
            Some(digest) => store.blob(&digest)?.ok_or(ItemError::Missing { digest })?,
        };
        Ok(Self { source, bytes })
    }
}

/// Most bytes of a value that are shown with its item.
const SHOWN: u64 = 4 << 10;

/// The value that an item puts out, as it is shown with the item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownValue {
    /// Where it comes from.
    pub source: ValueSource,
    /// How many bytes it has; `None` if it was erased or lost.
    pub bytes: Option<u64>,
    /// The value, if it is there and has no more than 4 KiB.
    pub content: Option<Vec<u8>>,
}

impl ShownValue {
    /// Reads what is shown of a value; a session that printed nothing has an empty one.
    pub(super) fn read(
        store: &dyn Store,
        source: ValueSource,
        digest: Option<Digest>,
    ) -> Result<Self, ItemError> {
        let Some(digest) = digest else {
            return Ok(Self { source, bytes: Some(0), content: Some(Vec::new()) });
        };
        let bytes = store.blob_size(&digest)?;
        let content = match bytes {
            Some(0..=SHOWN) => store.blob(&digest)?,
            _ => None,
        };
        Ok(Self { source, bytes, content })
    }
}
