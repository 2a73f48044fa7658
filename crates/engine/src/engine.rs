//! The engine: owns one ledger, decides in one task, writes in one thread, carries out sessions.

mod builder;
mod closing;
mod once;
mod output;
mod reader;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use antiphon_core::append::HeadRow;
use antiphon_core::digest::Digest;
use antiphon_core::id::{CoordinationId, IdError, QuestionId, StreamName, Version};
use antiphon_core::world::{EraseRequest, Started};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;

pub use builder::{EngineBuilder, RegisterError};
pub use once::Once;
pub use reader::Reader;
pub use run::{PrintedStream, Run};

use crate::approvals::OpenQuestion;
use crate::incidents::Incident;
use crate::items::LastRead;
use crate::ledger::{HeadQuery, ReadError, Repetition, Store};
use crate::mailbox::{EraseError, Handle, Request, SubmitError, Unavailable, operator};
use crate::orphans::Leftovers;
use crate::prune::{PruneError, PruneRequest, Pruned, Survey};
use crate::stats::Stats;
use crate::submission::Submission;
use crate::subscription::Subscription;
use closing::CloseOnce;

/// A running engine. It is cheap to clone, and runs until [`Engine::close`].
///
/// Dropping the last clone without closing it is a crash: what ran is found lost at the next start.
///
/// ```
/// use antiphon::{CoordinationBudget, CoordinationConfig, Verdict, WorkSpec};
/// use antiphon::{Engine, Output};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let mut builder = Engine::builder(dir.path().join("state"))?;
/// builder.register("greet", |_| async { Ok(Output::text("hello")) })?;
/// let engine = builder.start().await?;
///
/// let budget = CoordinationBudget::new(10, 60_000, 1_000, None)?;
/// let config = CoordinationConfig::of_work(vec![WorkSpec::function("a", "greet")?], budget)?;
/// let run = engine.submit(config).await?;
/// assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
/// engine.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Engine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    handle: Handle,
    leftovers: Arc<Leftovers>,
    last_read: Arc<LastRead>,
    closing: CloseOnce,
    // Tells the decider when the last clone is dropped.
    _guard: DropGuard,
}

/// The result of a submission.
#[derive(Debug, Clone)]
pub enum Submitted {
    /// The run begins.
    New(Run),
    /// The run was there before, started with the same configuration.
    Existing(Run),
}

impl Engine {
    fn new(
        handle: Handle,
        guard: DropGuard,
        task: JoinHandle<()>,
        leftovers: Arc<Leftovers>,
    ) -> Self {
        let (closing, last_read) = (CloseOnce::new(task), Arc::default());
        Self(Arc::new(Shared { handle, leftovers, last_read, closing, _guard: guard }))
    }

    fn handle(&self) -> &Handle {
        &self.0.handle
    }

    /// A new id for a run without a name of its own: version 7, so that they sort by age.
    #[must_use]
    pub fn mint() -> CoordinationId {
        CoordinationId::new(uuid::Uuid::now_v7().to_string())
            .unwrap_or_else(|error| panic!("BUG: a UUID is an identifier: {error}"))
    }

    /// Submits a run and returns once it is on the record. A chosen id that was submitted before
    /// with the same configuration finds that run.
    ///
    /// # Errors
    /// [`SubmitError`] if another configuration has its id, an input that it names was not handed in,
    /// or the engine takes nothing in.
    pub async fn submit(&self, submission: impl Into<Submission>) -> Result<Run, SubmitError> {
        match self.submit_or_find(submission).await? {
            Submitted::New(run) | Submitted::Existing(run) => Ok(run),
        }
    }

