//! The questions of a run in a ledger, for those that read it without an engine.

use std::collections::BTreeMap;

use antiphon_core::coordination::{GivenAnswer, QuestionState};
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{CoordinationId, QuestionId, StreamName, Version};

use super::found::FoundQuestion;
use crate::ledger::{Events, ReadError, Store};
use crate::mailbox::head_of;

/// The questions of a run as they are recorded in a store.
pub struct RecordedQuestions<'a> {
    store: &'a dyn Store,
    run: CoordinationId,
}

impl<'a> RecordedQuestions<'a> {
    /// Those of a run.
    #[must_use]
    pub fn of(store: &'a dyn Store, run: &CoordinationId) -> Self {
        Self { store, run: run.clone() }
    }

    /// All of them, by id. When an open one expires is not told, as no time passes for a run that
    /// nobody carries out.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn all(&self) -> Result<Vec<FoundQuestion>, ReadError> {
        let ended = head_of(self.store, &self.run)?.is_some_and(|head| head.ended);
        let mut questions = BTreeMap::<QuestionId, FoundQuestion>::new();
        let stream = StreamName::Coordination(self.run.clone());
        for event in Events::after(self.store, stream, Version(0)) {
            let event = event?;
            let (version, asked) = (event.version, event.wall);
            // What was erased, or only a newer version can read, tells nothing.
            match CoordinationEvent::of(&event) {
                Ok(CoordinationEvent::Asked(it)) => {
                    let (text, by, expires) = (it.question, it.by, it.expires);
                    let state = QuestionState { version, text, by, expires, answer: None };
                    let id = it.id.clone();
                    let found = FoundQuestion { id, state, asked, expires: None, ended };
                    questions.insert(it.id, found);
                }
                Ok(CoordinationEvent::Answered(given)) => {
                    if let Some(question) = questions.get_mut(&given.id) {
                        let (answer, by, reason) = (given.answer, given.by, given.reason);
                        question.state.answer = Some(GivenAnswer { version, answer, by, reason });
                    }
                }
                _ => {}
            }
        }
        Ok(questions.into_values().collect())
    }
}

impl std::fmt::Debug for RecordedQuestions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordedQuestions").field("run", &self.run).finish_non_exhaustive()
    }
}
