//! What a function is given, and what it gives back.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use antiphon_core::coordination::{
    Grant, KeyValue, KeyWrite, Need, Question, Report, Route, SessionOutcome, Signal, StopCause,
    TerminationError, TreeReport, WorkSpec,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;
use antiphon_core::id::{AgentId, CoordinationId, Fence, SessionId, Version, WorkId};
use antiphon_core::routing::Name;
use antiphon_core::time::{Deadline, LedgerTime, WallTime};
use antiphon_core::world::{AskedQuestion, SessionQuestion, Spawn, Written};
use tokio_util::sync::CancellationToken;

use crate::contexts::AgentContext;
use crate::keys::{FoundKey, JsonText, read_value};
use crate::ledger::{ReadError, Store};
use crate::mailbox::{AskError, Handle, QueryError, SubmitError, Unavailable};
use crate::shortages::{Shortages, WaitEnd};
use crate::stats::Stats;
use crate::submission::Addition;
use crate::waits::{WaitError, Waited};

/// After how long an item is tried again whose time went by while it waited, in nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// What a function leaves when it did its work.
///
/// ```
/// use antiphon::Output;
///
/// let rows = Output::of_json(&vec![1, 2, 3])?.with_note("three rows");
/// assert_eq!(rows.as_text(), Ok("[1,2,3]"));
/// assert_eq!(rows.json::<Vec<u64>>()?, [1, 2, 3]);
/// assert_eq!(rows.note(), Some("three rows"));
/// # Ok::<(), antiphon::OutputError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) text: Option<String>,
    pub(crate) report: Option<Report>,
    pub(crate) scores: BTreeMap<String, i64>,
    pub(crate) tree: Option<Box<TreeReport>>,
    /// What the tree names.
    pub(crate) printed: Vec<Blob>,
    /// How long its processes ran.
    pub(crate) ran: Option<Duration>,
    pub(crate) route: Option<Box<Route>>,
}

impl Output {
    /// Nothing but the fact.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Bytes, kept as a blob that work which needs this item can read.
    #[must_use]
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: Some(bytes.into()), ..Self::default() }
    }

    /// A text, kept as a blob.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::bytes(text.into())
    }

    /// What a session is recorded with, but for the processes that it was.
    pub(crate) fn recorded(
        bytes: Option<Vec<u8>>,
        text: Option<String>,
        report: Option<Report>,
        scores: BTreeMap<String, i64>,
    ) -> Self {
        Self { bytes, text, report, scores, ..Self::default() }
    }

    /// The same with what became of its processes, and what they printed.
    pub(crate) fn with_tree(self, tree: Option<Box<TreeReport>>, printed: Vec<Blob>) -> Self {
        Self { tree, printed, ..self }
    }

    /// The same with the time that its processes really ran.
    pub(crate) fn having_run_for(self, ran: Duration) -> Self {
        Self { ran: Some(ran), ..self }
    }

    /// The same with what is to follow this attempt, such as another one although it went well. It is
    /// recorded in the same step as the session's end.
    #[must_use]
    pub fn routed(self, route: impl Into<Route>) -> Self {
        Self { route: Some(Box::new(route.into())), ..self }
    }

    /// A value as JSON, kept as a blob.
    ///
    /// # Errors
    /// [`OutputError::NotJson`] if it cannot be written as JSON.
    pub fn of_json(value: &(impl serde::Serialize + ?Sized)) -> Result<Self, OutputError> {
        Ok(Self::bytes(serde_json::to_vec(value).map_err(OutputError::json)?))
    }

    /// Its bytes, if it has any.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.bytes.as_deref()
    }

    /// Its bytes as text; without any, the empty text.
    ///
    /// # Errors
    /// [`Utf8Error`](std::str::Utf8Error) if they are no text.
    pub fn as_text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(self.as_bytes().unwrap_or_default())
    }

    /// Its bytes read as JSON.
    ///
    /// # Errors
    /// [`OutputError`] if there are none, or they are not the JSON of such a value.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, OutputError> {
        let bytes = self.as_bytes().ok_or(OutputError::Empty)?;
        serde_json::from_slice(bytes).map_err(OutputError::json)
    }

    /// Its bytes, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        self.bytes
    }

    /// The sentence for the record.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Its scores by name, in millionths.
    #[must_use]
    pub fn scores(&self) -> &BTreeMap<String, i64> {
        &self.scores
    }

    /// The same with a sentence for the record; at most 4,096 bytes of it are kept.
    #[must_use]
    pub fn with_note(self, note: impl Into<String>) -> Self {
        Self { text: Some(note.into()), ..self }
    }

    /// The same with what the session used: fresh input and output tokens, and cost in millionths
    /// of the budget's currency.
    #[must_use]
    pub fn with_usage(self, tokens: u64, cost: u64) -> Self {
        Self { report: Some(Report { tokens, cost, ..Report::default() }), ..self }
    }

    /// The same with a score, in millionths. The first
    /// [`MAX_SCORES`](crate::coordination::MAX_SCORES) by name are kept, of those whose name has at
    /// most [`MAX_SCORE_NAME_BYTES`](crate::coordination::MAX_SCORE_NAME_BYTES) and no control
    /// characters.
    #[must_use]
    pub fn with_score(mut self, name: impl Into<String>, millionths: i64) -> Self {
        self.scores.insert(name.into(), millionths);
        self
    }
}

