//! A receipt for people: verdict first, then usage against ceilings, every item, and where the
//! evidence is.

use antiphon::WorkId;
use antiphon::append::HeadRow;
use antiphon::coordination::{
    CoordinationReceipt, Counts, Ending, MAX_WORK_OUTCOMES, WorkOutcome, WorkStage,
};
use antiphon::time;

use super::exchange;
use crate::colour::painted;
use crate::command_error::CommandError;
use crate::labels::{cost, counted, work_outcome};
use crate::stdout::Stdout;
use crate::table::Table;
use crate::text::printable;
use crate::timestamps;

/// Session numbers of an item that are spelled out before the earlier ones are counted.
const SESSIONS_SHOWN: usize = 8;

/// Prints a receipt and what became of every item; the head row has the name.
pub(super) fn print(
    receipt: &CoordinationReceipt,
    items: &[WorkOutcome],
    head: &HeadRow,
    output: &mut Stdout,
) -> Result<(), CommandError> {
    outcome(receipt, head, output)?;
    usage(receipt, output)?;
    work(receipt, items, output)?;
    evidence(receipt, output)
}

fn outcome(
    receipt: &CoordinationReceipt,
    head: &HeadRow,
    output: &mut Stdout,
) -> Result<(), CommandError> {
    let name = head.run_summary().ok().and_then(|summary| summary.name);
    let name = name.map(|name| format!(" ({})", printable(&name))).unwrap_or_default();
    let verdict = receipt.verdict.as_str();
    let why = match &receipt.ending {
        Ending::Completed(stop) => stop.describe(),
        Ending::Aborted(reason) => reason.describe(),
    };
    let wall = receipt.completed_at.0.saturating_sub(receipt.started_at.0);
    output.line(format!("run           {}{name}", receipt.coordination_id))?;
    output.line(format!("verdict       {}", painted(verdict, receipt.verdict)))?;
    output.line(format!("why it ended  {}", printable(&why)))?;
    output.line(format!("started       {}", timestamps::millis(receipt.started_at)))?;
    output.line(format!(
        "ended         {}, {} later",
        timestamps::millis(receipt.completed_at),
        timestamps::span(wall)
    ))
}

fn usage(receipt: &CoordinationReceipt, output: &mut Stdout) -> Result<(), CommandError> {
    let (used, ceiling) = (&receipt.budget_usage, &receipt.budget_ceiling);
    let time = |ticks| timestamps::span(time::nanos(ticks, ceiling.tick_rate_hz()));
    let currency =
        ceiling.currency().map(|currency| format!(" {}", printable(currency))).unwrap_or_default();
    let mut table = Table::new(["METER", "USED", "CEILING"]);
    let none = || "none".to_owned();
    let mut row =
        |meter: &str, used: String, ceiling: String| table.row([meter.to_owned(), used, ceiling]);
    row("sessions", used.consumed_episodes().to_string(), ceiling.max_episodes().to_string());
    row("time", time(used.elapsed_ticks()), time(ceiling.max_duration_ticks()));
    row(
        "tokens",
        used.consumed_tokens().to_string(),
        ceiling.max_tokens().map_or_else(none, |max| max.to_string()),
    );
    row("cached tokens", used.consumed_cache_tokens().to_string(), "not charged".to_owned());
    let money = |amount| format!("{}{currency}", cost(amount));
    row("cost", money(used.consumed_cost()), ceiling.max_cost().map_or_else(none, money));
    output.line("")?;
    table.print("", output)?;
    if used.is_estimated() {
        output.line("Usage is partly estimated: a session ended without reporting it.")?;
    }
    output.line("")?;
    output.line(format!("sessions      {}", sessions(&receipt.totals)))
}

