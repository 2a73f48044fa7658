//! What a run looks like while it runs.

use antiphon::envelope::Recorded;
use antiphon::id::CoordinationId;

use crate::command_error::CommandError;
use crate::commands::log;
use crate::commands::run::progress::Progress;
use crate::ending::Ending;
use crate::output::Output;

/// Plain lines, or events as JSON.
pub(crate) struct View {
    output: Output,
    progress: Progress,
    json: bool,
}

impl View {
    pub(crate) fn choose(id: CoordinationId, json: bool) -> Self {
        Self { output: Output::stdout(), progress: Progress::new(id), json }
    }

    pub(crate) fn wants_ticks(&self) -> bool {
        false
    }

    pub(crate) fn tick(&mut self) -> Result<(), CommandError> {
        Ok(())
    }

    pub(crate) fn event(&mut self, event: &Recorded) -> Result<(), CommandError> {
        if self.json {
            self.output.json(&log::line(event))?;
        } else if let Some(line) = self.progress.line(event) {
            self.output.line(line)?;
        }
        self.output.flush()
    }

    pub(crate) fn tell(&mut self, text: &str) {
        anstream::eprintln!("{text}");
    }

    pub(crate) fn end(mut self, ending: &Ending) -> Result<(), CommandError> {
        if !self.json {
            for line in self.progress.summary(ending) {
                self.output.line(line)?;
            }
        }
        self.output.finish()
    }
}
