//! What a session is granted, and what is left to grant.

use super::Reserved;
use super::illegal::IllegalGrant;
use crate::coordination::budget::Grant;
use crate::coordination::error::BindError;
use crate::coordination::runners::Capability;
use crate::coordination::state::Coordination;
use crate::coordination::stop::BudgetType;
use crate::coordination::work::WorkItem;
use crate::time::LedgerTime;

/// What is neither used nor reserved. After an overshoot nothing is left.
struct Left {
    sessions: u32,
    ticks: u64,
    /// Absent without a ceiling.
    tokens: Option<u64>,
    cost: Option<u64>,
}

impl Coordination {
    fn left(&self, at: LedgerTime) -> Left {
        let (budget, usage) = (self.budget(), self.budget_usage());
        let Reserved { sessions, tokens, cost } = self.sessions().reserved;
        let rest = |max: Option<u64>, used: u64, reserved: u128| {
            let reserved = u64::try_from(reserved).unwrap_or(u64::MAX);
            max.map(|max| max.saturating_sub(used).saturating_sub(reserved))
        };
        Left {
            sessions: budget
                .max_episodes()
                .saturating_sub(usage.consumed_episodes())
                .saturating_sub(sessions),
            ticks: budget.max_duration_ticks().saturating_sub(self.elapsed_ticks_at(at)),
            tokens: rest(budget.max_tokens(), usage.consumed_tokens(), tokens),
            cost: rest(budget.max_cost(), usage.consumed_cost(), cost),
        }
    }

    /// What a session of this item would be granted now.
    ///
    /// # Errors
    /// [`BindError::NothingToGrant`] names the meter of which nothing is left.
    pub(in crate::coordination) fn grant(
        &self,
        item: &WorkItem,
        at: LedgerTime,
        capability: Capability,
    ) -> Result<Grant, BindError> {
        let left = self.left(at);
        let nothing = |meter: BudgetType| BindError::NothingToGrant { meter: meter.word() };
        let sessions = capability.sessions.map_or(1, |ceiling| ceiling.max(1)).min(left.sessions);
        if sessions == 0 {
            return Err(nothing(BudgetType::Episodes));
        }
        let ticks = item.spec().timeout_ticks.unwrap_or(u64::MAX).min(left.ticks);
        if ticks == 0 {
            return Err(nothing(BudgetType::Duration));
        }
        let concurrency = u64::from(self.started().concurrency);
        let slots = concurrency.saturating_sub(self.sessions().len() as u64).max(1);
        // What does not report holds no grant. What has no ceiling of its own shares what is left
        // with the sessions that may still start alongside it.
        let share = |reports: bool, own: Option<u64>, left: Option<u64>, meter| {
            if !reports {
                return Ok(None);
            }
            let Some(left) = left else { return Ok(own) };
            match own.unwrap_or_else(|| left.div_ceil(slots)).min(left) {
                0 => Err(nothing(meter)),
                granted => Ok(Some(granted)),
            }
        };
        let spec = item.spec();
        Ok(Grant {
            sessions,
            ticks,
            tokens: share(
                capability.reports_tokens,
                spec.max_tokens,
                left.tokens,
                BudgetType::Tokens,
            )?,
            cost: share(capability.reports_cost, spec.max_cost, left.cost, BudgetType::Cost)?,
        })
    }

    /// Whether a recorded grant goes above nothing that is left.
    pub(in crate::coordination) fn check_grant(
        &self,
        grant: &Grant,
        at: LedgerTime,
    ) -> Result<(), IllegalGrant> {
        let left = self.left(at);
        if grant.ticks == 0 || grant.ticks > left.ticks {
            return Err(IllegalGrant::Ticks { granted: grant.ticks, left: left.ticks });
        }
        if grant.sessions == 0 {
            return Err(IllegalGrant::NoSession);
        }
        let meters = [
            (BudgetType::Episodes, u64::from(grant.sessions), Some(left.sessions.into())),
            (BudgetType::Tokens, grant.tokens.unwrap_or(0), left.tokens),
            (BudgetType::Cost, grant.cost.unwrap_or(0), left.cost),
        ];
        match meters.iter().find(|(_, granted, left)| left.is_some_and(|left| *granted > left)) {
            Some((meter, ..)) => Err(IllegalGrant::Above { meter: meter.word() }),
            None => Ok(()),
        }
    }
}
