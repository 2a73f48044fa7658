//! What a submission brings, and what the program that bound the server makes of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::api::Fault;

use antiphon::coordination::CoordinationConfig;
use antiphon::id::CoordinationId;

/// Shortest value of a secret, in bytes: a shorter one could not be told from chance in an output.
pub(crate) const MIN_SECRET_BYTES: usize = 8;

/// A plan that somebody wants to be run, with all that it needs from the one who submits it.
#[derive(Debug)]
pub struct Submission {
    /// The id that the run will have: the one that was asked for, or a new one.
    pub id: CoordinationId,
    /// The plan's text.
    pub plan: String,
    /// What to call the plan in messages, such as the path of its file.
    pub name: String,
    /// The directory that sessions run in and relative paths start from.
    pub directory: PathBuf,
    /// Variables of the submitter's environment that it allows the plan to use.
    pub environment: BTreeMap<String, String>,
    /// The values of the secrets that the plan names. They stay in memory.
    pub secrets: BTreeMap<String, Secret>,
}

/// The value of a secret: it can be used, but not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A submission as the engine takes it.
#[derive(Debug)]
pub struct Compiled {
    /// What the run is started with; its id is that of the submission.
    pub config: CoordinationConfig,
    /// Inputs that its items name by their digest.
    pub blobs: Vec<Vec<u8>>,
}

/// Why a submission cannot be run.
#[derive(Debug)]
pub enum CompileError {
    /// The plan has problems.
    Plan(Vec<PlanProblem>),
    /// Something beside the plan is wrong, such as a directory that does not exist.
    Refused {
        /// What, and what to do.
        detail: String,
    },
}

/// One problem of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanProblem {
    /// What is wrong.
    pub message: String,
    /// The file, if it is another than the plan submitted.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The column, from 1.
    pub column: Option<u64>,
    /// The line's text.
    pub text: Option<String>,
    /// What may have been meant.
    pub suggestion: Option<String>,
}

impl Submission {
    /// A problem as it is told: a secret's value that stands in the plan is not repeated.
    pub(crate) fn told(&self, problem: PlanProblem) -> Fault {
        let PlanProblem { message, file, line, column, text, suggestion } = problem;
        Fault {
            detail: self.redacted(message),
            pointer: None,
            file: file.map(|file| self.redacted(file)),
            line,
            column,
            text: text.map(|text| self.redacted(text)),
            suggestion: suggestion.map(|suggestion| self.redacted(suggestion)),
        }
    }

    /// A text without the values of the secrets.
    pub(crate) fn redacted(&self, mut text: String) -> String {
        for (name, secret) in &self.secrets {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), &format!("[secret {name}]"));
            }
        }
        text
    }
}
