//! Where a coordination is in its life, and every legal move.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::event::{StopKind, StopRequested};
use super::failure_streak::FailureStreak;
use super::fault::CoordinationError;
use super::receipt::Ending;
use super::stop::{CoordinationStatus, StopCondition};
use crate::digest::Digest;
use crate::time::WallTime;

/// A life; a variant has exactly what can be the case then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Life {
    /// Its work is still being recorded, and nothing is bound. It can only be cancelled.
    Starting { stop: Option<StopRequested> },
    /// Work is bound as slots and budget allow.
    Active {
        /// Why nothing new starts for a while.
        pause: Option<String>,
        /// The strongest request to end it.
        stop: Option<StopRequested>,
        trouble: Option<Trouble>,
    },
    /// Its terminal event is recorded. How it stood then is kept for those who look back.
    Ended {
        status: CoordinationStatus,
        wall: WallTime,
        receipt: Digest,
        pause: Option<String>,
        stop: Option<StopRequested>,
        tripped: Option<FailureStreak>,
    },
}

/// Why nothing new starts although work is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Trouble {
    /// Too many items in a row failed for good.
    Tripped(FailureStreak),
    /// It cannot go on. Said before a tripped breaker, as it is more than a count.
    Fault(CoordinationError),
}

/// A change that depends on where the coordination is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the variants' names say it")]
pub enum Change {
    /// Record work that the start announced.
    Begin,
    AddWork,
    Bind,
    Pause,
    Continue,
    Raise,
    SetKeys,
    /// Ask a question, or answer one.
    Approve,
    Signal,
    Stop(StopKind),
    Complete,
    Abort,
    /// Record what happened anyway: a session's end, a skip, a takeover, a refused write.
    Note,
}

/// Why a change is not possible now: what the coordination is or has done, as the end of a sentence
/// about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the variants' names say it")]
pub enum LifeError {
    Starting(Change),
    Begun,
    Paused(Change),
    NotPaused,
    Stopping(Change),
    Ended,
}

impl std::error::Error for LifeError {}

impl fmt::Display for LifeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting(Change::AddWork) => {
                "is still being started; add work once its start is complete"
            }
            Self::Starting(Change::Pause) => {
                "is still being started; pause it once its start is complete"
            }
            Self::Starting(Change::Stop(_)) => {
                "is still being started; cancel it, or wait until its start is complete"
            }
            Self::Starting(_) => "is still being started",
            Self::Begun => "was started before",
            Self::Paused(Change::Pause) => "is already paused",
            Self::Paused(_) => "is paused; continue it first",
            Self::NotPaused => "is not paused",
            Self::Stopping(Change::AddWork) => "is ending and takes no more work",
            Self::Stopping(_) => "is already ending",
            Self::Ended => "has ended",
        })
    }
}

impl Life {
    /// The beginning of a life with so many items.
    pub(super) fn begin(items: u32) -> Self {
        if items == 0 { Self::active(None) } else { Self::Starting { stop: None } }
    }

    fn active(stop: Option<StopRequested>) -> Self {
        Self::Active { pause: None, stop, trouble: None }
    }

    /// Every legal change; an error says what is in the way of the rest.
    pub(super) fn allows(&self, change: Change) -> Result<(), LifeError> {
        use Change as C;
        match (self, change) {
            (Self::Ended { .. }, _) => Err(LifeError::Ended),
            (_, C::Note | C::Abort | C::SetKeys | C::Signal | C::Approve) => Ok(()),
            (Self::Starting { .. }, C::Begin) => Ok(()),
            (Self::Active { .. }, C::Begin) => Err(LifeError::Begun),
            // What is not recorded whole can be ended, but not be brought to a good end.
            (Self::Starting { stop: None }, C::Stop(StopKind::Cancel)) => Ok(()),
            (Self::Starting { .. }, C::Stop(StopKind::Cancel)) => Err(LifeError::Stopping(change)),
            (Self::Starting { .. }, _) => Err(LifeError::Starting(change)),
            (Self::Active { pause: Some(_), .. }, C::Pause | C::Bind) => {
                Err(LifeError::Paused(change))
            }
            (Self::Active { pause: None, .. }, C::Continue) => Err(LifeError::NotPaused),
            (Self::Active { stop: Some(_), .. }, C::AddWork) => Err(LifeError::Stopping(change)),
            // A request can only be followed by a stronger one.
            (Self::Active { stop: Some(before), .. }, C::Stop(kind)) if before.kind >= kind => {
                Err(LifeError::Stopping(change))
            }
            (Self::Active { .. }, _) => Ok(()),
        }
    }

