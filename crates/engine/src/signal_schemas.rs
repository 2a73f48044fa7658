//! JSON Schemas that the data of signals of some types must fit.

mod ready;

use std::collections::BTreeMap;

use antiphon_core::coordination::{MAX_SIGNAL_DATA_BYTES, SignalType};
use antiphon_core::json_text::JsonText;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use ready::ReadySchemas;

/// Most types of a run that have a schema.
pub const MAX_SIGNAL_SCHEMAS: usize = 100;

/// Most of a schema, in bytes of JSON.
pub const MAX_SIGNAL_SCHEMA_BYTES: usize = 64 * 1024;

/// The version of the form that they are recorded in.
const FORM: u32 = 1;

/// The JSON Schemas of a run's own signal types: a signal whose data does not fit that of its type is
/// refused, whoever sends it. One without data is as one with an empty object.
///
/// They are in the run's record, so that they hold after a restart. References lead nowhere outside
/// of the schema: no file or address is read.
///
/// ```
/// use antiphon::signals::{JsonText, SignalSchemas};
///
/// let schema = JsonText::new(r#"{ "required": ["verdict"] }"#)?;
/// let schemas = SignalSchemas::default().with("review.done".parse()?, schema)?;
/// let mismatch = schemas.compiled()?.check(&"review.done".parse()?, Some("{}")).unwrap_err();
/// assert_eq!(
///     mismatch.to_string(),
///     "the data of signal review.done does not fit its schema: \"verdict\" is a required property"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalSchemas {
    form: u32,
    types: BTreeMap<SignalType, JsonText>,
}

/// Why a schema is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum SchemaError {
    /// It is no JSON Schema, or refers to something outside of it.
    #[error("the schema of signal {kind} cannot be used: {problem}")]
    Unusable { kind: SignalType, problem: String },
    /// What the data of such a signal may be is fixed.
    #[error("signal {kind} is one of the types that are there; only your own can have a schema")]
    NotOwn { kind: SignalType },
    /// It is too large.
    #[error("the schema of signal {kind} has {actual} bytes; at most {max} are allowed")]
    TooLarge { kind: SignalType, actual: usize, max: usize },
    /// There are too many.
    #[error("a run has schemas for at most {max} types of signals")]
    TooMany { max: usize },
    /// They were recorded by a version that knows more.
    #[error(
        "the schemas of this run's signals have form {found}, which this version does not read"
    )]
    Form { found: u32 },
}

/// Why a signal was not sent: its data does not fit the schema of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the data of signal {kind} does not fit its schema{}: {problem}", at(pointer))]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct SchemaMismatch {
    pub kind: SignalType,
    /// Where in the data, as a JSON pointer; empty if it is the whole.
    pub pointer: String,
    pub problem: String,
}

fn at(pointer: &str) -> String {
    if pointer.is_empty() { String::new() } else { format!(" at {pointer}") }
}

impl SignalSchemas {
    /// The same with a schema for a type.
    ///
    /// # Errors
    /// [`SchemaError`] says what is wrong with it.
    pub fn with(mut self, kind: SignalType, schema: JsonText) -> Result<Self, SchemaError> {
        if kind.is_of_the_seed() {
            return Err(SchemaError::NotOwn { kind });
        }
        let (actual, max) = (schema.as_str().len(), MAX_SIGNAL_SCHEMA_BYTES);
        if actual > max {
            return Err(SchemaError::TooLarge { kind, actual, max });
        }
        compile(&kind, &schema)?;
        self.types.insert(kind, schema);
        if self.types.len() > MAX_SIGNAL_SCHEMAS {
            return Err(SchemaError::TooMany { max: MAX_SIGNAL_SCHEMAS });
        }
        Ok(Self { form: FORM, ..self })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// The bytes that are recorded.
    #[must_use]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("BUG: schemas are plain data with text keys")
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let read: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match read.form {
            FORM => Ok(read),
            found => Err(SchemaError::Form { found }.to_string()),
        }
    }

    /// The same, ready to check signals.
    ///
    /// # Errors
    /// [`SchemaError::Unusable`] if one is none for this version.
    pub fn compiled(&self) -> Result<CompiledSchemas, SchemaError> {
        let compiled =
            self.types.iter().map(|(kind, schema)| Ok((kind.clone(), compile(kind, schema)?)));
        Ok(CompiledSchemas(compiled.collect::<Result<_, _>>()?))
    }
}

/// Schemas that are ready to check signals.
#[derive(Debug, Default)]
pub struct CompiledSchemas(BTreeMap<SignalType, Validator>);

impl CompiledSchemas {
    /// Whether the data of a signal fits the schema of its type, if that has one.
    ///
    /// # Errors
    /// [`SchemaMismatch`] says what does not fit, and where.
    pub fn check(&self, kind: &SignalType, data: Option<&str>) -> Result<(), SchemaMismatch> {
        let Some(validator) = self.0.get(kind) else { return Ok(()) };
        let mismatch = |pointer: String, problem: String| {
            let problem = shortened(&problem);
            SchemaMismatch { kind: kind.clone(), pointer, problem }
        };
        let data = data.unwrap_or("{}");
        debug_assert!(data.len() <= MAX_SIGNAL_DATA_BYTES, "it was checked before");
        let value: Value = serde_json::from_str(data)
            .map_err(|error| mismatch(String::new(), error.to_string()))?;
        validator
            .validate(&value)
            .map_err(|error| mismatch(error.instance_path().to_string(), error.to_string()))
    }
}

/// Problems quote the data, which may be large.
fn shortened(problem: &str) -> String {
    const SHOWN: usize = 500;
    match problem.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &problem[..end]),
        None => problem.to_owned(),
    }
}

/// Patterns are matched in time that is linear in the data, whatever they are.
fn compile(kind: &SignalType, schema: &JsonText) -> Result<Validator, SchemaError> {
    let unusable = |problem: String| SchemaError::Unusable { kind: kind.clone(), problem };
    let schema: Value =
        serde_json::from_str(schema.as_str()).map_err(|error| unusable(error.to_string()))?;
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    options.build(&schema).map_err(|error| match error.kind() {
        ValidationErrorKind::Referencing(_) => {
            unusable("a reference leads outside of it, where nothing is read".to_owned())
        }
        _ => unusable(shortened(&error.to_string())),
    })
}
