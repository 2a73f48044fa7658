//! `runners:`: commands that several items share.

use std::collections::{BTreeMap, BTreeSet};

use super::capabilities::{self, CAPABILITIES};
use super::command::{COMMAND, CommandAst};
use super::env::ENV_VALUE;
use super::limits::LIMITS;
use super::settings::SettingsAst;
use super::stdin::STDIN;
use super::usage::USAGE;
use crate::plan::mapping::{Fields, Object, ValueKind, key};
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Template};
use crate::routing::Capabilities;

pub(super) static RUNNER: Object = Object {
    name: "runner",
    what: "a runner",
    keys: &[
        key(
            "command",
            COMMAND,
            "command: [python3, \"{{script}}\"]",
            "The program and its arguments, without a shell. The value of a `{{parameter}}` always \
            stays a single argument.",
        ),
        key(
            "shell",
            ValueKind::Text,
            "shell: sort \"$IN\" | uniq -c",
            "A script for `sh -c`, instead of `command`. It cannot use placeholders; pass values \
            through `env`.",
        ),
        key(
            "env",
            ValueKind::Names(&ENV_VALUE),
            "env: { MODE: fast }",
            "Environment variables in addition to the plan's.",
        ),
        key(
            "stdin",
            STDIN,
            "stdin: \"{{prompt}}\"",
            "What the session reads from standard input, which is closed by default.",
        ),
        key(
            "limits",
            ValueKind::Of(&LIMITS),
            "limits: { memory: 2GiB }",
            "Limits for each session.",
        ),
        key(
            "usage",
            USAGE,
            "usage: claude",
            "How tokens and cost are measured: not at all (`none`, the default), from the \
            session's result file (`result`), or from the output of `claude -p` as JSON (`claude`) \
            or as a stream of JSON (`claude-stream`).",
        ),
        key(
            "capabilities",
            CAPABILITIES,
            "capabilities: [review, rust]",
            "What it can, for items that say what they want instead of a `runner`.",
        ),
        key(
            "timeout",
            ValueKind::Duration,
            "timeout: 5m",
            "The longest time for each session; after that, its processes are stopped.",
        ),
        key(
            "grace",
            ValueKind::Duration,
            "grace: 10s",
            "How long a session has to stop after it is asked to, before it is killed. Default: \
            10s.",
        ),
    ],
    later: &["resources", "leases"],
    open: false,
};

#[derive(Debug, Default)]
pub(super) struct RunnerAst {
    command: Option<CommandAst>,
    settings: SettingsAst,
    capabilities: Capabilities,
    /// What its placeholders name.
    parameters: BTreeSet<String>,
}

/// The runners that an item may name.
pub(super) type RunnerAsts = BTreeMap<String, RunnerAst>;

impl RunnerAst {
    /// Reads a runner, whose parameters cannot be named as keys of `item` are.
    pub(super) fn read(node: &Node, item: &Object, diagnostics: &mut Diagnostics<'_>) -> Self {
        let Some(fields) = Fields::read(node, &RUNNER, diagnostics) else { return Self::default() };
        let missing = "a runner needs `command` or `shell`";
        let hint = format!("for example `{}`", RUNNER.keys[0].example);
        let command = CommandAst::read_one(&fields, missing, Some(hint), diagnostics);
        let settings = SettingsAst::read(&fields, diagnostics);
        let capabilities = fields.get("capabilities");
        let capabilities =
            capabilities.map(|node| capabilities::read_all(node, diagnostics)).unwrap_or_default();
        let templates = command.iter().flat_map(CommandAst::templates).chain(settings.templates());
        let parameters: BTreeSet<String> =
            templates.flat_map(Template::parameters).map(str::to_owned).collect();
        let taken: Vec<&String> =
            parameters.iter().filter(|name| item.key(name).is_some()).collect();
        for name in &taken {
            let message = format!("`{name}` is a key of items, so it cannot be a parameter");
            diagnostics
                .error(DiagnosticCode::BadPlaceholder, node.span, message)
                .hint("rename the parameter");
        }
        // What its items have to give is known once it is renamed.
        let command = command.filter(|_| taken.is_empty());
        Self { command, settings, capabilities, parameters }
    }

    /// `None` if it is broken, which was reported.
    pub(super) fn command(&self) -> Option<&CommandAst> {
        self.command.as_ref()
    }

    pub(super) fn settings(&self) -> &SettingsAst {
        &self.settings
    }

    pub(super) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    pub(super) fn parameters(&self) -> &BTreeSet<String> {
        &self.parameters
    }
}
