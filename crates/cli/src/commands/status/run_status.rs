//! A run as its ledger has it, and how that is printed.

use antiphon::append::HeadRow;
use antiphon::coordination::{BudgetUsage, Coordination, Counts, Grant, Stage, Verdict};
use antiphon::id::{CoordinationId, SessionId, StreamName, Version};
use antiphon::ledger::Events;
use antiphon::report::RunReport;
use antiphon::time::Now;

use crate::colour::painted;
use crate::command_error::CommandError;
use crate::connection::{Said, said};
use crate::continuation::{Lack, pause_ended_by};
use crate::ledger::{self, Ledger};
use crate::stdout::Stdout;
use crate::table::Table;
use crate::text::printable;
use crate::timestamps;
use crate::view::{
    Board, Meter, Rows, Shown, class_counts, gauges, goes_on, item_counts, meters, notes, took,
};

/// Columns for the meters.
const COLUMNS: usize = 100;

/// The present state of a run.
pub(in crate::commands) struct RunStatus {
    pub(super) head: HeadRow,
    pub(super) stage: Stage,
    pub(super) board: Board,
    /// Whether an engine owns the ledger; only then does its time pass.
    pub(super) owned: bool,
    pub(super) now: Now,
    /// What the engine says, which is in no event.
    pub(super) said: Said,
    /// What it needs in order to continue, where no engine carries it out.
    lack: Option<Lack>,
    /// How it ended, once it has.
    pub(super) report: Option<RunReport>,
}

/// The items that are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Items {
    /// Whether only those that failed are.
    failed: bool,
    /// On how many lines at most.
    lines: usize,
}

impl Items {
    /// All of them or only those that failed, on so many lines at most.
    pub(super) fn shown(failed: bool, lines: usize) -> Self {
        Self { failed, lines }
    }

    /// Whether only those that failed are shown.
    pub(super) fn failed(self) -> bool {
        self.failed
    }

    /// On how many lines at most.
    pub(super) fn lines(self) -> usize {
        self.lines
    }
}

impl RunStatus {
    pub(in crate::commands) fn read(
        ledger: &Ledger,
        id: CoordinationId,
    ) -> Result<Self, CommandError> {
        let stream = StreamName::Coordination(id.clone());
        let head = ledger.head(&stream)?;
        let owned = !head.ended && ledger.is_held()?;
        let stage = ledger::stage(&head, owned)?;
        let mut board = Board::new(id);
        // What is recorded later than the head row was read is left for another look, so that both
        // say the same.
        let known = usize::try_from(head.tip.version.0).unwrap_or(usize::MAX);
        for event in Events::after(ledger.store.as_ref(), stream, Version(0)).take(known) {
            board.take(&event?);
        }
        if stage == Stage::Interrupted && !owned {
            board.abandon();
        }
        let now = if owned { board.present(timestamps::now()) } else { board.standstill() };
        let said = match owned {
            true => said(&ledger.dir, board.id(), &board.unexplained(), &board.running()),
            false => Said::default(),
        };
        let stage = if said.is_waiting { Stage::Waiting } else { stage };
        let is_left = matches!(stage, Stage::Interrupted | Stage::Waiting);
        let lack = match board.run() {
            _ if head.ended || (owned && !is_left) => None,
            // What cannot be read of nested runs is no reason to show nothing of this one.
            Some(run) => Some(Lack::of(run, ledger).unwrap_or(Lack::Engine)),
            None => Some(Lack::Engine),
        };
        let report = board.report(ledger.store.as_ref())?;
        Ok(Self { head, stage, board, owned, now, said, lack, report })
    }

    /// What is used of its budget; nothing where its start cannot be read.
    pub(in crate::commands) fn meters(&self) -> Vec<Meter> {
        let at_end = self.board.only_end().map(|end| &end.usage);
        let all = self.board.run().map(|run| meters(run, &self.now, at_end));
        all.into_iter().flatten().collect()
    }

    /// What a session that runs may use in all, and how much of its time is left, in nanoseconds.
    pub(in crate::commands) fn grant(&self, session: &SessionId) -> Option<(Grant, u64)> {
        let run = self.board.run().filter(|run| *run.coordination_id() == session.coordination)?;
        let (binding, _) = run.binding(session.number)?;
        Some((binding.grant, binding.deadline.since(self.now.at)))
    }

