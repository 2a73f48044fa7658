//! Those who wait, by what they wait for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use antiphon_core::coordination::{Coordination, Need};
use antiphon_core::envelope::Recorded;
use antiphon_core::id::{CoordinationId, StreamName, WorkId};
use antiphon_core::time::LedgerTime;
use antiphon_core::world::World;

use super::MAX_WAITS;
use super::cycle::{self, Waiting};
use super::subject::{Subject, Touched};
use super::wait::{Looked, Wait};
use crate::mailbox::{Unavailable, WaitAnswer, WaitError, WaitRequest};

/// Fewer waits of a run are not looked through for those that were given up.
const FEW: usize = 64;

/// Everybody who waits for something in a run.
#[derive(Default)]
pub(crate) struct Waits {
    runs: HashMap<CoordinationId, RunWaits>,
    deadlines: BTreeMap<(LedgerTime, u64), CoordinationId>,
    last: u64,
}

/// Those of one run.
#[derive(Default)]
struct RunWaits {
    waits: BTreeMap<u64, Wait>,
    by_subject: BTreeMap<Subject, BTreeSet<u64>>,
    /// Those that sessions of an item wait for.
    by_item: BTreeMap<WorkId, BTreeSet<u64>>,
    /// How many there are when they are looked through again.
    look_through_at: usize,
    /// How many of them were given up, as far as that was told.
    given_up: usize,
}

/// The answer to a wait, to be given once what it rests on is durable. Until then the wait stays,
/// so that it goes on if that is lost.
#[must_use = "the caller waits for it"]
pub(crate) struct Due {
    run: CoordinationId,
    wait: u64,
    answer: Result<WaitAnswer, WaitError>,
}

impl Waits {
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// When the next wait times out.
    pub(crate) fn next_deadline(&self) -> Option<LedgerTime> {
        self.deadlines.first_key_value().map(|((until, _), _)| *until)
    }

