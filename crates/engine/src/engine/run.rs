//! One run of an engine: waiting for it, steering it, looking at it.

mod items;
mod printed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::coordination::{
    Answer, Blocked, Coordination, CoordinationReceipt, Forerunner, KeyWrite, Need, Pause,
    Question, Raise, Signal,
};
use antiphon_core::envelope::Recorded;
use antiphon_core::head::Stage;
use antiphon_core::id::{
    CommandId, CoordinationId, IdError, QuestionId, SessionId, StreamName, Version,
};
use antiphon_core::world::{AskedQuestion, SessionQuestion, Written};

use super::{Once, Reader};
use crate::approvals::FoundQuestion;
use crate::contexts::Contexts;
use crate::items::LastRead;
use crate::keys::{FoundKey, KeyChanges, KeyRecord};
use crate::ledger::export::{Export, export};
use crate::mailbox::{
    AskError, Ended, EvidenceError, Handle, OnEnd, QueryError, ReaderError, ReceiptError, Status,
    SubmitError, Unavailable,
};
use crate::on_end;
use crate::orphans::Leftovers;
use crate::plan::Origin;
use crate::report::RunReport;
use crate::retry::{EarlierRun, Retried};
use crate::session::Output;
use crate::signals::{From, HeardSignal, SignalFilter, Signals};
use crate::submission::Addition;
use crate::subscription::Subscription;
use crate::waits::{WaitError, Waited};
pub use printed::PrintedStream;

/// One run of an engine, by its id. It is cheap to clone, and no reason for the engine to live on:
/// once the last clone of the [`Engine`](super::Engine) is dropped, everything asked of it says
/// that the engine has stopped.
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
/// let budget = CoordinationBudget::new(10, 60_000, 1_000, None)?;
/// let inbox = CoordinationConfig::open(Vec::new(), budget)?.with_id("inbox")?;
///
/// let run = engine.submit(inbox).await?;
/// run.add_work(WorkSpec::function("first", "greet")?).await?;
/// run.once("tuesday")?.add_work(WorkSpec::function("second", "greet")?).await?;
/// run.once("tuesday")?.add_work(WorkSpec::function("second", "greet")?).await?; // changes nothing
/// run.close("no more today").await?;
///
/// let ended = engine.run("inbox")?.wait().await?;
/// assert_eq!((ended.verdict, ended.counts.work_succeeded), (Verdict::Succeeded, 2));
/// let receipt = run.receipt().await?.expect("it has ended");
/// assert_eq!(receipt.work_outcomes[0].work_id, "first");
/// assert_eq!(run.output("second").await?, Some(Output::text("hello")));
/// engine.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Run {
    handle: Handle,
    leftovers: Arc<Leftovers>,
    last_read: Arc<LastRead>,
    id: CoordinationId,
}

