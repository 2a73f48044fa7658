//! What a run looks like to the user who started it: a frame on a terminal, lines elsewhere, or its
//! events as JSON.

mod board;
mod echo;
mod frame;
mod line;
mod live;
mod meters;
mod plain;
mod row;
mod summary;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use antiphon::envelope::Recorded;
use antiphon::event::CoordinationEvent;
use antiphon::id::{CoordinationId, WorkId};

use crate::command_error::CommandError;
use crate::describe;
use crate::run_outcome::RunOutcome;
use crate::stderr;
use crate::stdout::Stdout;
use crate::text::printable;
pub(crate) use board::{Board, Shown};
use echo::Echo;
pub(crate) use frame::{class_counts, gauges, notes};
use live::LiveView;
pub(crate) use meters::{Meter, meters};
use plain::Plain;
pub(crate) use row::{Row, Rows};
pub(crate) use summary::{goes_on, item_counts, took};

/// The display of one run. However the run ends, the terminal is left as it was found.
pub(crate) struct View(Look);

enum Look {
    /// A frame on a terminal.
    Live(Box<LiveView>),
    /// A line for what happens.
    Plain(Stdout, Box<Plain>),
    Json(Stdout),
    /// What the one command of a coordination prints.
    Echo(Box<Echo>),
}

impl View {
    /// The look that fits where standard output goes.
    pub(crate) fn choose(id: CoordinationId, json: bool) -> Self {
        let draws = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        Self(if json {
            Look::Json(Stdout::open())
        } else if draws && std::io::stdout().is_terminal() {
            Look::Live(Box::new(LiveView::new(id)))
        } else {
            Look::Plain(Stdout::open(), Box::new(Plain::new(id)))
        })
    }

    /// What the sessions of a coordination in a state directory print, as they print it.
    /// With `raw`, a terminal gets it as it is.
    pub(crate) fn echo(id: CoordinationId, dir: PathBuf, raw: bool) -> Self {
        Self(Look::Echo(Box::new(Echo::new(dir, id, raw))))
    }

    /// The look for the result alone of a run that had ended before.
    pub(crate) fn of_ended(self, id: &CoordinationId) -> Self {
        Self(match self.0 {
            Look::Live(_) => Look::Plain(Stdout::open(), Box::new(Plain::new(id.clone()))),
            look => look,
        })
    }

    /// Takes in an event of a run that had ended before. Nothing is shown but the last of the
    /// events, where they are what is shown.
    pub(crate) fn recall(&mut self, event: &Recorded) -> Result<(), CommandError> {
        match &mut self.0 {
            Look::Plain(_, plain) => drop(plain.line(event)),
            Look::Json(output) if CoordinationEvent::is_terminal_kind(&event.kind) => {
                output.json(&describe::json(event))?;
            }
            Look::Live(_) | Look::Echo(_) | Look::Json(_) => {}
        }
        Ok(())
    }

    /// Shows what an event changes.
    pub(crate) fn event(&mut self, event: &Recorded) -> Result<(), CommandError> {
        match &mut self.0 {
            Look::Live(live) => live.event(event),
            Look::Echo(echo) => echo.event(event),
            Look::Json(output) => {
                output.json(&describe::json(event))?;
                output.flush()
            }
            Look::Plain(output, plain) => {
                if let Some(line) = plain.line(event) {
                    output.line(line)?;
                }
                output.flush()
            }
        }
    }

    /// Whether [`View::tick`] does anything.
    pub(crate) fn wants_ticks(&self) -> bool {
        matches!(self.0, Look::Live(_) | Look::Echo(_))
    }

    /// Shows how time passes; to be called about ten times a second.
    pub(crate) fn tick(&mut self) -> Result<(), CommandError> {
        match &mut self.0 {
            Look::Live(live) => live.tick(),
            Look::Echo(echo) => echo.tick(),
            Look::Plain(..) | Look::Json(_) => Ok(()),
        }
    }

    /// Items that are ready while nothing on the record keeps them from running; the engine knows
    /// why.
    pub(crate) fn unexplained(&self) -> Vec<WorkId> {
        match &self.0 {
            Look::Live(live) => live.unexplained(),
            _ => Vec::new(),
        }
    }

    /// Shows why items do not run, as the engine says, and whether the run only waits for secrets;
    /// replaces what was said before.
    pub(crate) fn waits(&mut self, reasons: BTreeMap<WorkId, String>, for_secrets: bool) {
        if let Look::Live(live) = &mut self.0 {
            live.waits(reasons, for_secrets);
        }
    }

    /// Prints a message of this command, next to what is shown of the run.
    pub(crate) fn tell(&mut self, text: &str) -> Result<(), CommandError> {
        match &mut self.0 {
            Look::Live(live) => live.tell(text),
            _ => {
                stderr::say(printable(text));
                Ok(())
            }
        }
    }

    /// Shows how it ended.
    pub(crate) fn end(&mut self, outcome: &RunOutcome) -> Result<(), CommandError> {
        match &mut self.0 {
            Look::Live(live) => live.end(outcome),
            Look::Echo(echo) => echo.end(outcome),
            Look::Json(output) => output.flush(),
            Look::Plain(output, plain) => {
                for line in plain.summary(outcome).lines() {
                    output.line(line)?;
                }
                output.flush()
            }
        }
    }
}

#[cfg(test)]
mod history;
#[cfg(test)]
mod tests;
