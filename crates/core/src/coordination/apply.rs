//! The one way in which state changes, live and in replay: an event is checked completely, then applied.

use std::cmp::Reverse;

use super::budget::Used;
use super::error::{ApplyError, CoordinationError};
use super::index::{Due, Index};
use super::outcome::{SessionOutcome, Then};
use super::receipt::{Ending, ReceiptBuilder};
use super::session::{CoordinationSession, Meta, WorkItem};
use super::stop::{CoordinationStatus, StopCondition};
use super::work::{Binding, FailurePolicy, Need, WorkItemOutcome, WorkMove, WorkSpec, WorkState};
use super::{MAX_REMEMBERED_COMMANDS, MAX_SESSION_IDS_PER_WORK};
use crate::event::{Event, SessionBound, SessionUnbound, Started, StopKind, WorkSkipped};
use crate::id::{CommandId, CoordinationId, Version, WorkId};
use crate::time::{At, Deadline};

impl CoordinationSession {
    /// Begins a coordination from its first event.
    ///
    /// # Errors
    /// [`ApplyError::Illegal`] if the event is not `coordination.started`, or its numbers are out of range.
    pub fn begin(id: CoordinationId, event: &Event, meta: &Meta) -> Result<Self, ApplyError> {
        let Event::Started(started) = event else {
            return Err(illegal(event, "a coordination begins with coordination.started"));
        };
        if meta.version != Version(1) {
            return Err(ApplyError::OutOfOrder { last: Version(0), actual: meta.version });
        }
        check_started(started).map_err(|why| illegal(event, why))?;
        let mut receipt = ReceiptBuilder::new(id.clone(), started.budget.clone(), meta.wall.0);
        receipt.record_epoch(started.epoch, &started.engine);
        let mut session = Self {
            coordination_id: id,
            status: if started.items == 0 { CoordinationStatus::Running } else { CoordinationStatus::Initializing },
            version: meta.version,
            last_at: meta.at,
            last_wall: meta.wall,
            started_at: meta.at,
            started_wall: meta.wall,
            completed_wall: None,
            paused: None,
            paused_ns: 0,
            stop: None,
            tripped: false,
            fault: None,
            consecutive_failures: 0,
            items: Vec::new(),
            unfinished: 0,
            bound: std::collections::BTreeMap::new(),
            sessions: 0,
            doomed: std::collections::VecDeque::new(),
            receipt,
            receipt_digest: None,
            refused: std::collections::BTreeSet::new(),
            commands: std::collections::VecDeque::new(),
            index: Index::default(),
            started: started.clone(),
        };
        session.remember(meta.cause.as_ref());
        Ok(session)
    }

    /// Applies the next event.
    ///
    /// # Errors
    /// An [`ApplyError`] says why the event cannot follow; nothing has changed then.
    pub fn apply(&mut self, event: &Event, meta: &Meta) -> Result<(), ApplyError> {
        if meta.version != self.version.next() {
            return Err(ApplyError::OutOfOrder { last: self.version, actual: meta.version });
        }
        if meta.at < self.last_at {
            return Err(ApplyError::ClockRegression { last: self.last_at.0, current: meta.at.0 });
        }
        self.check(event, meta).map_err(|why| illegal(event, why))?;
        self.version = meta.version;
        self.last_at = meta.at;
        self.last_wall = meta.wall;
        self.change(event, meta);
        let elapsed = self.elapsed_ticks_at(meta.at);
        self.receipt.usage.elapsed_ticks = self.receipt.usage.elapsed_ticks.max(elapsed);
        self.remember(meta.cause.as_ref());
        Ok(())
    }

