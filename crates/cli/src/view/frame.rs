//! What the terminal shows at a moment: never more lines than it has, none wider than it is.

use std::collections::BTreeMap;

use antiphon::coordination::{Stage, WorkStage};
use antiphon::id::WorkId;
use antiphon::time::{Now, WallTime};

use super::board::{Board, ClassCounts, Shown, Unread};
use super::line::{Line, prefix, width};
use super::meters::{Meter, meters};
use super::row::{Row, Rows};
use crate::colour::Colour;
use crate::describe::{open_questions, questions_open};
use crate::text::printable;
use crate::timestamps;

/// Columns of a gauge.
const GAUGE: u64 = 8;

/// A terminal with fewer rows gets one row of meters.
const ROWS_FOR_ALL_METERS: usize = 10;

/// How far ids may push the rest to the right, of this many parts of the width one.
const ID_SHARE: usize = 2;

/// How large a terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    rows: usize,
    columns: usize,
}

impl Size {
    pub(crate) const fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns }
    }

    pub(crate) fn rows(self) -> usize {
        self.rows
    }

    pub(crate) fn columns(self) -> usize {
        self.columns
    }
}

/// When it is, and which turn of the spinner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameTime {
    wall: WallTime,
    turn: usize,
}

impl FrameTime {
    pub(crate) fn new(wall: WallTime, turn: usize) -> Self {
        Self { wall, turn }
    }
}

/// The lines to be shown, in colours. The last row and the last column of the terminal stay free:
/// the cursor is there.
pub(crate) fn frame(
    board: &Board,
    asked: &BTreeMap<WorkId, String>,
    time: FrameTime,
    size: Size,
) -> Vec<String> {
    let now = board.present(time.wall);
    let columns = size.columns.saturating_sub(1).max(1);
    let room = size.rows.saturating_sub(1).max(1);
    let mut below = gauges(board, &now, columns);
    if size.rows < ROWS_FOR_ALL_METERS {
        below.truncate(1);
    }
    below.extend(notes(board, &now));
    // The heading comes first; of the lines below it, those that do not fit are dropped from the
    // top, so that a reason is the last to go.
    let below = &below[below.len().saturating_sub(room - 1)..];
    let items =
        items(board, &Rows::new(board, now, asked), time.turn, room - 1 - below.len(), columns);
    let lines = std::iter::once(heading(board)).chain(items).chain(below.iter().cloned());
    lines.map(|line| line.cut(columns)).collect()
}

fn heading(board: &Board) -> Line {
    let mut line = Line::default();
    line.push(printable(board.name()));
    if board.run().is_none() && board.unread().is_some() {
        return line;
    }
    line.push("  ");
    line.painted(board.stage().as_str(), board.stage());
    let counts = board.counts();
    let ended: usize = WorkStage::ALL
        .iter()
        .copied()
        .filter(|stage| stage.has_outcome())
        .map(|stage| counts.of(stage))
        .sum();
    line.push(format!("  {ended} of {} ended", counts.total()));
    let told =
        [WorkStage::Failed, WorkStage::Running, WorkStage::Interrupted, WorkStage::AwaitingCleanup];
    for stage in told {
        if counts.of(stage) > 0 {
            line.push(format!(", {} {stage}", counts.of(stage)));
        }
    }
    if board.name() != board.id().as_str() {
        line.push(format!("  {}", board.id()));
    }
    line
}

fn items(board: &Board, rows: &Rows<'_>, turn: usize, room: usize, columns: usize) -> Vec<Line> {
    if room == 0 {
        return Vec::new();
    }
    // What has no line of its own is class_counts on the last one.
    let selection = board.select(if board.counts().total() <= room { room } else { room - 1 });
    let shown: Vec<ShownRow> = selection
        .shown
        .iter()
        .map(|shown| match shown {
            Shown::Item(place) => ShownRow::Item(rows.row(*place)),
            Shown::Group(name, counts) => {
                ShownRow::Group(printable(name.as_str()).into_owned(), class_counts(board, counts))
            }
        })
        .collect();
    let widest =
        shown.iter().map(|row| width(row.name())).max().unwrap_or(0).min(columns / ID_SHARE);
    let retried = shown.iter().any(|row| matches!(row, ShownRow::Item(row) if row.attempt > 1));
    let mut lines: Vec<Line> = shown.iter().map(|row| row.line(turn, widest, retried)).collect();
    if selection.left.total() > 0 {
        let all = if selection.shown.is_empty() { "" } else { "and " };
        let more = if selection.shown.is_empty() { "items" } else { "more" };
        let mut line = Line::default();
        line.push(format!(
            "  {all}{} {more}: {}",
            selection.left.total(),
            class_counts(board, &selection.left)
        ));
        lines.push(line);
    }
    lines
}

