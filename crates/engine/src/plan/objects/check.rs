//! `check:`: a command that decides whether a session succeeded.

use serde::{Deserialize, Serialize};

use super::command::{COMMAND, CommandAst, Invocation};
use crate::plan::mapping::{Fields, Object, ValueKind, key};
use crate::plan::resolve::{CellResolver, TextScope};
use crate::plan::text::{Diagnostics, Millis, Node, Yaml};

pub(super) static CHECK: Object = Object {
    name: "check",
    what: "a check",
    keys: &[
        key("command", COMMAND, "command: [python3, check.py]", "The program and its arguments."),
        key(
            "shell",
            ValueKind::Text,
            "shell: test -s out.txt",
            "A script for `sh -c`, instead of `command`.",
        ),
        key(
            "timeout",
            ValueKind::Duration,
            "timeout: 30s",
            "The longest time for the check. Default: what is left of the session's time.",
        ),
    ],
    later: &[],
    open: false,
};

/// A command that decides whether a session succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct CheckSpec {
    pub run: Invocation,
    /// Longest time that it takes; what is left of the session's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Millis>,
}

#[derive(Debug)]
pub(super) struct CheckAst {
    command: CommandAst,
    timeout: Option<Millis>,
}

impl CheckAst {
    pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        if !matches!(node.value, Yaml::Map(_)) {
            let command = CommandAst::read_argv(node, diagnostics)?;
            return Some(Self { command, timeout: None });
        }
        let fields = Fields::read(node, &CHECK, diagnostics)?;
        let missing = "a check needs `command` or `shell`";
        let command = CommandAst::read_one(&fields, missing, None, diagnostics)?;
        let timeout = fields.get("timeout").and_then(|node| diagnostics.duration(node));
        Some(Self { command, timeout })
    }

    pub(super) fn resolve(&self, resolver: &mut CellResolver<'_, '_, '_>) -> CheckSpec {
        let run = self.command.resolve(TextScope::Item, resolver);
        self.command.refuse_injection(&run, None, resolver.diagnostics());
        CheckSpec { run, timeout: self.timeout }
    }
}
