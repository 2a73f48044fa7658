//! Routers that vote together, and the choice among their votes.

use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::context::RoutingContext;
use super::decision::{RoutingDecision, RoutingStrategy};
use super::fraction::Fraction;
use super::name::Name;
use super::router::Router;
use super::vote::{FailedVote, Metadata, Standing, Vote};

/// Routers that vote together: at most one of each kind, in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Router>", into = "Vec<Router>")]
pub struct Routers(Vec<Router>);

/// What follows for a state: the vote that was chosen, and all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingResult {
    votes: Vec<Result<Vote, FailedVote>>,
    chosen: Chosen,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Chosen {
    /// The vote with this index.
    Cast(usize),
    /// There is none; this stands for it.
    Absent(Vote),
}

impl Routers {
    /// Adds a router. One of the same kind is replaced, keeps its place, and is returned.
    pub fn add(&mut self, router: impl Into<Router>) -> Option<Router> {
        let router = router.into();
        match self.0.iter_mut().find(|other| other.strategy() == router.strategy()) {
            Some(other) => Some(std::mem::replace(other, router)),
            None => {
                self.0.push(router);
                None
            }
        }
    }

    /// Removes the router of this kind, if there is one.
    pub fn remove(&mut self, strategy: RoutingStrategy) -> Option<Router> {
        let index = self.0.iter().position(|router| router.strategy() == strategy)?;
        Some(self.0.remove(index))
    }

    /// The routers, in the order in which they vote.
    pub fn iter(&self) -> impl Iterator<Item = &Router> {
        self.0.iter()
    }

    /// Has every router vote, and chooses one vote as a whole.
    ///
    /// A router that found something outranks all that did not. Among those, confidence times
    /// [`RoutingStrategy::weight`] counts, and then who was added first.
    #[must_use]
    pub fn route(&self, state: &Map<String, Value>, context: &RoutingContext) -> RoutingResult {
        let votes: Vec<_> = self.0.iter().map(|router| router.evaluate(state, context)).collect();
        let cast =
            votes.iter().enumerate().filter_map(|(at, vote)| Some((at, vote.as_ref().ok()?)));
        // Of equal ones the last counts as the highest, so the first has to come last.
        let chosen = match { cast }.rev().max_by_key(|(_, vote)| (vote.standing, score(vote))) {
            Some((at, _)) => Chosen::Cast(at),
            None => Chosen::Absent(nobody_votes(votes.len())),
        };
        RoutingResult { votes, chosen }
    }
}

fn score(vote: &Vote) -> u64 {
    u64::from(vote.confidence.millionths()) * u64::from(vote.strategy.weight())
}

fn nobody_votes(failed: usize) -> Vote {
    let reasoning = match failed {
        0 => "No routers available".to_owned(),
        _ => format!("No routers available: {failed} cannot vote"),
    };
    Vote {
        strategy: RoutingStrategy::Priority,
        decision: RoutingDecision::Continue,
        confidence: Fraction::of_percent(50),
        reasoning,
        next_task: None,
        standing: Standing::Default,
        metadata: Metadata::Nothing {},
    }
}

impl RoutingResult {
    /// The vote that was chosen.
    #[must_use]
    pub fn chosen(&self) -> &Vote {
        match &self.chosen {
            Chosen::Cast(at) => match &self.votes[*at] {
                Ok(vote) => vote,
                Err(failed) => panic!("BUG: a vote was chosen that was not cast: {failed}"),
            },
            Chosen::Absent(vote) => vote,
        }
    }

    /// What was decided.
    #[must_use]
    pub fn decision(&self) -> RoutingDecision {
        self.chosen().decision
    }

    /// How sure the router is whose vote was chosen.
    #[must_use]
    pub fn confidence(&self) -> Fraction {
        self.chosen().confidence
    }

    /// Why it was decided, in words.
    #[must_use]
    pub fn reasoning(&self) -> &str {
        &self.chosen().reasoning
    }

    /// The kind of router whose vote was chosen.
    #[must_use]
    pub fn strategy(&self) -> RoutingStrategy {
        self.chosen().strategy
    }

    /// The task that goes on, if the vote names one.
    #[must_use]
    pub fn next_task(&self) -> Option<&Name> {
        self.chosen().next_task.as_ref()
    }

    /// What the decision rests on.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.chosen().metadata
    }

    /// What every router said, in the order in which they were added.
    pub fn votes(&self) -> &[Result<Vote, FailedVote>] {
        &self.votes
    }

    /// How many routers voted.
    #[must_use]
    pub fn routers_evaluated(&self) -> usize {
        self.votes.iter().filter(|vote| vote.is_ok()).count()
    }
}

impl Serialize for RoutingResult {
    /// The chosen vote's members, and beside them all votes.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Without the tag that a `Result` has.
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Voted<'r> {
            Cast(&'r Vote),
            Failed(&'r FailedVote),
        }
        let vote = self.chosen();
        let votes: Vec<Voted<'_>> = self
            .votes
            .iter()
            .map(|vote| vote.as_ref().map_or_else(Voted::Failed, Voted::Cast))
            .collect();
        let mut members = serializer.serialize_struct("RoutingResult", 8)?;
        members.serialize_field("decision", &vote.decision)?;
        members.serialize_field("confidence", &vote.confidence)?;
        members.serialize_field("reasoning", &vote.reasoning)?;
        members.serialize_field("strategy", &vote.strategy)?;
        members.serialize_field("next_task", &vote.next_task)?;
        members.serialize_field("metadata", &vote.metadata)?;
        members.serialize_field("routers_evaluated", &self.routers_evaluated())?;
        members.serialize_field("votes", &votes)?;
        members.end()
    }
}

impl From<Vec<Router>> for Routers {
    fn from(routers: Vec<Router>) -> Self {
        let mut together = Self::default();
        for router in routers {
            together.add(router);
        }
        together
    }
}

impl From<Routers> for Vec<Router> {
    fn from(routers: Routers) -> Self {
        routers.0
    }
}
