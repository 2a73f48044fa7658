//! The recorded description of an item's command: everything a session needs but the outputs of the
//! items before it.
//!
//! It is a blob, named by its digest from
//! [`WorkSpec::input`](crate::coordination::WorkSpec::input). It holds no value of a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use antiphon_core::digest::Digest;
use antiphon_core::id::WorkId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::coordination::Runner;
use crate::output_files::Declared;
use crate::plan::objects::check::CheckSpec;
use crate::plan::objects::command::Invocation;
use crate::plan::objects::env::{EnvValue, RenderedEnv};
use crate::plan::objects::input::InputSource;
use crate::plan::objects::limits::SessionLimits;
use crate::plan::objects::output::{self, MissingOutput, OutputSource};
use crate::plan::objects::route::RouteRules;
use crate::plan::objects::stdin::{RenderedStdin, StdinSource};
use crate::plan::objects::usage::UsageReader;
use crate::plan::resolve::{CommandText, RenderError};
use crate::plan::text::Millis;
use crate::tagged::{self, Schema, TaggedError};

/// The highest version of the form that descriptions are written in. Each is written in the lowest one
/// that can say it.
pub const COMMAND_SCHEMA: u32 = 2;

/// The version that says what follows an attempt.
const ROUTE_SCHEMA: u32 = 2;

/// What a session of an item runs, and within which limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct CommandSpec {
    /// The lowest version of the form that can say it: 1, or 2 if it says what follows an attempt.
    pub schema: u32,
    pub run: Invocation,
    /// The directory that it runs in: the plan file's, absolute.
    pub dir: PathBuf,
    /// What the plan sets in its environment. What it inherits is recorded once for its run, as an
    /// [`Origin`](crate::plan::Origin).
    pub env: BTreeMap<String, EnvValue>,
    /// What it reads from standard input; closed if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<StdinSource>,
    /// Ceilings of the session.
    #[serde(default, skip_serializing_if = "SessionLimits::is_none")]
    pub limits: SessionLimits,
    /// How long it has to end after it was asked to.
    pub grace: Millis,
    /// What decides whether it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckSpec>,
    /// How tokens and cost are read.
    pub usage: UsageReader,
    /// What follows an attempt. Came with schema 2.
    #[serde(default, skip_serializing_if = "RouteRules::is_empty")]
    pub route: RouteRules,
    /// What it reads, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, InputSource>,
    /// Its outputs, by name. Without any, the output is what its result file says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, OutputSource>,
}

/// A command with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Rendered {
    /// The program and its arguments; of a script `sh -c` and the script.
    pub argv: Vec<String>,
    /// The environment except `ANTIPHON_*`; secrets by name.
    pub env: BTreeMap<String, RenderedEnv>,
    pub stdin: Option<RenderedStdin>,
    /// The program that decides, and its arguments.
    pub check: Option<Vec<String>>,
    /// What it reads, by name: paths and values, for the context file.
    pub inputs: BTreeMap<String, String>,
}

/// Why a description cannot be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CommandSpecError {
    /// It was written by a version that knows more.
    #[error(
        "the description of this command has schema {found}, but this version reads \
        up to {COMMAND_SCHEMA}; use the version that submitted it"
    )]
    Schema { found: u32 },
    /// It is not a description of a command.
    #[error("this is not the description of a command: {0}")]
    Malformed(serde_json::Error),
}

