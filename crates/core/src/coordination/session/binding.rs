//! Whether a session may be bound to an item, and the event that binds it.

use std::collections::BTreeSet;

use super::illegal::IllegalBinding;
use super::outcome::shortened;
use crate::coordination::budget::Grant;
use crate::coordination::error::{BindError, NotNow, WorkError};
use crate::coordination::event::SessionBound;
use crate::coordination::key::{KeyValue, MetElsewhere};
use crate::coordination::life::Change;
use crate::coordination::limits::MAX_TEXT_BYTES;
use crate::coordination::runners::{Capability, Runners};
use crate::coordination::state::Coordination;
use crate::coordination::work::{Assigned, WorkItem, WorkMove, WorkState};
use crate::digest::{Canonical, Digest};
use crate::envelope::Meta;
use crate::id::{GroupName, Version, WorkId};
use crate::time::{Deadline, LedgerTime, Now, nanos};

const NOT_READY: &str = "only work that is ready can be bound";

impl Coordination {
    /// Whether a session may be bound to an item, by a caller that looked at it at a version, where
    /// these meet needs of it elsewhere. A decision and the check of a recorded binding both ask here.
    ///
    /// # Errors
    /// A [`BindError`] says what is in the way.
    fn may_bind(
        &self,
        work: &str,
        looked_at: Version,
        at: LedgerTime,
        met: &[MetElsewhere],
    ) -> Result<&WorkItem, BindError> {
        let item = self.work().known(work)?;
        self.allow(Change::Bind)?;
        if self.is_interrupted() {
            return Err(self.not_now(NotNow::Interrupted).into());
        }
        let concurrency = self.started().concurrency;
        if let Some(first) = self.sessions().iter().next().filter(|_| !self.has_slot(0)) {
            let session_id = self.session_id(first.session);
            return Err(BindError::SessionAlreadyBound { session_id, concurrency });
        }
        if let Some(stop) = self.stop_condition_at(at) {
            return Err(BindError::MustStop { stop });
        }
        if looked_at > self.version() {
            return Err(BindError::LookedAhead { looked_at, last: self.version() });
        }
        if looked_at < item.changed() {
            return Err(BindError::WorkFreshnessViolation {
                work_id: item.id().clone(),
                looked_at,
                current: item.changed(),
            });
        }
        self.may_bind_item(item, at, met)?;
        Ok(item)
    }

    /// The part of it that depends on the item alone.
    pub(in crate::coordination) fn may_bind_item(
        &self,
        item: &WorkItem,
        at: LedgerTime,
        met: &[MetElsewhere],
    ) -> Result<(), BindError> {
        let may_start = match item.state() {
            WorkState::Waiting(unmet) => {
                !met.is_empty() && self.work().needs_met_by(item, met) == Some(*unmet as usize)
            }
            // Wall time may be set back after the decision; ledger time may not.
            WorkState::Delayed(Deadline::Ledger(until)) => *until <= at,
            state => state.after(WorkMove::Bind(self.sessions().last() + 1)).is_some(),
        };
        if !may_start || self.work().waits_for_key(item, met) {
            return Err(not_ready(item).into());
        }
        if let Some(group) = &item.spec().group
            && self.is_full(group, &BTreeSet::new())
        {
            let width = self.started().widths[group];
            return Err(BindError::GroupFull {
                work_id: item.id().clone(),
                group: group.clone(),
                width,
            });
        }
        Ok(())
    }

    /// Whether as many members of a group run as may, those counted whose plan is being fetched.
    pub(in crate::coordination) fn is_full(
        &self,
        group: &GroupName,
        expanding: &BTreeSet<WorkId>,
    ) -> bool {
        let Some((running, width)) = self.work().running_of(group) else { return false };
        let coming = expanding.iter().filter(|work| {
            let item = self.work().find(work.as_str());
            item.is_some_and(|item| item.spec().group.as_ref() == Some(group))
        });
        running as usize + coming.count() >= width as usize
    }

    /// Whether an item's moment has come now, or had come before wall time was set back.
    pub(in crate::coordination) fn is_due(&self, item: &WorkItem, now: &Now) -> bool {
        match item.state() {
            WorkState::Ready => true,
            WorkState::Delayed(until) => until.has_come(now) || self.work().is_listed(item),
            WorkState::Waiting(_) => self.work().is_listed(item),
            _ => false,
        }
    }

