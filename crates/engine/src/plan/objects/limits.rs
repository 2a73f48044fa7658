//! `limits:`: ceilings of each session.

use serde::{Deserialize, Serialize};

use super::budget::BudgetAst;
use crate::plan::mapping::{Fields, Object, ValueKind, key};
use crate::plan::text::{Bytes, Cost, DiagnosticCode, Diagnostics, Millis, Node, Spanned};

/// Most that can be kept of each output, in bytes.
const MAX_OUTPUT: u64 = 256 << 20;

pub(super) static LIMITS: Object = Object {
    name: "limits",
    what: "the limits",
    keys: &[
        key(
            "memory",
            ValueKind::Size,
            "memory: 2GiB",
            "Memory of all processes of a session together.",
        ),
        key(
            "processes",
            ValueKind::Integer(1, 4_294_967_295),
            "processes: 64",
            "How many processes a session may have at the same time.",
        ),
        key(
            "files",
            ValueKind::Integer(1, 4_294_967_295),
            "files: 1024",
            "Open files of each process.",
        ),
        key(
            "cpu",
            ValueKind::Duration,
            "cpu: 10m",
            "CPU time of all processes of a session together.",
        ),
        key(
            "file_size",
            ValueKind::Size,
            "file_size: 1GiB",
            "The largest size of each file that a process writes.",
        ),
        key(
            "output",
            ValueKind::Size,
            "output: 1MiB",
            "How much of standard output and of standard error is kept, each; at most 256 MiB.",
        ),
        key(
            "tokens",
            ValueKind::Count,
            "tokens: 50k",
            "Tokens granted to each session; requires `usage`.",
        ),
        key(
            "cost",
            ValueKind::Cost,
            "cost: 0.50 USD",
            "Cost granted to each session, in the budget's currency.",
        ),
    ],
    later: &[],
    open: false,
};

/// Ceilings of a session; `None` is none of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionLimits {
    /// Memory of all its processes together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Processes at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Open files of each process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    /// Processor time of all its processes together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Millis>,
    /// Size of each file that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_size: Option<Bytes>,
    /// What is kept of standard output and of standard error, each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Bytes>,
}

impl SessionLimits {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// These, and where there is none, those.
    fn or(self, other: Self) -> Self {
        Self {
            memory: self.memory.or(other.memory),
            processes: self.processes.or(other.processes),
            files: self.files.or(other.files),
            cpu: self.cpu.or(other.cpu),
            file_size: self.file_size.or(other.file_size),
            output: self.output.or(other.output),
        }
    }
}

#[derive(Debug, Default, Clone)]
pub(super) struct LimitsAst {
    limits: SessionLimits,
    tokens: Option<Spanned<u64>>,
    cost: Option<Spanned<Cost>>,
}

/// How much of each output is kept, which has to fit into memory and into the ledger.
fn output(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Bytes> {
    let size = diagnostics.size(node)?;
    if size.0 > MAX_OUTPUT {
        let message = format!("at most {} MiB of each output can be kept", MAX_OUTPUT >> 20);
        diagnostics
            .error(DiagnosticCode::TooLarge, node.span, message)
            .hint("let the command write large results to files");
        return None;
    }
    Some(size)
}

impl LimitsAst {
    pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Self {
        let Some(fields) = Fields::read(node, &LIMITS, diagnostics) else {
            return Self::default();
        };
        let mut number = |name| diagnostics.number(fields.get(name)?, u32::MAX);
        let (processes, files) = (number("processes"), number("files"));
        let limits = SessionLimits {
            memory: fields.get("memory").and_then(|node| diagnostics.size(node)),
            processes,
            files,
            cpu: fields.get("cpu").and_then(|node| diagnostics.duration(node)),
            file_size: fields.get("file_size").and_then(|node| diagnostics.size(node)),
            output: fields.get("output").and_then(|node| output(node, diagnostics)),
        };
        let tokens = fields
            .get("tokens")
            .and_then(|node| Some(Spanned::new(diagnostics.positive_count(node)?, node.span)));
        let cost = fields
            .get("cost")
            .and_then(|node| Some(Spanned::new(diagnostics.positive_cost(node)?, node.span)));
        Self { limits, tokens, cost }
    }

    /// Whether it says something that only processes can be held to.
    pub(super) fn is_of_processes(&self) -> bool {
        !self.limits.is_none()
    }

    /// These, and where there is none, those.
    pub(super) fn or(&self, other: &Self) -> Self {
        Self {
            limits: self.limits.or(other.limits),
            tokens: self.tokens.clone().or_else(|| other.tokens.clone()),
            cost: self.cost.clone().or_else(|| other.cost.clone()),
        }
    }

    pub(super) fn of_session(&self) -> SessionLimits {
        self.limits
    }

    pub(super) fn tokens(&self) -> Option<u64> {
        self.tokens.as_ref().map(|tokens| tokens.value)
    }

    pub(super) fn cost_millionths(&self) -> Option<u64> {
        self.cost.as_ref().map(|cost| cost.value.millionths)
    }

    /// Reports ceilings that no usage is held against, and ones above those of the run.
    pub(super) fn check(
        &self,
        budget: &BudgetAst,
        reports_usage: bool,
        diagnostics: &mut Diagnostics<'_>,
    ) {
        let unreported =
            |what: &str| format!("`{what}` cannot be enforced, because `usage` is not set");
        let hint = "set `usage`, for example `usage: result`";
        if let Some(tokens) = &self.tokens {
            if !reports_usage {
                diagnostics
                    .error(DiagnosticCode::Conflict, tokens.span, unreported("tokens"))
                    .hint(hint);
            }
            if budget.tokens().is_some_and(|budget| tokens.value > budget) {
                let message = "the token limit of one session exceeds the budget of the whole run";
                diagnostics.error(DiagnosticCode::BadValue, tokens.span, message);
            }
        }
        if let Some(cost) = &self.cost {
            if !reports_usage {
                diagnostics
                    .error(DiagnosticCode::Conflict, cost.span, unreported("cost"))
                    .hint(hint);
            }
            match budget.cost() {
                Some(budget) if budget.currency != cost.value.currency => {
                    let message = format!(
                        "the budget is in {}, but this is in {}",
                        budget.currency, cost.value.currency
                    );
                    diagnostics
                        .error(DiagnosticCode::BadValue, cost.span, message)
                        .hint("a run uses a single currency");
                }
                Some(budget) if cost.value.millionths > budget.millionths => {
                    let message =
                        "the cost limit of one session exceeds the budget of the whole run";
                    diagnostics.error(DiagnosticCode::BadValue, cost.span, message);
                }
                _ => {}
            }
        }
    }
}