    /// What stands in the way of an event.
    fn check(&self, event: &Event, meta: &Meta) -> Result<(), String> {
        if self.status.is_terminal() {
            return Err("the coordination has ended".to_owned());
        }
        let begun = self.status.is_running();
        let demand = |holds: bool, why: &str| if holds { Ok(()) } else { Err(why.to_owned()) };
        match event {
            Event::WorkAdded(added) => self.check_added(&added.items),
            Event::SessionBound(bound) => self.check_bound(bound, meta),
            Event::SessionUnbound(unbound) => self.check_unbound(unbound),
            Event::WorkSkipped(skipped) => self.check_skipped(skipped),
            Event::Paused(_) => demand(begun && self.paused.is_none(), "it is not running"),
            Event::Continued(_) => demand(self.paused.is_some(), "it is not paused"),
            Event::BudgetRaised(raised) => {
                demand(begun && self.budget().is_raised_by(&raised.budget), "the new budget is not higher")
            }
            Event::StopRequested(request) => {
                let stronger = self.stop.as_ref().is_none_or(|stop| stop.kind < request.kind);
                demand(stronger && (begun || request.kind == StopKind::Cancel), "it is stopping already")
            }
            Event::Resumed(resumed) => {
                demand(resumed.swept as usize <= self.bound.len(), "it sweeps more sessions than are bound")
            }
            Event::WriteRefused(refused) => demand(
                refused.session <= self.sessions
                    && !self.refused.contains(&(refused.session, refused.kind.clone()))
                    && self.bound.get(&refused.session).is_none_or(|binding| binding.fence != refused.fence),
                "the write was valid, or its refusal is recorded already",
            ),
            Event::Completed(completed) => {
                demand(begun && self.bound.is_empty(), "sessions are bound, or the start is incomplete")?;
                let holds = self.stop_condition_at(meta.at);
                let given = matches!(completed.stop, StopCondition::UserRequested | StopCondition::Error(_));
                demand(given || holds.as_ref() == Some(&completed.stop), "its stop condition does not hold")?;
                let ending = Ending::Completed(completed.stop.clone());
                self.check_end(ending, meta, &completed.usage, &completed.totals, completed.verdict)
            }
            Event::Aborted(aborted) => {
                demand(self.bound.is_empty(), "sessions are bound")?;
                let ending = Ending::Aborted(aborted.reason.clone());
                self.check_end(ending, meta, &aborted.usage, &aborted.totals, aborted.verdict)
            }
            Event::Started(_) => Err("it was started before".to_owned()),
            Event::LedgerOpened(_) | Event::LedgerClosed(_) | Event::LedgerErased(_) => {
                Err("it belongs in the ledger's own stream".to_owned())
            }
        }
    }

    fn check_added(&self, items: &[WorkSpec]) -> Result<(), String> {
        if items.is_empty() || items.len() > super::MAX_ITEMS_PER_EVENT {
            return Err(format!("{} items in one event", items.len()));
        }
        let starting = self.status == CoordinationStatus::Initializing;
        if starting && self.items.len() + items.len() > self.started.items as usize {
            return Err("it adds more items than the start announced".to_owned());
        }
        if let Some(known) = items.iter().find(|item| self.index.by_id.contains_key(&item.id)) {
            return Err(format!("work {} is there already", known.id));
        }
        let mut fresh = std::collections::BTreeSet::new();
        if let Some(twice) = items.iter().find(|item| !fresh.insert(&item.id)) {
            return Err(format!("work {} is added twice", twice.id));
        }
        if !starting {
            for item in items {
                for need in &item.needs {
                    let known = match need {
                        Need::Work(id) => self.index.by_id.contains_key(id) || fresh.contains(id),
                        Need::Group(group) => {
                            self.index.groups.contains_key(group) || items.iter().any(|item| item.group.as_ref() == Some(group))
                        }
                    };
                    if !known {
                        return Err(format!("work {} needs something unknown", item.id));
                    }
                }
            }
        }
        Ok(())
    }

    fn check_bound(&self, bound: &SessionBound, meta: &Meta) -> Result<(), String> {
        if !self.status.is_running() || self.paused.is_some() {
            return Err("it is not running".to_owned());
        }
        if bound.session != self.sessions + 1 {
            return Err(format!("session {} does not follow {}", bound.session, self.sessions));
        }
        if self.bound.len() >= self.started.concurrency as usize {
            return Err(format!("{} sessions are bound already", self.bound.len()));
        }
        let item = self.item(&bound.work)?;
        if let Some(until) = item.until() {
            let now = crate::time::Now { at: meta.at, wall: meta.wall, random: [0; 32] };
            // Wall time may be set back after the decision; ledger time may not.
            if matches!(until, Deadline::At(_)) && !until.has_come(&now) {
                return Err(format!("work {} must wait", bound.work));
            }
        }
        item.state
            .after(WorkMove::Bind(bound.session))
            .ok_or_else(|| format!("work {} is {}", bound.work, item.state.as_str()))?;
        if bound.attempt != item.attempts + 1 || bound.attempt > self.max_attempts(item) {
            return Err(format!("attempt {} does not follow {}", bound.attempt, item.attempts));
        }
        if bound.looked_at < item.changed || bound.looked_at > self.version {
            return Err(format!("work {} changed after it was looked at", bound.work));
        }
        if bound.deadline < meta.at {
            return Err("its deadline lies in the past".to_owned());
        }
        self.check_grant(&bound.grant)
    }

