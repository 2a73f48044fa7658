//! Filling in what the items before have put out, when a session starts; and what a session puts
//! out, when it ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use antiphon_core::id::WorkId;
use serde_json::Value;

use super::command::{
    CheckSpec, CommandSpec, CommandText, EnvValue, InputSource, Invocation, OutputSource,
    StdinSource, TextPart,
};

/// What a text may become.
struct Room {
    bytes_max: usize,
    exceeded: &'static str,
    zero_refused: bool,
}

/// What Linux takes as one argument or variable.
const ARGUMENT: Room =
    Room { bytes_max: (128 << 10) - 1, exceeded: "is longer than 128 KiB", zero_refused: true };

/// What is written to standard input.
const STDIN: Room =
    Room { bytes_max: 16 << 20, exceeded: "is longer than 16 MiB", zero_refused: false };

/// Why a command cannot be started with what there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// An item that it needs has put out nothing, such as one that failed and whose failure is
    /// passed over.
    #[error("{work} has put out nothing, and this session's command needs it")]
    NoOutput {
        /// The item.
        work: WorkId,
    },
    /// The output lacks a name.
    #[error("the output of {work} has no {name:?}; it must put that out")]
    NoName {
        /// The item.
        work: WorkId,
        /// The name.
        name: String,
    },
    /// The output is not JSON, or not text.
    #[error("the output of {work} cannot be filled in: it is not {wanted}")]
    NotText {
        /// The item.
        work: WorkId,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// A text cannot be passed to a process.
    #[error("with outputs filled in, a text of the command {problem}; hand them over in a file")]
    Unusable {
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A command with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The program and its arguments; of a script `sh -c` and the script.
    pub argv: Vec<String>,
    /// The environment besides `ANTIPHON_*`; secrets by name.
    pub env: BTreeMap<String, RenderedEnv>,
    /// Standard input.
    pub stdin: Option<RenderedStdin>,
    /// The program that decides, and its arguments.
    pub check: Option<Vec<String>>,
    /// What it reads, by name: paths and values, for the context file.
    pub inputs: BTreeMap<String, String>,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenderedEnv {
    /// A text.
    Text(String),
    /// The value of the secret of this name.
    Secret(String),
}

/// Standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenderedStdin {
    /// A text.
    Text(String),
    /// A file, by its absolute path.
    File(PathBuf),
}

/// Why a session that ended well has not put out what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// A file is not there.
    #[error("it should have put out {name:?}, and {} is not there", path.display())]
    NoFile {
        /// The name.
        name: String,
        /// The path.
        path: PathBuf,
    },
    /// The result file does not hold a name.
    #[error(
        "it should have put out {name:?}, and the `output` of its result file does not hold that"
    )]
    NotInResult {
        /// The name.
        name: String,
    },
}

impl CommandSpec {
    /// The command with the outputs of the items that it needs filled in.
    ///
    /// # Errors
    /// [`RenderError`] names the output that is missing or does not fit.
    pub fn render(&self, outputs: &BTreeMap<WorkId, Vec<u8>>) -> Result<Rendered, RenderError> {
        let env = self.env.iter().map(|(name, value)| {
            let value = match value {
                EnvValue::Text(text) => RenderedEnv::Text(text.render(outputs)?),
                EnvValue::Secret(secret) => RenderedEnv::Secret(secret.clone()),
            };
            Ok((name.clone(), value))
        });
        let stdin = match &self.stdin {
            None => None,
            Some(StdinSource::Text(text)) => {
                Some(RenderedStdin::Text(text.render_within(outputs, &STDIN)?))
            }
            Some(StdinSource::File(path)) => {
                Some(RenderedStdin::File(self.dir.join(path.render(outputs)?)))
            }
        };
        let inputs = self.inputs.iter().map(|(name, input)| {
            let text = match input {
                InputSource::File { path, .. } => path,
                InputSource::Value(text) => text,
            };
            Ok((name.clone(), text.render(outputs)?))
        });
        let check =
            self.check.as_ref().map(|CheckSpec { run, .. }| run.render(outputs)).transpose()?;
        Ok(Rendered {
            argv: self.run.render(outputs)?,
            env: env.collect::<Result<_, RenderError>>()?,
            stdin,
            check,
            inputs: inputs.collect::<Result<_, RenderError>>()?,
        })
    }