    /// As [`Engine::submit`], and says whether the run was there before.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn submit_or_find(
        &self,
        submission: impl Into<Submission>,
    ) -> Result<Submitted, SubmitError> {
        let Submission { config, inputs, secrets, command } = submission.into();
        let (id, minted) = match config.id() {
            Some(id) => (id.clone(), false),
            None => (Self::mint(), true),
        };
        let run = self.run_of(id.clone());
        let origin = operator(command);
        match self.handle().start(id, config, inputs, origin, minted, secrets).await? {
            Started::Existing { .. } => Ok(Submitted::Existing(run)),
            Started::New => Ok(Submitted::New(run)),
        }
    }

    /// The run of an id, whether it has ended, runs, or was never submitted: what is asked of it
    /// says so.
    ///
    /// # Errors
    /// [`IdError`] if the text is no id of a run.
    pub fn run(&self, id: impl AsRef<str>) -> Result<Run, IdError> {
        Ok(self.run_of(CoordinationId::new(id)?))
    }

    /// The run of the keys that belong to no other: gates and resources that no run declares. It comes
    /// into being with the first of them, all sessions may read it, and it takes nothing but keys.
    ///
    /// ```
    /// # use antiphon::Engine;
    /// # use antiphon::keys::{JsonText, KeyWrite};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let engine = Engine::open(dir.path().join("state")).await?;
    /// assert_eq!(engine.shared().key("resource/gpu").await?, None);
    /// let free = KeyWrite::set("resource/gpu".parse()?, JsonText::new("0.5")?)?;
    /// engine.shared().set_keys([free]).await?;
    /// assert!(engine.shared().key("resource/gpu").await?.is_some());
    /// assert!(engine.shared().cancel("not needed").await.is_err());
    /// # engine.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn shared(&self) -> Run {
        self.run_of(CoordinationId::shared().clone())
    }

    fn run_of(&self, id: CoordinationId) -> Run {
        let Shared { handle, leftovers, last_read, .. } = self.0.as_ref();
        Run::new(handle.clone(), Arc::clone(leftovers), Arc::clone(last_read), id)
    }

    /// The next free id after that of a run, under which the same is done once more, and the runs
    /// that there are under those before it.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger cannot be read; [`IdError`] inside if the id would be too long.
    pub async fn repetition(
        &self,
        id: &CoordinationId,
    ) -> Result<Result<Repetition, IdError>, Unavailable> {
        let id = id.clone();
        self.handle().read(move |store| Repetition::of(store, &id)).await
    }

    /// Follows any stream's events from after a version on: first what is recorded, then live, each
    /// once. The stream `ledger` tells who opened and closed the ledger, and what was erased; a
    /// stream that does not exist yet is waited for.
    #[must_use]
    pub fn follow_stream(&self, stream: &StreamName, after: Version) -> Subscription {
        Subscription::new(self.handle().clone(), stream.clone(), after)
    }

    /// The runs, without nested ones, in which something runs or will without a command: what
    /// closing would interrupt.
    ///
    /// # Errors
    /// [`Unavailable`] if the state is not known, as of a ledger that takes nothing in any more.
    pub async fn at_work(&self) -> Result<BTreeSet<CoordinationId>, Unavailable> {
        self.handle().query(|world, now| world.at_work(now)).await
    }

    /// The runs that only secrets keep from going on, with those that they are nested in. They are
    /// carried out, and their head rows say that they are running: what an engine has is not on the
    /// record.
    ///
    /// # Errors
    /// [`Unavailable`] if the state is not known, as of a ledger that takes nothing in any more.
    pub async fn waiting_for_secrets(&self) -> Result<BTreeSet<CoordinationId>, Unavailable> {
        self.handle().query(|world, now| world.waiting_for_secrets(now)).await
    }

    /// The questions that wait for a person, of one live run or of all, by run and id, after one of
    /// them; at most `limit` and at most 1,000.
    ///
    /// # Errors
    /// [`Unavailable`] if the state is not known, as of a ledger that takes nothing in any more.
    pub async fn open_questions(
        &self,
        run: Option<CoordinationId>,
        after: Option<(CoordinationId, QuestionId)>,
        limit: usize,
    ) -> Result<Vec<OpenQuestion>, Unavailable> {
        self.handle().open_questions(run, after, limit).await
    }

    /// The ended runs whose [`on_end`](Run::on_end) commands are carried out now.
    ///
    /// # Errors
    /// [`Unavailable`] if the engine has stopped.
    pub async fn on_ends(&self) -> Result<Vec<CoordinationId>, Unavailable> {
        self.handle().on_ends().await
    }

    /// Head rows: of one stream, or a listing with the newest stream first.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger cannot be read.
    pub async fn heads(&self, query: HeadQuery) -> Result<Vec<HeadRow>, Unavailable> {
        self.handle().read(move |store| store.heads(&query)).await
    }

    /// Reads the ledger as its store has it: whatever no other call gives.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger cannot be read.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.handle().read(read).await
    }

    /// The bytes of a blob: an input, an output or a receipt.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger cannot be read.
    pub async fn blob(&self, digest: Digest) -> Result<Option<Vec<u8>>, Unavailable> {
        self.handle().blob(digest).await
    }

    /// Erases payloads of ended runs, or blobs, for good. Chains and receipts stay verifiable.
    ///
    /// # Errors
    /// [`EraseError`] if there is no such run, if it has not ended, or the store refuses.
    pub async fn erase(&self, request: EraseRequest) -> Result<(), EraseError> {
        self.handle().erase(request, operator(None)).await
    }

    /// Erases what ended runs have left, as far as the request lets them go: see [`crate::prune`].
    ///
    /// # Errors
    /// [`PruneError`] if the request lets nothing go, the ledger cannot be read, or takes nothing in.
    pub async fn prune(&self, request: PruneRequest) -> Result<Pruned, PruneError> {
        self.handle().prune(request).await
    }

    /// What a prune would erase now.
    ///
    /// # Errors
    /// As [`Engine::prune`].
    pub async fn would_prune(&self, request: PruneRequest) -> Result<Pruned, PruneError> {
        if !request.is_limited() {
            return Err(PruneError::Unlimited);
        }
        let look = self.handle().read(move |store| Survey::of(store, &request));
        Ok(look.await.map_err(EraseError::from)?.pruned())
    }

    /// Errors that the engine has dealt with by itself since it started, by kind: none stopped it,
    /// and all are in the log.
    #[must_use]
    pub fn incidents(&self) -> BTreeMap<Incident, u64> {
        self.handle().incidents()
    }

    /// Whether the mailbox has room now. Where it has none callers wait, and a server may send them
    /// away instead.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.handle().has_room()
    }

    /// Whether the engine takes commands in now.
    ///
    /// # Errors
    /// [`Unavailable`], as every command would meet it.
    pub async fn health(&self) -> Result<(), Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.handle().send(Request::Health { reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopped)?
    }

    /// What this engine has measured of itself since it was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle().stats().clone()
    }

    /// What keeps sessions from starting or going on on this machine, in a sentence, if anything
    /// does: open files, processes, memory or room on a disk that ran out. They wait for as long as
    /// [`EngineBuilder::with_room_within`] says before that counts against their items.
    #[must_use]
    pub fn shortage(&self) -> Option<String> {
        self.handle().shortages().told()
    }

    /// Stops in good order: nothing new starts, running sessions have the grace to end, the ledger
    /// is closed. Closing again has the same answer; every other call says then that the engine has
    /// stopped.
    ///
    /// After the grace, functions that still run are abandoned. Processes are asked to stop and
    /// have their own grace, then they are killed: none is left when this returns, however long
    /// those graces are. What is cut off so is recorded as lost, and its item is carried out again
    /// after the next start; so is a command for the end of a run.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger could not be closed in order; nothing acknowledged is lost
    /// then either.
    pub async fn close(&self) -> Result<(), Unavailable> {
        self.0.closing.close(self.handle()).await
    }
}