    /// No grant goes above what is neither consumed nor reserved.
    fn check_grant(&self, grant: &super::Grant) -> Result<(), String> {
        let (budget, usage, index) = (self.budget(), self.budget_usage(), &self.index);
        let fits = |consumed: u64, reserved: u64, granted: u64, max: Option<u64>| {
            max.is_none_or(|max| consumed.saturating_add(reserved).saturating_add(granted) <= max)
        };
        let meters = [
            (
                "sessions",
                u64::from(usage.consumed_episodes),
                u64::from(index.reserved_sessions),
                u64::from(grant.sessions),
                Some(u64::from(budget.max_episodes())),
            ),
            ("tokens", usage.consumed_tokens, index.reserved_tokens, grant.tokens.unwrap_or(0), budget.max_tokens()),
            ("cost", usage.consumed_cost, index.reserved_cost, grant.cost.unwrap_or(0), budget.max_cost()),
        ];
        for (meter, consumed, reserved, granted, max) in meters {
            // Running sessions may have overshot together; one that is granted nothing of the meter takes nothing from it.
            if granted > 0 && !fits(consumed, reserved, granted, max) {
                return Err(format!("it grants more {meter} than are left"));
            }
        }
        if grant.sessions == 0 {
            return Err("it grants no session".to_owned());
        }
        Ok(())
    }

    fn check_unbound(&self, unbound: &SessionUnbound) -> Result<(), String> {
        let binding = self.bound.get(&unbound.session).ok_or_else(|| format!("session {} is not bound", unbound.session))?;
        let item = &self.items[binding.item as usize];
        if item.spec.id != unbound.work {
            return Err(format!("session {} carries out {}, not {}", unbound.session, item.spec.id, unbound.work));
        }
        let last = item.attempts + 1 >= self.max_attempts(item);
        let legal = match (&unbound.outcome, &unbound.then) {
            (SessionOutcome::Success, Then::Done(WorkItemOutcome::Succeeded)) => true,
            (SessionOutcome::Deferred { until }, Then::Wait(then)) => until == then,
            (SessionOutcome::Lost | SessionOutcome::Cancelled, Then::Retry(_)) => true,
            (SessionOutcome::Cancelled, Then::Done(WorkItemOutcome::Failed)) => last,
            (outcome, Then::Done(WorkItemOutcome::Failed)) => outcome.is_failed_attempt() && last,
            (outcome, Then::Retry(_)) => outcome.is_failed_attempt() && !last,
            _ => false,
        };
        if !legal {
            return Err(format!("{:?} does not follow from {}", unbound.then, unbound.outcome.as_str()));
        }
        if unbound.used.sessions == 0 || unbound.used.sessions > binding.grant.sessions {
            return Err(format!("it used {} sessions of {}", unbound.used.sessions, binding.grant.sessions));
        }
        Ok(())
    }

    fn check_skipped(&self, skipped: &WorkSkipped) -> Result<(), String> {
        if skipped.works.is_empty() || skipped.works.len() > super::MAX_ITEMS_PER_EVENT {
            return Err(format!("{} items in one event", skipped.works.len()));
        }
        let mut seen = std::collections::BTreeSet::new();
        for work in &skipped.works {
            let item = self.item(work)?;
            let outcome = WorkItemOutcome::Skipped(skipped.because.clone());
            if item.state.after(WorkMove::Finish(outcome)).is_none() || !seen.insert(work) {
                return Err(format!("work {work} is {}", item.state.as_str()));
            }
        }
        Ok(())
    }

