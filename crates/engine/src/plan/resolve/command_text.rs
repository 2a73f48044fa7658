//! Texts of a command as they are recorded: what is known, and what outputs of other items fill in
//! when the session starts.

use std::collections::BTreeMap;

use antiphon_core::id::WorkId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A text whose parts are known, or are outputs of needed items. Recorded as one text where
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

/// What a text may become.
#[derive(Debug)]
pub(in crate::plan) struct Room {
    bytes_max: usize,
    exceeded: &'static str,
    zero_refused: bool,
}

/// What Linux takes as one argument or variable.
const ARGUMENT: Room =
    Room { bytes_max: (128 << 10) - 1, exceeded: "is longer than 128 KiB", zero_refused: true };

/// What is written to standard input.
pub(in crate::plan) const STANDARD_INPUT: Room =
    Room { bytes_max: 16 << 20, exceeded: "is longer than 16 MiB", zero_refused: false };

/// Why a command cannot be started with what there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the names say it")]
pub enum RenderError {
    /// An item that it needs has no output, for example because it failed and its failure is
    #[error("{work} has no output, which this session's command needs")]
    NoOutput { work: WorkId },
    /// The output has no part of this name.
    #[error("the output of {work} has no {name:?}, which this session's command needs")]
    NoName { work: WorkId, name: String },
    /// The output is not JSON, or not text.
    #[error("the output of {work} cannot be filled in, because it is not {wanted}")]
    NotText {
        work: WorkId,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// A text cannot be passed to a process.
    #[error("with outputs filled in, part of the command {problem}; pass them in a file")]
    Unusable {
        /// What is wrong with it.
        problem: &'static str,
    },
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

    /// The text with its open parts as a plan has them; of the cells of a matrix the first stands
    /// for all.
    #[must_use]
    pub fn as_planned(&self) -> String {
        let open = |work: &WorkId, name: Option<&String>| match name {
            Some(name) => format!("{{{{{work}.output.{name}}}}}"),
            None => format!("{{{{{work}.output}}}}"),
        };
        let parts = self.0.iter().map(|part| match part {
            TextPart::Known(text) => text.clone(),
            TextPart::Output { output_of, name } => open(output_of, name.as_ref()),
            TextPart::Outputs { outputs_of, name } => {
                outputs_of.first().map(|work| open(work, name.as_ref())).unwrap_or_default()
            }
        });
        parts.collect()
    }

    /// The items whose outputs are filled in.
    pub(in crate::plan) fn outputs(&self) -> impl Iterator<Item = &WorkId> {
        self.0.iter().flat_map(|part| match part {
            TextPart::Known(_) => &[],
            TextPart::Output { output_of, .. } => std::slice::from_ref(output_of),
            TextPart::Outputs { outputs_of, .. } => outputs_of.as_slice(),
        })
    }

    /// Adds a part; known ones become one.
    pub(super) fn push(&mut self, part: TextPart) {
        match (self.0.last_mut(), part) {
            (_, TextPart::Known(text)) if text.is_empty() => {}
            (Some(TextPart::Known(before)), TextPart::Known(text)) => before.push_str(&text),
            (_, part) => self.0.push(part),
        }
    }

    /// The text with outputs filled in.
    ///
    /// # Errors
    /// [`RenderError`] names the output that is missing or does not fit.
    pub fn render(&self, outputs: &BTreeMap<WorkId, Vec<u8>>) -> Result<String, RenderError> {
        self.render_within(outputs, &ARGUMENT)
    }

    pub(in crate::plan) fn render_within(
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
                    text_or_json(value(work, name.as_deref(), bytes)?)
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
                return Err(RenderError::Unusable { problem: "contains a NUL byte" });
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
fn text_or_json(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
