//! Asking questions and answering them.

use antiphon_core::coordination::{Answer, Question};
use antiphon_core::id::{Actor, CommandId, CoordinationId, Fence, QuestionId, SessionId, Version};
use antiphon_core::world::{AskedQuestion, Asker, Rejection, SessionQuestion, Written, commands};

use crate::mailbox::{AskError, Handle, operator};
use crate::secrets::text_without_values;

impl Handle {
    /// Asks a person something, from outside.
    pub(crate) async fn ask_question(
        &self,
        run: &CoordinationId,
        question: Question,
        id: Option<CommandId>,
    ) -> Result<AskedQuestion, AskError> {
        let ask = commands::AskQuestion { coordination: run.clone(), question };
        self.ask(ask, operator(id)).await
    }

    /// Asks a person something for a session of its own run, without values of the run's secrets; not
    /// where its fence is stale.
    pub(crate) async fn ask_session_question(
        &self,
        asking: &SessionId,
        fence: Option<Fence>,
        question: Question,
        id: Option<CommandId>,
    ) -> Result<SessionQuestion, AskError> {
        let values = self.secrets().of(&asking.coordination);
        let clean = values.and_then(|values| text_without_values(question.text(), &values));
        let question = match clean {
            Some(clean) => question.with_text(clean).map_err(Rejection::from)?,
            None => question,
        };
        let ask = commands::AskSessionQuestion { session: asking.clone(), fence, question };
        self.ask(ask, Asker { actor: Actor::session(asking), id }).await
    }

    /// Answers a question of a run, as a person.
    pub(crate) async fn answer_question(
        &self,
        run: &CoordinationId,
        question: QuestionId,
        answer: Answer,
        reason: Option<String>,
        id: Option<CommandId>,
    ) -> Result<Version, AskError> {
        let answer =
            commands::AnswerQuestion { coordination: run.clone(), question, answer, reason };
        self.command(run, answer, operator(id)).await
    }

    /// Refuses a session's answer to a question of its own run.
    pub(crate) async fn answer_session_question(
        &self,
        answering: &SessionId,
        question: QuestionId,
    ) -> Result<Written, AskError> {
        let session_id = answering.clone();
        let answer = commands::AnswerSessionQuestion { session: session_id, fence: None, question };
        self.ask(answer, Asker { actor: Actor::session(answering), id: None }).await
    }
}
