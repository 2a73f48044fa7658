//! A coordination that is being written: how a session's end and its own end become events.

use super::error::{ApplyError, RecordError, StateError, UnbindError};
use super::event::{Aborted, Completed, CoordinationEvent, SessionUnbound};
use super::receipt::{CoordinationReceipt, Ending};
use super::session::{SessionEnd, SessionOutcome, StopCause};
use super::state::Coordination;
use crate::digest::Digest;
use crate::envelope::{Blob, CommitTip, Meta, Recorded};
use crate::id::{StreamName, Version};
use crate::live::{Aggregate, EmitError, Live, Stamp};
use crate::routing::RoutingDecision;
use crate::time::LedgerTime;

/// A coordination that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct End {
    pub receipt: CoordinationReceipt,
    /// Its digest, which is in the event and names the blob.
    pub receipt_hash: Digest,
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
        self.is_ended()
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
    ) -> Result<&Recorded, RecordError> {
        let id = self.state().coordination_id().clone();
        self.emit(event, stamp).map_err(|error| match error {
            EmitError::ClockRegression(error) => error.into(),
            EmitError::Ended { .. } => {
                StateError::CoordinationTerminal { coordination_id: id }.into()
            }
        })
    }

    /// Ends a session as it really ended, whatever it says and whatever it was asked.
    pub(crate) fn unbind(
        &mut self,
        number: u64,
        mut end: SessionEnd,
        asked: Option<StopCause>,
        stamp: Stamp<'_>,
    ) -> Result<SessionUnbound, UnbindError> {
        end.outcome = self.state().outcome_as_asked(number, &end, asked, stamp.now);
        let decided = self.state().decide_route(number, &end)?;
        let (added, routed) =
            decided.map_or_else(Default::default, |decided| (decided.added, Some(decided.routed)));
        for event in &added {
            self.record(event, stamp)?;
        }
        if let Some(routed) = &routed
            && routed.decision == RoutingDecision::Error
            && end.outcome == SessionOutcome::Success
        {
            // Its own words do not say why it has failed.
            end = end.noting(format!("it was decided that it has failed: {}", routed.reasoning));
        }
        match self.state().decide_scores(number, &end)? {
            Ok(Some(scored)) => {
                self.record(&CoordinationEvent::KeySet(scored), stamp)?;
            }
            Ok(None) => {}
            Err(error) => end = end.noting(format!("its scores set no gate: {error}")),
        }
        if let Some(routed) = routed {
            self.record(&CoordinationEvent::Routed(Box::new(routed)), stamp)?;
        }
        let unbound = self.state().decide_unbinding(number, end, stamp.now)?;
        self.record(&CoordinationEvent::SessionUnbound(unbound.clone()), stamp)?;
        Ok(unbound)
    }

    /// Ends the coordination: receipt, terminal event, receipt blob. No session may be bound.
    pub(crate) fn finish(
        &mut self,
        ending: Ending,
        commit: CommitTip,
        stamp: Stamp<'_>,
    ) -> Result<End, RecordError> {
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
