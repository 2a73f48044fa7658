//! Asking questions and answering them.

use super::carry_out::CarryOut;
use crate::coordination::event::{Answered, CoordinationEvent};
use crate::coordination::{
    Answer, ApprovalError, Change, Effect, Question, SESSION_WRITE_BURST, SESSION_WRITES_PER_SECOND,
};
use crate::id::{CoordinationId, Fence, QuestionId, SessionId};
use crate::time::Now;
use crate::world::World;
use crate::world::answer::{AskedQuestion, Asker, Done, Rejection, SessionQuestion, Written};

/// Ask a person something, from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct AskQuestion {
    pub coordination: CoordinationId,
    pub question: Question,
}

/// Ask a person something, from a session, which must be live and show its fence: in its own
/// coordination alone, and no faster than sessions may write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct AskSessionQuestion {
    pub session: SessionId,
    /// None where it is known otherwise that this session asks.
    pub fence: Option<Fence>,
    pub question: Question,
}

/// Answer a question, as a person.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct AnswerQuestion {
    pub coordination: CoordinationId,
    pub question: QuestionId,
    pub answer: Answer,
    /// Why, in the person's words.
    pub reason: Option<String>,
}

/// A session's attempt to answer a question, which is always refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct AnswerSessionQuestion {
    pub session: SessionId,
    /// None where it is known otherwise that this session answers.
    pub fence: Option<Fence>,
    pub question: QuestionId,
}

impl CarryOut for AskQuestion {
    type Reply = AskedQuestion;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::Asked]
    }

    fn carry_out(
        self,
        world: &mut World,
        asker: Asker,
        now: &Now,
    ) -> Result<AskedQuestion, Rejection> {
        let effects = self.effects();
        let Self { coordination: id, question } = self;
        match world.repeated(&id, &asker, &effects)? {
            Some(done) => Ok(asked(world, &id, &question, done)),
            None => ask(world, &id, question, &asker, now),
        }
    }
}

impl CarryOut for AskSessionQuestion {
    type Reply = SessionQuestion;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::Asked]
    }

    fn carry_out(
        self,
        world: &mut World,
        asker: Asker,
        now: &Now,
    ) -> Result<SessionQuestion, Rejection> {
        let effects = self.effects();
        let Self { session, fence, question } = self;
        let id = &session.coordination;
        if let Some(done) = world.repeated(id, &asker, &effects)? {
            return Ok(SessionQuestion::Asked(asked(world, id, &question, done)));
        }
        if !world.member(id)?.state().is_bound(session.number, fence) {
            world.refuse_write(&session, fence.unwrap_or_default(), "question", now)?;
            return Ok(SessionQuestion::Refused);
        }
        world.member(id)?.may_write(session.number, now.at).map_err(|retry_after| {
            let (session, burst) = (session.clone(), SESSION_WRITE_BURST);
            let per_second = SESSION_WRITES_PER_SECOND;
            ApprovalError::TooFast { session, per_second, burst, retry_after }
        })?;
        ask(world, id, question, &asker, now).map(SessionQuestion::Asked)
    }
}

impl CarryOut for AnswerQuestion {
    type Reply = Done;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::Answered]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Done, Rejection> {
        let effects = self.effects();
        let Self { coordination: id, question, answer, reason } = self;
        if let Some(done) = world.repeated(&id, &asker, &effects)? {
            return Ok(done);
        }
        let state = world.unended(&id)?;
        state.allow(Change::Approve)?;
        let answered = Answered { id: question, answer, by: asker.actor.clone(), reason };
        if let Some(version) = state.decide_answer(&answered, now.at)? {
            return Ok(Done { version });
        }
        world.record_all(&id, vec![CoordinationEvent::Answered(answered)], &asker, now)
    }
}

impl CarryOut for AnswerSessionQuestion {
    type Reply = Written;

    fn carry_out(self, world: &mut World, _: Asker, now: &Now) -> Result<Written, Rejection> {
        let Self { session, fence, question } = self;
        if !world.member(&session.coordination)?.state().is_bound(session.number, fence) {
            world.refuse_write(&session, fence.unwrap_or_default(), "answer", now)?;
            return Ok(Written::Refused);
        }
        Err(ApprovalError::BySession { session, question }.into())
    }
}

/// Records a question, unless it was asked before.
fn ask(
    world: &mut World,
    id: &CoordinationId,
    question: Question,
    asker: &Asker,
    now: &Now,
) -> Result<AskedQuestion, Rejection> {
    // What says who carries it out comes first, so that an id that is minted has its own version.
    let state = world.unended(id)?;
    state.allow(Change::Approve)?;
    let decide = |world: &World| {
        let (state, by) = (world.unended(id)?, asker.actor.clone());
        let version = state.version().next();
        Ok::<_, Rejection>(state.decide_asking(question.clone(), by, version, now.at)?)
    };
    if decide(world)?.is_none() {
        let version = question.id().and_then(|id| state.question(id.as_str()));
        let version = version.map_or(state.version(), |before| before.version);
        return Ok(asked(world, id, &question, Done { version }));
    }
    world.note_who_carries(id, now)?;
    let event = decide(world)?.map(CoordinationEvent::Asked);
    let done = world.record_all(id, event.into_iter().collect(), asker, now)?;
    Ok(asked(world, id, &question, done))
}

/// What is known of a question that was asked at a version.
fn asked(world: &World, id: &CoordinationId, question: &Question, done: Done) -> AskedQuestion {
    let minted = || QuestionId::minted(done.version);
    let question = question.id().cloned().unwrap_or_else(minted);
    let state = world.coordination(id).and_then(|run| run.question(question.as_str()));
    let answer = state.and_then(|state| state.answer.clone());
    AskedQuestion { version: done.version, question, answer }
}