    /// What a session that ended well puts out, as JSON bytes; `result` is the `output` of its
    /// result file.
    ///
    /// # Errors
    /// [`OutputError`] names what the plan says and the session did not keep.
    pub fn session_output(
        &self,
        result: Option<&Value>,
        exists: impl Fn(&Path) -> bool,
    ) -> Result<Option<Vec<u8>>, OutputError> {
        if self.outputs.is_empty() {
            return Ok(result.map(|value| value.to_string().into_bytes()));
        }
        let mut all = match result {
            Some(Value::Object(fields)) => fields.clone(),
            _ => serde_json::Map::new(),
        };
        for (name, source) in &self.outputs {
            match source {
                OutputSource::File(path) if !exists(path) => {
                    return Err(OutputError::NoFile { name: name.clone(), path: path.clone() });
                }
                OutputSource::File(path) => {
                    all.insert(name.clone(), path.to_string_lossy().into());
                }
                OutputSource::Result if !all.contains_key(name) => {
                    return Err(OutputError::NotInResult { name: name.clone() });
                }
                OutputSource::Result => {}
            }
        }
        Ok(Some(Value::Object(all).to_string().into_bytes()))
    }
}

impl Invocation {
    fn render(&self, outputs: &BTreeMap<WorkId, Vec<u8>>) -> Result<Vec<String>, RenderError> {
        match self {
            Self::Argv(texts) => texts.iter().map(|text| text.render(outputs)).collect(),
            Self::Shell(script) => Ok(vec!["sh".to_owned(), "-c".to_owned(), script.clone()]),
        }
    }
}

impl CommandText {
    /// The text with outputs filled in.
    ///
    /// # Errors
    /// As [`CommandSpec::render`].
    pub fn render(&self, outputs: &BTreeMap<WorkId, Vec<u8>>) -> Result<String, RenderError> {
        self.render_within(outputs, &ARGUMENT)
    }

    fn render_within(
        &self,
        outputs: &BTreeMap<WorkId, Vec<u8>>,
        room: &Room,
    ) -> Result<String, RenderError> {
        let mut rendered = String::new();
        for part in &self.0 {
            let text = match part {
                TextPart::Known(text) => {
                    rendered.push_str(text);
                    continue;
                }
                TextPart::Output { output_of: work, name } => {
                    let bytes = outputs
                        .get(work)
                        .ok_or_else(|| RenderError::NoOutput { work: work.clone() })?;
                    shown(value(work, name.as_deref(), bytes)?)
                }
                TextPart::Outputs { outputs_of, name } => {
                    let mut all = serde_json::Map::new();
                    for work in outputs_of {
                        let found = outputs
                            .get(work)
                            .map(|bytes| value(work, name.as_deref(), bytes))
                            .transpose()?;
                        all.insert(work.to_string(), found.unwrap_or(Value::Null));
                    }
                    Value::Object(all).to_string()
                }
            };
            rendered.push_str(&text);
            if room.zero_refused && rendered.contains('\0') {
                return Err(RenderError::Unusable { problem: "holds a zero byte" });
            }
            if rendered.len() > room.bytes_max {
                return Err(RenderError::Unusable { problem: room.exceeded });
            }
        }
        Ok(rendered)
    }
}

/// An output, or a part of one; what is not JSON is a text.
fn value(work: &WorkId, name: Option<&str>, bytes: &[u8]) -> Result<Value, RenderError> {
    let not = |wanted| RenderError::NotText { work: work.clone(), wanted };
    let Some(name) = name else {
        return match serde_json::from_slice(bytes) {
            Ok(value) => Ok(value),
            Err(_) => String::from_utf8(bytes.to_vec())
                .map(Value::String)
                .map_err(|_| not("text in UTF-8")),
        };
    };
    match serde_json::from_slice(bytes).map_err(|_| not("JSON"))? {
        Value::Object(mut fields) => fields
            .remove(name)
            .ok_or_else(|| RenderError::NoName { work: work.clone(), name: name.to_owned() }),
        _ => Err(not("a JSON object")),
    }
}

/// A JSON text without its quotes, anything else as JSON.
fn shown(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
