//! What an event says: to people in one sentence, to programs as JSON.
//!
//! `log` and the lines of a run read the sentences here. Where an event gives an item its outcome or
//! starts it, the sentence begins with the word for where the item is then, as `status` and the frame
//! say it too; the end of any other session begins with how that ended.

mod approval;
mod json;
mod key;
mod ledger;
mod narration;
mod route;
mod run;
mod sentence;
mod session;
mod signal;
mod work;

use antiphon::envelope::Recorded;
use antiphon::event::{
    AggregateEvent as _, CoordinationEvent, DecodeError, Event, LedgerEvent, Unreadable,
};

pub(crate) use approval::{open_questions, questions_open};
pub(crate) use json::json;
pub(crate) use key::{changed, score_text};
pub(crate) use narration::Narration;
pub(crate) use sentence::{Sentence, shortened};
pub(crate) use signal::heard;

/// What an event says, on one line; of a session that ended, with how long it took if that is known.
fn sentence(recorded: &Recorded, took_ns: Option<u64>) -> Sentence {
    match recorded.event() {
        Ok(Event::Ledger(event)) => of_ledger(&event),
        Ok(Event::Coordination(event)) => of_run(recorded, &event, took_ns),
        Ok(other) => Sentence::plain(other.kind()),
        Err(Unreadable { error: DecodeError::Erased { .. }, .. }) => Sentence::plain("(erased)"),
        Err(Unreadable { error, .. }) => Sentence::plain(format!("({error})")),
    }
}

fn of_ledger(event: &LedgerEvent) -> Sentence {
    match event {
        LedgerEvent::Opened(opened) => ledger::opened(opened),
        LedgerEvent::Closed(_) => Sentence::plain("closed"),
        LedgerEvent::Erased(erased) => ledger::erased(erased),
        other => Sentence::plain(other.kind()),
    }
}

fn of_run(recorded: &Recorded, event: &CoordinationEvent, took_ns: Option<u64>) -> Sentence {
    match event {
        CoordinationEvent::Started(started) => run::started(&recorded.stream, started),
        CoordinationEvent::WorkAdded(added) => work::added(added),
        CoordinationEvent::SessionBound(bound) => session::bound(bound),
        CoordinationEvent::SessionUnbound(unbound) => {
            session::unbound(unbound, recorded.at, took_ns)
        }
        CoordinationEvent::Routed(routed) => route::routed(routed),
        CoordinationEvent::SessionCleared(cleared) => session::cleared(cleared),
        CoordinationEvent::WorkSkipped(skipped) => work::skipped(skipped),
        CoordinationEvent::Signalled(sent) => signal::sent(sent),
        CoordinationEvent::KeySet(set) => key::set(set),
        CoordinationEvent::Asked(asked) => approval::asked(asked),
        CoordinationEvent::Answered(answered) => approval::answered(answered),
        CoordinationEvent::Paused(paused) => run::paused(paused),
        CoordinationEvent::Continued(continued) => run::continued(continued),
        CoordinationEvent::BudgetRaised(raised) => run::budget_raised(raised),
        CoordinationEvent::StopRequested(stop) => run::stop_requested(stop),
        CoordinationEvent::Interrupted(interrupted) => run::interrupted(interrupted),
        CoordinationEvent::Resumed(resumed) => run::resumed(resumed),
        CoordinationEvent::WriteRefused(refused) => session::write_refused(refused),
        CoordinationEvent::Completed(completed) => run::completed(completed),
        CoordinationEvent::Aborted(aborted) => run::aborted(aborted),
        other => Sentence::plain(other.kind()),
    }
}