/// Why an output is not the JSON that it was read or written as.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum OutputError {
    /// There are no bytes.
    #[error("there is no output to read")]
    Empty,
    /// The bytes, or the value, are not what was asked for.
    #[error("the output is not the JSON that was expected")]
    NotJson { source: Arc<serde_json::Error> },
}

impl OutputError {
    fn json(source: serde_json::Error) -> Self {
        Self::NotJson { source: Arc::new(source) }
    }
}

impl From<()> for Output {
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// How a function says that it did not do its work.
///
/// Any error converts, so `?` works; it does not implement [`std::error::Error`] itself for that
/// reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub(crate) outcome: SessionOutcome,
    pub(crate) text: String,
    pub(crate) report: Option<Box<Report>>,
    pub(crate) tree: Option<Box<TreeReport>>,
    /// What the tree names.
    pub(crate) printed: Vec<Blob>,
    /// How long its processes ran.
    pub(crate) ran: Option<Duration>,
    pub(crate) route: Option<Box<Route>>,
}

impl Failed {
    pub(crate) fn of(outcome: SessionOutcome, text: impl Into<String>) -> Self {
        let text = text.into();
        let (report, tree, printed) = (None, None, Vec::new());
        Self { outcome, text, report, tree, printed, ran: None, route: None }
    }

    pub(crate) fn with_report(self, report: Option<Report>) -> Self {
        Self { report: report.map(Box::new), ..self }
    }

    /// The same with what became of its processes, and what they printed.
    pub(crate) fn with_tree(self, tree: Box<TreeReport>, printed: Vec<Blob>) -> Self {
        Self { tree: Some(tree), printed, ..self }
    }

    /// The same with the time that its processes really ran.
    pub(crate) fn having_run_for(self, ran: Duration) -> Self {
        Self { ran: Some(ran), ..self }
    }

    /// The same with what is to follow this attempt, such as no other one. It is recorded in the same
    /// step as the session's end; a session that was cancelled, lost or deferred was no attempt.
    #[must_use]
    pub fn routed(self, route: impl Into<Route>) -> Self {
        Self { route: Some(Box::new(route.into())), ..self }
    }

    /// It failed; it may be retried.
    #[must_use]
    pub fn because(text: impl Into<String>) -> Self {
        Self::of(SessionOutcome::Failure, text)
    }

    /// A quota or rate limit keeps it from working before a moment: no attempt is counted.
    #[must_use]
    pub fn deferred(until: SystemTime, text: impl Into<String>) -> Self {
        let since = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::deferred_to(WallTime(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)), text)
    }

    pub(crate) fn deferred_to(until: WallTime, text: impl Into<String>) -> Self {
        Self::of(SessionOutcome::Deferred { until: Deadline::Wall(until) }, text)
    }

    /// Its time went by while it waited for what its machine has none of: tried again soon.
    pub(crate) fn deferred_a_moment(text: impl Into<String>) -> Self {
        Self::deferred_to(WallTime(crate::clock::wall().0.saturating_add(SECOND)), text)
    }

    /// The same with what the session used.
    #[must_use]
    pub fn with_usage(self, tokens: u64, cost: u64) -> Self {
        self.with_report(Some(Report { tokens, cost, ..Report::default() }))
    }
}

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::because(error.to_string())
    }
}

/// What a function returns.
pub type SessionResult = Result<Output, Failed>;

pub(crate) type RunnerFn = Arc<
    dyn Fn(SessionContext) -> Pin<Box<dyn Future<Output = SessionResult> + Send>> + Send + Sync,
>;

