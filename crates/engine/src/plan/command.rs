//! The recorded description of an item's command: everything a session needs but the outputs of the
//! items before it.
//!
//! It is a blob, named by its digest from
//! [`WorkSpec::input`](crate::coordination::WorkSpec::input). It holds no value of a secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use antiphon_core::digest::Digest;
use antiphon_core::id::WorkId;
use serde::{Deserialize, Serialize};

use super::units::{Bytes, Millis};

/// The version of the form that descriptions are written in.
pub const COMMAND_SCHEMA: u32 = 1;

/// What a session of an item runs, and within which limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// [`COMMAND_SCHEMA`] of the version that wrote it.
    pub schema: u32,
    /// What is run.
    pub run: Invocation,
    /// The directory that it runs in: the plan file's, absolute.
    pub dir: PathBuf,
    /// Its environment, besides `ANTIPHON_*`.
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
    /// What it reads, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, InputSource>,
    /// What it puts out, by name. Without any, the output is what its result file says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, OutputSource>,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invocation {
    /// A program and its arguments; each stays one argument, whatever is filled in.
    Argv(Vec<CommandText>),
    /// A script for `sh -c`.
    Shell(String),
}

/// A text whose parts are known, or put out by an item that is needed. Recorded as one text where
/// all of it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "TextForm", into = "TextForm")]
pub struct CommandText(pub Vec<TextPart>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TextForm {
    Known(String),
    Parts(Vec<TextPart>),
}

impl From<TextForm> for CommandText {
    fn from(form: TextForm) -> Self {
        match form {
            TextForm::Known(text) if text.is_empty() => Self::default(),
            TextForm::Known(text) => Self::known(text),
            TextForm::Parts(parts) => Self(parts),
        }
    }
}

impl From<CommandText> for TextForm {
    fn from(text: CommandText) -> Self {
        match text.as_known() {
            Some(known) => Self::Known(known.to_owned()),
            None => Self::Parts(text.0),
        }
    }
}

/// A part of a [`CommandText`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TextPart {
    /// Known when the plan was compiled.
    Known(String),
    /// Filled in when the session starts.
    Output {
        /// The item whose output it is.
        output_of: WorkId,
        /// The part of the output; all of it if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Filled in when the session starts, as a JSON object from items to their outputs; `null` for
    /// those without any.
    Outputs {
        /// The cells of a matrix.
        outputs_of: Vec<WorkId>,
        /// The part of each output; all of it if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvValue {
    /// A text.
    Text(CommandText),
    /// The value of the secret of this name, which whoever submits holds.
    Secret(String),
}

/// Where standard input comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StdinSource {
    /// A text.
    Text(CommandText),
    /// A file.
    File(CommandText),
}

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
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// These, and where there is none, those.
    pub(super) fn or(self, other: Self) -> Self {
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

/// A command that decides whether a session succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckSpec {
    /// What is run.
    pub run: Invocation,
    /// Longest time that it takes; what is left of the session's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Millis>,
}

/// How tokens and cost are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsageReader {
    /// Not at all.
    #[default]
    None,
    /// From the result file.
    Result,
    /// From what `claude -p --output-format json` prints.
    Claude,
    /// From what `claude -p --output-format stream-json` prints.
    ClaudeStream,
}

impl UsageReader {
    /// Whether there is somebody to grant tokens and cost to.
    #[must_use]
    pub fn reports(self) -> bool {
        self != Self::None
    }
}

/// What an item reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputSource {
    /// A file, by its path.
    File {
        /// The path, absolute unless an output makes it.
        path: CommandText,
        /// SHA-256 of what it held when the plan was submitted, if it was there and not too large.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// A value.
    Value(CommandText),
}

/// Where a part of an item's output comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputSource {
    /// A file that must be there when the session ends; its absolute path is the value.
    File(PathBuf),
    /// A name that the `output` of the result file must hold.
    Result,
}

/// Why a description cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It was written by a version that knows more.
    #[error(
        "the description of this command has schema {found}, and this version reads {COMMAND_SCHEMA}; use the version that submitted it"
    )]
    Schema {
        /// The schema found.
        found: u32,
    },
    /// It is not a description of a command.
    #[error("this is not the description of a command: {0}")]
    Malformed(#[from] serde_json::Error),
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
    /// [`CommandError`] if they are no description, or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CommandError> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let Version { schema } = serde_json::from_slice(bytes)?;
        if schema != COMMAND_SCHEMA {
            return Err(CommandError::Schema { found: schema });
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl CommandText {
    /// A text without open parts.
    #[must_use]
    pub fn known(text: impl Into<String>) -> Self {
        let mut known = Self::default();
        known.push(TextPart::Known(text.into()));
        known
    }

    /// The text, if no part of it is open.
    #[must_use]
    pub fn as_known(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [TextPart::Known(text)] => Some(text),
            _ => None,
        }
    }

    /// Adds a part; known ones become one.
    pub(super) fn push(&mut self, part: TextPart) {
        match (self.0.last_mut(), part) {
            (_, TextPart::Known(text)) if text.is_empty() => {}
            (Some(TextPart::Known(before)), TextPart::Known(text)) => before.push_str(&text),
            (_, part) => self.0.push(part),
        }
    }
}