impl CommandSpec {
    /// The bytes that are recorded.
    ///
    /// # Panics
    /// Never for values that exist: a description is plain data with text keys.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("BUG: a description is plain data with text keys")
    }

    /// Reads recorded bytes.
    ///
    /// # Errors
    /// [`CommandSpecError`] if they are no description, or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CommandSpecError> {
        let known = 1..=COMMAND_SCHEMA;
        let newer = |tag: Schema| Some(tag.schema).filter(|schema| !known.contains(schema));
        let read = tagged::read(bytes, newer, &None).map_err(|error| match error {
            TaggedError::Version { found } => {
                CommandSpecError::Schema { found: found.unwrap_or_default() }
            }
            TaggedError::Malformed(error) => CommandSpecError::Malformed(error),
        });
        read.and_then(|spec: Self| {
            let needed = spec.lowest();
            if spec.schema < needed {
                let message = format!("it says what only schema {needed} can");
                return Err(CommandSpecError::Malformed(serde::de::Error::custom(message)));
            }
            Ok(spec)
        })
    }

    /// The lowest version that can say it.
    fn lowest(&self) -> u32 {
        if self.route.is_empty() { 1 } else { ROUTE_SCHEMA }
    }

    /// The same in the lowest version that can say it.
    #[must_use]
    pub(in crate::plan) fn in_lowest_schema(self) -> Self {
        Self { schema: self.lowest(), ..self }
    }

    /// What the engine has to know of the command.
    pub(in crate::plan) fn runner(&self) -> Runner {
        let reports = self.usage.reports();
        let secrets = self.env.values().any(EnvValue::is_secret);
        Runner::Process { reports_tokens: reports, reports_cost: reports, secrets }
    }

    /// The same with the digests of its input files as they are now, as `digest` says; nothing if
    /// none has changed.
    pub(crate) fn with_inputs_as_now(
        &self,
        mut digest: impl FnMut(&Path) -> Option<Digest>,
    ) -> Option<Self> {
        let mut now = self.clone();
        for input in now.inputs.values_mut() {
            if let InputSource::File { path, digest: recorded } = input
                && let Some(path) = path.as_known()
            {
                *recorded = digest(Path::new(path));
            }
        }
        (now.inputs != self.inputs).then_some(now)
    }

    /// The items whose outputs are filled in.
    #[must_use]
    pub fn outputs_filled_in(&self) -> BTreeSet<&WorkId> {
        let env = self.env.values().filter_map(EnvValue::text);
        let inputs = self.inputs.values().map(InputSource::text);
        let stdin = self.stdin.iter().filter_map(StdinSource::text);
        let check = self.check.iter().flat_map(|check| check.run.texts());
        let texts = self.run.texts().iter().chain(env).chain(inputs).chain(stdin).chain(check);
        texts.flat_map(CommandText::outputs).collect()
    }

    /// The command with the outputs of the items that it needs filled in.
    ///
    /// # Errors
    /// [`RenderError`] names the output that is missing or does not fit.
    pub fn render(&self, outputs: &BTreeMap<WorkId, Vec<u8>>) -> Result<Rendered, RenderError> {
        let env = self.env.iter().map(|(name, value)| Ok((name.clone(), value.render(outputs)?)));
        let inputs = self
            .inputs
            .iter()
            .map(|(name, input)| Ok((name.clone(), input.text().render(outputs)?)));
        let stdin = self.stdin.as_ref().map(|stdin| stdin.render(&self.dir, outputs));
        let check = self.check.as_ref().map(|check| check.run.render(outputs));
        let (stdin, check) = (stdin.transpose()?, check.transpose()?);
        Ok(Rendered {
            argv: self.run.render(outputs)?,
            env: env.collect::<Result<_, RenderError>>()?,
            stdin,
            check,
            inputs: inputs.collect::<Result<_, RenderError>>()?,
        })
    }

    /// The files that it is to make.
    pub(crate) fn files(&self) -> impl Iterator<Item = Declared<'_>> {
        self.outputs.iter().filter_map(|(name, source)| source.declared(name))
    }

    /// The output of a session that ended well, as JSON bytes; `result` is the `output` of its
    /// result file.
    ///
    /// # Errors
    /// [`MissingOutput`] names what the plan says and the session did not keep.
    pub fn session_output(
        &self,
        result: Option<&Value>,
        exists: impl Fn(&Path) -> bool,
    ) -> Result<Option<Vec<u8>>, MissingOutput> {
        output::session_output(&self.outputs, result, exists)
    }
}
