//! Events of sessions.

use antiphon::coordination::{NextStep, SessionOutcome, Usage, WorkItemOutcome};
use antiphon::event::{SessionBound, SessionCleared, SessionUnbound, WriteRefused};
use antiphon::time::Deadline;

use super::sentence::{Sentence, said};
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
    Sentence::new("running", "running", format!(" {} ({details})", bound.work))
}

pub(super) fn unbound(unbound: &SessionUnbound) -> Sentence {
    let SessionUnbound { session, work, outcome, text, used, then, .. } = unbound;
    let (word, state) = match (then, outcome) {
        (NextStep::Done(WorkItemOutcome::Succeeded), _) => ("done", "done"),
        (NextStep::Done(_), _) => ("failed", "failed"),
        (NextStep::Hold, _) => ("held", "held"),
        (_, SessionOutcome::Deferred { .. }) => ("deferred", "deferred"),
        (_, SessionOutcome::Cancelled) => ("cancelled", "stopping"),
        (_, SessionOutcome::Lost) => ("interrupted", "stopping"),
        (NextStep::Retry(_) | NextStep::Wait(_), _) => ("retrying", "retries"),
        _ => ("ended, with a next step that this version does not know,", ""),
    };
    let until = match then {
        NextStep::Wait(Deadline::Wall(wall)) => format!(" until {}", timestamps::seconds(*wall)),
        _ => String::new(),
    };
    let text = said(text.as_deref().unwrap_or_default());
    Sentence::new(word, state, format!(" {work} (session {session})"))
        .with_details(format!("{until}{}{text}", usage(used)))
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
    Sentence::new("cleaned up", "done", format!(" after session {}", cleared.session))
}

pub(super) fn write_refused(refused: &WriteRefused) -> Sentence {
    let WriteRefused { session, fence, kind } = refused;
    let text = format!(" a late {kind} of session {session}, whose fence {fence} has expired");
    Sentence::new("refused", "failed", text)
}
