//! What a head row says of its stream: the words of its status and its summary, written and read
//! here and nowhere else.

mod stage;
mod summary;

pub use stage::{Stage, UnknownStage};
pub use summary::{RunSummary, UnreadableSummary, without_erased};

use crate::append::HeadRow;
use crate::coordination::Coordination;
use crate::envelope::StreamTip;
use crate::ledger::LedgerStream;
use crate::live::{Aggregate, Live};

/// A state that has a head row.
pub trait Headed: Aggregate {
    /// What lists and results need to know of the stream.
    fn head(&self, tip: StreamTip) -> HeadRow;
}

impl<A: Headed> Live<A> {
    /// The head row of what was emitted so far.
    #[must_use]
    pub fn head(&self) -> HeadRow {
        self.state().head(self.tip())
    }
}

impl Headed for Coordination {
    fn head(&self, tip: StreamTip) -> HeadRow {
        HeadRow {
            stream: self.stream(),
            tip,
            status: self.stage().as_str().to_owned(),
            ended: self.has_ended(),
            started: self.started_at(),
            changed: self.last_times(),
            summary: RunSummary::of(self).to_json(),
        }
    }
}

impl Headed for LedgerStream {
    fn head(&self, tip: StreamTip) -> HeadRow {
        HeadRow {
            stream: self.stream(),
            tip,
            status: if self.is_open() { OPEN } else { CLOSED }.to_owned(),
            ended: self.has_ended(),
            started: self.started_at(),
            changed: self.last_times(),
            summary: serde_json::json!({ "ledger": self.id() }).to_string(),
        }
    }
}

/// The status of a ledger that an engine has, or left without giving it up.
const OPEN: &str = "open";

/// The status of a ledger that was given up in good order.
const CLOSED: &str = "closed";

impl HeadRow {
    /// Whether it is the row of a ledger that an engine has, or left without giving it up.
    #[must_use]
    pub fn is_open_ledger(&self) -> bool {
        self.status == OPEN
    }

    /// Where a coordination is in its life.
    ///
    /// # Errors
    /// The row is of another stream, or of a version that knows more.
    pub fn stage(&self) -> Result<Stage, UnknownStage> {
        self.status.parse()
    }

    /// What the row of a coordination says of it.
    ///
    /// # Errors
    /// The row is of another stream, or damaged.
    pub fn run_summary(&self) -> Result<RunSummary, UnreadableSummary> {
        RunSummary::read(self)
    }
}
