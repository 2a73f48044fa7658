//! Events of sessions.

use antiphon::coordination::{NeedTarget, Usage, WorkStage};
use antiphon::event::{SessionBound, SessionCleared, SessionUnbound, WriteRefused};
use antiphon::id::StreamName;
use antiphon::report::in_one_line;
use antiphon::time::LedgerTime;

use super::sentence::{Sentence, said};
use crate::colour::Colour;
use crate::labels::{cost, counted};
use crate::session_end::{self, NextTry};
use crate::timestamps;

pub(super) fn bound(bound: &SessionBound) -> Sentence {
    let mut details = format!("session {}", bound.session);
    if bound.attempt > 1 {
        details.push_str(&format!(", attempt {}", bound.attempt));
    }
    if bound.nested {
        details.push_str(", a nested run");
    }
    for met in &bound.met {
        let key = NeedTarget::Key(met.key.clone());
        let run = met.stream.strip_prefix(StreamName::COORDINATIONS).unwrap_or(&met.stream);
        details.push_str(&format!(", {key} met in {run} at version {}", met.version));
    }
    let stage = WorkStage::Running;
    let sentence = Sentence::new(stage.as_str(), stage, format!(" {} ({details})", bound.work));
    match &bound.assigned {
        Some(assigned) => sentence.with_details(format!(
            ", by {}{}",
            assigned.to,
            said(&in_one_line(&assigned.reasoning))
        )),
        None => sentence,
    }
}

/// How a session ended, how long it took, and what its item does if that has no outcome by then.
pub(super) fn unbound(unbound: &SessionUnbound, at: LedgerTime, took_ns: Option<u64>) -> Sentence {
    let SessionUnbound { session, work, outcome, text, used, then, .. } = unbound;
    let outcome = outcome.as_str();
    let mut subject = format!(" {work} (session {session})");
    if let Some(took) = took_ns {
        subject.push_str(&format!(" after {}", timestamps::elapsed(took)));
    }
    let stage = unbound.work_stage(at);
    let next = NextTry::after(then, at).and_then(|next| next.in_words(outcome));
    let next = next.map(|next| format!(", {next}")).unwrap_or_default();
    let text = in_one_line(text.as_deref().unwrap_or_default());
    let text = match (text.as_str(), session_end::reason(outcome)) {
        ("", Some(reason)) => reason,
        (text, _) => text,
    };
    let details = format!("{next}{}{}", usage(used), said(text));
    let (word, colour) = match stage {
        Some(stage) if stage.has_outcome() || stage == WorkStage::AwaitingCleanup => {
            (stage.as_str(), stage.into())
        }
        // An item that may start again at once did not do well all the same.
        Some(WorkStage::Ready) => (session_end::word(outcome), Colour::Caution),
        Some(stage) => (session_end::word(outcome), stage.into()),
        None => (session_end::word(outcome), Colour::Plain),
    };
    Sentence::new(word, colour, subject).with_details(details)
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
