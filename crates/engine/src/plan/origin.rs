//! Where a run was started from: what its sessions inherit from there, and what would start it again.
//!
//! It is a blob, named by its digest from the `coordination.started` event, and no part of what makes
//! two starts the same. It holds no value of a secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use antiphon_core::digest::Digest;
use serde::{Deserialize, Serialize};

use super::caller::{CallerValues, Environment, SecretSource};
use super::load::Plan;
use crate::tagged::{self, Schema, TaggedError};

/// The version of the form that origins are written in.
pub const ORIGIN_SCHEMA: u32 = 1;

/// Where a run was started from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// [`ORIGIN_SCHEMA`] of the version that wrote it.
    pub schema: u32,
    /// The plan file, by its absolute path, if the plan was read from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Digest of the plan's text.
    pub text: Digest,
    /// The directory that relative paths start from, and that sessions run in; absolute.
    pub directory: PathBuf,
    /// The variables that every session has as they were there, unless the plan sets them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inherited: BTreeMap<String, String>,
    /// The variables that the plan reads there: parameters, whose values are in the descriptions of
    /// commands too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// The secrets that sessions ask for, and where their values come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretSource>,
}

/// Why an origin cannot be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names say it")]
pub enum OriginError {
    /// It was written by a version that knows more.
    #[error(
        "the record of where this run was started has schema {found}, but this version reads \
        {ORIGIN_SCHEMA}; use the version that submitted it"
    )]
    Schema { found: u32 },
    /// It is not the record of an origin.
    #[error("this is not the record of where a run was started: {0}")]
    Malformed(serde_json::Error),
}

impl Origin {
    pub(super) fn of(plan: &Plan, caller: CallerValues<'_>) -> Self {
        let inherited = caller.inherited();
        let (secrets, variables) = caller.into_parts();
        Self {
            schema: ORIGIN_SCHEMA,
            // It is recorded as text.
            file: plan.file().filter(|file| file.to_str().is_some()).map(ToOwned::to_owned),
            text: Digest::of(plan.text().as_bytes()),
            directory: plan.dir().to_owned(),
            inherited,
            variables,
            secrets,
        }
    }

    /// The same started from this environment, as far as sessions inherit from it.
    pub(crate) fn inheriting(self, environment: &Environment) -> Self {
        Self { inherited: environment.inherited(), ..self }
    }

    /// Whether it is that of a plan: of the same file, or of the same text.
    #[must_use]
    pub fn is_of(&self, plan: &Plan) -> bool {
        let same_file = self.file.is_some() && self.file.as_deref() == plan.file();
        same_file || self.text == Digest::of(plan.text().as_bytes())
    }

    /// The bytes that are recorded.
    ///
    /// # Panics
    /// Never for values that exist: an origin is plain data with text keys, and its paths are UTF-8.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("BUG: an origin is plain data with text keys")
    }

    /// Reads recorded bytes.
    ///
    /// # Errors
    /// [`OriginError`] if they are no origin, or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OriginError> {
        tagged::read(bytes, |tag: Schema| tag.schema, &ORIGIN_SCHEMA).map_err(|error| match error {
            TaggedError::Version { found } => OriginError::Schema { found },
            TaggedError::Malformed(error) => OriginError::Malformed(error),
        })
    }
}