enum ShownRow {
    Item(Row),
    Group(String, String),
}

impl ShownRow {
    fn name(&self) -> &str {
        match self {
            Self::Item(row) => &row.id,
            Self::Group(name, _) => name,
        }
    }

    fn line(&self, turn: usize, widest: usize, retried: bool) -> Line {
        let mut line = Line::default();
        match self {
            Self::Item(row) => line.painted(mark(row.stage, turn), row.stage),
            Self::Group(..) => line.push("+"),
        }
        line.push(" ");
        line.push(prefix(self.name(), widest));
        line.pad_to(2 + widest + 2);
        let (time, attempt) = match self {
            Self::Item(row) => (
                row.time_ns.map(timestamps::elapsed),
                (row.attempt > 1).then(|| format!("#{}", row.attempt)),
            ),
            Self::Group(..) => (None, None),
        };
        line.push(format!("{:>6}  ", time.unwrap_or_default()));
        if retried {
            line.push(format!("{:<4}", attempt.unwrap_or_default()));
        }
        line.push(match self {
            Self::Item(row) => description(row),
            Self::Group(_, counts) => counts.clone(),
        });
        line
    }
}

/// What follows the numbers of an item; for most, the mark already says the state.
fn description(row: &Row) -> String {
    let detail = row.detail();
    match row.stage {
        _ if row.is_tried_again() => detail,
        WorkStage::Ready | WorkStage::Delayed | WorkStage::Unfinished => {
            match (detail.is_empty(), &row.waits) {
                (true, _) => row.stage.to_string(),
                (false, Some(_)) => format!("{}: {detail}", row.stage),
                (false, None) => format!("{}; {detail}", row.stage),
            }
        }
        _ => detail,
    }
}

fn mark(stage: WorkStage, turn: usize) -> &'static str {
    const TURNS: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    match stage {
        WorkStage::AwaitingCleanup => "!",
        WorkStage::Running => TURNS[turn % TURNS.len()],
        WorkStage::Failed => "✗",
        WorkStage::Delayed | WorkStage::Interrupted => "↻",
        WorkStage::Skipped => "-",
        WorkStage::Succeeded => "✓",
        _ => "·",
    }
}

/// Counts in words.
pub(crate) fn class_counts(board: &Board, counts: &ClassCounts) -> String {
    let states = board.states(counts).into_iter();
    states.map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}

/// The meters, side by side as far as they fit, with gauges unless they would not fit at all.
pub(crate) fn gauges(board: &Board, now: &Now, columns: usize) -> Vec<Line> {
    let Some(run) = board.run() else { return Vec::new() };
    let mut lines: Vec<Line> = Vec::new();
    for meter in meters(run, now, board.only_end().map(|end| &end.usage)) {
        let shown = gauged(&meter);
        match lines.last_mut() {
            Some(line) if line.width() + 2 + shown.width() <= columns => {
                line.push("  ");
                line.extend(shown);
            }
            _ => lines.push(shown),
        }
    }
    lines
}

fn gauged(meter: &Meter) -> Line {
    let mut line = Line::default();
    line.push(format!("{} ", meter.name));
    if let Some(gauge) = meter.gauge(GAUGE) {
        line.extend(gauge);
        line.push(" ");
    }
    line.push(meter.text());
    line
}

/// What pauses or stops the whole run, and what cannot be known.
pub(crate) fn notes(board: &Board, now: &Now) -> Vec<Line> {
    let mut notes = Vec::new();
    let mut note = |word: &str, text: &str| {
        let mut line = Line::default();
        line.painted(word.to_owned(), Colour::Caution);
        if !text.is_empty() {
            line.push(format!(": {}", printable(text)));
        }
        notes.push(line);
    };
    if let Some(run) = board.run() {
        // The first of these words is that of the heading; what else holds a run back follows it.
        let request = run.stop_request();
        match (board.stage(), run.pause(), request) {
            (Stage::Stopping, _, Some(request)) => note("stopping", &request.why()),
            (Stage::Paused, Some(pause), request) => {
                note("paused", pause.why());
                if let Some(request) = request {
                    note("closed", &request.why());
                }
            }
            (Stage::Running, ..) => {
                if let Some(stop) = run.stop_condition_at(now.at) {
                    note("nothing new starts", &stop.describe());
                }
            }
            _ => {}
        }
        match open_questions(run) {
            0 => {}
            open => note(&questions_open(open), "`antiphon waiting` shows what is asked"),
        }
    }
    if let Some(unread) = board.unread() {
        let Unread { from, why } = unread;
        let text = match board.only_end() {
            Some(_) => format!(
                "of what happened from version {from} on, only the end is known; that version \
                 cannot be read: {why}"
            ),
            None => format!("shown as it was before version {from}, which cannot be read: {why}"),
        };
        note("note", &text);
    }
    notes
}
