//! How a coordination ended, and the exit code that tells it.

use std::process::ExitCode;

use antiphon::coordination::{Ending, StopCondition, Verdict};
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::CoordinationId;
use antiphon::ledger::Store;
use antiphon::report::RunReport;

use crate::command_error::{CommandError, Kind};

/// What was found of the record of a run that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// Nothing yet, or that it is not sound.
    Unchecked,
    /// It is sound, and the receipt was rebuilt from it.
    Sound,
    /// It is sound, and the receipt cannot be rebuilt, as something was erased.
    Erased,
}

impl Record {
    /// What is said of the receipt, after its digest.
    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Unchecked => "",
            Self::Sound => ", verified",
            Self::Erased => ", not rebuilt: what it was made of was erased",
        }
    }
}

/// The end of a coordination, as its last event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunOutcome {
    pub(crate) verdict: Verdict,
    pub(crate) receipt: Digest,
    /// What was found of its record.
    record: Record,
    ending: Ending,
    /// What its events tell of its end, once they were read for that.
    report: Option<Box<RunReport>>,
}

impl RunOutcome {
    /// What a terminal event says; `None` of any other event, and of one that this version does not
    /// know.
    pub(crate) fn of(recorded: &Recorded) -> Option<Self> {
        let event = CoordinationEvent::of(recorded).ok()?;
        let end = event.ending()?;
        let (verdict, receipt, ending) = (end.verdict, end.receipt, end.ending);
        Some(Self { verdict, receipt, record: Record::Unchecked, ending, report: None })
    }

    /// Notes what was found of the record.
    pub(crate) fn checked(&mut self, found: &Result<Record, CommandError>) {
        self.record = *found.as_ref().unwrap_or(&Record::Unchecked);
    }

    /// Reads from the ledger why it ended and what failed. A record that cannot be read is for
    /// `verify` to tell of.
    pub(crate) fn explain(&mut self, store: &dyn Store, id: &CoordinationId) {
        if self.kind().is_some() {
            self.report = RunReport::read(store, id).ok().flatten().map(Box::new);
        }
    }

    /// What its events tell of its end, unless all went well.
    pub(crate) fn report(&self) -> Option<&RunReport> {
        self.report.as_deref()
    }

    pub(crate) fn record(&self) -> Record {
        self.record
    }

    /// Its exit: none if all went well, else the kind of error. Why it stopped comes before how
    /// much was done.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match (&self.ending, self.verdict) {
            (Ending::Completed(StopCondition::BudgetExhausted(_)), _) => Some(Kind::Spent),
            (Ending::Completed(StopCondition::CircuitBreakerTripped), _) => Some(Kind::Breaker),
            (Ending::Completed(StopCondition::UserRequested) | Ending::Aborted(_), _)
            | (_, Verdict::Aborted) => Some(Kind::Aborted),
            (_, Verdict::Failed) => Some(Kind::Failed),
            (_, Verdict::Partial) => Some(Kind::Partial),
            (_, Verdict::Succeeded) => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.kind().map_or(ExitCode::SUCCESS, ExitCode::from)
    }

    /// Why it did not come to the end of its work, if that is so.
    pub(crate) fn stop(&self) -> Option<String> {
        if let Some(report) = &self.report {
            return report.why.clone();
        }
        match &self.ending {
            Ending::Completed(StopCondition::AllWorkCompleted) => None,
            Ending::Completed(stop) => Some(stop.describe()),
            Ending::Aborted(reason) => Some(reason.describe()),
        }
    }
}
