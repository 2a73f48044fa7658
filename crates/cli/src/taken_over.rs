//! What a retry took over from the run that it retries.

use std::collections::BTreeMap;
use std::fmt;

use antiphon::coordination::Coordination;
use antiphon_server::RetryAnswer;

use crate::labels::counted;

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
    /// Of a run as it is recorded; `None` if it retries none.
    pub(crate) fn of(run: &Coordination) -> Option<Self> {
        let forerunner = run.started().forerunner.as_ref()?;
        let tracked = run.work_queue().filter_map(|work| run.work_tracking(work.as_str()));
        let (mut reused, mut carried_out) = (0, BTreeMap::new());
        for taken in tracked.filter_map(|found| found.spec.reused.as_ref()) {
            reused += 1;
            if let Some(earlier) = taken.earlier_run() {
                *carried_out.entry(earlier.to_string()).or_default() += 1;
            }
        }
        Some(Self {
            id: run.coordination_id().to_string(),
            forerunner: forerunner.coordination.to_string(),
            reused,
            changed: 0,
            carried_out,
            again: run.work_count().saturating_sub(reused),
            reasons: BTreeMap::new(),
        })
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

    /// The same at its end.
    pub(crate) fn at_end(&self) -> String {
        format!("{}, {} ran again", self.items(), self.again)
    }
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
