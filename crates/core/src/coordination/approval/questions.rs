//! The questions of a coordination.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::illegal::IllegalAnswer;
use super::question::{Question, check_text};
use crate::coordination::error::ApprovalError;
use crate::coordination::event::{Answered, Asked};
use crate::coordination::limits::{MAX_ANSWERED_QUESTIONS, MAX_OPEN_QUESTIONS, MAX_QUESTIONS};
use crate::envelope::Meta;
use crate::id::{Actor, QuestionId, Version};
use crate::time::LedgerTime;

/// Why the engine answers a question by itself.
const EXPIRED: &str = "expired";

/// Why the engine answers a question that it asked.
const MOOT: &str = "no item waits for it any more";

/// A question as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuestionState {
    /// Version of the event that asked it.
    pub version: Version,
    /// What is asked.
    pub text: String,
    /// Who asked.
    pub by: Actor,
    /// When it is answered with no, unless somebody has answered before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<LedgerTime>,
    /// What it was answered with; none while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<GivenAnswer>,
}

/// The answer that a question was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenAnswer {
    /// Version of the event that answered it.
    pub version: Version,
    /// Yes or no.
    pub answer: Answer,
    /// Who answered.
    pub by: Actor,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "BTreeMap<QuestionId, QuestionState>")]
pub(in crate::coordination) struct Questions {
    by_id: BTreeMap<QuestionId, QuestionState>,
    /// Those without an answer that expire.
    expiring: BTreeSet<(LedgerTime, QuestionId)>,
    /// Those with an answer, the oldest answer first.
    answered: BTreeSet<(Version, QuestionId)>,
    /// Those that the engine asked for items, by their texts.
    of_items: BTreeMap<String, QuestionId>,
}

/// As a snapshot has them; the rest follows.
#[derive(Deserialize)]
#[serde(transparent)]
struct Stored(
    #[serde(deserialize_with = "crate::bounded::map::<MAX_QUESTIONS, _, _, _>")]
    BTreeMap<QuestionId, QuestionState>,
);

impl From<Stored> for Questions {
    fn from(Stored(by_id): Stored) -> Self {
        let (mut expiring, mut answered) = (BTreeSet::new(), BTreeSet::new());
        let mut of_items = BTreeMap::<String, (Version, QuestionId)>::new();
        for (id, question) in &by_id {
            if question.by == *Actor::engine() {
                let latest = (question.version, id.clone());
                let known = of_items.entry(question.text.clone()).or_insert_with(|| latest.clone());
                *known = latest.max(known.clone());
            }
            match (&question.answer, question.expires) {
                (Some(given), _) => {
                    answered.insert((given.version, id.clone()));
                }
                (None, Some(at)) => {
                    expiring.insert((at, id.clone()));
                }
                (None, None) => {}
            }
        }
        let of_items = of_items.into_iter().map(|(text, (_, id))| (text, id)).collect();
        Self { by_id, expiring, answered, of_items }
    }
}

impl From<Questions> for BTreeMap<QuestionId, QuestionState> {
    fn from(questions: Questions) -> Self {
        questions.by_id
    }
}

impl Questions {
    pub(in crate::coordination) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How much of a snapshot they are, in items.
    pub(in crate::coordination) fn weight(&self) -> u64 {
        self.by_id.len() as u64
    }

    pub(in crate::coordination) fn get(&self, id: &str) -> Option<&QuestionState> {
        self.by_id.get(id)
    }

    /// The question of this text that the engine asked for items, the latest if it asked before.
    pub(in crate::coordination) fn of_engine(
        &self,
        text: &str,
    ) -> Option<(&QuestionId, &QuestionState)> {
        self.by_id.get_key_value(self.of_items.get(text)?)
    }

    /// The questions that the engine asked for items and that nobody has answered.
    pub(in crate::coordination) fn open_of_items(
        &self,
    ) -> impl Iterator<Item = (&QuestionId, &QuestionState)> {
        let all = self.of_items.values().filter_map(|id| self.by_id.get_key_value(id));
        all.filter(|(_, question)| question.answer.is_none())
    }

    /// All that are remembered, by id.
    pub(in crate::coordination) fn iter(
        &self,
    ) -> impl Iterator<Item = (&QuestionId, &QuestionState)> {
        self.by_id.iter()
    }

    /// When the first of them expires of those that have not by a moment.
    pub(in crate::coordination) fn next_expiry(&self, seen: LedgerTime) -> Option<LedgerTime> {
        self.expiring.iter().map(|(at, _)| *at).find(|at| *at > seen)
    }

    pub(in crate::coordination) fn may_expire(&self) -> bool {
        !self.expiring.is_empty()
    }

    /// The answer of the engine to the first question whose time is over.
    pub(in crate::coordination) fn expired(&self, at: LedgerTime) -> Option<Answered> {
        let (_, id) = self.expiring.first().filter(|(expires, _)| *expires <= at)?;
        let (by, reason) = (Actor::engine().clone(), Some(EXPIRED.to_owned()));
        Some(Answered { id: id.clone(), answer: Answer::No, by, reason })
    }

    /// The engine's answer to a question that it asked for items, none of which waits for it.
    pub(in crate::coordination) fn moot(
        &self,
        is_awaited: impl Fn(&str) -> bool,
    ) -> Option<Answered> {
        let (id, _) = self.open_of_items().find(|(_, question)| !is_awaited(&question.text))?;
        let (by, reason) = (Actor::engine().clone(), Some(MOOT.to_owned()));
        Some(Answered { id: id.clone(), answer: Answer::No, by, reason })
    }

