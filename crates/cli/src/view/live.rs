//! A run on a terminal: a frame that is drawn again in place.
//!
//! Every write leaves the terminal as it was found: the cursor is shown, lines wrap, and the next
//! one begins below the frame. So there is nothing to clean up, whatever ends this process.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anstream::ColorChoice;
use antiphon::envelope::Recorded;
use antiphon::id::{CoordinationId, WorkId};
use rustix::termios::tcgetwinsize;

use super::board::Board;
use super::frame::{FrameTime, Size, frame};
use super::line::width;
use super::plain::Plain;
use crate::command_error::CommandError;
use crate::run_outcome::RunOutcome;
use crate::stdout::Stdout;
use crate::text::printable;
use crate::timestamps;

/// Hides the cursor and lets lines end at the edge.
const BEGIN: &str = "\u{1b}[?25l\u{1b}[?7l";

/// Takes back what [`BEGIN`] did.
const END: &str = "\u{1b}[?7h\u{1b}[?25h";

/// The shortest time between two frames.
const REST: Duration = Duration::from_millis(80);

/// What a terminal is taken for that does not say how large it is.
const USUAL: Size = Size::new(24, 80);

/// The frame on the terminal and what it is made of.
pub(super) struct LiveView {
    board: Board,
    /// What the last lines are made of, also where the board cannot be read.
    lines: Plain,
    asked: BTreeMap<WorkId, String>,
    output: Stdout,
    coloured: bool,
    turn: usize,
    /// Widths of the lines that stand there.
    drawn: Vec<usize>,
    last: Option<Instant>,
    changed: bool,
}

impl LiveView {
    pub(super) fn new(id: CoordinationId) -> Self {
        let (board, lines) = (Board::new(id.clone()), Plain::new(id));
        let coloured = anstream::AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
        let output = Stdout::terminal();
        Self {
            board,
            lines,
            asked: BTreeMap::new(),
            output,
            coloured,
            turn: 0,
            drawn: Vec::new(),
            last: None,
            changed: true,
        }
    }

    /// Takes an event in; it is seen with the next tick, so that a thousand events cost one frame.
    /// Only ticks that fail to come are made up for.
    pub(super) fn event(&mut self, recorded: &Recorded) -> Result<(), CommandError> {
        self.board.take(recorded);
        let _unseen = self.lines.line(recorded);
        self.changed = true;
        if self.last.is_some_and(|last| last.elapsed() >= 2 * REST) { self.draw() } else { Ok(()) }
    }

    pub(super) fn tick(&mut self) -> Result<(), CommandError> {
        let moves = self.board.run().is_some_and(|run| !run.status().is_terminal());
        let begun = self.board.run().is_some() || self.board.unread().is_some();
        if begun && (self.changed || moves) && self.last.is_none_or(|last| last.elapsed() >= REST) {
            self.turn += 1;
            return self.draw();
        }
        Ok(())
    }

    pub(super) fn unexplained(&self) -> Vec<WorkId> {
        self.board.unexplained()
    }

    pub(super) fn waits(&mut self, reasons: BTreeMap<WorkId, String>, for_secrets: bool) {
        self.asked = reasons;
        self.board.wait_for_secrets(for_secrets);
        self.changed = true;
    }

    /// Puts a line above the frame, where it stays.
    pub(super) fn tell(&mut self, text: &str) -> Result<(), CommandError> {
        let up = self.up(size());
        self.drawn.clear();
        self.output.bytes(format!("{BEGIN}{up}\u{1b}[J{END}{}\n", printable(text)).as_bytes())?;
        self.draw()
    }

    /// Leaves the last frame and prints how the run ended.
    pub(super) fn end(&mut self, outcome: &RunOutcome) -> Result<(), CommandError> {
        self.draw()?;
        let lines = self.lines.summary(outcome).lines();
        for line in lines {
            self.output.line(self.plain_or_coloured(line))?;
        }
        self.output.flush()
    }

    fn draw(&mut self) -> Result<(), CommandError> {
        let size = size();
        let lines =
            frame(&self.board, &self.asked, FrameTime::new(timestamps::now(), self.turn), size);
        let mut text = format!("{BEGIN}{}", self.up(size));
        self.drawn.clear();
        for line in lines {
            let bare = anstream::adapter::strip_str(&line).to_string();
            self.drawn.push(width(&bare));
            text.push_str(if self.coloured { &line } else { &bare });
            text.push_str("\u{1b}[K\n");
        }
        text.push_str("\u{1b}[J");
        text.push_str(END);
        self.last = Some(Instant::now());
        self.changed = false;
        self.output.bytes(text.as_bytes())?;
        self.output.flush()
    }

    /// Goes to where the last frame begins. A terminal that became narrower has broken its lines.
    fn up(&self, size: Size) -> String {
        let rows: usize =
            self.drawn.iter().map(|width| width.div_ceil(size.columns().max(1)).max(1)).sum();
        match rows.min(size.rows().saturating_sub(1)) {
            0 => "\r".to_owned(),
            rows => format!("\r\u{1b}[{rows}A"),
        }
    }

    fn plain_or_coloured(&self, line: String) -> String {
        if self.coloured { line } else { anstream::adapter::strip_str(&line).to_string() }
    }
}

fn size() -> Size {
    match tcgetwinsize(std::io::stdout()) {
        Ok(found) if found.ws_row > 0 && found.ws_col > 0 => {
            Size::new(found.ws_row.into(), found.ws_col.into())
        }
        _ => USUAL,
    }
}
