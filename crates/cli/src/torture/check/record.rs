//! One run as its events tell it, and what must hold of it alone.

use std::collections::HashMap;

use antiphon::coordination::{
    ApplyError, Coordination, SessionOutcome, TreeReport, Verdict, WorkSpec,
};
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::event::{CoordinationEvent, SessionBound, SessionUnbound, StopKind};
use antiphon::id::{CommandId, CoordinationId, Version, WorkId};
use antiphon::replay::Replay;

use super::findings::Findings;
use super::told::ToldRecord;

/// Items that fail for reasons other than their own, if at all.
const NEVER_FAIL: [&str; 9] =
    ["steady", "slow", "large", "brief", "prints", "naps", "sends", "counts", "asks"];

/// One coordination as its events tell it.
#[derive(Debug)]
pub(super) struct Record {
    replay: Replay<Coordination>,
    pub(super) hashes: Vec<Digest>,
    pub(super) causes: HashMap<CommandId, Version>,
    pub(super) bound: HashMap<u64, SessionBoundAt>,
    pub(super) unbound: HashMap<u64, SessionEndedAt>,
    pub(super) stops: Vec<StopKind>,
    pub(super) pauses: usize,
    pub(super) continues: usize,
    /// Those that were asked for.
    pub(super) interruptions: usize,
    pub(super) items: HashMap<WorkId, WorkSpec>,
    /// The attempt of each item whose last session was ended from outside, or died with its engine:
    /// the next session makes the same attempt.
    cut_off: HashMap<WorkId, u32>,
    pub(super) ends: usize,
    pub(super) end: Option<(Verdict, Digest)>,
    pub(super) told: ToldRecord,
}

#[derive(Debug)]
pub(super) struct SessionBoundAt {
    pub(super) fence: Version,
    pub(super) work: WorkId,
    pub(super) attempt: u32,
}

#[derive(Debug)]
pub(super) struct SessionEndedAt {
    pub(super) version: Version,
    pub(super) outcome: SessionOutcome,
    pub(super) output: Option<Digest>,
    pub(super) tree: Option<Box<TreeReport>>,
}

impl Record {
    pub(super) fn run(&self) -> &Coordination {
        self.replay.state().expect("BUG: a record begins with a first event")
    }

    pub(super) fn of(replay: Replay<Coordination>) -> Self {
        Self {
            replay,
            hashes: Vec::new(),
            causes: HashMap::new(),
            bound: HashMap::new(),
            unbound: HashMap::new(),
            stops: Vec::new(),
            pauses: 0,
            continues: 0,
            interruptions: 0,
            items: HashMap::new(),
            cut_off: HashMap::new(),
            ends: 0,
            end: None,
            told: ToldRecord::default(),
        }
    }

    /// Applies its next event.
    pub(super) fn apply(
        &mut self,
        recorded: &Recorded,
        event: &CoordinationEvent,
    ) -> Result<(), ApplyError> {
        self.replay.apply(recorded, event)
    }

    pub(super) fn take(
        &mut self,
        event: CoordinationEvent,
        recorded: &Recorded,
        place: &str,
        findings: &mut Findings,
    ) {
        self.hashes.push(recorded.hash);
        if let Some(cause) = &recorded.cause
            && self.causes.insert(cause.clone(), recorded.version).is_some()
        {
            findings.add(format!("{place}: command {cause} was carried out twice"));
        }
        self.told.take(&event, recorded.version, place, findings);
        match event {
            CoordinationEvent::SessionBound(bound) => {
                self.take_binding(bound, recorded.version, place, findings);
            }
            CoordinationEvent::SessionUnbound(SessionUnbound {
                session,
                work,
                outcome,
                text,
                output,
                tree,
                ..
            }) => {
                let behaviour = work.as_str().split('-').next().unwrap_or_default();
                let failed =
                    matches!(outcome, SessionOutcome::Failure | SessionOutcome::SpawnFailed);
                // Wardens are killed here, too.
                let by_us = tree.as_ref().is_some_and(|tree| tree.containment != "warden");
                if failed && !by_us && NEVER_FAIL.contains(&behaviour) {
                    let text = text.unwrap_or_default();
                    findings.add(format!(
                        "{place}: item {work} has failed, for no reason of its own: {text}"
                    ));
                }
                if matches!(outcome, SessionOutcome::Cancelled | SessionOutcome::Lost)
                    && let Some(bound) = self.bound.get(&session)
                {
                    self.cut_off.insert(work, bound.attempt);
                }
                self.unbound.insert(
                    session,
                    SessionEndedAt { version: recorded.version, outcome, output, tree },
                );
            }
            CoordinationEvent::WorkAdded(added) => {
                self.items.extend(added.items.into_iter().map(|item| (item.id.clone(), item)));
            }
            CoordinationEvent::Interrupted(interrupted) => {
                self.interruptions += usize::from(!interrupted.reason.is_empty());
            }
            CoordinationEvent::StopRequested(stop) => self.stops.push(stop.kind),
            CoordinationEvent::Paused(_) => self.pauses += 1,
            CoordinationEvent::Continued(_) => self.continues += 1,
            CoordinationEvent::Completed(completed) => {
                self.ends += 1;
                self.end = Some((completed.verdict, completed.receipt));
            }
            CoordinationEvent::Aborted(aborted) => {
                self.ends += 1;
                self.end = Some((aborted.verdict, aborted.receipt));
            }
            _ => {}
        }
    }

