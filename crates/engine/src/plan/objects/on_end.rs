//! `on_end:`: a command that is carried out once the run has ended.

use std::collections::BTreeMap;
use std::path::Path;

use super::command::{COMMAND, CommandAst, Invocation};
use super::env::{EnvAst, EnvValue, ResolvedEnv, record_all};
use super::item::{COMMAND_SCHEMA, CommandSpec};
use super::limits::SessionLimits;
use super::route::RouteRules;
use super::usage::UsageReader;
use crate::plan::caller::CallerValues;
use crate::plan::mapping::{Fields, Object, ValueKind, key};
use crate::plan::text::{Diagnostics, Millis, Node, Yaml};

/// How long it has to end after it was asked to.
const GRACE: Millis = Millis(5_000);

pub(super) static ON_END: Object = Object {
    name: "on_end",
    what: "`on_end`",
    keys: &[
        key("command", COMMAND, "command: [./notify]", "The program and its arguments."),
        key(
            "shell",
            ValueKind::Text,
            "shell: mail -s \"$ANTIPHON_NAME $ANTIPHON_VERDICT\" me < /dev/null",
            "A script for `sh -c`, instead of `command`.",
        ),
    ],
    later: &[],
    open: false,
};

#[derive(Debug)]
pub(super) struct OnEndAst {
    command: CommandAst,
}

impl OnEndAst {
    pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let command = if matches!(node.value, Yaml::Map(_)) {
            let fields = Fields::read(node, &ON_END, diagnostics)?;
            let missing = "`on_end` needs `command` or `shell`";
            CommandAst::read_one(&fields, missing, None, diagnostics)?
        } else {
            CommandAst::read_argv(node, diagnostics)?
        };
        Some(Self { command })
    }

    /// The command with the plan's variables; there is nothing that placeholders could name.
    pub(super) fn resolve(
        &self,
        env: &BTreeMap<String, EnvAst>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<OnEndCommand> {
        let run = self.command.plain(diagnostics)?;
        let env = env.iter().map(|(name, value)| (name.clone(), value.plain())).collect();
        Some(OnEndCommand { run, env })
    }
}

/// The command before the environment of the caller is known.
#[derive(Debug, Clone)]
pub(in crate::plan) struct OnEndCommand {
    run: Invocation,
    env: BTreeMap<String, ResolvedEnv>,
}

impl OnEndCommand {
    /// Its environment; the commands of secrets run in `dir`.
    pub(in crate::plan) fn environment(
        &self,
        dir: &Path,
        caller: &mut CallerValues<'_>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> BTreeMap<String, EnvValue> {
        record_all(&self.env, dir, caller, diagnostics)
    }

    /// The description that is recorded; it runs in `dir`.
    pub(in crate::plan) fn record(
        &self,
        dir: &Path,
        caller: &mut CallerValues<'_>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> CommandSpec {
        let spec = CommandSpec {
            schema: COMMAND_SCHEMA,
            run: self.run.clone(),
            dir: dir.to_owned(),
            env: self.environment(dir, caller, diagnostics),
            stdin: None,
            limits: SessionLimits::default(),
            grace: GRACE,
            check: None,
            usage: UsageReader::None,
            route: RouteRules::default(),
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
        };
        spec.in_lowest_schema()
    }
}
