//! Items in the words of a plan, for a run that is there already.

use std::collections::BTreeMap;
use std::path::Path;

use super::caller::Environment;
use super::compile::CompiledWork;
use super::load::Plan;
use super::text::PlanError;
use super::wanted::Wanted;

/// Items that are to be added to a run: `work`, and with it `runners` and `env`, as in a plan. What they
/// need and do not define themselves are items of the run.
///
/// ```
/// use antiphon::plan::{AddedWork, Environment, Wanted};
///
/// let text = "work: { docs: { command: [make, docs], needs: [build] } }";
/// let added = AddedWork::read_text(text, "more.yaml", std::env::temp_dir(), &Wanted::default())?;
/// let work = added.compile_while(&Environment::Unknown, &Wanted::default())?;
/// assert_eq!(work.items[0].needs[0].to_string(), "build");
/// # Ok::<(), antiphon::plan::PlanError>(())
/// ```
#[derive(Debug, Clone)]
pub struct AddedWork(Plan);

impl AddedWork {
    /// Reads items that were sent as text, and the nested plans that they name, as
    /// [`Plan::read_text`] does.
    ///
    /// # Errors
    /// [`PlanError`] lists everything that is wrong.
    pub fn read_text(
        text: &str,
        shown: impl AsRef<Path>,
        dir: impl AsRef<Path>,
        wanted: &Wanted,
    ) -> Result<Self, PlanError> {
        Plan::read_added(text, shown.as_ref(), dir.as_ref(), wanted).map(Self)
    }

    /// The variables of this environment that they read.
    ///
    /// # Errors
    /// [`PlanError`] names those that are missing.
    pub fn variables(
        &self,
        environment: &Environment,
    ) -> Result<BTreeMap<String, String>, PlanError> {
        self.0.read_variables(environment)
    }

    /// What they are recorded as, added from this environment, as long as it is wanted.
    ///
    /// # Errors
    /// [`PlanError`] names the variables that are missing, what the kernel does not take, and secrets:
    /// those of a run are given to the items that it began with.
    pub fn compile_while(
        &self,
        environment: &Environment,
        wanted: &Wanted,
    ) -> Result<CompiledWork, PlanError> {
        self.0.compile_work(environment, wanted)
    }
}
