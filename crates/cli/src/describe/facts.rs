//! What an event says, in a few words.

use antiphon::coordination::{CoordinationBudget, NextStep, Usage};
use antiphon::envelope::Recorded;
use antiphon::event::{
    CoordinationEvent, DecodeError, Event, LedgerErased, LedgerEvent, LedgerOpened, Mode,
    SessionBound, SessionUnbound, Started, StopKind, Unreadable,
};
use antiphon::time::{self, Deadline};

use crate::labels::{cost as cost_text, skip_reason, work_outcome};
use crate::timestamps;

/// Names that are spelled out before the rest is counted.
const NAMED: usize = 5;

/// The key facts of an event, on one line.
pub(crate) fn facts(event: &Recorded) -> String {
    match event.event() {
        Ok(Event::Ledger(event)) => of_ledger(&event),
        Ok(Event::Coordination(event)) => of_coordination(&event),
        Ok(other) => other.kind().to_owned(),
        Err(Unreadable { error: DecodeError::Erased { .. }, .. }) => "(erased)".to_owned(),
        Err(Unreadable { error, .. }) => format!("({error})"),
    }
}

fn of_ledger(event: &LedgerEvent) -> String {
    match event {
        LedgerEvent::Opened(opened) => ledger_opened(opened),
        LedgerEvent::Closed(_) => String::new(),
        LedgerEvent::Erased(erased) => ledger_erased(erased),
    }
}

fn of_coordination(event: &CoordinationEvent) -> String {
    match event {
        CoordinationEvent::Started(started) => coordination_started(started),
        CoordinationEvent::WorkAdded(added) if added.items.is_empty() => {
            format!("{} again in memory", names(added.recalled.iter().map(|item| &item.work.id)))
        }
        CoordinationEvent::WorkAdded(added) => names(added.items.iter().map(|item| &item.id)),
        CoordinationEvent::SessionBound(bound) => session_bound(bound),
        CoordinationEvent::SessionUnbound(unbound) => session_unbound(unbound),
        CoordinationEvent::SessionCleared(cleared) => {
            format!("nothing is left of session {}", cleared.session)
        }
        CoordinationEvent::WorkSkipped(skipped) => {
            format!("{}: {}", names(skipped.works.iter()), skip_reason(&skipped.because))
        }
        CoordinationEvent::Paused(paused) => format!("by {}: {}", paused.by, paused.reason),
        CoordinationEvent::Continued(continued) => format!("by {}", continued.by),
        CoordinationEvent::BudgetRaised(raised) => {
            format!("by {} to {}", raised.by, budget(&raised.budget))
        }
        CoordinationEvent::StopRequested(stop) => {
            format!("{} by {}: {}", kind(stop.kind), stop.by, stop.reason)
        }
        CoordinationEvent::Resumed(resumed) => {
            format!(
                "epoch {}, antiphon {}, {} sessions lost",
                resumed.epoch, resumed.engine, resumed.swept
            )
        }
        CoordinationEvent::WriteRefused(refused) => {
            format!("{} of session {} with fence {}", refused.kind, refused.session, refused.fence)
        }
        CoordinationEvent::Completed(completed) => {
            format!("{}: {}, receipt {}", completed.verdict, completed.stop, completed.receipt)
        }
        CoordinationEvent::Aborted(aborted) => {
            format!("{}: {}, receipt {}", aborted.verdict, aborted.reason, aborted.receipt)
        }
    }
}

fn ledger_opened(opened: &LedgerOpened) -> String {
    let LedgerOpened { epoch, host, pid, engine, accepted_shorter, .. } = opened;
    let accepted = if *accepted_shorter { ", going on against the head mark" } else { "" };
    format!("epoch {epoch}, antiphon {engine}, process {pid} on {host}{accepted}")
}

fn ledger_erased(erased: &LedgerErased) -> String {
    let mut what = Vec::new();
    if let Some(stream) = &erased.stream {
        what.push(format!("versions {} of {stream}", names(erased.versions.iter())));
    }
    if !erased.blobs.is_empty() {
        what.push(format!("{} blobs", erased.blobs.len()));
    }
    format!("{}: {}", what.join(", "), erased.reason)
}

fn coordination_started(started: &Started) -> String {
    let mut facts = Vec::new();
    facts.extend(started.name.as_ref().map(|name| format!("{name:?}")));
    facts.push(format!("{} items, {} at a time", started.items, started.concurrency));
    facts.push(budget(&started.budget));
    facts.extend((started.mode == Mode::Open).then(|| "open".to_owned()));
    facts.extend(started.parent.as_ref().map(|parent| format!("carries out session {parent}")));
    facts.join(", ")
}

fn session_bound(bound: &SessionBound) -> String {
    let nested = if bound.nested { ", nested" } else { "" };
    format!("{}: session {}, attempt {}{nested}", bound.work, bound.session, bound.attempt)
}

fn session_unbound(unbound: &SessionUnbound) -> String {
    let SessionUnbound { session, work, outcome, text, used, then, .. } = unbound;
    let mut line = format!("{work}: session {session}, {}", outcome.as_str());
    if let Some(text) = text {
        line.push_str(&format!(" ({text})"));
    }
    let follows = match then {
        NextStep::Done(outcome) => work_outcome(outcome),
        NextStep::Retry(_) => "to be retried".to_owned(),
        NextStep::Wait(Deadline::Wall(wall)) => {
            format!("waits until {}", timestamps::seconds(*wall))
        }
        NextStep::Wait(Deadline::Ledger(_)) => "waits".to_owned(),
        NextStep::Hold => "waits until nothing of it is left".to_owned(),
    };
    format!("{line}, {follows}{}", usage(used))
}

fn usage(used: &Usage) -> String {
    let estimated = if used.estimated { " (estimated)" } else { "" };
    match (used.tokens, used.cost) {
        (0, 0) => String::new(),
        (tokens, 0) => format!(", {tokens} tokens{estimated}"),
        (tokens, cost) => format!(", {tokens} tokens, cost {}{estimated}", cost_text(cost)),
    }
}

fn budget(budget: &CoordinationBudget) -> String {
    let time = time::nanos(budget.max_duration_ticks(), budget.tick_rate_hz());
    let mut text =
        format!("at most {} sessions, {}", budget.max_episodes(), timestamps::span(time));
    if let Some(tokens) = budget.max_tokens() {
        text.push_str(&format!(", {tokens} tokens"));
    }
    if let Some(cost) = budget.max_cost() {
        text.push_str(&format!(", {} {}", cost_text(cost), budget.currency().unwrap_or("of cost")));
    }
    text
}

fn kind(kind: StopKind) -> &'static str {
    match kind {
        StopKind::Close => "close",
        StopKind::Drain => "drain",
        StopKind::Cancel => "cancel",
    }
}

fn names<T: std::fmt::Display>(all: impl ExactSizeIterator<Item = T>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let named: Vec<String> = all.take(NAMED).map(|name| name.to_string()).collect();
    let named = named.join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}
