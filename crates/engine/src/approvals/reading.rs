//! Reading the questions of a run: of one that is live as they are, of one that has ended as they were.

use std::collections::BTreeMap;

use antiphon_core::coordination::{GivenAnswer, QuestionState};
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{CoordinationId, QuestionId, StreamName, Version};

use crate::ledger::{Events, ReadError, Store};
use crate::mailbox::{Handle, QueryError};

/// A question of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundQuestion {
    /// Its id.
    pub id: QuestionId,
    /// What is asked, by whom, and how it was answered.
    pub state: QuestionState,
}

impl Handle {
    /// The questions of a run, by id.
    pub(crate) async fn questions(
        &self,
        run: &CoordinationId,
    ) -> Result<Vec<FoundQuestion>, QueryError> {
        self.require(run).await?;
        let id = run.clone();
        let live = self.query(move |world, _| {
            let questions = world.coordination(&id)?.questions();
            let found =
                questions.map(|(id, state)| FoundQuestion { id: id.clone(), state: state.clone() });
            Some(found.collect())
        });
        if let Some(found) = live.await? {
            return Ok(found);
        }
        let run = run.clone();
        let recorded = self.read(move |store| recorded(store, run)).await?;
        Ok(recorded.into_iter().map(|(id, state)| FoundQuestion { id, state }).collect())
    }
}

/// The questions, as events tell of them.
fn recorded(
    store: &dyn Store,
    run: CoordinationId,
) -> Result<BTreeMap<QuestionId, QuestionState>, ReadError> {
    let mut questions = BTreeMap::<QuestionId, QuestionState>::new();
    for event in Events::after(store, StreamName::Coordination(run), Version(0)) {
        let event = event?;
        let version = event.version;
        match CoordinationEvent::of(&event) {
            Ok(CoordinationEvent::Asked(asked)) => {
                let (text, by, expires) = (asked.question, asked.by, asked.expires);
                let state = QuestionState { version, text, by, expires, answer: None };
                questions.insert(asked.id, state);
            }
            Ok(CoordinationEvent::Answered(given)) => {
                if let Some(question) = questions.get_mut(&given.id) {
                    let (answer, by, reason) = (given.answer, given.by, given.reason);
                    question.answer = Some(GivenAnswer { version, answer, by, reason });
                }
            }
            _ => {}
        }
    }
    Ok(questions)
}
