//! A compiled plan is what the engine takes: run here by functions that fill its commands in, and put out what they were given.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon::coordination::{Capability, Need, Verdict};
use antiphon::ledger::MemoryStore;
use antiphon::plan::{CommandSpec, Environment, Plan};
use antiphon::{Engine, Failed, Output, SessionContext, SessionResult};
use serde_json::json;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Puts out what the command would have been.
async fn carry_out(session: SessionContext) -> SessionResult {
    let spec = CommandSpec::from_bytes(&session.input().await?.unwrap())?;
    let mut outputs = BTreeMap::new();
    for need in &session.spec().needs {
        let Need::Work(work) = need else { continue };
        if let Some(output) = session.output_of(work.as_str()).await? {
            outputs.insert(work.clone(), output);
        }
    }
    let filled = spec.fill(&outputs)?;
    if filled.argv == ["fail"] {
        return Err(Failed::because("as it was told"));
    }
    let result = json!({ "line": filled.argv.join(" ") });
    let output = spec.session_output(Some(&result), |_| true)?;
    Ok(Output::bytes(output.unwrap_or_default()))
}

#[tokio::test]
async fn a_compiled_plan_runs_with_its_outputs_matrices_and_nested_plans() -> Result {
    let dir = tempfile::tempdir()?;
    let inner = "name: inner\nbudget: { sessions: 2, duration: 1m }\nwork: { a: { command: [inner] } }\n";
    std::fs::write(dir.path().join("inner.yaml"), inner)?;
    let path = dir.path().join("plan.yaml");
    std::fs::write(
        &path,
        "name: outer
budget: { sessions: 20, duration: 10m, tokens: 10k }
concurrency: 2
runners: { say: { command: [say, '{{what}}'], usage: result } }
work:
  first: { runner: say, what: hello there, output: [line] }
  grid: { command: [cell, '{{x}}{{y}}', '{{first.output.line}}'], matrix: { x: [a, b], y: [1, 2] }, needs: [first], output: [line] }
  bad: { command: [fail], retry: { attempts: 2 }, on_failure: continue }
  below: { plan: inner.yaml }
  last: { command: [last, '{{grid[b,1].output.line}}', '{{some.output.line}}'], needs: [grid, bad, below, some], critical: true }
  some: { command: ['{{how}}'], matrix: { how: [go, fail] }, on_failure: continue, output: [line], retry: { attempts: 1 } }
",
    )?;
    let compiled = Plan::read(&path).unwrap_or_else(|problems| panic!("{problems}")).compile(&Environment::Unknown)?;

    let mut setup = Engine::open_store(Arc::new(MemoryStore::default()))?;
    let reporting = Capability { reports_tokens: true, reports_cost: true, sessions: None };
    setup.register("process", carry_out);
    setup.register_reporting("process.reporting", reporting, carry_out);
    for (name, config) in compiled.nested {
        setup.register_plan(name.as_str(), config);
    }
    let engine = setup.start().await?;
    let id = engine.submit_with(compiled.config, compiled.blobs).await?;
    let ended = engine.wait(&id).await?;
    let output = engine.output(&id, "last").await?;
    assert_eq!(
        output,
        Some(Output::bytes(r#"{"line":"last cell b1 say hello there {\"some[fail]\":null,\"some[go]\":\"go\"}"}"#))
    );
    assert_eq!(ended.verdict, Verdict::Partial, "items failed, and none that is critical");
    engine.close().await?;
    Ok(())
}