    fn check_end(
        &self,
        ending: Ending,
        meta: &Meta,
        usage: &super::BudgetUsage,
        totals: &super::Totals,
        verdict: super::Verdict,
    ) -> Result<(), String> {
        let expected = self.receipt(ending, meta.at, meta.wall, Default::default(), Default::default());
        if (usage, totals, verdict) == (&expected.budget_usage, &expected.totals, expected.verdict) {
            Ok(())
        } else {
            Err("its usage, totals or verdict are not those of the stream".to_owned())
        }
    }

    fn item(&self, work: &WorkId) -> Result<&WorkItem, String> {
        let position = self.index.by_id.get(work).ok_or_else(|| format!("there is no work {work}"))?;
        Ok(&self.items[*position as usize])
    }

    /// Changes the state by an event that was checked.
    fn change(&mut self, event: &Event, meta: &Meta) {
        match event {
            Event::WorkAdded(added) => {
                for spec in &added.items {
                    self.add(spec.clone());
                }
                if self.status == CoordinationStatus::Initializing && self.items.len() == self.started.items as usize {
                    self.status = CoordinationStatus::Running;
                }
            }
            Event::SessionBound(bound) => self.bind(bound, meta.at),
            Event::SessionUnbound(unbound) => self.unbind(unbound),
            Event::WorkSkipped(skipped) => {
                for work in &skipped.works {
                    let position = self.index.by_id[work];
                    self.finish(position, WorkItemOutcome::Skipped(skipped.because.clone()));
                }
                while let Some((item, _)) = self.doomed.front() {
                    if !matches!(self.items[*item as usize].state, WorkState::Done(_)) {
                        break;
                    }
                    self.doomed.pop_front();
                }
            }
            Event::Paused(paused) => self.paused = Some((meta.at, paused.reason.clone())),
            Event::Continued(_) => {
                if let Some((since, _)) = self.paused.take() {
                    self.paused_ns = self.paused_ns.saturating_add(meta.at.since(since));
                }
            }
            Event::BudgetRaised(raised) => self.receipt.record_budget(raised.budget.clone()),
            Event::StopRequested(request) => self.stop = Some(request.clone()),
            Event::Resumed(resumed) => {
                self.receipt.record_epoch(resumed.epoch, &resumed.engine);
                self.receipt.totals.resumes += 1;
            }
            Event::WriteRefused(refused) => {
                self.refused.insert((refused.session, refused.kind.clone()));
                self.receipt.totals.writes_refused += 1;
            }
            Event::Completed(completed) => {
                self.end(CoordinationStatus::Completed(completed.stop.clone()), completed.receipt, meta);
            }
            Event::Aborted(aborted) => {
                self.end(CoordinationStatus::Aborted(aborted.reason.clone()), aborted.receipt, meta);
            }
            Event::Started(_) | Event::LedgerOpened(_) | Event::LedgerClosed(_) | Event::LedgerErased(_) => {
                unreachable!("BUG: check refuses these")
            }
        }
    }

    fn add(&mut self, spec: WorkSpec) {
        let position = u32::try_from(self.items.len()).expect("BUG: items are counted in 32 bits");
        self.items.push(WorkItem {
            spec,
            state: WorkState::Waiting(0),
            attempts: 0,
            sessions: Vec::new(),
            changed: self.version,
            tokens: 0,
            output: None,
        });
        self.unfinished += 1;
        let unmet = self.link(position, true);
        self.set_needs(position, unmet);
    }

    /// Enters an item into the index and counts its unmet needs; `live` also finds out whether one of them has failed already.
    fn link(&mut self, position: u32, live: bool) -> u32 {
        let spec = self.items[position as usize].spec.clone();
        self.index.by_id.insert(spec.id.clone(), position);
        let waiting = self.index.unresolved.remove(&spec.id).unwrap_or_default();
        self.index.dependents.push(waiting);
        let mut unmet = 0;
        for need in &spec.needs {
            match need {
                Need::Work(id) => match self.index.by_id.get(id).copied() {
                    None => {
                        self.index.unresolved.entry(id.clone()).or_default().push(position);
                        unmet += 1;
                    }
                    Some(target) => match self.blocking_root(target) {
                        Standing::Open => {
                            self.index.dependents[target as usize].push(position);
                            unmet += 1;
                        }
                        Standing::Met => {}
                        Standing::Failed(root) => {
                            unmet += 1;
                            if live {
                                self.doomed.push_back((position, root));
                            }
                        }
                    },
                },
                Need::Group(name) => {
                    let group = self.index.groups.entry(name.clone()).or_default();
                    group.waiting.push(position);
                    if let Some((_, root)) = group.failed.clone() {
                        unmet += 1;
                        if live {
                            self.doomed.push_back((position, root));
                        }
                    } else if group.members == 0 || group.unfinished > 0 {
                        unmet += 1;
                    }
                }
            }
        }
        if let Some(name) = &spec.group {
            self.join(name.clone());
        }
        unmet
    }

