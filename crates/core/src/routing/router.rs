//! Any of the four routers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::conditional::ConditionalRouter;
use super::context::RoutingContext;
use super::decision::RoutingStrategy;
use super::parallel::ParallelRouter;
use super::priority::PriorityRouter;
use super::state_analysis::StateAnalysisRouter;
use super::vote::{FailedVote, Vote};

/// Any of the four routers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Router {
    /// Goes by rules.
    Conditional(ConditionalRouter),
    /// Looks for what can run side by side.
    Parallel(ParallelRouter),
    /// Looks at the state.
    StateAnalysis(StateAnalysisRouter),
    /// Goes by the priority of the task.
    Priority(PriorityRouter),
}

impl Router {
    /// Its kind.
    #[must_use]
    pub fn strategy(&self) -> RoutingStrategy {
        match self {
            Self::Conditional(_) => RoutingStrategy::Conditional,
            Self::Parallel(_) => RoutingStrategy::Parallel,
            Self::StateAnalysis(_) => RoutingStrategy::StateAnalysis,
            Self::Priority(_) => RoutingStrategy::Priority,
        }
    }

    /// What it says of a state.
    ///
    /// # Errors
    /// [`FailedVote`] if something that it reads is not what it has to be.
    pub fn evaluate(
        &self,
        state: &Map<String, Value>,
        context: &RoutingContext,
    ) -> Result<Vote, FailedVote> {
        let vote = match self {
            Self::Conditional(router) => Ok(router.evaluate(state)),
            Self::Parallel(router) => router.evaluate(state, context),
            Self::StateAnalysis(router) => Ok(router.evaluate(state, context)),
            Self::Priority(router) => router.evaluate(state, context),
        };
        vote.map_err(|error| FailedVote { strategy: self.strategy(), error })
    }
}

impl From<ConditionalRouter> for Router {
    fn from(router: ConditionalRouter) -> Self {
        Self::Conditional(router)
    }
}

impl From<ParallelRouter> for Router {
    fn from(router: ParallelRouter) -> Self {
        Self::Parallel(router)
    }
}

impl From<StateAnalysisRouter> for Router {
    fn from(router: StateAnalysisRouter) -> Self {
        Self::StateAnalysis(router)
    }
}

impl From<PriorityRouter> for Router {
    fn from(router: PriorityRouter) -> Self {
        Self::Priority(router)
    }
}
