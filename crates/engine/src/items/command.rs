//! A command as it is shown: with the outputs that it fills in, as far as they are there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use antiphon_core::id::WorkId;

use crate::plan::{
    Bytes, CommandSpec, CommandText, EnvValue, InputSource, Invocation, Millis, RenderedEnv,
    RenderedStdin, SessionLimits, StdinSource,
};

/// What the sessions of an item run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ShownCommand {
    /// The program and its arguments; of a script `sh -c` and the script.
    pub argv: Vec<String>,
    /// Whether all outputs that it names are filled in; those that are not stand there as
    /// `{{ITEM.output}}`, as in the plan.
    pub filled_in: bool,
    pub directory: PathBuf,
    /// The variables that the plan names; secrets by name.
    pub environment: BTreeMap<String, RenderedEnv>,
    pub stdin: Option<RenderedStdin>,
    /// The program that decides whether a session succeeded, and its arguments.
    pub check: Option<Vec<String>>,
    /// What it reads, by name.
    pub inputs: BTreeMap<String, String>,
    /// The names of the outputs that it declares.
    pub outputs: Vec<String>,
    pub limits: SessionLimits,
    pub grace: Millis,
}

impl ShownCommand {
    /// A command with these outputs.
    pub(super) fn of(spec: &CommandSpec, outputs: &BTreeMap<WorkId, Vec<u8>>) -> Self {
        let mut filling = Filling { outputs, complete: true };
        let environment = spec.env.iter().map(|(name, value)| {
            let value = match value {
                EnvValue::Text(text) => RenderedEnv::Text(filling.text(text)),
                EnvValue::Secret(secret) => RenderedEnv::Secret(secret.clone()),
            };
            (name.clone(), value)
        });
        let environment = environment.collect();
        let stdin = spec.stdin.as_ref().map(|stdin| match stdin {
            StdinSource::Text(text) => RenderedStdin::Text(filling.text(text)),
            StdinSource::File(path) => RenderedStdin::File(spec.dir.join(filling.text(path))),
            StdinSource::Kept(kept) => RenderedStdin::Kept(kept.bytes().to_vec()),
        });
        let inputs = spec.inputs.iter().map(|(name, input)| {
            let text = match input {
                InputSource::File { path, .. } => path,
                InputSource::Value(value) => value,
            };
            (name.clone(), filling.text(text))
        });
        let inputs = inputs.collect();
        let argv = filling.invocation(&spec.run);
        let check = spec.check.as_ref().map(|check| filling.invocation(&check.run));
        Self {
            argv,
            filled_in: filling.complete,
            directory: spec.dir.clone(),
            environment,
            stdin,
            check,
            inputs,
            outputs: spec.outputs.keys().cloned().collect(),
            limits: spec.limits,
            grace: spec.grace,
        }
    }

    /// The most of each output that is kept, if the plan says so.
    #[must_use]
    pub fn output_limit(&self) -> Option<Bytes> {
        self.limits.output
    }
}

/// Fills outputs in where they are there.
struct Filling<'a> {
    outputs: &'a BTreeMap<WorkId, Vec<u8>>,
    complete: bool,
}

impl Filling<'_> {
    fn text(&mut self, text: &CommandText) -> String {
        text.render(self.outputs).unwrap_or_else(|_| {
            self.complete = false;
            text.as_planned()
        })
    }

    fn invocation(&mut self, invocation: &Invocation) -> Vec<String> {
        match invocation {
            Invocation::Argv(texts) => texts.iter().map(|text| self.text(text)).collect(),
            Invocation::Shell(script) => {
                vec!["sh".to_owned(), "-c".to_owned(), script.clone()]
            }
        }
    }
}
