//! What a retry took over from the run that it retries.

use std::collections::BTreeMap;
use std::fmt;

use antiphon::coordination::{Coordination, Reused, WorkSpec};
use antiphon::id::{CoordinationId, SessionId, StreamName};
use antiphon::ledger::HeadQuery;
use antiphon::plan::PlanSpec;
use antiphon_server::RetryAnswer;

use crate::command_error::CommandError;
use crate::labels::counted;
use crate::ledger::Ledger;

/// How much a retry took over, and how much it carries out.
#[derive(Debug)]
pub(crate) struct TakenOver {
    id: String,
    forerunner: String,
    reused: u64,
    /// How many of these have changed since, where that is known.
    changed: u64,
    /// How many of them an earlier run than the forerunner had carried out, by that run.
    carried_out: BTreeMap<String, u64>,
    again: u64,
    /// Items that run again by why they do, where that is known.
    reasons: BTreeMap<String, u64>,
}

impl TakenOver {
    /// Of a run as it is recorded, with what its nested plans were to do; `None` if it retries none.
    pub(crate) fn of(run: &Coordination, ledger: &Ledger) -> Result<Option<Self>, CommandError> {
        let Some(forerunner) = &run.started().forerunner else { return Ok(None) };
        let tracked = run.work_queue().filter_map(|work| run.work_tracking(work.as_str()));
        let mut tally = Tally::default();
        tally.take_work(ledger, tracked.map(|found| found.spec))?;
        Ok(Some(Self {
            id: run.coordination_id().to_string(),
            forerunner: forerunner.coordination.to_string(),
            reused: tally.reused,
            changed: 0,
            carried_out: tally.carried_out,
            again: tally.again,
            reasons: BTreeMap::new(),
        }))
    }

    fn taken(&self) -> String {
        match self.reused {
            0 => "nothing taken over".to_owned(),
            _ => {
                let changed = match self.changed {
                    0 => String::new(),
                    changed => format!(" ({changed} changed since)"),
                };
                self.items() + &changed
            }
        }
    }

    /// From which run, and which earlier ones had carried them out.
    fn items(&self) -> String {
        let taken = format!("{} taken over from {}", counted(self.reused, "item"), self.forerunner);
        let earlier = self.carried_out.iter().map(|(run, count)| format!("{count} in {run}"));
        match earlier.collect::<Vec<_>>().as_slice() {
            [] => taken,
            earlier => format!("{taken} (carried out before that: {})", earlier.join(", ")),
        }
    }

    /// The same of a run that has ended and of those that carried out its nested plans, with how
    /// many items sessions carried out; `None` if it retries none.
    pub(crate) fn at_end(
        ledger: &Ledger,
        id: &CoordinationId,
    ) -> Result<Option<String>, CommandError> {
        let run = ledger.replayed(id)?;
        let mut tally = Tally::default();
        tally.take_run(ledger, &run)?;
        let Tally { reused, carried_out, ran, nested, .. } = tally;
        let of_nested = if nested { "with those of nested plans, " } else { "" };
        let taken = Self::of(&run, ledger)?;
        let taken = taken.map(|taken| Self { reused, carried_out, ..taken }.taken());
        Ok(taken.map(|taken| format!("{of_nested}{taken}, {ran} ran again")))
    }
}

/// Items of a retry, counted.
#[derive(Default)]
struct Tally {
    reused: u64,
    /// How many of them an earlier run than the forerunner had carried out, by that run.
    carried_out: BTreeMap<String, u64>,
    /// Those that were to be carried out, but for nested plans that were to be gone into.
    again: u64,
    /// Those that had a session, but for nested plans that were gone into.
    ran: u64,
    /// Whether any was.
    nested: bool,
}

impl Tally {
    fn take(&mut self, reused: &Reused) {
        self.reused += 1;
        if let Some(earlier) = reused.earlier_run() {
            *self.carried_out.entry(earlier.to_string()).or_default() += 1;
        }
    }

    /// Takes in what was decided when the retry was started.
    fn take_work<'w>(
        &mut self,
        ledger: &Ledger,
        work: impl Iterator<Item = &'w WorkSpec>,
    ) -> Result<(), CommandError> {
        for item in work {
            match (&item.reused, plan_below(ledger, item)?) {
                (Some(reused), _) => self.take(reused),
                (None, Some(plan)) => self.take_work(ledger, plan.work.iter())?,
                (None, None) => self.again += 1,
            }
        }
        Ok(())
    }

    fn take_run(&mut self, ledger: &Ledger, run: &Coordination) -> Result<(), CommandError> {
        for found in run.work_queue().filter_map(|work| run.work_tracking(work.as_str())) {
            if let Some(reused) = &found.spec.reused {
                self.take(reused);
                continue;
            }
            let Some(last) = found.sessions.last() else { continue };
            match retry_below(ledger, &run.session_id(*last), found.spec)? {
                Some(below) => {
                    self.nested = true;
                    self.take_run(ledger, &below)?;
                }
                None => self.ran += 1,
            }
        }
        Ok(())
    }
}

/// An item's nested plan, if that retries a run, too. One that cannot be read is not gone into.
fn plan_below(ledger: &Ledger, item: &WorkSpec) -> Result<Option<PlanSpec>, CommandError> {
    let Some(plan) = item.input.filter(|_| item.runner.is_plan()) else { return Ok(None) };
    let bytes = ledger.store.blob(&plan)?;
    let plan = bytes.and_then(|bytes| PlanSpec::from_bytes(&bytes).ok());
    Ok(plan.filter(|plan| plan.forerunner.is_some()))
}

/// The run that carries out an item's nested plan, if it is a retry, too.
fn retry_below(
    ledger: &Ledger,
    session: &SessionId,
    item: &WorkSpec,
) -> Result<Option<Coordination>, CommandError> {
    let child = session.nested_coordination().ok().filter(|_| item.runner.is_plan());
    let Some(child) = child else { return Ok(None) };
    let stream = StreamName::Coordination(child.clone());
    // One that could not be started is not there.
    if ledger.store.heads(&HeadQuery::Stream(stream))?.is_empty() {
        return Ok(None);
    }
    Ok(Some(ledger.replayed(&child)?).filter(|run| run.started().forerunner.is_some()))
}

impl From<&RetryAnswer> for TakenOver {
    fn from(answer: &RetryAnswer) -> Self {
        let answer = answer.clone();
        Self {
            id: answer.id,
            forerunner: answer.forerunner,
            reused: answer.reused,
            changed: answer.changed,
            carried_out: answer.carried_out,
            again: answer.again,
            reasons: answer.reasons,
        }
    }
}

/// What is taken over and from where, and what runs again and why.
impl fmt::Display for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = if self.again == 1 { "runs" } else { "run" };
        write!(f, "{}: {}, {} {runs} again", self.id, self.taken(), self.again)?;
        let reasons = self.reasons.iter();
        let reasons: Vec<String> =
            reasons.map(|(reason, count)| format!("{count} {}", in_words(reason))).collect();
        if reasons.is_empty() { Ok(()) } else { write!(f, ": {}", reasons.join(", ")) }
    }
}

fn in_words(reason: &str) -> &str {
    match reason {
        "asked" => "asked for",
        "needs" => "that need what runs again",
        other => other,
    }
}
