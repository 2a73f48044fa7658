//! What a run looks like to whoever started it: a frame on a terminal, lines elsewhere, or its events as JSON.

mod board;
mod frame;
mod line;
mod live;
mod meters;
mod plain;
mod row;
mod summary;

use std::io::IsTerminal as _;

use antiphon::coordination::Verdict;
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::id::{CoordinationId, WorkId};

use crate::command_error::CommandError;
use crate::commands::log;
use crate::output::{Output, printable};
pub(crate) use board::{Board, Shown};
pub(crate) use frame::{counted, gauges, notes};
use live::Live;
pub(crate) use meters::{Meter, meters};
use plain::Plain;
pub(crate) use row::{Row, Rows};

/// The look of one run. Whatever becomes of it, it leaves a terminal as it found it.
pub(crate) struct View(Look);

enum Look {
    /// A frame on a terminal.
    Live(Box<Live>),
    /// A line for what happens.
    Plain(Output, Box<Plain>),
    /// The events themselves.
    Json(Output),
}

impl View {
    /// The look that fits where standard output goes.
    pub(crate) fn choose(id: CoordinationId, json: bool) -> Self {
        let draws = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        Self(if json {
            Look::Json(Output::stdout())
        } else if draws && std::io::stdout().is_terminal() {
            Look::Live(Box::new(Live::new(id)))
        } else {
            Look::Plain(Output::stdout(), Box::new(Plain::new(id)))
        })
    }

    /// Shows what an event changes.
    pub(crate) fn event(&mut self, event: &Recorded) -> Result<(), CommandError> {
        match &mut self.0 {
            Look::Live(live) => live.event(event),
            Look::Json(output) => {
                output.json(&log::line(event))?;
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
        matches!(self.0, Look::Live(_))
    }

    /// Shows how time passes; to be called about ten times a second.
    pub(crate) fn tick(&mut self) -> Result<(), CommandError> {
        match &mut self.0 {
            Look::Live(live) => live.tick(),
            Look::Plain(..) | Look::Json(_) => Ok(()),
        }
    }

    /// Items that are ready while nothing on the record keeps them from running; the engine knows why.
    pub(crate) fn unexplained(&self) -> Vec<WorkId> {
        match &self.0 {
            Look::Live(live) => live.unexplained(),
            Look::Plain(..) | Look::Json(_) => Vec::new(),
        }
    }

    /// Shows why items do not run, as the engine says; replaces what was said before.
    pub(crate) fn waits(&mut self, reasons: &[(WorkId, String)]) {
        if let Look::Live(live) = &mut self.0 {
            live.waits(reasons);
        }
    }

    /// Says something of ours, beside what is shown.
    pub(crate) fn tell(&mut self, text: &str) -> Result<(), CommandError> {
        match &mut self.0 {
            Look::Live(live) => live.tell(text),
            Look::Plain(..) | Look::Json(_) => {
                anstream::eprintln!("{}", printable(text));
                Ok(())
            }
        }
    }

    /// Shows what it came to.
    pub(crate) fn end(&mut self, verdict: Verdict, receipt: Digest) -> Result<(), CommandError> {
        match &mut self.0 {
            Look::Live(live) => live.end(verdict, receipt),
            Look::Json(output) => output.flush(),
            Look::Plain(output, plain) => {
                for line in plain.summary(verdict, receipt).lines() {
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