    /// The event that binds a session to this item now. A caller that names no
    /// version decides on what is there.
    ///
    /// # Errors
    /// A [`BindError`] says what is in the way.
    pub(crate) fn decide_binding(
        &self,
        work: &str,
        looked_at: Option<Version>,
        capability: Capability,
        now: &Now,
    ) -> Result<SessionBound, BindError> {
        let looked_at = looked_at.unwrap_or(self.version());
        let met = self.work().met_elsewhere(self.work().known(work)?);
        let item = self.may_bind(work, looked_at, now.at, &met)?;
        if !self.is_due(item, now) {
            return Err(not_ready(item).into());
        }
        let grant = self.grant(item, now.at, capability)?;
        Ok(self.binding_of(item, looked_at, grant, now))
    }

    /// The event that binds a nested item, if it may still be bound.
    pub(crate) fn decide_nested(
        &self,
        work: &str,
        runners: &Runners,
        now: &Now,
    ) -> Result<SessionBound, BindError> {
        let item = self.work().known(work)?;
        let Some(capability) = runners.get(&item.spec().runner) else {
            return Err(self.not_now(NotNow::NoPlan).into());
        };
        self.decide_binding(work, None, capability, now)
    }

    /// The event that binds the next session to an item.
    pub(in crate::coordination) fn binding_of(
        &self,
        item: &WorkItem,
        looked_at: Version,
        grant: Grant,
        now: &Now,
    ) -> SessionBound {
        let session = self.sessions().last() + 1;
        SessionBound {
            session,
            work: item.id().clone(),
            attempt: item.attempts() + 1,
            looked_at,
            grant,
            deadline: now.at.after(nanos(grant.ticks, self.budget().tick_rate_hz())),
            token: Digest::of(self.token(session, now).as_bytes()),
            nested: item.spec().runner.is_plan(),
            leases: Vec::new(),
            context: self.context_of(item.spec()).as_ref().map(KeyValue::digest),
            met: self.work().met_elsewhere(item),
            assigned: self.assign(item).map(Box::new),
        }
    }

    /// The runner that the next session of an item is given to, if it may be given to several.
    fn assign(&self, item: &WorkItem) -> Option<Assigned> {
        let assigned =
            item.spec().capable.as_ref()?.assign(|name| self.sessions().load(name)).ok()?;
        let reasoning = shortened(assigned.reasoning, MAX_TEXT_BYTES);
        Some(Assigned { reasoning, ..assigned })
    }

    /// The secret that a session shows; the record holds only its digest.
    #[must_use]
    pub fn token(&self, session: u64, now: &Now) -> Digest {
        let mut bytes = Canonical::new("antiphon.token.1");
        bytes.digest(&Digest(now.random)).text(self.coordination_id().as_str()).u64(session);
        bytes.hash()
    }

    /// Whether a recorded binding follows on this state.
    pub(in crate::coordination) fn check_bound(
        &self,
        bound: &SessionBound,
        meta: &Meta,
    ) -> Result<(), IllegalBinding> {
        let item = self.may_bind(bound.work.as_str(), bound.looked_at, meta.at, &bound.met)?;
        if self.work().needs_met_by(item, &bound.met).is_none()
            || bound.met.iter().any(|met| !met.is_of_shared())
            || !bound.met.is_sorted()
        {
            return Err(IllegalBinding::Met);
        }
        // Why it was chosen is in words, which another version may choose otherwise.
        let to = |assigned: &Assigned| assigned.to.clone();
        if bound.assigned.as_deref().map(to) != self.assign(item).as_ref().map(to) {
            return Err(IllegalBinding::Assigned);
        }
        let last = self.sessions().last();
        if bound.session != last + 1 {
            return Err(IllegalBinding::Number { session: bound.session, last });
        }
        let attempts = item.attempts();
        if bound.attempt != attempts + 1 || bound.attempt > self.work().max_attempts(item) {
            return Err(IllegalBinding::Attempt { attempt: bound.attempt, attempts });
        }
        if bound.deadline < meta.at {
            return Err(IllegalBinding::Overdue);
        }
        // One that is not named was given to nobody.
        if bound.context.is_some()
            && bound.context != self.context_of(item.spec()).as_ref().map(KeyValue::digest)
        {
            return Err(IllegalBinding::Context);
        }
        Ok(self.check_grant(&bound.grant, meta.at)?)
    }
}

fn not_ready(item: &WorkItem) -> WorkError {
    WorkError::WorkNotClaimable {
        work_id: item.id().clone(),
        state: item.state().as_str(),
        instead: NOT_READY,
    }
}
