//! Signals, routing, contexts and needs together: models are generated from a contract, validators
//! wait for them and their quality and are tried again by a rule, a person approves the release.
//!
//! Run it with `cargo run --example generators`.

use std::fmt::Write;
use std::time::Duration;

use antiphon::approvals::Answer;
use antiphon::keys::{GATE_SCALE, JsonText, gate_key, millionths};
use antiphon::routing::{
    ConditionOperator, ConditionalRouter, ConditionalRule, RoutingContext, RoutingDecision,
    SmartRoutingOrchestrator,
};
use antiphon::signals::{From, SignalFilter};
use antiphon::waits::{KeyCondition, KeyNeed, SignalNeed};
use antiphon::{
    Budget, CoordinationConfig, Engine, Failed, Need, Output, Run, SessionContext, SessionResult,
    WorkSpec,
};
use serde_json::{Value, json};

/// What it prints.
const TOLD: &str = "\
agent_initialized model_gen, attempt 1
agent_completed model_gen
agent_initialized validator_gen, attempt 1
agent_initialized validator_gen, attempt 2
agent_completed validator_gen
agent_initialized release, attempt 1
agent_completed release
decided for validator_gen: retry by Retry on Error
decided for validator_gen: continue
gate/quality = 1000000
Release the generated code? yes
succeeded:
class Order:
    customer: str
    id: int
def check(order):
    assert type(order.customer) is str
    assert type(order.id) is int
";

const QUESTION: &str = "Release the generated code?";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("models", models)?;
    builder.register("validators", validators)?;
    builder.register("release", release)?;
    let engine = builder.start().await?;
    let budget = Budget::sessions(10).within(Duration::from_secs(600)).build()?;
    let config = CoordinationConfig::of_work(work()?, budget)?.with_id("coord-123")?;
    let run = engine.submit(config).await?;

    // The run asks once everything else that the release needs is there.
    let mut events = run.follow().await?;
    while let Some(event) = events.next().await? {
        if &*event.kind == "coordination.asked" {
            break;
        }
    }
    for question in run.questions().await? {
        run.answer(question.id, Answer::Yes, Some("reviewed".to_owned())).await?;
    }
    let ended = run.wait().await?;

    let mut told = String::new();
    tell(&run, &mut told).await?;
    let released = run.output("release").await?.unwrap_or_default();
    write!(told, "{}:\n{}", ended.verdict, released.as_text()?)?;
    engine.close().await?;

    print!("{told}");
    assert_eq!(told, TOLD);
    Ok(())
}

fn work() -> Result<Vec<WorkSpec>, Box<dyn std::error::Error>> {
    let contract = json!({ "agent_assignment": {
        "objective": "Generate models",
        "input_data": { "name": "Order", "fields": { "id": "int", "customer": "str" } },
    } });
    let contract = JsonText::new(contract.to_string())?;
    let done = SignalNeed::new("agent_completed".parse()?).about("model_gen".parse()?);
    let good = KeyCondition::AtLeast(millionths("0.9")?);
    Ok(vec![
        // Its sessions score the gate by a score of the same name.
        WorkSpec::function("model_gen", "models")?
            .with_context(contract.clone())
            .may_score("quality")?,
        WorkSpec::function("validator_gen", "validators")?
            .with_context(contract)
            .with_need(Need::from(done))
            .with_need(Need::from(KeyNeed::new(gate_key("quality")?, good)))
            .within(Duration::from_secs(120)),
        WorkSpec::function("release", "release")?
            .needs_work("model_gen")?
            .needs_work("validator_gen")?
            .with_need(Need::Approval(QUESTION.to_owned())),
    ])
}

async fn models(session: SessionContext) -> SessionResult {
    let contract = contract_of(&session).await?;
    let fields: Vec<String> =
        contract.fields.iter().map(|(name, kind)| format!("    {name}: {kind}\n")).collect();
    let typed = contract.fields.iter().filter(|(_, kind)| !kind.is_empty()).count();
    let quality = GATE_SCALE * i64::try_from(typed)? / i64::try_from(fields.len())?;
    let code = format!("class {}:\n{}", contract.name, fields.concat());
    Ok(Output::text(code).with_score("quality", quality))
}

/// Forgets a field in its first attempt, which a rule finds.
async fn validators(session: SessionContext) -> SessionResult {
    let contract = contract_of(&session).await?;
    let checked = contract.fields.iter().skip(usize::from(session.attempt() == 1));
    let checks: Vec<String> =
        checked.map(|(name, kind)| format!("    assert type(order.{name}) is {kind}\n")).collect();
    let state = json!({ "error_count": contract.fields.len() - checks.len() });
    let routed = rules()?.route(&state, RoutingContext::new("validator_gen")?)?;
    let code = format!("def check(order):\n{}", checks.concat());
    Ok(Output::text(code).routed(&routed.result))
}

async fn release(session: SessionContext) -> SessionResult {
    let mut code = String::new();
    for part in ["model_gen", "validator_gen"] {
        code.push_str(session.output_of(part).await?.unwrap_or_default().as_text()?);
    }
    Ok(Output::text(code))
}

fn rules() -> Result<SmartRoutingOrchestrator, Failed> {
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
    Ok(routing)
}

/// What the context of an agent says of the contract: a name, and fields with their types.
struct Contract {
    name: String,
    fields: Vec<(String, String)>,
}

async fn contract_of(session: &SessionContext) -> Result<Contract, Failed> {
    let context = session.context().await?.ok_or_else(|| Failed::because("no context"))?;
    let context: Value = serde_json::from_str(context.as_str())?;
    let given = &context["agent_assignment"]["input_data"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fields = given["fields"].as_object().into_iter().flatten();
    let fields = fields.map(|(name, kind)| (name.clone(), text(kind))).collect();
    Ok(Contract { name: text(&given["name"]), fields })
}

/// Tells what the agents did, what the gate had, what was decided, and who approved.
async fn tell(run: &Run, told: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let mut signals = run.signals(SignalFilter::new(), From::Beginning).await?;
    while let Some(signal) = signals.next().await? {
        let attempt = &signal.json()?["attempt"];
        match attempt.is_null() {
            true => writeln!(told, "{} {}", signal.kind, signal.from)?,
            false => writeln!(told, "{} {}, attempt {attempt}", signal.kind, signal.from)?,
        }
    }
    let Some(receipt) = run.receipt().await? else { return Ok(()) };
    for route in receipt.routes.iter().flat_map(|taken| &taken.routes) {
        let rule = route.rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
        writeln!(told, "decided for {}: {}{rule}", route.work_id, route.decision.as_str())?;
    }
    for key in run.keys("gate/", None, 10).await? {
        writeln!(told, "{} = {}", key.key, key.value.as_str())?;
    }
    for question in run.questions().await? {
        let answer = question.state.answer.map(|given| given.answer.as_str()).unwrap_or_default();
        writeln!(told, "{} {answer}", question.state.text)?;
    }
    Ok(())
}