impl Run {
    pub(super) fn new(
        handle: Handle,
        leftovers: Arc<Leftovers>,
        last_read: Arc<LastRead>,
        id: CoordinationId,
    ) -> Self {
        Self { handle, leftovers, last_read, id }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &CoordinationId {
        &self.id
    }

    /// Waits until it has ended; returns at once if it has.
    ///
    /// # Errors
    /// [`QueryError::UnknownRun`] if there is none; [`QueryError::Unavailable`] if the engine stops
    /// first, or its end will not be recorded.
    pub async fn wait(&self) -> Result<Ended, QueryError> {
        self.handle.wait(&self.id).await
    }

    /// The next command under an id: given again, also once the run has ended, it changes nothing
    /// and has the answer that it had first.
    ///
    /// # Errors
    /// [`IdError`] if the text is no id of a command.
    pub fn once(&self, command: impl AsRef<str>) -> Result<Once, IdError> {
        Ok(self.command(Some(CommandId::new(command)?)))
    }

    /// The next command, under an id if it has one.
    pub fn command(&self, id: Option<CommandId>) -> Once {
        Once::new(self.handle.clone(), self.id.clone(), id)
    }

    /// Ends it: running sessions are asked to stop first.
    ///
    /// # Errors
    /// [`AskError`] if it is not running, or is ending already.
    pub async fn cancel(&self, reason: impl Into<String>) -> Result<Version, AskError> {
        self.command(None).cancel(reason).await
    }

    /// Lets running sessions come to their end and starts nothing new.
    ///
    /// # Errors
    /// As [`Run::cancel`].
    pub async fn drain(&self, reason: impl Into<String>) -> Result<Version, AskError> {
        self.command(None).drain(reason).await
    }

    /// Takes no more work; it ends when what is there is done.
    ///
    /// # Errors
    /// As [`Run::cancel`].
    pub async fn close(&self, reason: impl Into<String>) -> Result<Version, AskError> {
        self.command(None).close(reason).await
    }

    /// Starts nothing new until it is unpaused; running sessions are left alone.
    ///
    /// # Errors
    /// [`AskError`] if it is not running, or paused already.
    pub async fn pause(&self, reason: impl Into<String>) -> Result<Version, AskError> {
        self.command(None).pause(reason).await
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// [`AskError`] if it is not paused, or its budget is used up.
    pub async fn unpause(&self) -> Result<Version, AskError> {
        self.command(None).unpause().await
    }

    /// Ends a pause with higher ceilings.
    ///
    /// # Errors
    /// [`AskError`] if it is not paused, or a ceiling would be lowered.
    pub async fn unpause_with(&self, raise: Raise) -> Result<Version, AskError> {
        self.command(None).unpause_with(raise).await
    }

    /// Carries it out again after it was interrupted, or after the engine that did is gone. One that
    /// is carried out stays as it is.
    ///
    /// # Errors
    /// [`AskError`] if it has ended, or is nested in another run.
    pub async fn resume(&self) -> Result<Version, AskError> {
        self.command(None).resume().await
    }

    /// Starts nothing new until it is resumed; running sessions come to their end. Once nothing of
    /// it runs its time stands still. If nothing is left to do then, it has ended.
    ///
    /// # Errors
    /// [`AskError`] if it has ended, or is nested in another run.
    pub async fn interrupt(&self, reason: impl Into<String>) -> Result<Version, AskError> {
        self.command(None).interrupt(reason).await
    }

    /// The same, and ends running sessions, which count no attempt.
    ///
    /// # Errors
    /// As [`Run::interrupt`].
    pub async fn interrupt_now(&self, reason: impl Into<String>) -> Result<Version, AskError> {
        self.command(None).interrupt_now(reason).await
    }

    /// Raises ceilings while it runs.
    ///
    /// # Errors
    /// [`AskError`] if it is not running, or a ceiling would be lowered.
    pub async fn raise(&self, raise: Raise) -> Result<Version, AskError> {
        self.command(None).raise(raise).await
    }

    /// Asks a person something. Returns once that is durable; a question that was asked before under
    /// the same id is found, with its answer if it has one.
    ///
    /// # Errors
    /// [`AskError`] if the run has ended, something else was asked under the id, or a thousand
    /// questions are open.
    pub async fn ask(&self, question: Question) -> Result<AskedQuestion, AskError> {
        self.command(None).ask(question).await
    }

    /// Asks something for a session of this run, for those who know who is calling, such as a server:
    /// no faster than sessions may write, and only while it runs.
    ///
    /// # Errors
    /// As [`Run::ask`].
    pub async fn ask_from(
        &self,
        session: &SessionId,
        question: Question,
    ) -> Result<SessionQuestion, AskError> {
        self.command(None).ask_from(session, question).await
    }

    /// Answers a question, as a person. The first answer stands; giving it again changes nothing.
    ///
    /// # Errors
    /// [`AskError`] if the run has ended, has no such question, or the question has another answer.
    pub async fn answer(
        &self,
        question: QuestionId,
        answer: Answer,
        reason: Option<String>,
    ) -> Result<Version, AskError> {
        self.command(None).answer(question, answer, reason).await
    }

    /// Refuses the answer of a session of this run, for those who know who is calling: no session
    /// answers questions.
    ///
    /// # Errors
    /// [`AskError`] always while the session runs; nothing has changed then.
    pub async fn answer_from(
        &self,
        session: &SessionId,
        question: QuestionId,
    ) -> Result<Written, AskError> {
        self.handle.answer_session_question(session, question).await
    }

    /// The questions that are open or whose answers are remembered, by id; of a run that has ended all
    /// that it had.
    ///
    /// # Errors
    /// [`QueryError`] if there is no such run, or the ledger cannot be read.
    pub async fn questions(&self) -> Result<Vec<FoundQuestion>, QueryError> {
        self.handle.questions(&self.id, None, usize::MAX).await
    }

    /// The same after one of them, at most `limit`.
    ///
    /// # Errors
    /// As [`Run::questions`].
    pub async fn questions_after(
        &self,
        after: Option<QuestionId>,
        limit: usize,
    ) -> Result<Vec<FoundQuestion>, QueryError> {
        self.handle.questions(&self.id, after, limit).await
    }

    /// One of its questions, if it is there.
    ///
    /// # Errors
    /// As [`Run::questions`].
    pub async fn question(&self, id: &QuestionId) -> Result<Option<FoundQuestion>, QueryError> {
        self.handle.question(&self.id, id).await
    }

    /// One of its questions once it is answered, or without an answer once the run has ended; `None`
    /// if there is no such question.
    ///
    /// # Errors
    /// As [`Run::questions`], or if the engine stops first.
    pub async fn answered(&self, id: &QuestionId) -> Result<Option<FoundQuestion>, QueryError> {
        self.handle.answered(&self.id, id).await
    }

    /// Adds work, with the inputs that it names.
    ///
    /// # Errors
    /// [`SubmitError`] if the items are refused, or an input that they name was not handed in.
    pub async fn add_work(&self, work: impl Into<Addition>) -> Result<Version, SubmitError> {
        self.command(None).add_work(work).await
    }

    /// Adds work for a session of this run, for those who know who is calling, such as a server: only
    /// while it runs, and nothing that outranks its own item or is given what that is not given.
    ///
    /// # Errors
    /// [`SubmitError`], as for [`Run::add_work`].
    pub async fn add_work_from(
        &self,
        session: &SessionId,
        work: impl Into<Addition>,
    ) -> Result<Written, SubmitError> {
        self.command(None).add_work_from(session, work).await
    }

    /// Sends a signal, and returns once it is durable, with its place in the run's stream. One that
    /// its sender has sent before under the same key is not recorded again, and gives the place of
    /// the first.
    ///
    /// # Errors
    /// [`AskError`] if the run has ended, or the signal does not keep within the limits of signals.
    pub async fn signal(&self, signal: Signal) -> Result<Version, AskError> {
        self.command(None).signal(signal).await
    }

    /// Sends a signal for a session of this run, for those who know who is calling, such as a server:
    /// in the name of the session's item, no faster than sessions may, and only while it runs.
    ///
    /// # Errors
    /// As [`Run::signal`], or if it speaks in another name or too fast.
    pub async fn signal_from(
        &self,
        session: &SessionId,
        signal: Signal,
    ) -> Result<Written, AskError> {
        self.command(None).signal_from(session, signal).await
    }

    /// Follows its signals: those that are wanted, each once and in order, from where it is asked.
    ///
    /// # Errors
    /// [`QueryError`] if there is no such run, or the ledger cannot be read.
    pub async fn signals(&self, filter: SignalFilter, from: From) -> Result<Signals, QueryError> {
        self.handle.signals(&self.id, filter, from).await
    }

    /// The last of its signals that are wanted, the newest first, at most `limit` and at most 1,000.
    ///
    /// # Errors
    /// [`QueryError`] if there is no such run, or the ledger cannot be read.
    pub async fn signal_history(
        &self,
        filter: SignalFilter,
        limit: usize,
    ) -> Result<Vec<HeardSignal>, QueryError> {
        self.handle.signal_history(&self.id, filter, limit).await
    }

    /// Changes keys: all of them or none, and only if each is as the change expects it. Returns once
    /// that is durable, with the version that the keys have now; a change that changes nothing, such
    /// as removing what is not there, has that of the run's last event.
    ///
    /// # Errors
    /// [`AskError`] if the run has ended, a key is not as expected, or the keys would not keep within
    /// their limits.
    pub async fn set_keys(
        &self,
        writes: impl IntoIterator<Item = KeyWrite>,
    ) -> Result<Version, AskError> {
        self.command(None).set_keys(writes).await
    }

    /// Changes keys for a session of this run, for those who know who is calling, such as a server:
    /// no faster than sessions may, only while it runs, and none that are set for sessions.
    ///
    /// # Errors
    /// As [`Run::set_keys`].
    pub async fn set_keys_from(
        &self,
        session: &SessionId,
        writes: impl IntoIterator<Item = KeyWrite>,
    ) -> Result<Written, AskError> {
        self.command(None).set_keys_from(session, writes).await
    }

    /// A key, if it is there; of a run that has ended as it was then.
    ///
    /// # Errors
    /// [`QueryError`] if there is no such run, or the ledger cannot be read.
    pub async fn key(&self, key: impl AsRef<str>) -> Result<Option<FoundKey>, QueryError> {
        self.handle.key(&self.id, key.as_ref()).await
    }

    /// The keys that begin with a prefix, after one of them, by name; at most `limit` and at most
    /// 1,000.
    ///
    /// # Errors
    /// As [`Run::key`].
    pub async fn keys(
        &self,
        prefix: impl AsRef<str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<FoundKey>, QueryError> {
        self.handle.keys(&self.id, prefix.as_ref(), after, limit).await
    }

    /// The last changes of keys that begin with a prefix, the newest first, at most `limit` and at
    /// most 1,000.
    ///
    /// # Errors
    /// As [`Run::key`].
    pub async fn key_history(
        &self,
        prefix: impl AsRef<str>,
        limit: usize,
    ) -> Result<Vec<KeyRecord>, QueryError> {
        self.handle.key_history(&self.id, prefix.as_ref(), limit).await
    }

    /// Follows the changes of keys that begin with a prefix, after a version of the run's stream.
    ///
    /// # Errors
    /// As [`Run::key`].
    pub async fn watch_keys(
        &self,
        prefix: impl AsRef<str>,
        after: Version,
    ) -> Result<KeyChanges, QueryError> {
        self.handle.watch_keys(&self.id, prefix.as_ref(), after).await
    }

    /// Waits until all of some needs are met, at most for a time. It costs no append; letting go of
    /// it is how to give it up.
    ///
    /// # Errors
    /// [`WaitError`] if there is no such run, it can never have what is waited for, or as many
    /// callers wait as may.
    pub async fn wait_for(
        &self,
        needs: impl IntoIterator<Item = Need>,
        timeout: Option<Duration>,
    ) -> Result<Waited, WaitError> {
        self.handle.wait_for(&self.id, needs.into_iter().collect(), timeout, None).await
    }

    /// Waits for a session of this run, for those who know who is calling, such as a server: only
    /// while it runs.
    ///
    /// # Errors
    /// As [`Run::wait_for`], or if the session does not run.
    pub async fn wait_for_from(
        &self,
        session: &SessionId,
        needs: impl IntoIterator<Item = Need>,
        timeout: Option<Duration>,
    ) -> Result<Waited, WaitError> {
        self.handle.wait_for(&self.id, needs.into_iter().collect(), timeout, Some(session)).await
    }

    /// The contexts of its agents.
    #[must_use]
    pub fn contexts(&self) -> Contexts {
        Contexts::new(self.handle.clone(), self.id.clone(), None)
    }

    /// Everything that keeps an item from running now; empty if it would start at the next turn.
    ///
    /// # Errors
    /// [`AskError`] if the run is not live, or has no such item.
    pub async fn why(&self, work: impl AsRef<str>) -> Result<Vec<Blocked>, AskError> {
        let (id, work) = (self.id.clone(), work.as_ref().to_owned());
        let look = move |world: &antiphon_core::world::World, now: &_| world.why(&id, &work, now);
        let mut reasons = self.handle.query(look).await??;
        self.leftovers.explain(&mut reasons);
        self.handle.shortages().explain(&mut reasons);
        Ok(reasons)
    }

    /// What became of the command that its plan names for its end, once that has ended too.
    ///
    /// # Errors
    /// [`Unavailable`] if the engine stops first, or the ledger cannot be read.
    pub async fn on_end(&self) -> Result<OnEnd, Unavailable> {
        match self.handle.on_end(&self.id).await? {
            OnEnd::None => {
                let id = self.id.clone();
                self.handle.read(move |store| on_end::recorded(store, &id)).await
            }
            seen => Ok(seen),
        }
    }

    /// Why it is paused, and what keeps it from being continued; `None` if it is not paused or not
    /// live.
    ///
    /// # Errors
    /// [`Unavailable`] if the engine has stopped.
    pub async fn pause_now(&self) -> Result<Option<Pause>, Unavailable> {
        let id = self.id.clone();
        let look = move |world: &antiphon_core::world::World, _: &_| {
            world.coordination(&id).and_then(Coordination::pause)
        };
        self.handle.query(look).await
    }

    /// Its receipt, with what became of each item, once it has ended; `None` as long as it runs.
    ///
    /// # Errors
    /// [`ReceiptError`] if there is no such run, or the receipt cannot be read.
    pub async fn receipt(&self) -> Result<Option<CoordinationReceipt>, ReceiptError> {
        let Some(digest) = self.status().await?.summary.receipt else { return Ok(None) };
        let unreadable = |reason: String| ReceiptError::Damaged { run: self.id.clone(), reason };
        let bytes = self.handle.blob(digest).await.map_err(QueryError::from)?;
        let bytes = bytes.ok_or_else(|| unreadable(format!("blob {digest} is gone")))?;
        let receipt = CoordinationReceipt::from_bytes(&bytes);
        receipt.map(Some).map_err(|error| unreadable(error.to_string()))
    }

    /// How it ended, for people: why, what became of its items, and what failed first, with its last
    /// words; `None` as long as it has not ended. Reads all of its events.
    ///
    /// # Errors
    /// [`QueryError`] if there is no such run, or its events cannot be read.
    pub async fn report(&self) -> Result<Option<RunReport>, QueryError> {
        if !matches!(self.status().await?.stage, Stage::Ended(_)) {
            return Ok(None);
        }
        let id = self.id.clone();
        Ok(self.handle.read(move |store| Ok(RunReport::read(store, &id))).await??)
    }

    /// What a retry of it names; `None` as long as it has not ended.
    ///
    /// # Errors
    /// [`QueryError`] if there is no such run, or its head row cannot be read.
    pub async fn forerunner(&self) -> Result<Option<Forerunner>, QueryError> {
        self.handle.forerunner(&self.id).await
    }

    /// What became of its items, and of those of its nested runs, for a
    /// [`Retry`](crate::retry::Retry); `None` as long as it has not ended.
    ///
    /// # Errors
    /// [`QueryError`] if there is no such run, or the ledger cannot be read.
    pub async fn earlier(&self) -> Result<Option<EarlierRun>, QueryError> {
        self.handle.earlier(&self.id).await
    }

    /// Everything that a retry of it is decided from; `None` as long as it has not ended.
    ///
    /// # Errors
    /// [`QueryError`] if there is no such run, how it was started was erased, or the ledger cannot
    /// be read.
    pub async fn retried(&self) -> Result<Option<Retried>, QueryError> {
        self.handle.retried(&self.id).await
    }

    /// Hands it values of secrets, by name. What needs secrets starts once all of them are there.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger cannot be read or the engine has stopped.
    pub async fn hold_secrets(&self, secrets: BTreeMap<String, String>) -> Result<(), Unavailable> {
        self.handle.hold_secrets(&self.id, secrets).await
    }

    /// Where it was started from, and the secrets that it needs by name; `None` if that was not
    /// recorded, or was erased.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger cannot be read.
    pub async fn origin(&self) -> Result<Option<Origin>, Unavailable> {
        self.handle.origin(&self.id).await
    }

    /// The run at a glance, running or ended.
    ///
    /// # Errors
    /// [`QueryError`] if there is no such run, or its head row cannot be read.
    pub async fn status(&self) -> Result<Status, QueryError> {
        self.handle.status(&self.id).await
    }

    /// What the last session of an item put out, in an earlier run if it was taken over from there;
    /// `None` if none has ended, or the record of how it did was erased.
    ///
    /// # Errors
    /// [`QueryError`] if there is no such run, or the ledger cannot be read.
    pub async fn output(&self, work: impl AsRef<str>) -> Result<Option<Output>, QueryError> {
        self.handle.output(&self.id, work.as_ref()).await
    }

    /// Follows its events from the first one on: first what is recorded, then live, each once.
    ///
    /// They come as they were recorded, whatever version wrote them: see [`Subscription`].
    ///
    /// # Errors
    /// [`QueryError`] if there is no such run, or the ledger cannot be read.
    pub async fn follow(&self) -> Result<Subscription, QueryError> {
        self.follow_after(Version(0)).await
    }

    /// Follows its events from after a version on.
    ///
    /// # Errors
    /// As [`Run::follow`].
    pub async fn follow_after(&self, version: Version) -> Result<Subscription, QueryError> {
        self.handle.follow(&self.id, version).await
    }

    /// Follows its events under a name: from after the last one that was acknowledged under it, in
    /// this process or an earlier one.
    ///
    /// ```no_run
    /// # async fn example(run: antiphon::Run) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut reader = run.reader("mailer").await?;
    /// while let Some(event) = reader.next().await? {
    ///     println!("{} {}", event.version, event.kind);
    ///     reader.acknowledge().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ReaderError`] if there is no such run, the name reads another one, or it is no name.
    pub async fn reader(&self, name: impl AsRef<str>) -> Result<Reader, ReaderError> {
        Reader::open(&self.handle, name.as_ref(), &self.id).await
    }

    /// Its events after a version, at most `limit`, as they were recorded; none if there is no such
    /// run.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger cannot be read.
    pub async fn events(&self, after: Version, limit: usize) -> Result<Vec<Recorded>, Unavailable> {
        let stream = StreamName::Coordination(self.id.clone());
        self.handle.read(move |store| store.read_stream(&stream, after, limit)).await
    }

    /// Its receipt with the evidence, once it has ended.
    ///
    /// # Errors
    /// [`EvidenceError`] if there is no such run, it has not ended, or its evidence is gone or
    /// damaged.
    pub async fn export(&self) -> Result<Export, EvidenceError> {
        let id = self.id.clone();
        Ok(self.handle.read(move |store| Ok(export(store, &id))).await??)
    }
}