    /// What a question is recorded as at a version; nothing if it was asked before.
    pub(in crate::coordination) fn decide_asking(
        &self,
        question: Question,
        by: Actor,
        version: Version,
        at: LedgerTime,
    ) -> Result<Option<Asked>, ApprovalError> {
        let asked = question.asked(by, version, at);
        match self.by_id.get(&asked.id) {
            Some(before) if before.text == asked.question => Ok(None),
            Some(_) => Err(ApprovalError::OtherQuestion { question: asked.id }),
            None => {
                self.check_room()?;
                Ok(Some(asked))
            }
        }
    }

    /// What an answer is recorded as; nothing but its version if it was given before.
    pub(in crate::coordination) fn decide_answer(
        &self,
        answered: &Answered,
        at: LedgerTime,
    ) -> Result<Option<Version>, ApprovalError> {
        let state = self.check_answer(answered, at)?;
        match &state.answer {
            None => Ok(None),
            Some(given) if given.answer == answered.answer => Ok(Some(given.version)),
            Some(given) => Err(ApprovalError::AnsweredOtherwise {
                question: answered.id.clone(),
                answer: given.answer,
                by: given.by.clone(),
                version: given.version,
            }),
        }
    }

    /// Whether a recorded question can follow.
    pub(in crate::coordination) fn check_asked(
        &self,
        asked: &Asked,
        meta: &Meta,
    ) -> Result<(), IllegalAnswer> {
        let question = asked.id.clone();
        check_text("the question", &asked.question)?;
        if self.by_id.contains_key(&asked.id) {
            return Err(IllegalAnswer::AskedBefore { question });
        }
        if question.minted_at().is_some_and(|version| version != meta.version) {
            return Err(IllegalAnswer::NotItsVersion { question });
        }
        if asked.expires.is_some_and(|expires| expires < meta.at) {
            return Err(IllegalAnswer::ExpiredBefore { question });
        }
        Ok(self.check_room()?)
    }

    /// Whether a recorded answer can follow.
    pub(in crate::coordination) fn check_answered(
        &self,
        answered: &Answered,
        at: LedgerTime,
    ) -> Result<(), IllegalAnswer> {
        match self.check_answer(answered, at)?.answer {
            None => Ok(()),
            Some(_) => Err(IllegalAnswer::AnsweredBefore { question: answered.id.clone() }),
        }
    }

    /// What an answer and its record both keep to.
    fn check_answer(
        &self,
        answered: &Answered,
        at: LedgerTime,
    ) -> Result<&QuestionState, ApprovalError> {
        let question = || answered.id.clone();
        let state = self.by_id.get(&answered.id);
        let state = state.ok_or_else(|| ApprovalError::Unknown { question: question() })?;
        if let Some(reason) = &answered.reason {
            check_text("the reason", reason)?;
        }
        let is_over = state.expires.is_some_and(|expires| expires <= at);
        let says_no =
            |because| answered.answer == Answer::No && answered.reason.as_deref() == Some(because);
        let is_moot = state.by == *Actor::engine() && says_no(MOOT);
        // The engine decides nothing in a person's place.
        if answered.by == *Actor::engine() && !is_moot && !(is_over && says_no(EXPIRED)) {
            return Err(ApprovalError::NotAPerson { question: question() });
        }
        Ok(state)
    }

    fn check_room(&self) -> Result<(), ApprovalError> {
        match self.by_id.len() - self.answered.len() >= MAX_OPEN_QUESTIONS {
            true => Err(ApprovalError::TooManyOpen { max: MAX_OPEN_QUESTIONS }),
            false => Ok(()),
        }
    }

    pub(in crate::coordination) fn ask(&mut self, asked: &Asked, version: Version) {
        if let Some(at) = asked.expires {
            self.expiring.insert((at, asked.id.clone()));
        }
        let state = QuestionState {
            version,
            text: asked.question.clone(),
            by: asked.by.clone(),
            expires: asked.expires,
            answer: None,
        };
        if asked.by == *Actor::engine() {
            self.of_items.insert(asked.question.clone(), asked.id.clone());
        }
        self.by_id.insert(asked.id.clone(), state);
    }

    /// Returns the question as it was answered.
    pub(in crate::coordination) fn answer(
        &mut self,
        answered: &Answered,
        version: Version,
    ) -> Option<&QuestionState> {
        if self.answered.len() == MAX_ANSWERED_QUESTIONS
            && let Some((_, oldest)) = self.answered.pop_first()
        {
            let gone = self.by_id.remove(&oldest);
            if let Some(gone) = gone.filter(|gone| self.of_items.get(&gone.text) == Some(&oldest)) {
                self.of_items.remove(&gone.text);
            }
        }
        let state = self.by_id.get_mut(&answered.id)?;
        let Answered { id, answer, by, reason } = answered.clone();
        if let Some(at) = state.expires {
            self.expiring.remove(&(at, id.clone()));
        }
        self.answered.insert((version, id));
        state.answer = Some(GivenAnswer { version, answer, by, reason });
        Some(state)
    }

    /// Nobody carried the coordination out for so long: what is open expires so much later.
    pub(in crate::coordination) fn be_away(&mut self, ns: u64) {
        for (at, id) in std::mem::take(&mut self.expiring) {
            let later = LedgerTime(at.0.saturating_add(ns));
            if let Some(question) = self.by_id.get_mut(&id) {
                question.expires = Some(later);
            }
            self.expiring.insert((later, id));
        }
    }
}