    /// Nothing may be granted that is not there, and nothing twice.
    pub(super) fn take_binding(
        &mut self,
        bound: SessionBound,
        version: Version,
        place: &str,
        findings: &mut Findings,
    ) {
        if self.cut_off.remove(&bound.work).is_some_and(|attempt| bound.attempt != attempt) {
            findings.add(format!(
                "{place}: a session of {} that was cut off has counted as an attempt",
                bound.work
            ));
        }
        let (budget, usage) = (self.run().budget(), self.run().budget_usage());
        let (mut sessions, mut tokens, mut cost, mut same, mut live) = (0, 0, 0, 0, 0);
        for (binding, work) in self.run().bindings() {
            sessions += binding.grant.sessions;
            tokens += binding.grant.tokens.unwrap_or(0);
            cost += binding.grant.cost.unwrap_or(0);
            same += u32::from(*work == bound.work);
            live += 1;
        }
        if same != 1 {
            findings.add(format!("{place}: {same} live sessions of item {}", bound.work));
        }
        if live > self.run().started().concurrency {
            findings.add(format!(
                "{place}: {live} live sessions where {} are allowed",
                self.run().started().concurrency
            ));
        }
        if usage.consumed_episodes() + sessions > budget.max_episodes() {
            findings.add(format!("{place}: sessions granted beyond {}", budget.max_episodes()));
        }
        let over = |used: u64, granted: u64, max: Option<u64>| {
            granted > 0 && max.is_some_and(|max| used.saturating_add(granted) > max)
        };
        // What ran before may have overshot its grant, which is recorded; then nothing more may be
        // granted.
        let (used, mine) = (usage.consumed_tokens(), bound.grant.tokens.unwrap_or(0));
        if mine > 0 && over(used, tokens, budget.max_tokens()) {
            findings.add(format!("{place}: tokens granted beyond {:?}", budget.max_tokens()));
        }
        let (used, mine) = (usage.consumed_cost(), bound.grant.cost.unwrap_or(0));
        if mine > 0 && over(used, cost, budget.max_cost()) {
            findings.add(format!("{place}: cost granted beyond {:?}", budget.max_cost()));
        }
        self.bound.insert(
            bound.session,
            SessionBoundAt { fence: version, work: bound.work, attempt: bound.attempt },
        );
    }

    pub(super) fn check(&self, id: &CoordinationId, finished: bool, findings: &mut Findings) {
        if self.ends > 1 {
            findings.add(format!("coordination/{id}: {} terminal events", self.ends));
        }
        if self.run().budget_usage().consumed_episodes() > self.run().budget().max_episodes() {
            findings.add(format!("coordination/{id}: more sessions used than budgeted"));
        }
        if self.ends > 0 && self.bound.len() != self.unbound.len() {
            findings.add(format!(
                "coordination/{id}: it has ended, and {} sessions have not",
                self.bound.len() - self.unbound.len()
            ));
        }
        self.told.check(id, findings);
        if finished && self.ends == 0 {
            findings.add(format!(
                "coordination/{id}: it was allowed to finish and has not ended: {}",
                self.run().status().as_str()
            ));
        }
    }
}
