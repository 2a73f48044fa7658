//! How operators steer a coordination that runs.

use super::carry_out::CarryOut;
use crate::coordination::event::{
    BudgetRaised, Continued, CoordinationEvent, Paused, StopKind, StopRequested,
};
use crate::coordination::{
    Change, Coordination, CoordinationBudget, Effect, MAX_TEXT_BYTES, Raise, RaiseError, shortened,
};
use crate::id::CoordinationId;
use crate::time::Now;
use crate::world::World;
use crate::world::answer::{Asker, Done, Rejection};

/// End a coordination in some way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Stop {
    pub coordination: CoordinationId,
    pub kind: StopKind,
    pub reason: String,
}

/// Start nothing new for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Pause {
    pub coordination: CoordinationId,
    pub reason: String,
}

/// Go on, with higher ceilings if given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Continue {
    pub coordination: CoordinationId,
    /// The ceilings to raise.
    pub raise: Raise,
}

/// Raise ceilings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct RaiseBudget {
    pub coordination: CoordinationId,
    /// The ceilings to raise.
    pub raise: Raise,
}

impl CarryOut for Stop {
    type Reply = Done;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::Stopping(self.kind)]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Done, Rejection> {
        let effects = self.effects();
        let Self { coordination, kind, reason } = self;
        world.decide_once(&coordination, &asker, &effects, now, |world, by| {
            world.unended(&coordination)?.allow(Change::Stop(kind))?;
            let reason = shortened(reason, MAX_TEXT_BYTES);
            let request = StopRequested { kind, by, reason, parent: None };
            Ok(vec![CoordinationEvent::StopRequested(request)])
        })
    }
}

impl CarryOut for Pause {
    type Reply = Done;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::Paused]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Done, Rejection> {
        let effects = self.effects();
        let Self { coordination, reason } = self;
        world.decide_once(&coordination, &asker, &effects, now, |world, by| {
            world.unended(&coordination)?.allow(Change::Pause)?;
            let reason = shortened(reason, MAX_TEXT_BYTES);
            Ok(vec![CoordinationEvent::Paused(Paused { by, reason })])
        })
    }
}

impl CarryOut for Continue {
    type Reply = Done;

    fn effects(&self) -> Vec<Effect> {
        // With or without higher ceilings it is the same command.
        vec![Effect::Continued, Effect::Raised]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Done, Rejection> {
        let effects = self.effects();
        let Self { coordination, raise } = self;
        world.decide_once(&coordination, &asker, &effects, now, |world, by| {
            let state = world.unended(&coordination)?;
            state.allow(Change::Continue)?;
            let mut budget = state.budget().clone();
            let mut events = Vec::new();
            if !raise.is_empty() {
                budget = raised(world, state, &raise)?;
                let raised = BudgetRaised { by: by.clone(), budget: budget.clone() };
                events.push(CoordinationEvent::BudgetRaised(raised));
            }
            let left = budget.spent(state.budget_usage());
            if !left.is_empty() {
                // Nothing is raised, so they are told as they are.
                let mut spent = state.budget().spent(state.budget_usage());
                spent.retain(|spent| left.iter().any(|left| left.meter() == spent.meter()));
                return Err(RaiseError::NotEnough { spent }.into());
            }
            events.push(CoordinationEvent::Continued(Continued { by }));
            Ok(events)
        })
    }
}

impl CarryOut for RaiseBudget {
    type Reply = Done;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::Raised]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Done, Rejection> {
        let effects = self.effects();
        let Self { coordination, raise } = self;
        world.decide_once(&coordination, &asker, &effects, now, |world, by| {
            let state = world.unended(&coordination)?;
            state.allow(Change::Raise)?;
            let budget = raised(world, state, &raise)?;
            Ok(vec![CoordinationEvent::BudgetRaised(BudgetRaised { by, budget })])
        })
    }
}

/// The budget with higher ceilings: no lower than they are, no higher than a parent granted.
fn raised(
    world: &World,
    state: &Coordination,
    raise: &Raise,
) -> Result<CoordinationBudget, Rejection> {
    let budget = state.budget().raised(raise)?;
    world.refuse_above_grant(state, &budget)?;
    Ok(budget)
}
