//! Items that wait for a person's answer: the question is asked once all else that they need of items
//! is there, and once for all items of the run that need the same one.

use std::collections::BTreeSet;

use super::Work;
use super::item::WorkItem;
use super::need::Need;
use super::needs_met::{Moment, Told};
use super::state::{SkipReason, WorkState};
use crate::coordination::approval::Answer;
use crate::coordination::event::{Answered, WorkSkipped};
use crate::coordination::limits::MAX_ITEMS_PER_EVENT;
use crate::id::QuestionId;

impl WorkItem {
    fn approval_needs(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..).zip(&self.spec().needs).filter_map(|(at, need)| match need {
            Need::Approval(question) => Some((at, question.as_str())),
            _ => None,
        })
    }
}

impl Work {
    /// Enters the answers that a new item needs, and counts those that are not there.
    pub(super) fn link_approvals(&mut self, position: u32, told: Told<'_>) -> u32 {
        let item = &self.items[position];
        let (mut unmet, mut given) = (0, Vec::new());
        for (at, text) in item.approval_needs() {
            let answer = told.answer(text);
            if let Some((_, Answer::Yes)) = answer {
                given.push(at);
                continue;
            }
            unmet += 1;
            self.conditions.await_answer(text, (position, at));
            if let Some((question, Answer::No)) = answer {
                self.denied.insert((question.clone(), position));
            }
        }
        given.into_iter().for_each(|at| self.items[position].latch(at));
        unmet
    }

    /// The same after a snapshot was read, where nothing is counted again.
    pub(super) fn link_approvals_again(&mut self, position: u32, told: Told<'_>) {
        let item = &self.items[position];
        for (at, text) in item.approval_needs().filter(|(at, _)| !item.is_latched(*at)) {
            self.conditions.await_answer(text, (position, at));
            if let Some((question, Answer::No)) = told.answer(text) {
                self.denied.insert((question.clone(), position));
            }
        }
        self.note_question(position);
    }

    /// Notes what is to be asked for an item, once nothing else that it needs of items is open.
    pub(super) fn note_question(&mut self, position: u32) {
        let item = &self.items[position];
        if !matches!(item.state(), WorkState::Waiting(_)) {
            return;
        }
        let needs = (0..).zip(&item.spec().needs);
        let mut open = needs.filter(|(at, need)| need.is_of_items() && self.is_unmet(item, *at));
        if item.approval_needs().next().is_none() || open.next().is_some() {
            return;
        }
        let unmet = item.approval_needs().filter(|(at, _)| !item.is_latched(*at));
        self.to_ask.extend(unmet.map(|(_, text)| text.to_owned()));
    }

    /// An item that has its outcome waits for no answer.
    pub(super) fn forget_approvals(&mut self, position: u32) {
        let Self { items, conditions, to_ask, .. } = self;
        let item = &items[position];
        for (at, text) in item.approval_needs().filter(|(at, _)| !item.is_latched(*at)) {
            conditions.forget_answer(text, (position, at));
            if !conditions.awaits_answer(text) {
                to_ask.remove(text);
            }
        }
        self.denied.retain(|(_, denied)| *denied != position);
    }

    /// What is to be asked next that is not asked yet.
    pub(in crate::coordination) fn propose_question(
        &self,
        is_asked: impl Fn(&str) -> bool,
    ) -> Option<&str> {
        self.to_ask.iter().map(String::as_str).find(|text| !is_asked(text))
    }

    /// Whether an item waits for the answer to a question.
    pub(in crate::coordination) fn awaits_answer(&self, text: &str) -> bool {
        self.conditions.awaits_answer(text)
    }

    /// A question that the engine asked for items was answered.
    pub(in crate::coordination) fn see_answer(
        &mut self,
        answered: &Answered,
        text: &str,
        moment: Moment,
    ) {
        self.to_ask.remove(text);
        for (position, at) in self.conditions.of_answer(text) {
            match answered.answer {
                Answer::Yes => {
                    self.items[position].latch(at);
                    self.conditions.forget_answer(text, (position, at));
                    self.meet(position, moment);
                }
                Answer::No => {
                    self.denied.insert((answered.id.clone(), position));
                }
            }
        }
    }

    /// Whether an item waited for an answer that was no.
    pub(super) fn was_denied(&self, item: &WorkItem, question: &QuestionId) -> bool {
        let position = self.by_id.get(item.id());
        position.is_some_and(|position| self.denied.contains(&(question.clone(), *position)))
    }

    /// The next items that a person's answer keeps from ever running.
    pub(in crate::coordination) fn propose_denied(&self) -> Option<WorkSkipped> {
        let (question, _) = self.denied.first()?;
        let of_it = self.denied.iter().take_while(|(other, _)| other == question);
        let works: BTreeSet<u32> =
            of_it.map(|(_, position)| *position).take(MAX_ITEMS_PER_EVENT / 10).collect();
        let works = works.into_iter().map(|position| self.items[position].id().clone()).collect();
        Some(WorkSkipped { works, because: SkipReason::Denied(question.clone()) })
    }
}
