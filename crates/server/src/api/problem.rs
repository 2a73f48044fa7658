//! An error as RFC 9457 has it: `application/problem+json` with a stable code.

use antiphon::approvals::ApprovalError;
use antiphon::coordination::{ControllerError, RaiseError, StateError, WorkError};
use antiphon::head::UnreadableSummary;
use antiphon::items::ItemError;
use antiphon::keys::KeyError;
use antiphon::ledger::export::ExportError;
use antiphon::retry::RetryError;
use antiphon::signals::{InvalidFilter, SignalError};
use antiphon::waits::WaitError;
use antiphon::{EvidenceError, IdError, QueryError, Rejection, SubmitError, Unavailable};
use serde::{Deserialize, Serialize};

use super::code::Code;

/// Before the code in the problem's type.
const TYPE: &str = "urn:antiphon:error:";

/// An answer that says what went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Problem {
    /// A name for the kind of problem: the code as a URN.
    pub r#type: String,
    /// The kind in one phrase.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    pub code: String,
    /// What happened this time, and what to do.
    pub detail: String,
    /// Each thing that is wrong with the body, or with the plan in it.
    #[serde(default, skip_serializing_if = "<[BodyError]>::is_empty")]
    pub errors: Box<[BodyError]>,
    /// How many more things are wrong with the plan than `errors` holds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(left_out: &u32) -> bool {
    *left_out == 0
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct BodyError {
    pub detail: String,
    /// The kind of problem, where it is one of a plan, as `antiphon plan check --json` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Where in the body: a JSON pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The plan file, if it is not the one submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What is meant in `text`: the first byte, and the first one after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<(usize, usize)>,
    /// What to do, or what may have been meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl Problem {
    /// A problem with this code.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("{TYPE}{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            code: code.as_str().to_owned(),
            detail: detail.into(),
            errors: Box::default(),
            left_out: 0,
        }
    }

    /// The same with what is wrong one by one.
    #[must_use]
    pub fn with_errors(self, errors: Vec<BodyError>) -> Self {
        Self { errors: errors.into(), ..self }
    }

    /// The code, if this version knows it.
    #[must_use]
    pub fn known_code(&self) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str() == self.code)
    }

    /// The problem as JSON on a line.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec(self).expect("BUG: a problem is plain data with text keys");
        bytes.push(b'\n');
        bytes
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        Self::new(code_of(&rejection), rejection.to_string())
    }
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        Self::new(Code::InvalidRequest, error.to_string())
    }
}

impl From<InvalidFilter> for Problem {
    fn from(error: InvalidFilter) -> Self {
        Self::new(Code::InvalidRequest, error.to_string())
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        let code = match &error {
            Unavailable::Stopped => Code::Stopping,
            Unavailable::ReadOnly { .. } => Code::ReadOnly,
            Unavailable::NotTaken { .. } => Code::NotTaken,
            Unavailable::Poisoned { .. } => Code::Poisoned,
            Unavailable::Gone { .. } => Code::DirectoryGone,
            Unavailable::Read { .. } | Unavailable::Newer { .. } => Code::Unreadable,
            _ => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Rejected(rejection) => rejection.into(),
            SubmitError::Unavailable(unavailable) => unavailable.into(),
            SubmitError::Different { .. } => Self::new(Code::IdTaken, error.to_string()),
            SubmitError::HeadRow { .. } => Self::new(Code::Damaged, error.to_string()),
            SubmitError::NoForerunner { .. } => Self::new(Code::OtherForerunner, error.to_string()),
            SubmitError::OutputMissing { .. } => Self::new(Code::OutputGone, error.to_string()),
            // A plan brings the inputs that its items name; those of a recorded one were erased.
            SubmitError::InputMissing { .. } => Self::new(Code::Erased, error.to_string()),
            error => Self::new(Code::Internal, error.to_string()),
        }
    }
}

impl From<RetryError> for Problem {
    fn from(error: RetryError) -> Self {
        let code = match &error {
            RetryError::UnknownItem { .. } => Code::UnknownWork,
            RetryError::NothingToRun { .. } => Code::NothingToRun,
            _ => Code::Refused,
        };
        Self::new(code, error.to_string())
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::UnknownRun { .. } => Self::new(Code::UnknownRun, error.to_string()),
            QueryError::Unavailable(unavailable) => unavailable.into(),
            QueryError::HeadRow { .. } | QueryError::Events { .. } => {
                Self::new(Code::Damaged, error.to_string())
            }
            QueryError::Erased { .. } => Self::new(Code::Erased, error.to_string()),
            error => Self::new(Code::Internal, error.to_string()),
        }
    }
}

