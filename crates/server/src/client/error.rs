//! Why a call of the client has no answer.

use std::io;
use std::path::PathBuf;

use crate::api::{NotAnEvent, Problem};

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum ClientError {
    /// No engine answers at the socket of the state directory.
    #[error("no engine answers in {}", dir.display())]
    NoEngine { dir: PathBuf },
    /// The engine refused, and says why.
    #[error(transparent)]
    Refused(Box<Problem>),
    #[error("the engine's socket in {} failed", dir.display())]
    Socket { dir: PathBuf, source: io::Error },
    /// The engine accepts connections and does not answer.
    #[error("the engine in {} does not answer", dir.display())]
    Silent { dir: PathBuf },
    /// The connection broke before the answer was there.
    #[error("the connection to the engine broke: {0}")]
    Broken(String),
    /// The answer is not of the shape that this version knows.
    #[error("the engine's answer is not understood ({0}); the engine may be another version")]
    NotUnderstood(String),
}

impl ClientError {
    /// The problem that the engine answered with, if that is what went wrong.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(refused) => Some(refused),
            _ => None,
        }
    }
}

impl From<NotAnEvent> for ClientError {
    fn from(error: NotAnEvent) -> Self {
        Self::NotUnderstood(error.to_string())
    }
}
