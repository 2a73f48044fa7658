//! A decision as it is handed in with a session's end.

use serde::{Deserialize, Serialize};

use crate::id::WorkId;
use crate::routing::{Metadata, Name, RoutingDecision, RoutingResult, RoutingStrategy, Vote};

/// What somebody decided to follow an attempt, and why.
///
/// | decision | what follows |
/// |---|---|
/// | continue | what the outcome of the attempt means by itself |
/// | retry | another attempt, also after a success; if none is left, the item has failed for good |
/// | skip | the item counts as skipped by its rule, and what needs it goes on |
/// | error | the item has failed for good |
/// | end | what continue means; nothing else of the run is started, and it completes |
/// | branch, parallel | the attempt was the last one, and the items that are named go on: they start if they waited for it, and if they have their outcome already they are visited again. An error that says so where the item may not route there |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What follows.
    pub decision: RoutingDecision,
    /// The items that go on: one for `branch`, some for `parallel`, none for the others.
    pub to: Vec<WorkId>,
    /// How sure that is, in millionths.
    pub confidence: u32,
    /// Why, in words.
    pub reasoning: String,
    /// The rule that decided, if one did.
    pub rule: Option<Name>,
    /// What every router said.
    pub votes: Vec<RouteVote>,
}

/// What one router said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteVote {
    /// The kind of router.
    pub strategy: RoutingStrategy,
    /// What it decided.
    pub decision: RoutingDecision,
    /// How sure it was, in millionths.
    pub confidence: u32,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
}

impl Route {
    /// A decision that nobody voted on.
    #[must_use]
    pub fn new(decision: RoutingDecision, reasoning: impl Into<String>) -> Self {
        let (confidence, reasoning) = (1_000_000, reasoning.into());
        Self { decision, to: Vec::new(), confidence, reasoning, rule: None, votes: Vec::new() }
    }

    /// These items go on: a branch to one, or several in parallel.
    #[must_use]
    pub fn going_to(to: Vec<WorkId>, reasoning: impl Into<String>) -> Self {
        let decision =
            if to.len() == 1 { RoutingDecision::Branch } else { RoutingDecision::Parallel };
        Self { to, ..Self::new(decision, reasoning) }
    }

    /// The same by a rule.
    #[must_use]
    pub fn by_rule(self, rule: Name) -> Self {
        Self { rule: Some(rule), ..self }
    }
}

impl From<&RoutingResult> for Route {
    /// The vote that was chosen, with all votes.
    fn from(result: &RoutingResult) -> Self {
        let chosen = result.chosen();
        let rule = match &chosen.metadata {
            Metadata::Rule { rule_name, .. } => Some(rule_name.clone()),
            _ => None,
        };
        Self {
            decision: chosen.decision,
            to: next_task(chosen).into_iter().collect(),
            confidence: chosen.confidence.millionths(),
            reasoning: chosen.reasoning.clone(),
            rule,
            votes: result.votes().iter().flatten().map(RouteVote::from).collect(),
        }
    }
}

/// The item that a vote names to go on.
fn next_task(vote: &Vote) -> Option<WorkId> {
    let goes_on = matches!(vote.decision, RoutingDecision::Branch | RoutingDecision::Parallel);
    vote.next_task.as_ref().filter(|_| goes_on).and_then(|name| WorkId::new(name.as_str()).ok())
}

impl From<&Vote> for RouteVote {
    fn from(vote: &Vote) -> Self {
        Self {
            strategy: vote.strategy,
            decision: vote.decision,
            confidence: vote.confidence.millionths(),
            reasoning: vote.reasoning.clone(),
        }
    }
}
