//! One command to a run, under an id or without one.

use std::collections::BTreeMap;

use antiphon_core::coordination::{Answer, KeyWrite, Question, Raise, Signal};
use antiphon_core::event::StopKind;
use antiphon_core::id::{Actor, CommandId, CoordinationId, QuestionId, SessionId, Version};
use antiphon_core::world::{AskedQuestion, Asker, SessionQuestion, Written, commands};

use crate::contexts::Contexts;
use crate::mailbox::{AskError, Handle, SubmitError, operator};
use crate::submission::Addition;

/// One command to a run, made by [`Run::once`](super::Run::once). Each answers with the version of
/// the run's stream that it was recorded at.
#[derive(Debug)]
#[must_use = "nothing is asked of the run until one of the commands is given"]
pub struct Once {
    handle: Handle,
    run: CoordinationId,
    id: Option<CommandId>,
}

impl Once {
    pub(super) fn new(handle: Handle, run: CoordinationId, id: Option<CommandId>) -> Self {
        Self { handle, run, id }
    }

    /// As [`Run::cancel`](super::Run::cancel).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn cancel(self, reason: impl Into<String>) -> Result<Version, AskError> {
        self.stop(StopKind::Cancel, reason.into()).await
    }

    /// As [`Run::drain`](super::Run::drain).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn drain(self, reason: impl Into<String>) -> Result<Version, AskError> {
        self.stop(StopKind::Drain, reason.into()).await
    }

    /// As [`Run::close`](super::Run::close).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn close(self, reason: impl Into<String>) -> Result<Version, AskError> {
        self.stop(StopKind::Close, reason.into()).await
    }

    async fn stop(self, kind: StopKind, reason: String) -> Result<Version, AskError> {
        let command = commands::Stop { coordination: self.run.clone(), kind, reason };
        self.handle.command(&self.run, command, operator(self.id)).await
    }

    /// As [`Run::pause`](super::Run::pause).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn pause(self, reason: impl Into<String>) -> Result<Version, AskError> {
        let command = commands::Pause { coordination: self.run.clone(), reason: reason.into() };
        self.handle.command(&self.run, command, operator(self.id)).await
    }

    /// As [`Run::unpause`](super::Run::unpause).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn unpause(self) -> Result<Version, AskError> {
        self.unpause_with(Raise::new()).await
    }

    /// As [`Run::unpause_with`](super::Run::unpause_with).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn unpause_with(self, raise: Raise) -> Result<Version, AskError> {
        let command = commands::Continue { coordination: self.run.clone(), raise };
        self.handle.command(&self.run, command, operator(self.id)).await
    }

    /// As [`Run::resume`](super::Run::resume).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn resume(self) -> Result<Version, AskError> {
        let command = commands::TakeUp { coordination: self.run.clone() };
        self.handle.command(&self.run, command, operator(self.id)).await
    }

    /// The same with values of secrets, by name, which the run has from then on: see
    /// [`Submission::with_secrets`](crate::Submission::with_secrets). Where one that it needs is
    /// missing, what needs secrets waits for it.
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn resume_with(self, secrets: BTreeMap<String, String>) -> Result<Version, AskError> {
        let (handle, run) = (self.handle.clone(), self.run.clone());
        let version = self.resume().await?;
        handle.hold_secrets(&run, secrets).await?;
        Ok(version)
    }

    /// As [`Run::interrupt`](super::Run::interrupt).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn interrupt(self, reason: impl Into<String>) -> Result<Version, AskError> {
        self.leave(reason.into(), false).await
    }

    /// As [`Run::interrupt_now`](super::Run::interrupt_now).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn interrupt_now(self, reason: impl Into<String>) -> Result<Version, AskError> {
        self.leave(reason.into(), true).await
    }

    async fn leave(self, reason: String, ends_sessions: bool) -> Result<Version, AskError> {
        let coordination = self.run.clone();
        let command = commands::Interrupt { coordination, reason, ends_sessions };
        self.handle.command(&self.run, command, operator(self.id)).await
    }

    /// As [`Run::raise`](super::Run::raise).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn raise(self, raise: Raise) -> Result<Version, AskError> {
        let command = commands::RaiseBudget { coordination: self.run.clone(), raise };
        self.handle.command(&self.run, command, operator(self.id)).await
    }

    /// As [`Run::signal`](super::Run::signal).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn signal(self, signal: Signal) -> Result<Version, AskError> {
        self.handle.send_signal(&self.run, signal, self.id).await
    }

    /// As [`Run::signal_from`](super::Run::signal_from).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn signal_from(
        self,
        session: &SessionId,
        signal: Signal,
    ) -> Result<Written, AskError> {
        self.handle.send_session_signal(session, None, signal, self.id).await
    }

    /// As [`Run::set_keys`](super::Run::set_keys).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn set_keys(
        self,
        writes: impl IntoIterator<Item = KeyWrite>,
    ) -> Result<Version, AskError> {
        self.handle.set_keys(&self.run, writes.into_iter().collect(), self.id).await
    }

    /// As [`Run::set_keys_from`](super::Run::set_keys_from).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn set_keys_from(
        self,
        session: &SessionId,
        writes: impl IntoIterator<Item = KeyWrite>,
    ) -> Result<Written, AskError> {
        let writes = writes.into_iter().collect();
        self.handle.set_session_keys(&self.run, session, None, writes, self.id).await
    }

    /// As [`Run::contexts`](super::Run::contexts); what is changed there is the one command.
    #[must_use]
    pub fn contexts(self) -> Contexts {
        Contexts::new(self.handle.clone(), self.run, self.id)
    }

    /// As [`Run::ask`](super::Run::ask).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn ask(self, question: Question) -> Result<AskedQuestion, AskError> {
        self.handle.ask_question(&self.run, question, self.id).await
    }

    /// As [`Run::ask_from`](super::Run::ask_from).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn ask_from(
        self,
        session: &SessionId,
        question: Question,
    ) -> Result<SessionQuestion, AskError> {
        self.handle.ask_session_question(session, None, question, self.id).await
    }

    /// As [`Run::answer`](super::Run::answer).
    ///
    /// # Errors
    /// [`AskError`], as there.
    pub async fn answer(
        self,
        question: QuestionId,
        answer: Answer,
        reason: Option<String>,
    ) -> Result<Version, AskError> {
        self.handle.answer_question(&self.run, question, answer, reason, self.id).await
    }

    /// As [`Run::add_work`](super::Run::add_work).
    ///
    /// # Errors
    /// [`SubmitError`], as there.
    pub async fn add_work(self, work: impl Into<Addition>) -> Result<Version, SubmitError> {
        let Addition { items, inputs } = work.into();
        self.handle.add_work(self.run, items, inputs, operator(self.id)).await
    }

    /// As [`Run::add_work_from`](super::Run::add_work_from).
    ///
    /// # Errors
    /// [`SubmitError`], as there.
    pub async fn add_work_from(
        self,
        session: &SessionId,
        work: impl Into<Addition>,
    ) -> Result<Written, SubmitError> {
        let Addition { items, inputs } = work.into();
        let asker = Asker { actor: Actor::session(session), id: self.id };
        self.handle.add_session_work(session, None, items, inputs, asker).await
    }
}
