//! What a run looks like while it runs, and at its end: one line for everything that happens to an item.

use std::collections::BTreeMap;

use antiphon::coordination::{SessionOutcome, Then, WorkItemOutcome};
use antiphon::envelope::Recorded;
use antiphon::event::{Event, SessionUnbound};
use antiphon::id::CoordinationId;
use antiphon::time::At;

use crate::ending::Ending;
use crate::output::{painted, printable};

/// What is remembered from one event to the next.
pub(crate) struct Progress {
    coordination: CoordinationId,
    started: Option<At>,
    last: At,
    bound: BTreeMap<u64, At>,
    sessions: u64,
}

impl Progress {
    pub(crate) fn new(coordination: CoordinationId) -> Self {
        Self { coordination, started: None, last: At(0), bound: BTreeMap::new(), sessions: 0 }
    }

    /// What an event means for whoever watches, if anything.
    pub(crate) fn line(&mut self, recorded: &Recorded) -> Option<String> {
        let payload = recorded.payload.bytes()?;
        let event = Event::decode(&recorded.kind, recorded.schema, payload).ok()?;
        let start = *self.started.get_or_insert(recorded.at);
        self.last = recorded.at;
        let text = match event {
            Event::Started(started) => {
                let name = started.name.unwrap_or_else(|| self.coordination.to_string());
                format!(
                    "{} starts as {}: {} items, {} at a time",
                    printable(&name),
                    self.coordination,
                    started.items,
                    started.concurrency
                )
            }
            Event::SessionBound(bound) => {
                self.bound.insert(bound.session, recorded.at);
                let again = if bound.attempt > 1 { format!(" (attempt {})", bound.attempt) } else { String::new() };
                format!("{} {}{again}", painted("running", "running"), bound.work)
            }
            Event::SessionUnbound(unbound) => self.ended(&unbound, recorded.at),
            Event::WorkSkipped(skipped) => {
                let works: Vec<String> = skipped.works.iter().map(ToString::to_string).collect();
                format!("{} {}", painted("skipped", "partial"), works.join(", "))
            }
            Event::Paused(paused) => format!("{}: {}", painted("paused", "paused"), printable(&paused.reason)),
            Event::Continued(_) => "goes on".to_owned(),
            Event::StopRequested(stop) => format!("{}: {}", painted("stopping", "stopping"), printable(&stop.reason)),
            Event::Resumed(resumed) => format!("taken up again; {} sessions were lost", resumed.swept),
            _ => return None,
        };
        Some(format!("{:>8}  {text}", elapsed(recorded.at.since(start))))
    }

    fn ended(&mut self, unbound: &SessionUnbound, at: At) -> String {
        self.sessions += 1;
        let took = self.bound.remove(&unbound.session).map_or(0, |since| at.since(since));
        let (word, state) = match (&unbound.then, unbound.outcome) {
            (Then::Done(WorkItemOutcome::Succeeded), _) => ("done", "succeeded"),
            (_, SessionOutcome::Deferred { .. }) => ("deferred", "partial"),
            (Then::Done(_), _) => ("failed", "failed"),
            (Then::Hold, _) => ("unclean", "failed"),
            (_, SessionOutcome::Cancelled) => ("cancelled", "partial"),
            (_, SessionOutcome::Lost) => ("lost", "partial"),
            _ => ("retries", "partial"),
        };
        let said = unbound.text.as_deref().map(|text| format!(": {}", printable(text.trim()))).unwrap_or_default();
        let used = if unbound.used.tokens > 0 { format!(", {} tokens", unbound.used.tokens) } else { String::new() };
        format!("{} {} in {}{used}{said}", painted(word, state), unbound.work, elapsed(took))
    }

    /// What it came to.
    pub(crate) fn summary(&self, ending: &Ending) -> Vec<String> {
        let verdict = ending.verdict.to_string();
        let took = self.started.map_or(0, |start| self.last.since(start));
        let stop = ending.stop().map(|stop| format!(": {}", printable(&stop))).unwrap_or_default();
        vec![
            format!("{} in {}, {} sessions{stop}", painted(&verdict, &verdict), elapsed(took), self.sessions),
            format!("receipt {}", ending.receipt),
            format!("look at it with `antiphon receipt show {}`", self.coordination),
        ]
    }
}

/// Nanoseconds as people say them.
fn elapsed(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    match seconds {
        0..60 => format!("{}.{}s", seconds, nanos / 100_000_000 % 10),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
    }
}
