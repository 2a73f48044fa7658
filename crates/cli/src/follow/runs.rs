//! The runs that a command has carried out.

use antiphon::id::CoordinationId;
use antiphon_server::SubmitRequest;

use crate::continuation::outermost;

/// The runs that a command has carried out, wherever the engine is.
#[derive(Debug)]
pub(crate) enum Runs {
    /// One, with what it takes to submit it.
    Submitted(Box<SubmitRequest>),
    /// Runs that are there.
    Resumed(Vec<CoordinationId>),
    /// None: what another process carries out is only looked at.
    Attached,
}

impl Runs {
    /// Their ids, or those of the runs that they are nested in; one that is submitted is the one
    /// that is shown.
    pub(super) fn outermost(&self, shown: &CoordinationId) -> Vec<CoordinationId> {
        match self {
            Self::Submitted(_) => vec![shown.clone()],
            Self::Resumed(ids) => ids.iter().map(outermost).collect(),
            Self::Attached => Vec::new(),
        }
    }
}
