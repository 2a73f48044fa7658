//! What to do after an attempt: routers look at a state and vote, one vote is chosen, all are kept.
//! And who does it: the least loaded of those that can.
//!
//! Plain values: nothing here reads a clock, keeps a history or draws an id.

mod candidate;
mod complexity;
mod conditional;
mod context;
mod decision;
mod fraction;
mod key;
mod milliseconds;
mod name;
mod parallel;
mod priority;
mod priority_level;
mod router;
mod router_error;
mod routers;
mod rule;
mod shown;
mod state_analysis;
mod vote;

pub use candidate::{Assignment, Candidate, Capabilities, NoCandidate, assign};
pub use complexity::StateComplexityMetrics;
pub use conditional::ConditionalRouter;
pub use context::RoutingContext;
pub use decision::{RoutingDecision, RoutingStrategy};
pub use fraction::{Fraction, FractionError};
pub use key::Key;
pub use milliseconds::DurationError;
pub use name::{Name, NameError};
pub use parallel::{ParallelRouter, ParallelizationHint, TaskGroup, TaskGroupError};
pub use priority::{PriorityRouter, PriorityRoutingConfig};
pub use priority_level::{Priority, PriorityError};
pub use router::Router;
pub use router_error::RouterError;
pub use routers::{Routers, RoutingResult};
pub use rule::{ConditionOperator, ConditionalRule};
pub use state_analysis::StateAnalysisRouter;
pub use vote::{FailedVote, Metadata, Standing, Vote};
