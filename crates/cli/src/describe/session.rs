//! Events of sessions.

use antiphon::coordination::{SessionOutcome, Usage, WorkStage};
use antiphon::event::{SessionBound, SessionCleared, SessionUnbound, WriteRefused};
use antiphon::report::in_one_line;
use antiphon::time::{Deadline, LedgerTime};

use super::sentence::{Sentence, said};
use crate::colour::Colour;
use crate::labels::{cost, counted};
use crate::timestamps;

pub(super) fn bound(bound: &SessionBound) -> Sentence {
    let mut details = format!("session {}", bound.session);
    if bound.attempt > 1 {
        details.push_str(&format!(", attempt {}", bound.attempt));
    }
    if bound.nested {
        details.push_str(", a nested run");
    }
    let stage = WorkStage::Running;
    Sentence::new(stage.as_str(), stage, format!(" {} ({details})", bound.work))
}

/// Where the end of a session leaves its item, and why it will have another one.
pub(super) fn unbound(unbound: &SessionUnbound, at: LedgerTime) -> Sentence {
    let SessionUnbound { session, work, outcome, text, used, .. } = unbound;
    let subject = format!(" {work} (session {session})");
    let details =
        format!("{}{}", usage(used), said(&in_one_line(text.as_deref().unwrap_or_default())));
    let Some(stage) = unbound.work_stage(at) else {
        return Sentence::plain(outcome.as_str()).with_details(format!("{subject}{details}"));
    };
    let again = if stage.has_outcome() { String::new() } else { again(*outcome) };
    // An item that may start again at once did not do well all the same.
    let colour = if stage == WorkStage::Ready { Colour::Caution } else { stage.into() };
    Sentence::new(stage.as_str(), colour, subject).with_details(format!("{again}{details}"))
}

/// Why an item has no outcome after a session that ended so.
fn again(outcome: SessionOutcome) -> String {
    match outcome {
        SessionOutcome::Deferred { until: Deadline::Wall(wall) } => {
            format!(", deferred until {}", timestamps::seconds(wall))
        }
        SessionOutcome::Deferred { .. } => ", deferred".to_owned(),
        SessionOutcome::Cancelled => ", cancelled".to_owned(),
        SessionOutcome::Lost => ", interrupted".to_owned(),
        _ => ", to be retried".to_owned(),
    }
}

/// What it used, where something counts that.
fn usage(used: &Usage) -> String {
    let mut text = String::new();
    if used.tokens > 0 {
        text.push_str(&format!(", {}", counted(used.tokens, "token")));
    }
    if used.cost > 0 {
        text.push_str(&format!(", cost {}", cost(used.cost)));
    }
    if used.estimated && !text.is_empty() {
        text.push_str(" (estimated)");
    }
    text
}

pub(super) fn cleared(cleared: &SessionCleared) -> Sentence {
    Sentence::new("cleaned up", Colour::Good, format!(" after session {}", cleared.session))
}

pub(super) fn write_refused(refused: &WriteRefused) -> Sentence {
    let WriteRefused { session, fence, kind } = refused;
    let text = format!(" a late {kind} of session {session}, whose fence {fence} has expired");
    Sentence::new("refused", Colour::Bad, text)
}
