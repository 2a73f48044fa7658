//! A plan as it is written: read, but not yet put together.

use std::collections::{BTreeMap, BTreeSet};

use super::command::{SessionLimits, UsageReader};
use super::source::{Span, Spanned};
use super::template::Template;
use super::units::{Cost, Millis, Share};
use crate::coordination::FailurePolicy;

/// The whole file.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) budget: BudgetDraft,
    pub(super) concurrency: Option<u32>,
    pub(super) retry: RetryDraft,
    pub(super) breaker: Option<u32>,
    pub(super) pausing: Option<bool>,
    pub(super) env: BTreeMap<String, EnvDraft>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) runners: BTreeMap<String, RunnerDraft>,
    pub(super) items: Vec<ItemDraft>,
}

#[derive(Debug, Default)]
pub(super) struct BudgetDraft {
    pub(super) sessions: Option<Spanned<u32>>,
    pub(super) duration: Option<Millis>,
    pub(super) tokens: Option<u64>,
    pub(super) cost: Option<Cost>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct RetryDraft {
    pub(super) attempts: Option<u32>,
    pub(super) backoff: Option<Millis>,
    pub(super) cap: Option<Millis>,
    pub(super) jitter: Option<Share>,
}

/// What is run.
#[derive(Debug, Clone)]
pub(super) enum RunDraft {
    Argv(Vec<Template>),
    Shell(String),
}

/// What runners and items say alike.
#[derive(Debug, Default, Clone)]
pub(super) struct Conduct {
    pub(super) env: BTreeMap<String, EnvDraft>,
    pub(super) stdin: Option<Spanned<StdinDraft>>,
    pub(super) limits: SessionLimits,
    pub(super) tokens: Option<Spanned<u64>>,
    pub(super) cost: Option<Spanned<Cost>>,
    pub(super) usage: Option<UsageReader>,
    pub(super) timeout: Option<Millis>,
    pub(super) grace: Option<Millis>,
}

#[derive(Debug, Clone)]
pub(super) enum StdinDraft {
    Text(Template),
    File(Template),
}

#[derive(Debug, Clone)]
pub(super) enum EnvDraft {
    Text(Template),
    From { name: Spanned<String>, default: Option<String> },
    Secret { name: Spanned<String>, command: Option<Vec<String>> },
}

#[derive(Debug)]
pub(super) struct RunnerDraft {
    pub(super) run: Option<RunDraft>,
    pub(super) conduct: Conduct,
    /// What its placeholders name.
    pub(super) parameters: BTreeSet<String>,
}

/// How an item is carried out.
#[derive(Debug)]
pub(super) enum How {
    Runner(Spanned<String>),
    Own(RunDraft),
    Plan(Spanned<Template>),
    /// A problem was told.
    Broken,
}

#[derive(Debug)]
pub(super) struct ItemDraft {
    pub(super) id: Spanned<String>,
    pub(super) how: How,
    pub(super) parameters: BTreeMap<String, Parameter>,
    pub(super) input: BTreeMap<String, (InputDraft, Span)>,
    pub(super) output: OutputDraft,
    pub(super) needs: Vec<Spanned<Template>>,
    pub(super) group: Option<Spanned<String>>,
    pub(super) priority: i32,
    pub(super) critical: bool,
    pub(super) retry: Option<RetryDraft>,
    pub(super) conduct: Conduct,
    pub(super) check: Option<(RunDraft, Option<Millis>)>,
    pub(super) on_failure: FailurePolicy,
    pub(super) pausing: Option<bool>,
    pub(super) agent: Option<Spanned<Template>>,
    pub(super) matrix: Vec<Axis>,
    pub(super) width: Option<u32>,
}

/// A value that an item gives to its runner.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) key: Span,
    pub(super) value: Template,
}

/// One list of a matrix.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) name: Spanned<String>,
    pub(super) values: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) enum InputDraft {
    File(Template),
    Value(Template),
}

#[derive(Debug, Default)]
pub(super) enum OutputDraft {
    #[default]
    Any,
    /// Names in the result file.
    Names(BTreeSet<String>),
    /// Files by name.
    Files(BTreeMap<String, Spanned<Template>>),
}

impl OutputDraft {
    /// Whether it says that it puts this out.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Any => false,
            Self::Names(names) => names.contains(name),
            Self::Files(files) => files.contains_key(name),
        }
    }

    /// The names, if they are known.
    pub(super) fn names(&self) -> Option<Vec<&str>> {
        match self {
            Self::Any => None,
            Self::Names(names) => Some(names.iter().map(String::as_str).collect()),
            Self::Files(files) => Some(files.keys().map(String::as_str).collect()),
        }
    }
}
