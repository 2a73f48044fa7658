//! The runs that a command has carried out.

use std::sync::Arc;

use antiphon::Engine;
use antiphon::id::CoordinationId;
use antiphon_server::{
    Client, ClientError, ResumeRequest, RetryAnswer, RetryRequest, SubmitRequest,
};

/// What it takes to retry a run. Its key makes all requests for it one.
#[derive(Debug)]
pub(crate) struct Retrial {
    forerunner: CoordinationId,
    request: RetryRequest,
    key: String,
}

impl Retrial {
    pub(crate) fn new(forerunner: CoordinationId, request: RetryRequest) -> Self {
        Self { forerunner, request, key: Engine::mint().to_string() }
    }

    pub(super) async fn ask(&self, client: &Client) -> Result<RetryAnswer, ClientError> {
        client.retry(&self.forerunner, &self.request, Some(&self.key)).await
    }
}

/// The runs that a command has carried out, wherever the engine is.
#[derive(Debug)]
pub(crate) enum Runs {
    /// One, with what it takes to submit it.
    Submitted(Box<SubmitRequest>),
    /// One that retries another, with what it takes to start it.
    Retried(Arc<Retrial>),
    /// Runs that are there, each with the secrets that it is given again.
    Resumed(Vec<(CoordinationId, ResumeRequest)>),
    /// None: what another process carries out is only looked at.
    Attached,
}

impl Runs {
    /// Their ids, or those of the runs that they are nested in; one that is submitted is the one
    /// that is shown.
    pub(super) fn outermost(&self, shown: &CoordinationId) -> Vec<CoordinationId> {
        match self {
            Self::Submitted(_) | Self::Retried(_) => vec![shown.clone()],
            Self::Resumed(ids) => ids.iter().map(|(id, _)| id.outermost()).collect(),
            Self::Attached => Vec::new(),
        }
    }
}