    /// Adds a member to a group; a group that was finished is open again for those that still wait.
    fn join(&mut self, name: crate::id::GroupName) {
        let group = self.index.groups.entry(name).or_default();
        group.members += 1;
        group.unfinished += 1;
        if group.members > 1 && group.unfinished == 1 && group.failed.is_none() {
            for waiting in group.waiting.clone() {
                if let WorkState::Waiting(_) | WorkState::Ready = self.items[waiting as usize].state {
                    let unmet = self.unmet(waiting) + 1;
                    self.set_needs(waiting, unmet);
                }
            }
        }
    }

    fn unmet(&self, position: u32) -> u32 {
        match self.items[position as usize].state {
            WorkState::Waiting(unmet) => unmet,
            _ => 0,
        }
    }

    fn blocking_root(&self, position: u32) -> Standing {
        let item = &self.items[position as usize];
        match &item.state {
            WorkState::Done(outcome) if outcome.satisfies(item.spec.on_failure) => Standing::Met,
            WorkState::Done(WorkItemOutcome::Skipped(super::SkipReason::NeedFailed(root))) => Standing::Failed(root.clone()),
            WorkState::Done(_) => Standing::Failed(item.spec.id.clone()),
            _ => Standing::Open,
        }
    }

    fn bind(&mut self, bound: &SessionBound, at: At) {
        let position = self.index.by_id[&bound.work];
        self.unschedule(position);
        self.index.reserved_sessions += bound.grant.sessions;
        self.index.reserved_tokens += bound.grant.tokens.unwrap_or(0);
        self.index.reserved_cost += bound.grant.cost.unwrap_or(0);
        self.index.due_at.insert((bound.deadline, Due::Session(bound.session)));
        self.sessions = bound.session;
        self.bound.insert(
            bound.session,
            Binding {
                session: bound.session,
                item: position,
                attempt: bound.attempt,
                grant: bound.grant,
                bound_at: at,
                deadline: bound.deadline,
                fence: self.version,
                nested: bound.nested,
            },
        );
        self.step(position, WorkMove::Bind(bound.session));
        let item = &mut self.items[position as usize];
        if item.sessions.len() == MAX_SESSION_IDS_PER_WORK {
            item.sessions.remove(0);
        }
        item.sessions.push(bound.session);
    }

    fn unbind(&mut self, unbound: &SessionUnbound) {
        let binding = self.bound.remove(&unbound.session).expect("BUG: check found the binding");
        let position = binding.item;
        self.index.reserved_sessions -= binding.grant.sessions;
        self.index.reserved_tokens -= binding.grant.tokens.unwrap_or(0);
        self.index.reserved_cost -= binding.grant.cost.unwrap_or(0);
        self.index.due_at.remove(&(binding.deadline, Due::Session(unbound.session)));
        self.charge(position, unbound);
        match &unbound.then {
            Then::Done(outcome) => self.finish(position, outcome.clone()),
            Then::Retry(at) if *at <= self.last_at => {
                self.step(position, WorkMove::Release);
                self.schedule(position);
            }
            Then::Retry(at) => self.wait(position, Deadline::At(*at)),
            Then::Wait(until) => self.wait(position, *until),
        }
    }

    fn charge(&mut self, position: u32, unbound: &SessionUnbound) {
        let Used { tokens, .. } = unbound.used;
        self.receipt.record_session(unbound.outcome, &unbound.used);
        let item = &mut self.items[position as usize];
        item.attempts += u32::from(unbound.outcome.is_attempt());
        item.tokens = item.tokens.saturating_add(tokens);
        item.output = unbound.output.or(item.output);
        if unbound.outcome == SessionOutcome::Success {
            self.consecutive_failures = 0;
        }
    }

