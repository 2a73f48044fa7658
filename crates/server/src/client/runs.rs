//! Runs: submitted, listed, looked at.

use antiphon::id::CoordinationId;

use super::Client;
use super::error::ClientError;
use crate::api::{
    ListPage, ListQuery, OnEndAnswer, Reasons, RetryAnswer, RetryRequest, RunEnd, RunLine,
    RunSecrets, SubmitAnswer, SubmitRequest,
};
use crate::path::{RUNS, run_path, segment};

impl Client {
    /// Submits a plan. With a key and no id, the key is the id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn submit(
        &self,
        request: &SubmitRequest,
        key: Option<&str>,
    ) -> Result<SubmitAnswer, ClientError> {
        self.link.post(RUNS, request, key).await
    }

    /// Carries a run out again that has ended, as far as that is needed. A repeated call with the
    /// same key finds the run that the first one started.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn retry(
        &self,
        id: &CoordinationId,
        request: &RetryRequest,
        key: Option<&str>,
    ) -> Result<RetryAnswer, ClientError> {
        self.link.post(&run_path(id.as_str(), "/retry"), request, key).await
    }

    /// Runs at a glance, the newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list(&self, query: &ListQuery) -> Result<ListPage, ClientError> {
        let ListQuery { status, running, ended, limit, cursor } = query;
        let mut parameters = Vec::new();
        parameters.extend(status.as_ref().map(|status| format!("status={}", segment(status))));
        parameters.extend(running.then(|| "running=true".to_owned()));
        parameters.extend(ended.then(|| "ended=true".to_owned()));
        parameters.extend(limit.map(|limit| format!("limit={limit}")));
        parameters.extend(cursor.as_ref().map(|cursor| format!("cursor={}", segment(cursor))));
        self.link.get(&format!("{RUNS}?{}", parameters.join("&"))).await
    }

    /// One run at a glance.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self, id: &CoordinationId) -> Result<RunLine, ClientError> {
        self.link.get(&run_path(id.as_str(), "")).await
    }

    /// The secrets that a run needs, by name.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn secrets(&self, id: &CoordinationId) -> Result<RunSecrets, ClientError> {
        self.link.get(&run_path(id.as_str(), "/secrets")).await
    }

    /// Why an item does not run.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn why(&self, id: &CoordinationId, work: &str) -> Result<Reasons, ClientError> {
        let rest = format!("/work/{}/why", segment(work));
        self.link.get(&run_path(id.as_str(), &rest)).await
    }

    /// How a run ended, why, and what failed.
    ///
    /// # Errors
    /// [`ClientError`]; a [`Problem`](crate::Problem) if it has not ended.
    pub async fn end(&self, id: &CoordinationId) -> Result<RunEnd, ClientError> {
        self.link.get(&run_path(id.as_str(), "/end")).await
    }

    /// What became of the command for the end of a run; the answer waits for it some time.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn on_end(&self, id: &CoordinationId) -> Result<OnEndAnswer, ClientError> {
        self.link.get(&run_path(id.as_str(), "/on_end")).await
    }

    /// The hash and the rendering of a receipt.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn receipt(&self, id: &CoordinationId) -> Result<serde_json::Value, ClientError> {
        self.link.get(&run_path(id.as_str(), "/receipt")).await
    }

    /// A receipt with its evidence, as `antiphon verify` reads it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn export(&self, id: &CoordinationId) -> Result<Vec<u8>, ClientError> {
        let path = run_path(id.as_str(), "/receipt?evidence=true");
        self.link.get_bytes(&path).await.map(Into::into)
    }
}