/// Sessions by how they ended; what there was none of is left out.
fn sessions(totals: &Counts) -> String {
    let Counts {
        sessions,
        successful,
        failed,
        cancelled,
        lost,
        deferred,
        resumes,
        writes_refused,
        ..
    } = *totals;
    let kinds = [
        (successful, "successful"),
        (failed, "failed"),
        (cancelled, "cancelled"),
        (lost, "interrupted"),
        (deferred, "deferred"),
    ];
    let kinds: Vec<String> = kinds
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| format!("{count} {kind}"))
        .collect();
    let mut text = sessions.to_string();
    if !kinds.is_empty() {
        text.push_str(&format!(": {}", kinds.join(", ")));
    }
    if resumes > 0 {
        text.push_str(&format!("; resumed {}", counted(resumes, "time")));
    }
    if writes_refused > 0 {
        text.push_str(&format!("; {} refused", counted(writes_refused, "write")));
    }
    text
}

fn work(
    receipt: &CoordinationReceipt,
    items: &[WorkOutcome],
    output: &mut Stdout,
) -> Result<(), CommandError> {
    let Counts {
        work_succeeded,
        work_reused,
        work_failed,
        work_skipped,
        work_skipped_by_rule,
        work_unfinished,
        ..
    } = receipt.totals;
    let skipped = work_skipped + work_skipped_by_rule;
    output.line(format!(
        "work          {work_succeeded} succeeded, {work_failed} failed, {skipped} skipped, {work_unfinished} unfinished"
    ))?;
    if let Some(reused) = &receipt.reused {
        output.line(format!(
            "              {work_reused} of those that succeeded were taken over from run {}, receipt {}.",
            reused.forerunner.coordination, reused.forerunner.receipt
        ))?;
    }
    if !receipt.outcome_chunks.is_empty() {
        let digests = receipt.outcome_chunks.len();
        output.line(format!(
            "              The receipt holds the first {} finished items as digests.",
            digests * MAX_WORK_OUTCOMES
        ))?;
    }
    exchange::print(receipt, output)?;
    if items.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["ITEM", "OUTCOME", "ATTEMPTS", "SESSIONS", "OUTPUT"]).colouring(1);
    for WorkOutcome { work_id, attempts, final_outcome, sessions, output } in items {
        let stage = final_outcome.as_ref().map_or(WorkStage::Unfinished, WorkStage::from);
        let cells = [
            work_id.to_string(),
            final_outcome.as_ref().map_or_else(|| stage.to_string(), work_outcome),
            attempts.to_string(),
            carried_out_by(receipt, work_id).unwrap_or_else(|| numbers(sessions)),
            output.map_or_else(|| "-".to_owned(), |digest| digest.to_string()),
        ];
        table.row_in(stage, cells);
    }
    output.line("")?;
    table.print("", output)
}

/// The session of an earlier run that carried out an item which was taken over.
fn carried_out_by(receipt: &CoordinationReceipt, work: &WorkId) -> Option<String> {
    let items = &receipt.carried_out.as_ref()?.items;
    let item = items.iter().find(|item| item.work_id == *work)?;
    Some(item.session.to_string())
}

fn numbers(sessions: &[u64]) -> String {
    let earlier = sessions.len().saturating_sub(SESSIONS_SHOWN);
    let shown: Vec<String> = sessions[earlier..].iter().map(u64::to_string).collect();
    match (shown.is_empty(), earlier) {
        (true, _) => "-".to_owned(),
        (false, 0) => shown.join(", "),
        (false, earlier) => format!("{earlier} earlier, {}", shown.join(", ")),
    }
}

fn evidence(receipt: &CoordinationReceipt, output: &mut Stdout) -> Result<(), CommandError> {
    let evidence = &receipt.evidence;
    let epochs: Vec<String> = evidence
        .epochs
        .iter()
        .map(|(epoch, engine)| format!("{epoch} (antiphon {engine})"))
        .collect();
    output.line("")?;
    output.line(format!("receipt       {}", receipt.compute_hash()))?;
    output.line(format!(
        "versions      1 to {} of coordination/{}",
        evidence.last_version, receipt.coordination_id
    ))?;
    output.line(format!("head hash     {}", evidence.head_hash))?;
    output.line(format!("commit        {} {}", evidence.commit.number, evidence.commit.hash))?;
    output.line(format!("epochs        {}", printable(&epochs.join(", "))))
}
