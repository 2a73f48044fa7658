//! Four routers decide what to do after each attempt of a generator, and an agent is chosen by what
//! it can. Every vote is told, so that one sees why.
//!
//! Run it with `cargo run --example routing`.

use std::fmt::Write;
use std::time::Duration;

use antiphon::routing::{
    Candidate, ConditionOperator, ConditionalRouter, ConditionalRule, ParallelRouter,
    ParallelizationHint, PriorityRouter, RoutingContext, RoutingDecision, SmartRoutingOrchestrator,
    StateAnalysisRouter, assign,
};
use serde_json::{Value, json};

/// What it prints.
const TOLD: &str = "\
generate_model: retry (1.0, conditional), as Conditional rule 'Retry on Error' matched: error_count > 0
    conditional retry 1.0
generate_model: retry (1.0, conditional), as Conditional rule 'Retry on Error' matched: error_count > 0
    conditional retry 1.0
    state_analysis retry 0.95
    parallel parallel 0.9
    priority continue 0.95
generate_model: parallel (0.9, parallel), as Task 'generate_model' can run in parallel with generate_validator
    conditional continue 0.5
    state_analysis continue 0.9
    parallel parallel 0.9
    priority continue 0.95
generate_model: parallel (0.9, parallel), as Task 'generate_model' can run in parallel with generate_validator
    conditional continue 0.5
    state_analysis continue 0.9
    parallel parallel 0.9
    the priority router cannot vote: task_priority is \"urgent\"; make it a number, such as 80
4 decisions: {Retry: 2, Parallel: 2}
'codex' has rust; it is the least loaded of 2 that fit (load 1)
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut told = String::new();
    let mut routing = SmartRoutingOrchestrator::new();
    routing.add_router(ConditionalRouter::new(vec![ConditionalRule {
        rule_id: "error_handling".parse()?,
        name: "Retry on Error".parse()?,
        condition_key: "error_count".parse()?,
        condition_operator: ConditionOperator::Greater,
        condition_value: 0.into(),
        decision: RoutingDecision::Retry,
        next_task: None,
        priority: 90.try_into()?,
    }]));
    let state = json!({
        "error_count": 1,
        "completed_tasks": ["parse_contract"],
        "task_priority": 80,
    });
    route(&mut routing, &state, &mut told)?;

    routing.add_router(StateAnalysisRouter::default());
    routing.add_router(ParallelRouter::new(vec![ParallelizationHint {
        task_group: vec!["generate_model".parse()?, "generate_validator".parse()?].try_into()?,
        dependencies: vec!["parse_contract".parse()?],
        estimated_duration: Duration::from_millis(1_500),
    }]));
    routing.add_router(PriorityRouter::default());
    route(&mut routing, &state, &mut told)?;

    let state = json!({ "completed_tasks": ["parse_contract"], "task_priority": 80 });
    route(&mut routing, &state, &mut told)?;
    let state = json!({ "completed_tasks": ["parse_contract"], "task_priority": "urgent" });
    route(&mut routing, &state, &mut told)?;
    let stats = routing.stats();
    writeln!(told, "{} decisions: {:?}", stats.total_routings, stats.decisions)?;

    let agents: Vec<Candidate> = serde_json::from_value(json!([
        { "name": "claude", "capabilities": ["rust", "review"], "load": 2 },
        { "name": "codex", "capabilities": ["rust"], "load": 1 },
        { "name": "gemini", "capabilities": ["review"] },
    ]))?;
    let chosen = assign(&["rust".parse()?].into_iter().collect(), &agents)?;
    writeln!(told, "{}", chosen.reasoning)?;

    print!("{told}");
    assert_eq!(told, TOLD);
    Ok(())
}

/// Decides what follows for a state, and tells it with all votes.
fn route(
    routing: &mut SmartRoutingOrchestrator,
    state: &Value,
    told: &mut String,
) -> Result<(), Box<dyn std::error::Error>> {
    let context = RoutingContext::new("generate_model")?.after(Duration::from_micros(45_200));
    let routed = routing.route(state, context)?;
    let (task, result) = (&routed.context.current_task, &routed.result);
    let (decision, confidence, strategy) =
        (result.decision(), result.confidence(), result.strategy());
    writeln!(told, "{task}: {decision} ({confidence}, {strategy}), as {}", result.reasoning())?;
    for vote in result.votes() {
        match vote {
            Ok(vote) => {
                writeln!(told, "    {} {} {}", vote.strategy, vote.decision, vote.confidence)?;
            }
            Err(failed) => writeln!(told, "    {failed}")?,
        }
    }
    Ok(())
}
