//! A run that had ended before a command asked for it: nothing is carried out, which is said, and
//! how it ended is shown without its story.

use antiphon::id::{CoordinationId, StreamName};

use super::record::check;
use crate::command_error::CommandError;
use crate::ledger::Ledger;
use crate::run_outcome::RunOutcome;
use crate::stderr;
use crate::text::printable;
use crate::timestamps::seconds;
use crate::view::View;

/// A run that had ended before.
pub(super) struct EndedRun<'a> {
    ledger: &'a Ledger,
    id: &'a CoordinationId,
    outcome: RunOutcome,
}

impl<'a> EndedRun<'a> {
    /// The run of this id, if it has ended.
    pub(super) fn find(
        ledger: &'a Ledger,
        id: &'a CoordinationId,
    ) -> Result<Option<Self>, CommandError> {
        Ok(ledger.outcome(id)?.map(|mut outcome| {
            outcome.explain(ledger.store.as_ref(), id);
            Self { ledger, id, outcome }
        }))
    }

    pub(super) fn outcome(&self) -> &RunOutcome {
        &self.outcome
    }

    /// Says when it ended and how, that nothing was run now, and what would run it again.
    pub(super) fn say(&self, again: Option<&str>) -> Result<(), CommandError> {
        let (id, outcome) = (self.id, &self.outcome);
        let head = self.ledger.head(&StreamName::Coordination(id.clone()))?;
        let (verdict, ended) = (outcome.verdict, seconds(head.changed.1));
        let stop = outcome.stop().map(|stop| format!(" ({stop})")).unwrap_or_default();
        let retry = format!("`antiphon retry {id}` carries out what did not succeed");
        // What cannot be read cannot be taken over, and a nested run is run again by the one that it
        // is in, which the summary names.
        let retry = outcome.kind().and(outcome.report()).map(|_| retry);
        let retry = retry.filter(|_| !id.is_numbered());
        let advice =
            retry.into_iter().chain(again.map(str::to_owned)).map(|how| format!("; {how}"));
        let advice: String = advice.collect();
        let text =
            format!("{id} has ended: {verdict}{stop} at {ended}; nothing was run now{advice}");
        stderr::say(printable(&text));
        Ok(())
    }

    /// The same, and shows its result. Its record is checked as at its end.
    pub(super) fn show(
        mut self,
        view: View,
        again: Option<&str>,
    ) -> Result<RunOutcome, CommandError> {
        let (ledger, id) = (self.ledger, self.id);
        self.say(again)?;
        let checked = check(&ledger.dir, id);
        self.outcome.checked(&checked);
        let mut view = view.of_ended(id);
        ledger.each_event(&StreamName::Coordination(id.clone()), |event| view.recall(event))?;
        view.end(&self.outcome)?;
        checked?;
        Ok(self.outcome)
    }
}
