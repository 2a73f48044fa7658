//! The board as one object of JSON; docs/exit-codes.md describes it.

use std::collections::BTreeMap;

use antiphon::coordination::WorkStage;
use antiphon_server::{Pause, RunEnd};
use serde::Serialize;

use super::run_status::{Items, RunStatus};
use crate::describe::open_questions;
use crate::timestamps;
use crate::view::{Meter, Row, Rows, meters};

#[derive(Debug, Serialize)]
pub(super) struct StatusJson {
    id: String,
    name: Option<String>,
    status: &'static str,
    ended: bool,
    version: u64,
    started: String,
    changed: String,
    /// Whether an engine owns the ledger; absent once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<bool>,
    /// What keeps the engine from starting sessions or from recording anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<String>,
    /// The ceilings that must be raised to continue it, and the command that does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pause: Option<Pause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopping: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    /// How many questions wait for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    questions: Option<usize>,
    /// How it ended, once it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<RunEnd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<UnreadJson>,
    meters: BTreeMap<&'static str, Gauge>,
    counts: BTreeMap<&'static str, usize>,
    items: Vec<ItemJson>,
    left_out: usize,
}

#[derive(Debug, Serialize)]
struct UnreadJson {
    from: u64,
    why: String,
}

#[derive(Debug, Serialize)]
struct Gauge {
    used: u64,
    ceiling: Option<u64>,
    estimated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
}

#[derive(Debug, Serialize)]
struct ItemJson {
    id: String,
    state: &'static str,
    attempt: u32,
    sessions: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Items are listed one by one, also those of a group.
pub(super) fn of(status: &RunStatus, items: Items) -> StatusJson {
    let RunStatus { head, stage, board, owned, now, said, .. } = status;
    let run = board.run();
    let running = run.filter(|run| !run.status().is_terminal());
    let rows = Rows::new(board, now.clone(), &said.waits);
    let (shown, all) = match items.failed() {
        true => (board.failed(items.lines()), board.counts().of(WorkStage::Failed)),
        false => (board.foremost(items.lines()), board.counts().total()),
    };
    let items: Vec<ItemJson> = shown.into_iter().map(|place| rows.row(place)).map(item).collect();
    StatusJson {
        id: board.id().to_string(),
        name: run.and_then(|run| run.started().name.clone()),
        status: stage.as_str(),
        ended: head.ended,
        version: head.tip.version.0,
        started: timestamps::exact(head.started),
        changed: timestamps::exact(head.changed.1),
        engine: (!head.ended).then_some(*owned),
        shortage: said.trouble.clone(),
        paused: running.and_then(|run| run.pause()).map(|pause| pause.why().to_owned()),
        pause: running.and_then(|run| Some(Pause::of(run.coordination_id(), &run.pause()?))),
        stopping: running.and_then(|run| run.stop_request()).map(|request| request.why()),
        questions: run.map(open_questions).filter(|open| *open > 0),
        end: status.report.as_ref().map(RunEnd::from),
        receipt: run.and_then(|run| run.receipt_digest()).map(|digest| digest.to_string()),
        unread: board
            .unread()
            .map(|unread| UnreadJson { from: unread.from.0, why: unread.why.clone() }),
        meters: run
            .map(|run| {
                let at_end = board.only_end().map(|end| &end.usage);
                meters(run, now, at_end).into_iter().map(gauge).collect()
            })
            .unwrap_or_default(),
        counts: board.states(board.counts()).into_iter().collect(),
        left_out: all - items.len(),
        items,
    }
}

fn gauge(meter: Meter) -> (&'static str, Gauge) {
    let name = if meter.name == "time" { "time_ns" } else { meter.name };
    let currency = meter.currency().map(str::to_owned);
    (name, Gauge { used: meter.used, ceiling: meter.ceiling, estimated: meter.estimated, currency })
}

fn item(row: Row) -> ItemJson {
    let Row { id, state, attempt, time_ns, sessions, child, waits, text, .. } = row;
    ItemJson {
        id,
        state,
        attempt,
        sessions,
        took_ns: time_ns,
        run: child.map(|child| child.to_string()),
        waits,
        text,
    }
}