fn code_of(rejection: &Rejection) -> Code {
    match rejection {
        Rejection::TakingOver => Code::TakingOver,
        Rejection::UnknownCoordination { .. } => Code::UnknownRun,
        Rejection::Conflict { .. } => Code::IdTaken,
        Rejection::OtherCommand { .. } => Code::KeyUsed,
        Rejection::StillRunning { .. } => Code::WrongState,
        Rejection::Refused(error) => match error {
            ControllerError::State(StateError::CoordinationTerminal { .. }) => Code::RunEnded,
            ControllerError::State(_) => Code::WrongState,
            ControllerError::Raise(RaiseError::NotEnough { .. } | RaiseError::Lowered { .. }) => {
                Code::CeilingTooLow
            }
            ControllerError::Work(
                WorkError::WorkNotFound { .. } | WorkError::WorkLeftMemory { .. },
            ) => Code::UnknownWork,
            ControllerError::Key(KeyError::Stale { .. }) => Code::StaleKey,
            ControllerError::Key(
                KeyError::Foreign { .. } | KeyError::NotLent { .. } | KeyError::NotScorer { .. },
            ) => Code::SessionMayNot,
            ControllerError::Key(KeyError::TooFast { .. }) => Code::TooManyChanges,
            ControllerError::Signal(SignalError::Forged { .. }) => Code::SessionMayNot,
            ControllerError::Signal(SignalError::TooFast { .. }) => Code::TooManySignals,
            ControllerError::Approval(error) => match error {
                ApprovalError::Unknown { .. } => Code::UnknownQuestion,
                ApprovalError::OtherQuestion { .. } => Code::OtherQuestion,
                ApprovalError::AnsweredOtherwise { .. } => Code::AnsweredOtherwise,
                ApprovalError::TooManyOpen { .. } => Code::TooManyOpen,
                ApprovalError::BySession { .. } => Code::ApprovalBySession,
                ApprovalError::TooFast { .. } => Code::TooManyQuestions,
                _ => Code::Refused,
            },
            _ => Code::Refused,
        },
        _ => Code::Refused,
    }
}

impl From<WaitError> for Problem {
    fn from(error: WaitError) -> Self {
        let detail = error.to_string();
        let code = match error {
            WaitError::Query(query) => return query.into(),
            WaitError::TooManyWaits { .. } => Code::TooManyWaits,
            WaitError::NoSuchItem { .. } => Code::UnknownWork,
            WaitError::Cycle { .. } => Code::WaitCycle,
            WaitError::Stale { .. } | WaitError::Stopping { .. } => Code::StaleSession,
            _ => Code::InvalidBody,
        };
        Self::new(code, detail)
    }
}

impl From<UnreadableSummary> for Problem {
    fn from(error: UnreadableSummary) -> Self {
        Self::new(Code::Damaged, error.to_string())
    }
}

impl From<ItemError> for Problem {
    fn from(error: ItemError) -> Self {
        let detail = error.to_string();
        let code = match error {
            ItemError::Query(query) => return query.into(),
            ItemError::UnknownItem { .. } => Code::UnknownWork,
            ItemError::NoSession { .. } => Code::NoSession,
            ItemError::NoValue { .. } => Code::NoValue,
            ItemError::Missing { .. } | ItemError::Erased { .. } => Code::Erased,
            ItemError::Unread { .. } => Code::Unreadable,
            _ => Code::Internal,
        };
        Self::new(code, detail)
    }
}

impl From<EvidenceError> for Problem {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Export(error) => error.into(),
            EvidenceError::Unavailable(unavailable) => unavailable.into(),
            error => Self::new(Code::Internal, error.to_string()),
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        let code = match &error {
            ExportError::Absent { .. } => Code::UnknownRun,
            ExportError::NotEnded { .. } => Code::NotEnded,
            ExportError::Erased { .. } => Code::Erased,
            ExportError::Damaged { .. } => Code::Damaged,
            ExportError::Read(_) => Code::Unreadable,
        };
        Self::new(code, error.to_string())
    }
}
