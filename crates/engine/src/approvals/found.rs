//! Questions as those who read them get them.

use antiphon_core::coordination::{Coordination, QuestionState};
use antiphon_core::id::{CoordinationId, QuestionId};
use antiphon_core::time::{LedgerTime, Now, WallTime};

/// A question of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundQuestion {
    /// Its id.
    pub id: QuestionId,
    /// What is asked, by whom, and how it was answered.
    pub state: QuestionState,
    /// When it was asked.
    pub asked: WallTime,
    /// When it is answered with no, if it is open, expires, and its run is carried out; the time of
    /// any other run stands still.
    pub expires: Option<WallTime>,
    /// Whether its run has ended, so that nobody answers it any more.
    pub ended: bool,
}

/// A question that waits for a person, and its run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct OpenQuestion {
    pub run: CoordinationId,
    pub question: FoundQuestion,
}

/// A question of a live run, before it is known when it was asked.
pub(super) struct LiveQuestion {
    pub(super) id: QuestionId,
    pub(super) state: QuestionState,
    expires: Option<WallTime>,
}

impl LiveQuestion {
    pub(super) fn of(
        run: &Coordination,
        (id, state): (&QuestionId, &QuestionState),
        now: &Now,
    ) -> Self {
        let passes = state.answer.is_none() && run.is_carried();
        let expires = state.expires.filter(|_| passes).map(|at| wall_of(at, now));
        Self { id: id.clone(), state: state.clone(), expires }
    }

    pub(super) fn asked(self, asked: WallTime) -> FoundQuestion {
        let Self { id, state, expires } = self;
        FoundQuestion { id, state, asked, expires, ended: false }
    }
}

/// What the clock on the wall will show at a moment of the ledger.
fn wall_of(at: LedgerTime, now: &Now) -> WallTime {
    WallTime(now.wall.0.saturating_add(at.since(now.at)))
}