/// Stores a function of any future behind one type.
pub(crate) fn boxed<F, Fut>(function: F) -> RunnerFn
where
    F: Fn(SessionContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = SessionResult> + Send + 'static,
{
    Arc::new(move |context| Box::pin(function(context)))
}

/// What a session knows and can do.
#[derive(Debug, Clone)]
pub struct SessionContext {
    parts: Arc<ContextParts>,
}

#[derive(Debug)]
struct ContextParts {
    spawn: Spawn,
    stop: CancellationToken,
    /// Why it was asked to stop, before it is.
    asked: Arc<OnceLock<StopCause>>,
    /// What it waited for when its time was over.
    kept: OnceLock<String>,
    handle: Handle,
}

impl SessionContext {
    pub(crate) fn new(
        spawn: Spawn,
        stop: CancellationToken,
        asked: Arc<OnceLock<StopCause>>,
        handle: Handle,
    ) -> Self {
        Self { parts: Arc::new(ContextParts { spawn, stop, asked, kept: OnceLock::new(), handle }) }
    }

    /// Its id, `<coordination>.<n>`.
    #[must_use]
    pub fn session(&self) -> &SessionId {
        &self.parts.spawn.session
    }

    /// Its coordination.
    #[must_use]
    pub fn coordination(&self) -> &CoordinationId {
        &self.parts.spawn.session.coordination
    }

    /// The item that it carries out.
    #[must_use]
    pub fn work(&self) -> &WorkId {
        &self.parts.spawn.spec.id
    }

    /// The item as it was submitted.
    #[must_use]
    pub fn spec(&self) -> &WorkSpec {
        &self.parts.spawn.spec
    }

    /// The name it speaks under, if that is not the item's id.
    #[must_use]
    pub fn agent(&self) -> Option<&AgentId> {
        self.parts.spawn.spec.agent.as_ref()
    }

    /// The runner that it was given to, where its item may be given to several.
    #[must_use]
    pub fn assigned_to(&self) -> Option<&Name> {
        self.parts.spawn.assigned.as_ref()
    }

    /// Which attempt it is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.parts.spawn.attempt
    }

    /// What it shows to write; pass it to whatever must refuse a stale writer.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.parts.spawn.fence
    }

    /// What it may use.
    #[must_use]
    pub fn grant(&self) -> Grant {
        self.parts.spawn.grant
    }

    /// When its time is over, in ledger time.
    #[must_use]
    pub fn deadline(&self) -> LedgerTime {
        self.parts.spawn.deadline
    }

    /// What its engine measures, for routers that are to be
    /// [measured](crate::routing::SmartRoutingOrchestrator::measured_by).
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.parts.handle.stats().clone()
    }

    /// Waits until the session is asked to stop. It then has the engine's grace to return; after
    /// that it is abandoned behind its fence.
    pub async fn stop_requested(&self) {
        self.parts.stop.cancelled().await;
    }

    /// Whether the session was asked to stop.
    #[must_use]
    pub fn must_stop(&self) -> bool {
        self.parts.stop.is_cancelled()
    }

    /// What sessions wait for, as their machine has no room.
    pub(crate) fn shortages(&self) -> &Shortages {
        self.parts.handle.shortages()
    }

    /// Why it was asked to stop; the end of the engine is no cause.
    pub(crate) fn stop_cause(&self) -> Option<StopCause> {
        self.parts.asked.get().copied()
    }

    /// The input that the item was submitted with.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger cannot be read. What the machine is short of is waited for, as
    /// [`EngineBuilder::with_room_within`](crate::EngineBuilder::with_room_within) says, unless the
    /// session is asked to stop.
    pub async fn input(&self) -> Result<Option<Vec<u8>>, Unavailable> {
        self.once_there_is_room(|| self.input_now(), Unavailable::shortage).await
    }

    /// The same, tried once.
    pub(crate) async fn input_now(&self) -> Result<Option<Vec<u8>>, Unavailable> {
        match self.parts.spawn.spec.input {
            Some(digest) => self.blob_now(digest).await,
            None => Ok(None),
        }
    }

    /// The digest of what says where its run was started from, if that was said.
    pub(crate) fn origin(&self) -> Option<Digest> {
        self.parts.spawn.origin
    }

    /// What it is given to go by, as `context/<agent>` said when it was bound.
    ///
    /// # Errors
    /// As [`SessionContext::input`].
    pub async fn context(&self) -> Result<Option<JsonText>, Unavailable> {
        self.once_there_is_room(|| self.context_now(), Unavailable::shortage).await
    }

    /// The same, tried once.
    pub(crate) async fn context_now(&self) -> Result<Option<JsonText>, Unavailable> {
        let spawn = &self.parts.spawn;
        match &spawn.context {
            // What its plan says, of which only that was recorded.
            Some(KeyValue::Here(text)) if spawn.spec.context.as_ref() == Some(text) => {
                let agent = spawn.spec.speaks_as();
                Ok(Some(AgentContext::completed(self.coordination(), &agent, text.clone())))
            }
            Some(KeyValue::Here(text)) => Ok(Some(text.clone())),
            Some(KeyValue::Blob(digest)) => Ok(read_value(self.blob_now(*digest).await?)),
            _ => Ok(None),
        }
    }

    /// A blob, tried once.
    pub(crate) async fn blob_now(&self, digest: Digest) -> Result<Option<Vec<u8>>, Unavailable> {
        self.parts.handle.blob(digest).await
    }

    /// What an item that this one needs has put out.
    ///
    /// # Errors
    /// As [`SessionContext::input`].
    pub async fn output_of(&self, work: impl AsRef<str>) -> Result<Option<Output>, Unavailable> {
        let work = work.as_ref();
        self.once_there_is_room(|| self.output_now(work), Unavailable::shortage).await
    }

    /// The same, tried once.
    pub(crate) async fn output_now(
        &self,
        work: impl AsRef<str>,
    ) -> Result<Option<Output>, Unavailable> {
        let work = work.as_ref();
        match self.parts.spawn.outputs.iter().find(|(id, _)| id == work) {
            Some((_, digest)) => Ok(self.parts.handle.blob(*digest).await?.map(Output::bytes)),
            None => Ok(None),
        }
    }

    /// The items that it needs and that have put out something.
    pub(crate) fn needed(&self) -> impl Iterator<Item = &WorkId> {
        self.parts.spawn.outputs.iter().map(|(work, _)| work)
    }

    /// What its item waits for.
    pub(crate) fn needs(&self) -> &[Need] {
        &self.parts.spawn.spec.needs
    }

    /// Tries something again for as long as only the machine is in its way, which is no failure of
    /// the session. The last error stays where it was asked to stop, or has waited long enough.
    async fn once_there_is_room<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        mut attempt: impl FnMut() -> F,
        shortage: impl Fn(&E) -> Option<String>,
    ) -> Result<T, E> {
        let mut wait = self.shortages().wait_of(self.session());
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let Some(what) = shortage(&error) else { return Err(error) };
            match wait.pause(&what, self.stop_requested()).await {
                Ok(()) => {}
                Err(WaitEnd::Stopped) if self.stop_cause() == Some(StopCause::Timeout) => {
                    // The first that it waited for says enough.
                    let _ = self.parts.kept.set(what);
                    return Err(error);
                }
                Err(WaitEnd::Stopped | WaitEnd::Over(_)) => return Err(error),
            }
        }
    }

    /// How it ended, unless it failed because its time was over while it waited for its machine:
    /// that was not its item's time, so it is tried again, without an attempt.
    pub(crate) fn judged(&self, result: SessionResult) -> SessionResult {
        match (result, self.parts.kept.get()) {
            (Err(failed), Some(what)) if failed.outcome == SessionOutcome::Failure => {
                let text = format!("its time was over while it waited for room: {what}");
                Err(Failed { report: failed.report, ..Failed::deferred_a_moment(text) })
            }
            (result, _) => result,
        }
    }

    /// Reads the ledger off the runtime's threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.parts.handle.read(read).await
    }

    /// How long it may take, from its binding on.
    #[must_use]
    pub fn time(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.parts.spawn.time_ns)
    }

    /// The secret that proves to be this session; the ledger holds only its digest.
    #[must_use]
    pub fn token(&self) -> Digest {
        self.parts.spawn.token
    }

    /// Sends a signal to the own coordination, in the name of the own item.
    ///
    /// # Errors
    /// [`AskError`] if the session has ended, speaks in another name or too fast, or the signal does
    /// not keep within the limits of signals. What the machine is short of is waited for as for
    /// [`SessionContext::input`].
    pub async fn signal(&self, signal: Signal) -> Result<Version, AskError> {
        let (spawn, handle) = (&self.parts.spawn, &self.parts.handle);
        let (session, fence) = (&spawn.session, Some(spawn.fence));
        let send = || handle.send_session_signal(session, fence, signal.clone(), None);
        self.written(self.once_there_is_room(send, AskError::shortage).await?)
    }

    /// Changes keys of the own coordination, none that are set for sessions: all of them or none, and
    /// only if each is as the change expects it.
    ///
    /// # Errors
    /// As [`SessionContext::signal`], or if a key is not as expected.
    pub async fn set_keys(
        &self,
        writes: impl IntoIterator<Item = KeyWrite>,
    ) -> Result<Version, AskError> {
        self.set_keys_of(self.coordination(), writes.into_iter().collect()).await
    }

    /// Changes keys of those that all share, as [`SessionContext::set_keys`] does its own: those that
    /// the item was lent.
    ///
    /// # Errors
    /// As [`SessionContext::set_keys`], or if one was not lent.
    pub async fn set_shared_keys(
        &self,
        writes: impl IntoIterator<Item = KeyWrite>,
    ) -> Result<Version, AskError> {
        self.set_keys_of(CoordinationId::shared(), writes.into_iter().collect()).await
    }

    async fn set_keys_of(
        &self,
        run: &CoordinationId,
        writes: Vec<KeyWrite>,
    ) -> Result<Version, AskError> {
        let (spawn, handle) = (&self.parts.spawn, &self.parts.handle);
        let (session, fence) = (&spawn.session, Some(spawn.fence));
        let set = || handle.set_session_keys(run, session, fence, writes.clone(), None);
        self.written(self.once_there_is_room(set, AskError::shortage).await?)
    }

    /// Asks a person something, in the own coordination; a question that was asked before under the
    /// same id is found, with its answer if it has one. Whoever is outside answers.
    ///
    /// # Errors
    /// As [`SessionContext::signal`], or if something else was asked under the id.
    pub async fn ask(&self, question: Question) -> Result<AskedQuestion, AskError> {
        let (spawn, handle) = (&self.parts.spawn, &self.parts.handle);
        let (session, fence) = (&spawn.session, Some(spawn.fence));
        let ask = || handle.ask_session_question(session, fence, question.clone(), None);
        match self.once_there_is_room(ask, AskError::shortage).await? {
            SessionQuestion::Asked(asked) => Ok(asked),
            SessionQuestion::Refused => Err(self.not_bound()),
        }
    }

    /// A key of the own coordination, if it is there.
    ///
    /// # Errors
    /// [`QueryError`] if the ledger cannot be read.
    pub async fn key(&self, key: impl AsRef<str>) -> Result<Option<FoundKey>, QueryError> {
        self.parts.handle.key(self.coordination(), key.as_ref()).await
    }

    /// A key of those that all share, if it is there.
    ///
    /// # Errors
    /// As [`SessionContext::key`].
    pub async fn shared_key(&self, key: impl AsRef<str>) -> Result<Option<FoundKey>, QueryError> {
        self.parts.handle.key(CoordinationId::shared(), key.as_ref()).await
    }

    /// Waits until the own coordination has all of some needs, at most for a time, and no longer than
    /// until the session is asked to stop. Where another agent waits for this one, that is refused.
    ///
    /// # Errors
    /// [`WaitError`] if the session has ended, or what is waited for can never come.
    pub async fn wait_for(
        &self,
        needs: impl IntoIterator<Item = Need>,
        timeout: Option<Duration>,
    ) -> Result<Waited, WaitError> {
        let (run, needs) = (self.coordination(), needs.into_iter().collect());
        tokio::select! {
            waited = self.parts.handle.wait_for(run, needs, timeout, Some(self.session())) => waited,
            () = self.stop_requested() => {
                Err(WaitError::Stopping { session: self.session().clone() })
            }
        }
    }

    /// Where a write is on the record.
    fn written(&self, written: Written) -> Result<Version, AskError> {
        match written {
            Written::Done(done) => Ok(done.version),
            Written::Refused => Err(self.not_bound()),
        }
    }

    fn not_bound(&self) -> AskError {
        let session_id = self.session().to_string();
        AskError::Rejected(TerminationError::SessionNotBound { session_id }.into())
    }

    /// Adds work to the own coordination. It counts against its ceilings and cannot outrank the
    /// item that adds it.
    ///
    /// # Errors
    /// [`SubmitError`] if the items are refused, or the session has ended. What the machine is short
    /// of is waited for as for [`SessionContext::input`].
    pub async fn add_work(&self, work: impl Into<Addition>) -> Result<(), SubmitError> {
        let (spawn, Addition { items, inputs }) = (&self.parts.spawn, work.into());
        let (handle, session) = (&self.parts.handle, &spawn.session);
        let add = || handle.add_work_from(session, spawn.fence, items.clone(), inputs.clone());
        self.once_there_is_room(add, SubmitError::shortage).await
    }
}