    /// Takes a caller in. `state` is what the run is, if it is live; without a world nothing is
    /// looked at before there is one.
    pub(crate) fn add(
        &mut self,
        request: WaitRequest,
        world: Option<&World>,
        at: LedgerTime,
    ) -> Option<Due> {
        let WaitRequest { run, needs, recorded, timeout, asking, reply } = request;
        if self.is_full(&run) {
            let max = MAX_WAITS;
            // A caller that no longer waits is no error.
            let _ = reply.send(Err(WaitError::TooManyWaits { run, max }));
            return None;
        }
        let until =
            timeout.map(|time| at.after(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)));
        let mut wait = Wait::new(needs, recorded, until, asking, reply);
        self.last += 1;
        let number = self.last;
        let answer = world.and_then(|world| {
            let answer = begin(&mut wait, &run, world);
            answer.or_else(|| self.refuse_cycle(&wait, world.coordination(&run)?))
        });
        wait.leaves = answer.is_some();
        self.enter(run.clone(), number, wait);
        answer.map(|answer| Due { run, wait: number, answer })
    }

    /// Refuses a wait that would close a cycle of agents that wait for each other.
    fn refuse_cycle(
        &self,
        wait: &Wait,
        state: &Coordination,
    ) -> Option<Result<WaitAnswer, WaitError>> {
        let none = RunWaits::default();
        let waits = self.runs.get(state.coordination_id()).unwrap_or(&none);
        let agents = cycle::closed_by(wait.item()?, wait.needs(), state, waits)?;
        Some(Err(WaitError::Cycle { agents }))
    }

    /// Whether a run has as many waits as it may, without those that were given up.
    fn is_full(&mut self, run: &CoordinationId) -> bool {
        let Some(waits) = self.runs.get_mut(run) else { return false };
        if waits.waits.len() >= waits.look_through_at.max(FEW) || waits.waits.len() >= MAX_WAITS {
            self.look_through(run);
        }
        self.runs.get(run).is_some_and(|waits| waits.waits.len() >= MAX_WAITS)
    }

    /// A caller waits no more. Waits are looked through once as many are left as were given up.
    pub(crate) fn given_up(&mut self, run: &CoordinationId) {
        let Some(waits) = self.runs.get_mut(run) else { return };
        waits.given_up += 1;
        if waits.given_up * 2 >= waits.waits.len() {
            self.look_through(run);
        }
    }

    /// Lets go of the waits of a run that were given up.
    fn look_through(&mut self, run: &CoordinationId) {
        let Some(waits) = self.runs.get_mut(run) else { return };
        for (number, until) in waits.let_go() {
            self.deadlines.remove(&(until, number));
        }
        waits.given_up = 0;
        waits.look_through_at = waits.waits.len() * 2;
        if waits.waits.is_empty() {
            self.runs.remove(run);
        }
    }

    fn enter(&mut self, run: CoordinationId, number: u64, wait: Wait) {
        if !wait.leaves
            && let Some(until) = wait.until
        {
            self.deadlines.insert((until, number), run.clone());
        }
        let waits = self.runs.entry(run).or_default();
        if !wait.leaves {
            waits.index(number, &wait);
        }
        waits.waits.insert(number, wait);
    }

    /// Looks at the waits that the events of a turn may meet, given the world that the turn left and
    /// what ended with it.
    pub(crate) fn look(
        &mut self,
        events: &[Recorded],
        world: &World,
        ended: &[Coordination],
    ) -> Vec<Due> {
        let mut due = Vec::new();
        let mut touched: BTreeMap<&CoordinationId, Touched> = BTreeMap::new();
        let ended_one = |id: &CoordinationId| ended.iter().find(|run| run.coordination_id() == id);
        for event in events {
            let StreamName::Coordination(id) = &event.stream else { continue };
            if !self.runs.contains_key(id) {
                continue;
            }
            if let Some(state) = world.coordination(id).or_else(|| ended_one(id)) {
                touched.entry(id).or_default().note(event, state);
            }
        }
        for (id, touched) in touched {
            let state = world.coordination(id).or_else(|| ended_one(id));
            let (Some(state), Some(waits)) = (state, self.runs.get_mut(id)) else { continue };
            for number in waits.concerned(&touched) {
                let Some(wait) = waits.waits.get_mut(&number) else { continue };
                let about = |subject: &Subject| touched.all || touched.subjects.contains(subject);
                let looked = wait.look(state, touched.all, about);
                if let Some(answer) = answer_of(looked, wait, id) {
                    due.push((id.clone(), number, answer));
                }
            }
            if state.is_ended() {
                let open = waits.waits.iter().filter(|(_, wait)| !wait.leaves);
                let answered: BTreeSet<u64> = due.iter().map(|(_, number, _)| *number).collect();
                for (number, wait) in open.filter(|(number, _)| !answered.contains(number)) {
                    due.push((id.clone(), *number, Ok(WaitAnswer::Ended { unmet: wait.unmet() })));
                }
            }
        }
        due.into_iter().map(|(run, wait, answer)| self.leave(run, wait, answer)).collect()
    }

    /// Nothing is looked at any more: the answer is on its way.
    fn leave(
        &mut self,
        run: CoordinationId,
        number: u64,
        answer: Result<WaitAnswer, WaitError>,
    ) -> Due {
        if let Some(waits) = self.runs.get_mut(&run)
            && let Some(wait) = waits.waits.get_mut(&number)
        {
            wait.leaves = true;
            if let Some(until) = wait.until {
                self.deadlines.remove(&(until, number));
            }
            waits.forget(number);
        }
        Due { run, wait: number, answer }
    }

    /// The waits whose time is over.
    pub(crate) fn expire(&mut self, at: LedgerTime) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some(entry) = self.deadlines.first_entry().filter(|entry| entry.key().0 <= at) {
            let ((_, number), run) = entry.remove_entry();
            let wait = self.runs.get(&run).and_then(|waits| waits.waits.get(&number));
            let Some(wait) = wait else { continue };
            let answer = Ok(WaitAnswer::TimedOut { unmet: wait.unmet() });
            due.push(self.leave(run, number, answer));
        }
        due
    }

    /// Gives an answer. A caller that no longer waits is no error.
    pub(crate) fn answer(&mut self, due: Due) {
        let Due { run, wait: number, answer } = due;
        let Some(waits) = self.runs.get_mut(&run) else { return };
        if let Some(wait) = waits.waits.remove(&number) {
            let _ = wait.into_reply().send(answer);
        }
        if waits.waits.is_empty() {
            self.runs.remove(&run);
        }
    }

    /// Looks at everything again after the world was rebuilt from what is durable: what was on its
    /// way is lost, and with it what waits were to be answered with.
    pub(crate) fn look_again(&mut self, world: &World) -> Vec<Due> {
        self.deadlines.clear();
        let mut due = Vec::new();
        for (run, mut waits) in std::mem::take(&mut self.runs) {
            for (number, mut wait) in std::mem::take(&mut waits.waits) {
                let answer = begin(&mut wait, &run, world);
                wait.leaves = answer.is_some();
                self.enter(run.clone(), number, wait);
                due.extend(answer.map(|answer| Due { run: run.clone(), wait: number, answer }));
            }
        }
        due
    }

    /// Refuses all: nothing will be recorded any more.
    pub(crate) fn refuse(&mut self, unavailable: &Unavailable) {
        self.deadlines.clear();
        for wait in self.runs.drain().flat_map(|(_, waits)| waits.waits.into_values()) {
            let _ = wait.into_reply().send(Err(unavailable.clone().into()));
        }
    }
}

