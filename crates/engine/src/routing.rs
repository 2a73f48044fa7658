//! What to do after an attempt, and who does it. Four kinds of routers look at a state and vote; an
//! explicit decision outranks a default, and every vote is in the result.
//!
//! A session that hands in what was decided with its end, by [`Output::routed`] or [`Failed::routed`],
//! has it recorded with all votes, and it is followed: [`Route`] says how. Otherwise nothing of this
//! is recorded.
//!
//! [`Output::routed`]: crate::Output::routed
//! [`Failed::routed`]: crate::Failed::routed
//!
//! | router | what it finds | decision | confidence |
//! |---|---|---|---|
//! | [`ConditionalRouter`], weight 100 | a rule that matches | that of the rule | 1.0 |
//! | | *none* | continue | 0.5 |
//! | [`StateAnalysisRouter`], weight 80 | `error`, `errors`, `error_count` or `failed` | retry, or another | 0.95 |
//! | | `required_data` or `mandatory_fields` that are empty | skip | 0.8 |
//! | | complexity above the limit | branch | 0.85 |
//! | | *none of these* | continue | 0.9 |
//! | [`ParallelRouter`], weight 60 | a hint that applies | parallel | 0.9 |
//! | | *none* | continue | 0.7 |
//! | [`PriorityRouter`], weight 40 | a priority from 80 on | continue, or another | 0.95 |
//! | | a priority up to 20 | skip, or another | 0.85 |
//! | | *one in between* | continue, or another | 0.8 |
//!
//! Of the explicit votes, or of the defaults (in italics) if there is no explicit one, that with the
//! highest product of confidence and weight is chosen as a whole; of equal ones, the first.
//!
//! ```
//! use antiphon::routing::{
//!     ConditionOperator, ConditionalRouter, ConditionalRule, RoutingContext, RoutingDecision,
//!     SmartRoutingOrchestrator,
//! };
//!
//! let mut routing = SmartRoutingOrchestrator::new();
//! routing.add_router(ConditionalRouter::new(vec![ConditionalRule {
//!     rule_id: "error_handling".parse()?,
//!     name: "Retry on Error".parse()?,
//!     condition_key: "review.errors".parse()?,
//!     condition_operator: ConditionOperator::Greater,
//!     condition_value: 0.into(),
//!     decision: RoutingDecision::Retry,
//!     next_task: None,
//!     priority: 90.try_into()?,
//! }]));
//!
//! let state = serde_json::json!({ "review": { "errors": 1 } });
//! let routed = routing.route(&state, RoutingContext::new("generate_model")?)?;
//! assert_eq!(routed.result.decision(), RoutingDecision::Retry);
//! assert_eq!(
//!     routed.result.reasoning(),
//!     "Conditional rule 'Retry on Error' matched: review.errors > 0"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! By capability, the least loaded that can do something is chosen:
//!
//! ```
//! use antiphon::routing::{Candidate, assign};
//!
//! let agents: Vec<Candidate> = serde_json::from_str(
//!     r#"[
//!         { "name": "claude", "capabilities": ["rust", "review"], "load": 2 },
//!         { "name": "codex", "capabilities": ["rust"], "load": 1 }
//!     ]"#,
//! )?;
//! let chosen = assign(&["rust".parse()?].into_iter().collect(), &agents)?;
//! assert_eq!(
//!     chosen.reasoning,
//!     "'codex' has rust; it is the least loaded of 2 that fit (load 1)"
//! );
//! let refused = assign(&["gpu".parse()?].into_iter().collect(), &agents).unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "no candidate has gpu: codex is nearest and lacks gpu; nobody has gpu"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod history;
mod orchestrator;

pub use antiphon_core::coordination::{Route, RouteVote};
pub use antiphon_core::routing::{
    Assignment, Candidate, Capabilities, ConditionOperator, ConditionalRouter, ConditionalRule,
    DurationError, FailedVote, Fraction, FractionError, Key, Metadata, Name, NameError,
    NoCandidate, ParallelRouter, ParallelizationHint, Priority, PriorityError, PriorityRouter,
    PriorityRoutingConfig, Router, RouterError, Routers, RoutingContext, RoutingDecision,
    RoutingResult, RoutingStrategy, Standing, StateAnalysisRouter, StateComplexityMetrics,
    TaskGroup, TaskGroupError, Vote, assign,
};
pub use history::{RoutingHistoryRecord, RoutingStats, RoutingTimes};
pub use orchestrator::{RoutingError, SmartRoutingOrchestrator};