    /// The start is recorded whole.
    pub(super) fn activate(&mut self) {
        if let Self::Starting { stop } = self {
            *self = Self::active(stop.take());
        }
    }

    pub(super) fn pause(&mut self, reason: String) {
        if let Self::Active { pause, .. } = self {
            *pause = Some(reason);
        }
    }

    pub(super) fn resume(&mut self) {
        if let Self::Active { pause, .. } = self {
            *pause = None;
        }
    }

    pub(super) fn stop(&mut self, request: StopRequested) {
        if let Self::Starting { stop } | Self::Active { stop, .. } = self {
            *stop = Some(request);
        }
    }

    /// Too many items in a row failed for good.
    pub(super) fn trip(&mut self, streak: &FailureStreak) {
        if let Self::Active { trouble: trouble @ None, .. } = self {
            *trouble = Some(Trouble::Tripped(streak.clone()));
        }
    }

    /// Whoever continues it knows that the breaker had tripped.
    pub(super) fn reset_breaker(&mut self) {
        if let Self::Active { trouble: trouble @ Some(Trouble::Tripped(_)), .. } = self {
            *trouble = None;
        }
    }

    /// It cannot go on; the first reason stays.
    pub(super) fn fail(&mut self, fault: CoordinationError) {
        if let Self::Active { trouble: trouble @ (None | Some(Trouble::Tripped(_))), .. } = self {
            *trouble = Some(Trouble::Fault(fault));
        }
    }

    pub(super) fn end(&mut self, ending: Ending, wall: WallTime, receipt: Digest) {
        let tripped = self.tripped().cloned();
        let (pause, stop) = match self {
            Self::Starting { stop } => (None, stop.take()),
            Self::Active { pause, stop, .. } | Self::Ended { pause, stop, .. } => {
                (pause.take(), stop.take())
            }
        };
        let status = match ending {
            Ending::Completed(stop) => CoordinationStatus::Completed(stop),
            Ending::Aborted(reason) => CoordinationStatus::Aborted(reason),
        };
        *self = Self::Ended { status, wall, receipt, pause, stop, tripped };
    }