impl RunWaits {
    fn index(&mut self, number: u64, wait: &Wait) {
        for subject in wait.subjects() {
            self.by_subject.entry(subject.clone()).or_default().insert(number);
        }
        if let Some(item) = wait.item() {
            self.by_item.entry(item.clone()).or_default().insert(number);
        }
    }

    fn forget(&mut self, number: u64) {
        let Some(wait) = self.waits.get(&number) else { return };
        for subject in wait.subjects() {
            let Some(waiting) = self.by_subject.get_mut(subject) else { continue };
            waiting.remove(&number);
            if waiting.is_empty() {
                self.by_subject.remove(subject);
            }
        }
        if let Some(item) = wait.item()
            && let Some(waiting) = self.by_item.get_mut(item)
        {
            waiting.remove(&number);
            if waiting.is_empty() {
                self.by_item.remove(item);
            }
        }
    }

    /// Those that something which was touched may meet, in the order in which they came.
    fn concerned(&self, touched: &Touched) -> BTreeSet<u64> {
        if touched.all {
            let open = self.waits.iter().filter(|(_, wait)| !wait.leaves);
            return open.map(|(number, _)| *number).collect();
        }
        let waiting = touched.subjects.iter().filter_map(|subject| self.by_subject.get(subject));
        waiting.flatten().copied().collect()
    }

    /// Forgets those that were given up. Returns the deadlines that they had.
    fn let_go(&mut self) -> Vec<(u64, LedgerTime)> {
        let given_up = self.waits.iter().filter(|(_, wait)| wait.is_given_up());
        let given_up: Vec<u64> = given_up.map(|(number, _)| *number).collect();
        let mut deadlines = Vec::new();
        for number in given_up {
            self.forget(number);
            if let Some(Wait { until: Some(until), .. }) = self.waits.remove(&number) {
                deadlines.push((number, until));
            }
        }
        deadlines
    }
}

impl Waiting for RunWaits {
    fn of_item(&self, item: &WorkId) -> Vec<&Need> {
        let waits = self.by_item.get(item).into_iter().flatten();
        let waits = waits.filter_map(|number| self.waits.get(number));
        waits.filter(|wait| !wait.is_given_up()).flat_map(Wait::needs).collect()
    }
}

/// What a wait that begins is answered with, if it does not have to wait.
fn begin(
    wait: &mut Wait,
    run: &CoordinationId,
    world: &World,
) -> Option<Result<WaitAnswer, WaitError>> {
    let state = world.coordination(run);
    if let Some(session) = wait.asking.clone()
        && !state.is_some_and(|state| wait.place(state))
    {
        return Some(Err(WaitError::Stale { session }));
    }
    match state {
        // It comes into being with its first key.
        None if run.is_shared() => None,
        None => Some(Ok(WaitAnswer::NotLive)),
        Some(state) => answer_of(wait.look_anew(state), wait, run),
    }
}

fn answer_of(
    looked: Looked,
    wait: &Wait,
    run: &CoordinationId,
) -> Option<Result<WaitAnswer, WaitError>> {
    match looked {
        Looked::Open => None,
        Looked::Met => Some(Ok(WaitAnswer::Met(wait.met()))),
        Looked::LeftMemory => Some(Ok(WaitAnswer::LookBack)),
        Looked::NoSuchItem(item) => Some(Err(WaitError::NoSuchItem { run: run.clone(), item })),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_core::coordination::SignalNeed;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn who_gives_up_leaves_nothing_behind() {
        let (mut waits, run) = (Waits::default(), CoordinationId::new("run").unwrap());
        let mut callers = Vec::new();
        for caller in 0..1_000 {
            let need = Need::from(SignalNeed::new(format!("kind.{caller}").parse().unwrap()));
            let (reply, answer) = oneshot::channel();
            let request = WaitRequest::new(run.clone(), vec![need], reply);
            let timeout = (caller % 2 == 0).then_some(Duration::from_secs(60));
            assert!(waits.add(request.at_most(timeout), None, LedgerTime(0)).is_none());
            callers.push(answer);
        }
        let stays = callers.pop();
        for caller in callers {
            drop(caller);
            waits.given_up(&run);
        }
        let left = &waits.runs[&run];
        assert_eq!((left.waits.len(), left.by_subject.len(), waits.deadlines.len()), (1, 1, 0));
        drop(stays);
        waits.given_up(&run);
        assert!(waits.is_empty());
    }
}
