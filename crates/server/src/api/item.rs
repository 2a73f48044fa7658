//! Items of a run: a page of them, or one with everything that is known of it.

use std::collections::BTreeMap;

use antiphon::coordination::{Need, NextStep, Runner, SkipReason, Usage};
use antiphon::event::SessionUnbound;
use antiphon::items::{
    Attempt, ItemDetails, ItemRecord, MetNeed, Moment, ShownCommand, ShownValue, ValueSource,
};
use antiphon::plan::{RenderedEnv, RenderedStdin};
use antiphon::time::Deadline;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::utc::utc;

/// An item at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ItemLine {
    pub item: String,
    /// Where it is in its life, such as `running` or `succeeded`.
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Sessions that it had.
    pub sessions: u64,
    /// When its first session started, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When it had its outcome, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// What its last session said of its end, or why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A page of items, in the order of addition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct ItemPage {
    pub run: String,
    pub items: Vec<ItemLine>,
    /// The cursor of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which items a page shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemQuery {
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Only those of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// [`ItemPage::next`] of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// An item with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Item {
    pub run: String,
    #[serde(flatten)]
    pub line: ItemLine,
    /// `command`, `function`, `plan` or `caller`.
    pub runner: String,
    /// The values of its cell, as they stand in its id, if it is one of a matrix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cell: Vec<String>,
    /// When it was added, in UTC.
    pub added: String,
    /// What it waits or waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<ItemNeed>,
    /// Milliseconds from when nothing that it needs was open any more to its first session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<u64>,
    /// What its sessions run, if they are processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<ItemCommand>,
    /// Its sessions, the oldest first.
    pub attempts: Vec<ItemAttempt>,
    /// What its value is, if it has one: `output`, or `stdout` where it has put out nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The value that it puts out, if that has no more than 4 KiB: of an `output` that is JSON the
    /// JSON, else a text.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "even_null")]
    pub value: Option<Value>,
    /// How many bytes its value has, unless it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_bytes: Option<u64>,
    /// Where it was taken over from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused: Option<ItemSource>,
}

/// An item of another run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ItemSource {
    pub run: String,
    pub item: String,
    /// The session that carried it out, there or in an earlier run, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// Something that an item waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ItemNeed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The signal or key that is meant, and what it is to be, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// Where the item is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// How many items that it means have no outcome yet.
    pub unfinished: u64,
    /// When the last of them had its outcome, in UTC, and milliseconds from when the waiting item
    /// was added until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u64>,
}

/// What the sessions of an item run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ItemCommand {
    pub argv: Vec<String>,
    /// Whether the outputs of other items in it are filled in; else they stand there as in the plan.
    pub filled_in: bool,
    pub directory: String,
    /// The variables that the plan names: `{"value": ..}`, or `{"secret": NAME}`.
    pub environment: BTreeMap<String, ItemVariable>,
    /// The text, or `{"file": ..}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// The names of the outputs that it declares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemVariable {
    /// The value itself.
    Value(String),
    /// The name of a secret, whose value is nowhere.
    Secret(String),
}

/// One session of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ItemAttempt {
    /// Its number in the run; its id is `RUN.N`, also that of the nested run that it may be.
    pub session: u64,
    pub attempt: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nested: bool,
    /// The runner that it was given to, where its item may be given to several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// When it started, in UTC.
    pub started: String,
    /// When it ended, in UTC; absent while it runs, like what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// `SUCCESS`, `FAILURE`, `TIMEOUT`, `CANCELLED`, `LOST`, `SPAWN_FAILED` or `DEFERRED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// How its program ended, such as `exit 0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Tokens, cost and time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Usage>,
    /// Scores, in millionths.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, i64>,
    /// Digests of what it put out and printed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// Whether some of what it printed was dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// What was left running.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<String>,
    /// When the item is tried again, in milliseconds after the end, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u64>,
}

/// Milliseconds between two moments of ledger time.
fn between(from: Moment, to: Moment) -> u64 {
    to.at.0.saturating_sub(from.at.0) / 1_000_000
}

impl From<&ItemRecord> for ItemLine {
    fn from(item: &ItemRecord) -> Self {
        let said = item.last_end().and_then(|end| end.unbound.text.clone());
        let skipped = item.skipped_because().map(|because| match because {
            SkipReason::NeedFailed(work) => format!("{work}, which it needs, did not succeed"),
            SkipReason::NeedTimedOut(target) => {
                format!("{target}, which it needs, was not there in time")
            }
            SkipReason::Denied(question) => {
                format!("question {question}, which it waited for, was answered with no")
            }
            SkipReason::NotRouted => "nothing routed to it".to_owned(),
            SkipReason::NotClaimable => "it could not be claimed".to_owned(),
            SkipReason::Requested => "it was skipped by request".to_owned(),
            SkipReason::Rule => "its own rule skipped it".to_owned(),
            _ => "it was skipped".to_owned(),
        });
        Self {
            item: item.spec.id.to_string(),
            state: item.stage.to_string(),
            group: item.spec.group.as_ref().map(ToString::to_string),
            sessions: item.attempts.len() as u64,
            started: item.attempts.first().map(|attempt| utc(attempt.started.wall)),
            ended: item.outcome.as_ref().map(|(when, _)| utc(when.wall)),
            text: skipped.or(said),
        }
    }
}

