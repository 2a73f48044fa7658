//! What a plan takes from its caller, so that the caller can send it to where the plan is
//! compiled.
//!
//! Nothing is compiled for that, no input file is read, and no secret is looked up.

use std::collections::{BTreeMap, BTreeSet};

use super::caller::{CallerValues, Environment, SecretSource};
use super::load::Plan;
use super::objects::StepWork;
use super::text::{Diagnostics, PlanError};
use super::wanted::Wanted;

/// What a plan and the plans in it take from the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// The variables that are taken from the environment: with these alone, the plan compiles to
    /// the same as with all of it.
    pub variables: BTreeMap<String, String>,
    /// Where the values of secrets come from.
    pub secrets: Vec<SecretSource>,
}

impl Plan {
    /// What the plan takes, submitted from this environment.
    ///
    /// # Errors
    /// [`PlanError`] names the variables that are missing, and secrets of one name from two
    /// sources.
    pub fn requirements(&self, environment: &Environment) -> Result<Requirements, PlanError> {
        let mut caller = CallerValues::new(environment, Wanted::default());
        ask(self, &mut caller)?;
        if let Some(command) = self.resolved().on_end() {
            let mut diagnostics = Diagnostics::new(self.source());
            command.environment(self.dir(), &mut caller, &mut diagnostics);
            diagnostics.finish()?;
        }
        let mut variables = caller.inherited();
        let (secrets, read) = caller.into_parts();
        variables.extend(read);
        Ok(Requirements { variables, secrets })
    }
}

impl Plan {
    /// The variables of an environment that the items read.
    pub(super) fn read_variables(
        &self,
        environment: &Environment,
    ) -> Result<BTreeMap<String, String>, PlanError> {
        let mut caller = CallerValues::new(environment, Wanted::default());
        ask(self, &mut caller)?;
        Ok(caller.into_parts().1)
    }
}

/// Asks for what a plan takes, and then for what each plan in it takes.
fn ask(plan: &Plan, caller: &mut CallerValues<'_>) -> Result<(), PlanError> {
    let mut diagnostics = Diagnostics::new(plan.source());
    let mut asked = BTreeSet::new();
    let mut inside: Option<PlanError> = None;
    for step in plan.resolved().steps() {
        match &step.work {
            StepWork::Command(_) => {
                for command in step.commands() {
                    command.environment(plan.dir(), caller, &mut diagnostics);
                }
            }
            StepWork::Plan { path, .. } => {
                // Cells of a matrix and items may run the same plan; it takes the same.
                let Some(below) = plan.nested(&path.value).filter(|_| asked.insert(&path.value))
                else {
                    continue;
                };
                if let Err(error) = ask(below, caller) {
                    match &mut inside {
                        Some(inside) => inside.join(error),
                        None => inside = Some(error),
                    }
                }
            }
        }
    }
    diagnostics.finish()?;
    inside.map_or(Ok(()), Err)
}
