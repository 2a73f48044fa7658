//! A coordination that is being written: how a session's end and its own end become events.

use super::error::{ApplyError, ControllerError};
use super::event::{Aborted, Completed, CoordinationEvent, SessionUnbound};
use super::outcome::{SessionEnd, SessionOutcome};
use super::receipt::{CoordinationReceipt, Ending};
use super::session::Coordination;
use super::{MAX_TEXT_BYTES, StopCause, shortened};
use crate::digest::Digest;
use crate::envelope::{Blob, CommitTip, Meta, Recorded};
use crate::id::{StreamName, Version};
use crate::live::{Aggregate, EmitError, Live, Stamp};
use crate::time::{LedgerTime, Now};

/// A coordination that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The receipt.
    pub receipt: CoordinationReceipt,
    /// Its digest, which is in the event and names the blob.
    pub receipt_hash: Digest,
    /// The terminal event.
    pub event: Recorded,
}

impl Aggregate for Coordination {
    type Event = CoordinationEvent;
    type Error = ApplyError;

    fn begin(
        stream: &StreamName,
        event: &CoordinationEvent,
        meta: &Meta,
    ) -> Result<Self, ApplyError> {
        match stream {
            StreamName::Coordination(id) => Self::begin(id.clone(), event, meta),
            StreamName::Ledger | StreamName::Pool(_) => {
                Err(ApplyError::NotACoordination { stream: stream.clone() })
            }
        }
    }

    fn apply(&mut self, event: &CoordinationEvent, meta: &Meta) -> Result<(), ApplyError> {
        self.apply(event, meta)
    }

    fn stream(&self) -> StreamName {
        StreamName::Coordination(self.coordination_id().clone())
    }

    fn version(&self) -> Version {
        self.version()
    }

    fn last_at(&self) -> LedgerTime {
        self.last_times().0
    }

    fn has_ended(&self) -> bool {
        self.status().is_terminal()
    }

    fn new_blobs(&self) -> &[Blob] {
        self.archived()
    }
}

impl Live<Coordination> {
    /// Records a decided event.
    pub(crate) fn record(
        &mut self,
        event: &CoordinationEvent,
        stamp: Stamp<'_>,
    ) -> Result<&Recorded, ControllerError> {
        let id = self.state().coordination_id().clone();
        self.emit(event, stamp).map_err(|error| match error {
            EmitError::ClockRegression { last, current } => {
                ControllerError::ClockRegression { last, current }
            }
            EmitError::Ended { .. } => {
                ControllerError::CoordinationTerminal { coordination_id: id }
            }
        })
    }

    /// Ends a session as it really ended: one that was asked to stop for its time has timed out,
    /// whatever it says.
    pub(crate) fn unbind(
        &mut self,
        number: u64,
        mut end: SessionEnd,
        asked: Option<StopCause>,
        stamp: Stamp<'_>,
    ) -> Result<SessionUnbound, ControllerError> {
        end.outcome = match (asked, end.outcome) {
            (
                Some(StopCause::Timeout),
                SessionOutcome::Success | SessionOutcome::Failure | SessionOutcome::Cancelled,
            ) => SessionOutcome::Timeout,
            (Some(StopCause::Ending), SessionOutcome::Failure) => SessionOutcome::Cancelled,
            // A nested coordination that was cancelled for its time before a restart, which forgets
            // who was asked.
            (None, SessionOutcome::Cancelled) if self.is_overdue(number, stamp.now) => {
                SessionOutcome::Timeout
            }
            (_, outcome) => outcome,
        };
        end.text = end.text.map(|text| shortened(text, MAX_TEXT_BYTES));
        let unbound = self.state().decide_unbinding(number, end, stamp.now)?;
        self.record(&CoordinationEvent::SessionUnbound(unbound.clone()), stamp)?;
        Ok(unbound)
    }

    fn is_overdue(&self, number: u64, now: &Now) -> bool {
        let binding = self.state().binding(number);
        binding.is_some_and(|(binding, _)| binding.deadline <= now.at)
    }

    /// Ends the coordination: receipt, terminal event, receipt blob. No session may be bound.
    pub(crate) fn finish(
        &mut self,
        ending: Ending,
        commit: CommitTip,
        stamp: Stamp<'_>,
    ) -> Result<End, ControllerError> {
        let now = stamp.now;
        let receipt = self.state().receipt(ending.clone(), now.at, now.wall, self.tip(), commit);
        let blob = Blob::new(receipt.canonical_bytes());
        let receipt_hash = blob.digest;
        let (verdict, usage, totals) =
            (receipt.verdict, receipt.budget_usage.clone(), receipt.totals);
        let event = match ending {
            Ending::Completed(stop) => CoordinationEvent::Completed(Box::new(Completed {
                stop,
                verdict,
                usage,
                totals,
                receipt: receipt_hash,
            })),
            Ending::Aborted(reason) => CoordinationEvent::Aborted(Box::new(Aborted {
                reason,
                verdict,
                usage,
                totals,
                receipt: receipt_hash,
            })),
        };
        let event = self.record(&event, stamp)?.clone();
        self.attach(blob);
        Ok(End { receipt, receipt_hash, event })
    }
}