    fn wait(&mut self, position: u32, until: Deadline) {
        self.step(position, WorkMove::Wait(until));
        self.schedule(position);
    }

    /// Gives an item its outcome and passes it on to what waits for it.
    fn finish(&mut self, position: u32, outcome: WorkItemOutcome) {
        self.unschedule(position);
        self.step(position, WorkMove::Finish(outcome.clone()));
        self.unfinished -= 1;
        let item = &self.items[position as usize];
        let (policy, critical, id) = (item.spec.on_failure, item.spec.critical, item.spec.id.clone());
        self.receipt.record_work_outcome(item.outcome(), critical);
        if outcome == WorkItemOutcome::Failed {
            self.consecutive_failures = self.consecutive_failures.saturating_add(1);
            self.tripped |= self.consecutive_failures >= self.started.policies.breaker;
            if policy == FailurePolicy::Abort && self.fault.is_none() {
                self.fault = Some(CoordinationError::WorkFailed { work_id: id });
            }
        }
        let standing = self.blocking_root(position);
        for dependent in std::mem::take(&mut self.index.dependents[position as usize]) {
            match &standing {
                Standing::Failed(root) => self.doom(dependent, root),
                _ => self.meet(dependent),
            }
        }
        if let Some(name) = self.items[position as usize].spec.group.clone() {
            self.leave(&name, position, &standing);
        }
    }

    /// Takes a finished member out of its group's barrier.
    fn leave(&mut self, name: &crate::id::GroupName, position: u32, standing: &Standing) {
        let group = self.index.groups.get_mut(name).expect("BUG: members have joined their group");
        group.unfinished -= 1;
        match standing {
            Standing::Failed(root) => {
                let first = group.failed.is_none();
                group.fail(position, root);
                if !first {
                    return;
                }
                for waiting in group.waiting.clone() {
                    self.doom(waiting, root);
                }
            }
            _ if group.unfinished == 0 && group.failed.is_none() => {
                for waiting in group.waiting.clone() {
                    self.meet(waiting);
                }
            }
            _ => {}
        }
    }

    fn doom(&mut self, position: u32, root: &WorkId) {
        if let WorkState::Waiting(_) = self.items[position as usize].state {
            self.doomed.push_back((position, root.clone()));
        }
    }

    /// One need of a waiting item is met.
    fn meet(&mut self, position: u32) {
        if let WorkState::Waiting(unmet) = self.items[position as usize].state {
            self.set_needs(position, unmet.saturating_sub(1));
        }
    }

    fn set_needs(&mut self, position: u32, unmet: u32) {
        self.unschedule(position);
        self.step(position, WorkMove::Needs(unmet));
        self.schedule(position);
    }

    fn step(&mut self, position: u32, happening: WorkMove) {
        let item = &mut self.items[position as usize];
        item.state = item.state.after(happening).expect("BUG: check admits only legal moves");
        item.changed = self.version;
    }

    /// Enters an item that may start, now or later, where the scheduler looks.
    pub(super) fn schedule(&mut self, position: u32) {
        let item = &self.items[position as usize];
        match item.state {
            WorkState::Ready => self.make_ready(position),
            WorkState::Until(Deadline::At(at)) => {
                self.index.due_at.insert((at, Due::Item(position)));
            }
            WorkState::Until(Deadline::Wall(wall)) => {
                self.index.due_wall.insert((wall, position));
            }
            _ => {}
        }
    }

    pub(super) fn make_ready(&mut self, position: u32) {
        let item = &self.items[position as usize];
        let key = (Reverse(item.spec.priority), self.score(item), position);
        match self.index.ready.get_mut(&item.spec.runner) {
            Some(ready) => {
                ready.insert(key);
            }
            None => {
                self.index.ready.insert(item.spec.runner.clone(), [key].into());
            }
        }
    }