impl From<&ItemDetails> for Item {
    fn from(details: &ItemDetails) -> Self {
        let ItemDetails { run, item, needs, command, value } = details;
        let open = needs.iter().any(|need| need.met.is_none());
        let met = needs.iter().filter_map(|need| need.met).max_by_key(|met| met.at);
        let ready = met.filter(|met| met.at > item.added.at).unwrap_or(item.added);
        let first = item.attempts.first().map(|attempt| attempt.started).filter(|_| !open);
        let spec = &item.spec;
        Self {
            run: run.to_string(),
            line: ItemLine::from(item),
            runner: match spec.runner {
                Runner::Process { .. } => "command",
                Runner::Function(_) => "function",
                Runner::Plan(_) | Runner::Nested { .. } => "plan",
                _ => "caller",
            }
            .to_owned(),
            cell: cell(spec.id.as_str()),
            added: utc(item.added.wall),
            needs: needs.iter().map(|need| ItemNeed::of(need, item.added)).collect(),
            ready_ms: first.map(|first| between(ready, first)),
            command: command.as_ref().map(ItemCommand::from),
            attempts: item.attempts.iter().map(ItemAttempt::from).collect(),
            source: value.as_ref().map(|value| value.source.as_str().to_owned()),
            value: value.as_ref().and_then(content),
            value_bytes: value.as_ref().and_then(|value| value.bytes),
            reused: spec.reused.as_ref().map(|reused| ItemSource {
                run: reused.from.to_string(),
                item: reused.work.as_ref().unwrap_or(&spec.id).to_string(),
                session: reused.session.as_ref().map(ToString::to_string),
            }),
        }
    }
}

/// A value as a member of an object.
fn content(value: &ShownValue) -> Option<Value> {
    let bytes = value.content.as_ref()?;
    let json = match value.source {
        ValueSource::Output => serde_json::from_slice(bytes).ok(),
        ValueSource::Stdout => None,
    };
    Some(json.unwrap_or_else(|| String::from_utf8_lossy(bytes).into()))
}

/// A member that is there may be `null`.
fn even_null<'a, D: Deserializer<'a>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

/// The values of a cell's parameters, as its id has them.
fn cell(id: &str) -> Vec<String> {
    let values = id.strip_suffix(']').and_then(|id| id.split_once('['));
    values.map_or_else(Vec::new, |(_, values)| values.split(',').map(str::to_owned).collect())
}

impl ItemNeed {
    fn of(need: &MetNeed, added: Moment) -> Self {
        let (item, group, other) = match &need.need {
            Need::Work(work) => (Some(work.to_string()), None, None),
            Need::Group(group) => (None, Some(group.to_string()), None),
            other => (None, None, Some(other.to_string())),
        };
        Self {
            item,
            group,
            other,
            state: need.stage.map(|stage| stage.to_string()),
            unfinished: need.unfinished as u64,
            met: need.met.map(|met| utc(met.wall)),
            waited_ms: need.met.map(|met| between(added, met)),
        }
    }
}

impl From<&ShownCommand> for ItemCommand {
    fn from(command: &ShownCommand) -> Self {
        let environment = command.environment.iter().map(|(name, value)| {
            let value = match value {
                RenderedEnv::Text(text) => ItemVariable::Value(text.clone()),
                RenderedEnv::Secret(secret) => ItemVariable::Secret(secret.clone()),
            };
            (name.clone(), value)
        });
        Self {
            argv: command.argv.clone(),
            filled_in: command.filled_in,
            directory: command.directory.display().to_string(),
            environment: environment.collect(),
            stdin: command.stdin.as_ref().map(|stdin| match stdin {
                RenderedStdin::Text(text) => Value::from(text.as_str()),
                RenderedStdin::File(path) => json!({ "file": path }),
                RenderedStdin::Kept(bytes) => json!({ "bytes": bytes.len() }),
            }),
            check: command.check.clone(),
            inputs: command.inputs.clone(),
            outputs: command.outputs.clone(),
        }
    }
}

impl From<&Attempt> for ItemAttempt {
    fn from(attempt: &Attempt) -> Self {
        let running = Self {
            session: attempt.session,
            attempt: attempt.number,
            nested: attempt.nested,
            runner: attempt.assigned.as_ref().map(|assigned| assigned.to.to_string()),
            started: utc(attempt.started.wall),
            ended: None,
            took_ms: None,
            outcome: None,
            exit: None,
            text: None,
            used: None,
            scores: BTreeMap::new(),
            output: None,
            stdout: None,
            stderr: None,
            cut: false,
            leftovers: Vec::new(),
            retry_ms: None,
        };
        let Some(end) = &attempt.end else { return running };
        let SessionUnbound { outcome, text, used, scores, output, then, tree, .. } = &*end.unbound;
        let until = match then {
            NextStep::Retry(at) | NextStep::Wait(Deadline::Ledger(at)) => {
                Some((at.0, end.when.at.0))
            }
            NextStep::Wait(Deadline::Wall(wall)) => Some((wall.0, end.when.wall.0)),
            _ => None,
        };
        let tree = tree.as_deref();
        Self {
            ended: Some(utc(end.when.wall)),
            took_ms: Some(between(attempt.started, end.when)),
            outcome: Some(outcome.as_str().to_owned()),
            exit: tree.and_then(|tree| tree.exit.clone()),
            text: text.clone(),
            used: Some(*used),
            scores: scores.clone(),
            output: output.map(|digest| digest.to_string()),
            stdout: tree.and_then(|tree| tree.stdout).map(|digest| digest.to_string()),
            stderr: tree.and_then(|tree| tree.stderr).map(|digest| digest.to_string()),
            cut: tree.is_some_and(|tree| tree.cut),
            leftovers: tree.map(|tree| tree.leftovers.clone()).unwrap_or_default(),
            retry_ms: until.map(|(until, from)| until.saturating_sub(from) / 1_000_000),
            ..running
        }
    }
}
