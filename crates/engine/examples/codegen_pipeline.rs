//! From a contract to tested code: models and validators are generated side by side, one generator
//! fails once and is retried, the tests need both. Ends with a receipt that is checked.
//!
//! Run it with `cargo run --release --example codegen_pipeline`; kill it with `kill -9` in the
//! middle and run it again: it goes on where it stopped.

use std::time::Duration;

use antiphon::{Backoff, CoordinationBudget, CoordinationConfig, Verdict, WorkSpec};
use antiphon::{Engine, Failed, Output, SessionContext, Submission};

/// The contract: a name and its fields, each with a type.
const CONTRACT: &str = "Order: id u64, customer String, total_cents u64";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args()
        .nth(1)
        .map_or_else(|| std::env::temp_dir().join("antiphon-codegen"), Into::into);
    let mut setup = Engine::builder(&dir)?;
    setup.register("models", |session: SessionContext| async move {
        let contract = contract_of(&session).await?;
        let (name, fields) = parse(&contract)?;
        let lines: String =
            fields.iter().map(|(field, kind)| format!("    pub {field}: {kind},\n")).collect();
        Ok(Output::text(format!("pub struct {name} {{\n{lines}}}\n")))
    })?;
    setup.register("validators", |session: SessionContext| async move {
        if session.attempt() == 1 {
            return Err(Failed::because("the generator gave up half-way"));
        }
        let contract = contract_of(&session).await?;
        let (name, fields) = parse(&contract)?;
        let lines: String = fields
            .iter()
            .filter(|(_, kind)| *kind == "String")
            .map(|(field, _)| {
                format!("    if value.{field}.is_empty() {{ return Err(\"{field} is empty\"); }}\n")
            })
            .collect();
        Ok(Output::text(format!(
            "pub fn check(value: &{name}) -> Result<(), &'static str> {{\n{lines}    Ok(())\n}}\n"
        )))
    })?;
    setup.register("tests", |session: SessionContext| async move {
        let mut code = String::new();
        for part in ["models", "validators"] {
            let output = session
                .output_of(part)
                .await?
                .ok_or_else(|| Failed::because(format!("{part} left nothing")))?;
            code.push_str(output.as_text()?);
        }
        let balanced = code.matches('{').count() == code.matches('}').count();
        let whole = code.contains("pub struct Order") && code.contains("customer is empty");
        if balanced && whole {
            Ok(Output::text(code))
        } else {
            Err(Failed::because("the generated code does not hold together"))
        }
    })?;
    let engine = setup.start().await?;

    let input = antiphon::Digest::of(CONTRACT.as_bytes());
    let generate = |id: &str| WorkSpec::function(id, id).map(|work| work.with_input(input));
    let work = vec![
        generate("models")?,
        generate("validators")?.with_backoff(Backoff::new(
            Duration::from_millis(50),
            2,
            Duration::from_secs(1),
        )),
        WorkSpec::function("tests", "tests")?
            .needs_work("models")?
            .needs_work("validators")?
            .critical(),
    ];
    let budget = CoordinationBudget::new(10, 60_000, 1_000, None)?;
    let config =
        CoordinationConfig::of_work(work, budget)?.with_name("codegen").with_concurrency(2)?;
    let run = engine.submit(Submission::new(config).with_input(CONTRACT)).await?;

    let mut events = run.follow().await?;
    while let Some(event) = events.next().await? {
        println!("{:>3} {}", event.version, event.kind);
    }
    let ended = run.wait().await?;
    let code = run.output("tests").await?;
    engine.close().await?;
    println!("\n{} {}, receipt {}", run.id(), ended.verdict, ended.receipt);
    assert_eq!(ended.verdict, Verdict::Succeeded);
    assert!(code.is_some());
    Ok(())
}

async fn contract_of(session: &SessionContext) -> Result<String, Failed> {
    let input = session.input().await?.ok_or_else(|| Failed::because("there is no contract"))?;
    Ok(String::from_utf8(input)?)
}

/// A field's name and type.
type Field<'a> = (&'a str, &'a str);

/// Splits `Name: field Type, field Type`.
fn parse(contract: &str) -> Result<(&str, Vec<Field<'_>>), Failed> {
    let (name, fields) =
        contract.split_once(':').ok_or_else(|| Failed::because("the contract has no name"))?;
    let fields: Option<Vec<_>> =
        fields.split(',').map(|field| field.trim().split_once(' ')).collect();
    Ok((name, fields.ok_or_else(|| Failed::because("a field of the contract has no type"))?))
}
