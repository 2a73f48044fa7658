//! Reading the questions of runs: of those that are live as they are, of those that have ended as
//! they were.

use antiphon_core::coordination::Coordination;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{CoordinationId, QuestionId, StreamName, Version};
use antiphon_core::time::{Now, WallTime};
use antiphon_core::world::World;

use super::found::{FoundQuestion, LiveQuestion, OpenQuestion};
use super::recorded::RecordedQuestions;
use crate::ledger::{ReadError, Store};
use crate::mailbox::{Handle, QueryError, Unavailable};

/// Most questions that are read at a time where a limit is given.
const PAGE: usize = 1_000;

impl Handle {
    /// The questions of a run after one of them, by id.
    pub(crate) async fn questions(
        &self,
        run: &CoordinationId,
        after: Option<QuestionId>,
        limit: usize,
    ) -> Result<Vec<FoundQuestion>, QueryError> {
        let behind = after.clone();
        let found = self.live(run, move |run, now| {
            let behind = |id: &QuestionId| behind.as_ref().is_none_or(|after| id > after);
            let questions = run.questions().filter(|(id, _)| behind(id)).take(limit);
            questions.map(|question| LiveQuestion::of(run, question, now)).collect()
        });
        if let Some(found) = found.await? {
            return Ok(found);
        }
        let all = self.recorded_questions(run).await?.into_iter();
        let behind = |found: &FoundQuestion| after.as_ref().is_none_or(|after| found.id > *after);
        Ok(all.filter(behind).take(limit).collect())
    }

    /// One of them, if it is there.
    pub(crate) async fn question(
        &self,
        run: &CoordinationId,
        question: &QuestionId,
    ) -> Result<Option<FoundQuestion>, QueryError> {
        let id = question.clone();
        let found = self.live(run, move |run, now| {
            let state = run.question(id.as_str());
            state.map(|state| LiveQuestion::of(run, (&id, state), now)).into_iter().collect()
        });
        let found = match found.await? {
            Some(found) => found,
            None => self.recorded_questions(run).await?,
        };
        Ok(found.into_iter().find(|found| found.id == *question))
    }

    /// One of them once it is answered, or once its run has ended; none if it is not there.
    pub(crate) async fn answered(
        &self,
        run: &CoordinationId,
        question: &QuestionId,
    ) -> Result<Option<FoundQuestion>, QueryError> {
        let version = self.status(run).await?.version;
        let Some(found) = self.question(run, question).await? else { return Ok(None) };
        if found.ended || found.state.answer.is_some() {
            return Ok(Some(found));
        }
        let mut events = self.follow(run, version).await?;
        while let Some(event) = events.next().await? {
            if let Ok(CoordinationEvent::Answered(answered)) = CoordinationEvent::of(&event)
                && answered.id == *question
            {
                break;
            }
        }
        self.question(run, question).await
    }

    /// The questions of live runs that wait for a person, by run and id, after one of them; at most
    /// `limit` and at most 1,000.
    pub(crate) async fn open_questions(
        &self,
        run: Option<CoordinationId>,
        after: Option<(CoordinationId, QuestionId)>,
        limit: usize,
    ) -> Result<Vec<OpenQuestion>, Unavailable> {
        let limit = limit.min(PAGE);
        let look = move |world: &World, now: &Now| -> Vec<_> {
            let mut found = Vec::new();
            for state in world.coordinations() {
                let id = state.coordination_id();
                let is_before = after.as_ref().is_some_and(|(run, _)| id < run);
                if is_before || run.as_ref().is_some_and(|run| run != id) {
                    continue;
                }
                let within = after.as_ref().filter(|(run, _)| run == id);
                let wanted = state.questions().filter(|(id, question)| {
                    question.answer.is_none() && within.is_none_or(|(_, after)| *id > after)
                });
                for question in wanted.take(limit - found.len()) {
                    found.push((id.clone(), LiveQuestion::of(state, question, now)));
                }
                if found.len() == limit {
                    break;
                }
            }
            found
        };
        let found = self.query(look).await?;
        self.read(move |store| {
            let questions = found.into_iter().map(|(run, question)| {
                let question = asked(store, &run, question)?;
                Ok(OpenQuestion { run, question })
            });
            questions.collect()
        })
        .await
    }

    /// What is looked up of a run, if it is live.
    async fn live(
        &self,
        run: &CoordinationId,
        look: impl FnOnce(&Coordination, &Now) -> Vec<LiveQuestion> + Send + 'static,
    ) -> Result<Option<Vec<FoundQuestion>>, QueryError> {
        self.require(run).await?;
        let id = run.clone();
        let look = move |world: &World, now: &Now| Some(look(world.coordination(&id)?, now));
        let Some(found) = self.query(look).await? else { return Ok(None) };
        let id = run.clone();
        let found = self.read(move |store| {
            found.into_iter().map(|question| asked(store, &id, question)).collect()
        });
        Ok(Some(found.await?))
    }

    async fn recorded_questions(
        &self,
        run: &CoordinationId,
    ) -> Result<Vec<FoundQuestion>, QueryError> {
        let run = run.clone();
        Ok(self.read(move |store| RecordedQuestions::of(store, &run).all()).await?)
    }
}

/// The question with the time at which it was asked, which only its event tells.
fn asked(
    store: &dyn Store,
    run: &CoordinationId,
    question: LiveQuestion,
) -> Result<FoundQuestion, ReadError> {
    let stream = StreamName::Coordination(run.clone());
    let before = Version(question.state.version.0.saturating_sub(1));
    let event = store.read_stream(&stream, before, 1)?;
    let wall = event.first().map_or(WallTime(0), |event| event.wall);
    Ok(question.asked(wall))
}
