//! What agents are given to go by: each its own copy, what they share updated for all of them at once.
//! A session finds its context as it was when the session began.
//!
//! Run it with `cargo run --example contexts`.

use std::fmt::Write;
use std::time::Duration;

use antiphon::contexts::IntelligenceUpdate;
use antiphon::{
    Budget, CoordinationConfig, Engine, Failed, Output, Run, SessionContext, Verdict, WorkSpec,
};
use serde_json::{Value, json};

/// What it prints.
const TOLD: &str = "\
model_generator, version 1: Generate models from the contract
    tasks [\"parse_contract\",\"generate_models\"], dependencies []
    names {}
validator_generator, version 1: Generate validators
    tasks [\"generate_validators\"], dependencies [\"model_generator\"]
    names {}
after an update:
model_generator, version 2: Generate models from the contract
    tasks [\"parse_contract\",\"generate_models\"], dependencies []
    names {\"class\":\"PascalCase\"}
validator_generator, version 2: Generate validators
    tasks [\"generate_validators\"], dependencies [\"model_generator\"]
    names {\"class\":\"PascalCase\"}
refused: the context of test_generator cannot be used: \
/resource_allocation/quality_threshold must be a number from 0 to 1
model_generator generated class OrderLine from ./contract.yaml
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("models", |session: SessionContext| async move {
        let context = session.context().await?.ok_or_else(|| Failed::because("no context"))?;
        let context: Value = serde_json::from_str(context.as_str())?;
        let contract = &context["agent_assignment"]["input_data"]["contract_path"];
        let contract = contract.as_str().ok_or_else(|| Failed::because("no contract"))?;
        let class = match context["shared_intelligence"]["naming_conventions"]["class"].as_str() {
            Some("PascalCase") => "OrderLine",
            _ => "order_line",
        };
        Ok(Output::text(format!("class {class} from {contract}")))
    })?;
    let engine = builder.start().await?;
    let budget = Budget::sessions(10).within(Duration::from_secs(60)).build()?;
    let config = CoordinationConfig::open(Vec::new(), budget)?.with_id("codegen-workflow-1")?;
    let run = engine.submit(config).await?;
    let mut told = String::new();

    // What an assignment does not say is filled in.
    let (models, validators) = ("model_generator".parse()?, "validator_generator".parse()?);
    let contexts = run.contexts();
    let for_models = json!({ "agent_assignment": {
        "objective": "Generate models from the contract",
        "tasks": ["parse_contract", "generate_models"],
        "input_data": { "contract_path": "./contract.yaml" },
    } });
    let for_validators = json!({ "agent_assignment": {
        "objective": "Generate validators",
        "tasks": ["generate_validators"],
        "dependencies": ["model_generator"],
    } });
    contexts.distribute([(models, for_models), (validators, for_validators)]).await?;
    tell(&run, &mut told).await?;

    writeln!(told, "after an update:")?;
    let convention = json!({ "class": "PascalCase" });
    let update = IntelligenceUpdate {
        field: "naming_conventions".to_owned(),
        data: convention.as_object().cloned().unwrap_or_default(),
        agents: None,
        counts: true,
    };
    contexts.update(&update).await?;
    tell(&run, &mut told).await?;

    let unusable = json!({ "resource_allocation": { "quality_threshold": 80 } });
    if let Err(refused) = contexts.distribute([("test_generator".parse()?, unusable)]).await {
        writeln!(told, "refused: {refused}")?;
    }

    // The item speaks as its id, so it is given the context of that name.
    run.add_work(WorkSpec::function("model_generator", "models")?).await?;
    run.close("that is all").await?;
    let ended = run.wait().await?;
    let generated = run.output("model_generator").await?.unwrap_or_default();
    writeln!(told, "model_generator generated {}", generated.as_text()?)?;
    engine.close().await?;

    print!("{told}");
    assert_eq!(told, TOLD);
    assert_eq!(ended.verdict, Verdict::Succeeded);
    Ok(())
}

/// Tells the contexts of all agents of a run.
async fn tell(run: &Run, told: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    for agent in run.contexts().agents().await? {
        let Some(context) = run.contexts().get(&agent).await? else { continue };
        let assignment = &context.members()["agent_assignment"];
        let objective = assignment["objective"].as_str().unwrap_or_default();
        writeln!(told, "{agent}, version {}: {objective}", context.version())?;
        let (tasks, dependencies) = (&assignment["tasks"], &assignment["dependencies"]);
        writeln!(told, "    tasks {tasks}, dependencies {dependencies}")?;
        let names = &context.members()["shared_intelligence"]["naming_conventions"];
        writeln!(told, "    names {names}")?;
    }
    Ok(())
}