    pub(super) fn is_starting(&self) -> bool {
        matches!(self, Self::Starting { .. })
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    pub(super) fn pause_reason(&self) -> Option<&str> {
        match self {
            Self::Starting { .. } => None,
            Self::Active { pause, .. } | Self::Ended { pause, .. } => pause.as_deref(),
        }
    }

    pub(super) fn stop_request(&self) -> Option<&StopRequested> {
        match self {
            Self::Starting { stop } | Self::Active { stop, .. } | Self::Ended { stop, .. } => {
                stop.as_ref()
            }
        }
    }

    /// What its trouble means for how it stops, while work is left.
    pub(super) fn trouble(&self) -> Option<StopCondition> {
        match self {
            Self::Active { trouble: Some(Trouble::Tripped(_)), .. } => {
                Some(StopCondition::CircuitBreakerTripped)
            }
            Self::Active { trouble: Some(Trouble::Fault(fault)), .. } => {
                Some(StopCondition::Error(fault.clone()))
            }
            _ => None,
        }
    }

    /// The failures that tripped the breaker, if they did.
    pub(super) fn tripped(&self) -> Option<&FailureStreak> {
        match self {
            Self::Active { trouble: Some(Trouble::Tripped(streak)), .. } => Some(streak),
            Self::Ended { tripped, .. } => tripped.as_ref(),
            _ => None,
        }
    }

    /// When it ended, and the digest of its receipt.
    pub(super) fn end_facts(&self) -> Option<(WallTime, Digest)> {
        match self {
            Self::Ended { wall, receipt, .. } => Some((*wall, *receipt)),
            _ => None,
        }
    }

    /// The seed's view of it.
    pub(super) fn status(&self) -> &CoordinationStatus {
        match self {
            Self::Starting { .. } => &CoordinationStatus::Initializing,
            Self::Active { .. } => &CoordinationStatus::Running,
            Self::Ended { status, .. } => status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Actor;

    fn stop(kind: StopKind) -> StopRequested {
        StopRequested {
            kind,
            by: Actor::new("alice").unwrap(),
            reason: String::new(),
            parent: None,
        }
    }

    #[test]
    fn only_the_changes_of_the_table_are_legal() {
        let after = |steps: &[fn(&mut Life)]| {
            let mut life = Life::begin(1);
            steps.iter().for_each(|step| step(&mut life));
            life
        };
        let lives = [
            ("starting", after(&[])),
            ("cut short", after(&[|life| life.stop(stop(StopKind::Cancel))])),
            ("active", after(&[Life::activate])),
            ("paused", after(&[Life::activate, |life| life.pause(String::new())])),
            ("tripped", after(&[Life::activate, |life| life.trip(&FailureStreak::default())])),
            ("closing", after(&[Life::activate, |life| life.stop(stop(StopKind::Close))])),
            ("draining", after(&[Life::activate, |life| life.stop(stop(StopKind::Drain))])),
            ("cancelled", after(&[Life::activate, |life| life.stop(stop(StopKind::Cancel))])),
            (
                "ended",
                after(&[Life::activate, |life| {
                    let ending = Ending::Completed(StopCondition::AllWorkCompleted);
                    life.end(ending, WallTime(1), Digest::GENESIS);
                }]),
            ),
        ];
        let changes = [
            ("begin", Change::Begin),
            ("add", Change::AddWork),
            ("bind", Change::Bind),
            ("pause", Change::Pause),
            ("continue", Change::Continue),
            ("raise", Change::Raise),
            ("signal", Change::Signal),
            ("set keys", Change::SetKeys),
            ("approve", Change::Approve),
            ("close", Change::Stop(StopKind::Close)),
            ("drain", Change::Stop(StopKind::Drain)),
            ("cancel", Change::Stop(StopKind::Cancel)),
            ("complete", Change::Complete),
            ("abort", Change::Abort),
            ("note", Change::Note),
        ];
        let row = |name: &str, cells: Vec<&str>| {
            let cells = cells.iter().map(|cell| format!("{cell:10}")).collect::<String>();
            format!("{name:9}{}", cells.trim_end())
        };
        let mut table = vec![row("", lives.iter().map(|(name, _)| *name).collect())];
        table.extend(changes.iter().map(|(name, change)| {
            let allowed = |life: &Life| if life.allows(*change).is_ok() { "x" } else { "." };
            row(name, lives.iter().map(|(_, life)| allowed(life)).collect())
        }));
        let legal = "
         starting  cut short active    paused    tripped   closing   draining  cancelled ended
begin    x         x         .         .         .         .         .         .         .
add      .         .         x         x         x         .         .         .         .
bind     .         .         x         .         x         x         x         x         .
pause    .         .         x         .         x         x         x         x         .
continue .         .         .         x         .         .         .         .         .
raise    .         .         x         x         x         x         x         x         .
signal   x         x         x         x         x         x         x         x         .
set keys x         x         x         x         x         x         x         x         .
approve  x         x         x         x         x         x         x         x         .
close    .         .         x         x         x         .         .         .         .
drain    .         .         x         x         x         x         .         .         .
cancel   x         .         x         x         x         x         x         .         .
complete .         .         x         x         x         x         x         x         .
abort    x         x         x         x         x         x         x         x         .
note     x         x         x         x         x         x         x         x         .
";
        assert_eq!(table.join("\n"), legal.trim_matches('\n'));
    }

    #[test]
    fn a_fault_goes_before_a_tripped_breaker_and_the_first_fault_stays() {
        let fault = |field: &str| CoordinationError::InvalidBudget { field: field.to_owned() };
        let mut life = Life::begin(0);
        life.trip(&FailureStreak::default());
        assert_eq!(life.trouble(), Some(StopCondition::CircuitBreakerTripped));
        life.fail(fault("first"));
        life.fail(fault("second"));
        life.trip(&FailureStreak::default());
        assert_eq!(life.trouble(), Some(StopCondition::Error(fault("first"))));
    }
}
