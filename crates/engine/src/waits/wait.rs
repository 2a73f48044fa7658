//! One caller that waits.

use antiphon_core::coordination::{Coordination, Met, Need, NeedStanding};
use antiphon_core::event::Mode;
use antiphon_core::id::{SessionId, WorkId};
use antiphon_core::time::LedgerTime;

use super::subject::Subject;
use crate::mailbox::WaitReply;

pub(super) struct Wait {
    needs: Vec<Need>,
    subjects: Vec<Subject>,
    /// What each need is met by.
    met: Vec<Option<Met>>,
    /// What each was met by as the record has it.
    recorded: Option<Vec<Option<Met>>>,
    pub(super) until: Option<LedgerTime>,
    pub(super) asking: Option<SessionId>,
    /// The item that it carries out.
    item: Option<WorkId>,
    /// Whether its answer is on its way, so that nothing is looked at any more.
    pub(super) leaves: bool,
    reply: WaitReply,
}

/// How a wait stands after a look.
pub(super) enum Looked {
    Open,
    Met,
    /// What it waits for may have left memory.
    LeftMemory,
    NoSuchItem(WorkId),
}

impl Wait {
    pub(super) fn new(
        needs: Vec<Need>,
        recorded: Option<Vec<Option<Met>>>,
        until: Option<LedgerTime>,
        asking: Option<SessionId>,
        reply: WaitReply,
    ) -> Self {
        let subjects = needs.iter().map(Subject::of).collect();
        let met = vec![None; needs.len()];
        let (item, leaves) = (None, false);
        Self { needs, subjects, met, recorded, until, asking, item, leaves, reply }
    }

    /// Notes which item its session carries out. Returns whether that runs.
    pub(super) fn place(&mut self, state: &Coordination) -> bool {
        let Some(session) = &self.asking else { return true };
        self.item = state.binding(session.number).map(|(_, spec)| spec.id.clone());
        self.item.is_some()
    }

    pub(super) fn item(&self) -> Option<&WorkId> {
        self.item.as_ref()
    }

    pub(super) fn needs(&self) -> &[Need] {
        &self.needs
    }

    pub(super) fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.reply.is_closed()
    }

    pub(super) fn into_reply(self) -> WaitReply {
        self.reply
    }

    /// Looks at everything anew, whatever was seen before.
    pub(super) fn look_anew(&mut self, state: &Coordination) -> Looked {
        self.met.fill(None);
        if let Some(recorded) = &self.recorded {
            self.met.clone_from(recorded);
        }
        self.look(state, self.recorded.is_none(), |_| true)
    }

    /// Looks at what is about some subjects. What was met once stays met, but for keys, which must be
    /// as they should all at the same moment. `looks_back` says whether it matters what has left
    /// memory.
    pub(super) fn look(
        &mut self,
        state: &Coordination,
        looks_back: bool,
        about: impl Fn(&Subject) -> bool,
    ) -> Looked {
        let mut found = Looked::Open;
        let Self { needs, subjects, met, .. } = self;
        for ((need, subject), met) in needs.iter().zip(subjects).zip(met.iter_mut()) {
            let holds_for_good = met.is_some() && !matches!(need, Need::Key(_));
            if holds_for_good || !about(subject) {
                continue;
            }
            *met = match (state.standing(need), need) {
                (NeedStanding::Met(by), _) => Some(by),
                (NeedStanding::LeftMemory, _) if looks_back => {
                    found = Looked::LeftMemory;
                    None
                }
                (NeedStanding::NoSuchItem, Need::Work(id)) if never_comes(id, state) => {
                    return Looked::NoSuchItem(id.clone());
                }
                _ => None,
            };
        }
        if met.iter().all(Option::is_some) { Looked::Met } else { found }
    }

    pub(super) fn met(&self) -> Vec<Met> {
        self.met.iter().flatten().cloned().collect()
    }

    pub(super) fn unmet(&self) -> Vec<Need> {
        let all = self.needs.iter().zip(&self.met);
        all.filter(|(_, met)| met.is_none()).map(|(need, _)| need.clone()).collect()
    }
}

/// Whether an item that is not there is added no more. Other items may route back to one that is.
fn never_comes(item: &WorkId, state: &Coordination) -> bool {
    let first = item.first_visit().and_then(|first| state.work_tracking(first));
    state.started().mode == Mode::Closed && !state.is_starting() && first.is_none()
}
