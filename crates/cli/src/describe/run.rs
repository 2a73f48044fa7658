//! Events of a run as a whole.

use antiphon::coordination::CoordinationBudget;
use antiphon::event::{
    Aborted, BudgetRaised, Completed, Continued, Interrupted, Mode, Paused, Resumed, Started,
    StopKind, StopRequested,
};
use antiphon::id::{Actor, StreamName};
use antiphon::time;

use super::sentence::{Sentence, said};
use crate::colour::Colour;
use crate::labels::{cost, counted};
use crate::timestamps::elapsed;

pub(super) fn started(stream: &StreamName, started: &Started) -> Sentence {
    let id = match stream {
        StreamName::Coordination(id) => id.to_string(),
        other => other.to_string(),
    };
    let name = started.name.as_ref().filter(|name| **name != id);
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let mut parts = vec![
        format!("{}, {} at a time", counted(started.items, "item"), started.concurrency),
        budget(&started.budget),
    ];
    parts.extend((started.mode == Mode::Open).then(|| "open to more work".to_owned()));
    parts.extend(started.forerunner.as_ref().map(|run| format!("retries {}", run.coordination)));
    parts.extend(started.parent.as_ref().map(|parent| format!("for session {parent}")));
    Sentence::new("started", Colour::Active, format!(" {id}{name}: {}", parts.join("; ")))
}

pub(super) fn paused(paused: &Paused) -> Sentence {
    Sentence::new("paused", Colour::Caution, format!(" by {}{}", paused.by, said(&paused.reason)))
}

pub(super) fn continued(continued: &Continued) -> Sentence {
    Sentence::new("continued", Colour::Active, format!(" by {}", continued.by))
}

pub(super) fn budget_raised(raised: &BudgetRaised) -> Sentence {
    Sentence::new(
        "budget raised",
        Colour::Plain,
        format!(" by {} to {}", raised.by, budget(&raised.budget)),
    )
}

pub(super) fn stop_requested(stop: &StopRequested) -> Sentence {
    let word = match stop.kind {
        StopKind::Close => "close requested",
        StopKind::Drain => "drain requested",
        StopKind::Cancel => "cancel requested",
        _ => "end requested in a way that this version does not know",
    };
    Sentence::new(word, Colour::Caution, format!(" by {}{}", stop.by, said(&stop.why())))
}

pub(super) fn interrupted(interrupted: &Interrupted) -> Sentence {
    let Interrupted { by, reason, ends_sessions, swept, away, .. } = interrupted;
    let by = if by == Actor::engine() { String::new() } else { format!(" by {by}") };
    let ends = if *ends_sessions { "; running sessions are stopped" } else { "" };
    let text = format!("{by}{}{ends}{}{}", said(reason), lost(*swept), uncounted(*away));
    Sentence::new("interrupted", Colour::Caution, text)
}

pub(super) fn resumed(resumed: &Resumed) -> Sentence {
    let Resumed { epoch, engine, swept, away } = resumed;
    let by = format!(" by antiphon {engine} in epoch {epoch}");
    Sentence::new("resumed", Colour::Active, format!("{by}{}{}", lost(*swept), uncounted(*away)))
}

/// The sessions that died with an earlier engine.
fn lost(sessions: u32) -> String {
    match sessions {
        0 => String::new(),
        1 => "; 1 session was interrupted".to_owned(),
        many => format!("; {many} sessions were interrupted"),
    }
}

/// From which time on it is told, in nanoseconds: less makes no difference to a budget.
const TOLD_FROM: u64 = 60_000_000_000;

/// The time in which nobody carried a run out.
fn uncounted(ns: u64) -> String {
    match ns {
        0..TOLD_FROM => String::new(),
        ns => format!("; {} before this do not count", elapsed(ns)),
    }
}

pub(super) fn completed(completed: &Completed) -> Sentence {
    let verdict = completed.verdict;
    let stop = completed.stop.describe();
    Sentence::new(verdict.as_str(), verdict, format!(": {stop}; receipt {}", completed.receipt))
}

pub(super) fn aborted(aborted: &Aborted) -> Sentence {
    let verdict = aborted.verdict;
    let reason = aborted.reason.describe();
    Sentence::new(verdict.as_str(), verdict, format!(": {reason}; receipt {}", aborted.receipt))
}

fn budget(budget: &CoordinationBudget) -> String {
    let time = time::nanos(budget.max_duration_ticks(), budget.tick_rate_hz());
    let sessions = counted(budget.max_episodes(), "session");
    let mut text = format!("at most {sessions}, {}", elapsed(time));
    if let Some(tokens) = budget.max_tokens() {
        text.push_str(&format!(", {}", counted(tokens, "token")));
    }
    if let Some(max) = budget.max_cost() {
        text.push_str(&format!(", {} {}", cost(max), budget.currency().unwrap_or("of cost")));
    }
    text
}