    pub(super) fn print(&self, items: Items, output: &mut Stdout) -> Result<(), CommandError> {
        let Self { head, stage, board, now, said, .. } = self;
        let name = match board.name() {
            name if name == board.id().as_str() => String::new(),
            name => format!(" ({})", printable(name)),
        };
        output.line(format!("run           {}{name}", printable(board.id().as_str())))?;
        output.line(format!("status        {}", painted(stage.as_str(), *stage)))?;
        output.line(format!(
            "started       {}, {} ago",
            timestamps::millis(head.started),
            timestamps::age(head.started)
        ))?;
        let continued = board.run().and_then(pause_ended_by);
        let advice = self.lack.as_ref().map(|lack| lack.advice(board.id(), continued.clone()));
        if let Some(advice) = advice.as_ref().filter(|_| !self.owned) {
            output.line(format!("engine        not running; {}", printable(advice)))?;
        }
        let retry = format!("next          {}", goes_on(board.id()));
        match (&self.report, board.only_end()) {
            (Some(report), _) => {
                let usage =
                    board.run().map(Coordination::budget_usage).cloned().unwrap_or_default();
                self.print_end(report.why.as_deref(), &report.counts, &usage, output)?;
                if report.verdict != Verdict::Succeeded {
                    output.line(retry)?;
                }
            }
            // What cannot be read cannot be taken over either.
            (None, Some(end)) => {
                let summary = head.run_summary().map_err(ledger::unreadable)?;
                self.print_end(summary.why().as_deref(), &end.counts, &end.usage, output)?;
            }
            (None, None) => {}
        }
        if let Some(trouble) = &said.trouble {
            output.line(format!("shortage      {}", printable(trouble)))?;
        }
        for note in notes(board, now) {
            output.line(note.cut(usize::MAX))?;
        }
        if self.owned && !head.ended {
            let paused = || continued.map(|continued| format!("{continued} continues it"));
            if let Some(next) = advice.or_else(paused) {
                output.line(format!("next          {}", printable(&next)))?;
            }
        }
        if board.run().is_none() {
            return Ok(());
        }
        let selection = match items.failed {
            true => board.select_failed(items.lines),
            false => board.select(items.lines),
        };
        if board.counts().total() > 0 {
            output.line("")?;
        }
        if !selection.shown.is_empty() {
            self.table(&selection.shown).print("", output)?;
        }
        if selection.left.total() > 0 {
            output.line(format!(
                "and {} more: {}",
                selection.left.total(),
                class_counts(board, &selection.left)
            ))?;
        }
        output.line("")?;
        for line in gauges(board, now, COLUMNS) {
            output.line(line.cut(usize::MAX))?;
        }
        Ok(())
    }

    /// When and why it ended, how long it took, and what became of its items.
    fn print_end(
        &self,
        why: Option<&str>,
        counts: &Counts,
        usage: &BudgetUsage,
        output: &mut Stdout,
    ) -> Result<(), CommandError> {
        let ended = timestamps::millis(self.head.changed.1);
        output.line(format!("ended         {ended}, took {}", took(usage)))?;
        if let Some(why) = why {
            output.line(format!("why           {}", printable(why)))?;
        }
        output.line(format!("items         {}", item_counts(counts)))
    }

    fn table(&self, shown: &[Shown]) -> Table<5> {
        let rows = Rows::new(&self.board, self.now.clone(), &self.said.waits);
        let mut table = Table::new(["ITEM", "STATE", "ATTEMPT", "TIME", "WHY"]).colouring(1);
        for shown in shown {
            match shown {
                Shown::Item(place) => {
                    let row = rows.row(*place);
                    let attempt =
                        if row.attempt > 0 { row.attempt.to_string() } else { "-".to_owned() };
                    let time = row.time_ns.map_or_else(|| "-".to_owned(), timestamps::elapsed);
                    let detail = row.detail();
                    table.row_in(row.stage, [row.id, row.state.to_owned(), attempt, time, detail]);
                }
                Shown::Group(name, counts) => table.row([
                    format!("{name} (group)"),
                    "-".to_owned(),
                    "-".to_owned(),
                    "-".to_owned(),
                    class_counts(&self.board, counts),
                ]),
            }
        }
        table
    }
}
