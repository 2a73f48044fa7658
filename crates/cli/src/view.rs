//! What a run looks like while it runs.

use antiphon::envelope::Recorded;
use antiphon::id::CoordinationId;

mod echo;

use std::path::PathBuf;

use crate::command_error::CommandError;
use crate::commands::log;
use crate::commands::run::progress::Progress;
use crate::ending::Ending;
use crate::output::Output;
use echo::Echo;

/// What is shown.
pub(crate) enum View {
    /// A line for everything that happens to an item.
    Plain { output: Output, progress: Progress },
    /// The events.
    Json(Output),
    /// What the one command of it prints.
    Echo(Box<Echo>),
}

impl View {
    pub(crate) fn choose(id: CoordinationId, json: bool) -> Self {
        match json {
            true => Self::Json(Output::stdout()),
            false => Self::Plain { output: Output::stdout(), progress: Progress::new(id) },
        }
    }

    /// What the sessions of a coordination in a state directory print, as they print it.
    pub(crate) fn echo(id: CoordinationId, dir: PathBuf) -> Self {
        Self::Echo(Box::new(Echo::new(dir, id)))
    }

    pub(crate) fn wants_ticks(&self) -> bool {
        matches!(self, Self::Echo(_))
    }

    pub(crate) fn tick(&mut self) -> Result<(), CommandError> {
        match self {
            Self::Echo(echo) => echo.tick(),
            _ => Ok(()),
        }
    }

    pub(crate) fn event(&mut self, event: &Recorded) -> Result<(), CommandError> {
        match self {
            Self::Json(output) => {
                output.json(&log::line(event))?;
                output.flush()
            }
            Self::Plain { output, progress } => {
                if let Some(line) = progress.line(event) {
                    output.line(line)?;
                }
                output.flush()
            }
            Self::Echo(echo) => echo.event(event),
        }
    }

    pub(crate) fn tell(&mut self, text: &str) {
        anstream::eprintln!("{text}");
    }

    pub(crate) fn end(self, ending: &Ending) -> Result<(), CommandError> {
        match self {
            Self::Json(output) => output.finish(),
            Self::Plain { mut output, progress } => {
                for line in progress.summary(ending) {
                    output.line(line)?;
                }
                output.finish()
            }
            Self::Echo(echo) => echo.end(ending),
        }
    }
}
