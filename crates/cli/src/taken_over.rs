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
    again: u64,
    /// Items that run again by why they do, where that is known.
    reasons: BTreeMap<String, u64>,
}

impl TakenOver {
    /// Of a run as it is recorded; `None` if it retries none.
    pub(crate) fn of(run: &Coordination) -> Option<Self> {
        let forerunner = run.started().forerunner.as_ref()?;
        let reused = run.work_queue().filter(|work| {
            run.work_tracking(work.as_str()).is_some_and(|found| found.spec.reused.is_some())
        });
        let reused = reused.count() as u64;
        Some(Self {
            id: run.coordination_id().to_string(),
            forerunner: forerunner.coordination.to_string(),
            reused,
            changed: 0,
            again: run.work_count().saturating_sub(reused),
            reasons: BTreeMap::new(),
        })
    }

    fn taken(&self) -> String {
        match self.reused {
            0 => "nothing taken over".to_owned(),
            reused => {
                let changed = match self.changed {
                    0 => String::new(),
                    changed => format!(" ({changed} changed since)"),
                };
                let reused = counted(reused, "item");
                format!("{reused} taken over from {}{changed}", self.forerunner)
            }
        }
    }

    /// The same at its end.
    pub(crate) fn at_end(&self) -> String {
        let taken = counted(self.reused, "item");
        format!("{taken} taken over from {}, {} ran again", self.forerunner, self.again)
    }
}

impl From<&RetryAnswer> for TakenOver {
    fn from(answer: &RetryAnswer) -> Self {
        let RetryAnswer { id, forerunner, reused, changed, again, reasons, .. } = answer;
        let (id, forerunner, reasons) = (id.clone(), forerunner.clone(), reasons.clone());
        let (reused, changed, again) = (*reused, *changed, *again);
        Self { id, forerunner, reused, changed, again, reasons }
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