    fn unschedule(&mut self, position: u32) {
        let item = &self.items[position as usize];
        match item.state {
            WorkState::Ready => {}
            WorkState::Until(Deadline::At(at)) => {
                self.index.due_at.remove(&(at, Due::Item(position)));
            }
            WorkState::Until(Deadline::Wall(wall)) => {
                self.index.due_wall.remove(&(wall, position));
            }
            _ => return,
        }
        let key = (Reverse(item.spec.priority), self.score(item), position);
        if let Some(ready) = self.index.ready.get_mut(&item.spec.runner) {
            ready.remove(&key);
        }
    }

    fn end(&mut self, status: CoordinationStatus, receipt: crate::digest::Digest, meta: &Meta) {
        let unfinished: Vec<_> = self
            .items
            .iter()
            .filter(|item| !matches!(item.state, WorkState::Done(_)))
            .map(|item| (item.outcome(), item.spec.critical))
            .collect();
        for (outcome, critical) in unfinished {
            self.receipt.record_work_outcome(outcome, critical);
        }
        self.status = status;
        self.receipt_digest = Some(receipt);
        self.completed_wall = Some(meta.wall);
    }

    fn remember(&mut self, cause: Option<&CommandId>) {
        let Some(cause) = cause else { return };
        if self.index.commands.contains_key(cause) {
            return;
        }
        if self.commands.len() == MAX_REMEMBERED_COMMANDS
            && let Some((oldest, _)) = self.commands.pop_front()
        {
            self.index.commands.remove(&oldest);
        }
        self.commands.push_back((cause.clone(), self.version));
        self.index.commands.insert(cause.clone(), self.version);
    }

    /// Builds the index anew from the stored state, after a snapshot was read.
    pub(super) fn rebuild_index(&mut self) {
        self.index = Index::default();
        self.index.commands = self.commands.iter().cloned().collect();
        let positions = 0..u32::try_from(self.items.len()).expect("BUG: items are counted in 32 bits");
        // Needs are linked against the final states, so that finished ones do not collect dependents again.
        for position in positions.clone() {
            let group = self.items[position as usize].spec.group.clone();
            self.index.by_id.insert(self.items[position as usize].spec.id.clone(), position);
            self.index.dependents.push(Vec::new());
            if let Some(name) = group {
                let standing = self.blocking_root(position);
                let entry = self.index.groups.entry(name).or_default();
                entry.members += 1;
                match standing {
                    Standing::Open => entry.unfinished += 1,
                    Standing::Failed(root) => entry.fail(position, &root),
                    Standing::Met => {}
                }
            }
        }
        for position in positions {
            for need in self.items[position as usize].spec.needs.clone() {
                match need {
                    Need::Work(id) => match self.index.by_id.get(&id).copied() {
                        None => self.index.unresolved.entry(id).or_default().push(position),
                        Some(target) if matches!(self.blocking_root(target), Standing::Open) => {
                            self.index.dependents[target as usize].push(position);
                        }
                        Some(_) => {}
                    },
                    Need::Group(name) => self.index.groups.entry(name).or_default().waiting.push(position),
                }
            }
            self.schedule(position);
        }
        for binding in self.bound.values() {
            self.index.reserved_sessions += binding.grant.sessions;
            self.index.reserved_tokens += binding.grant.tokens.unwrap_or(0);
            self.index.reserved_cost += binding.grant.cost.unwrap_or(0);
            self.index.due_at.insert((binding.deadline, Due::Session(binding.session)));
        }
    }
}

/// How a need stands.
enum Standing {
    Open,
    Met,
    Failed(WorkId),
}

fn illegal(event: &Event, why: impl Into<String>) -> ApplyError {
    ApplyError::Illegal { event: event.kind(), why: why.into() }
}

fn check_started(started: &Started) -> Result<(), String> {
    let in_range = |what: &str, value: u32, max: u32| {
        if (1..=max).contains(&value) { Ok(()) } else { Err(format!("{what} is {value}; it must be between 1 and {max}")) }
    };
    in_range("max_attempts", started.policies.max_attempts, super::MAX_ATTEMPTS_LIMIT)?;
    in_range("breaker", started.policies.breaker, u32::MAX)?;
    in_range("concurrency", started.concurrency, super::MAX_CONCURRENCY)?;
    if started.depth > super::MAX_DEPTH {
        return Err(format!("it is nested {} deep", started.depth));
    }
    Ok(())
}
