//! What a program that embeds the engine can say, and what it is answered.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use antiphon::Digest;
use antiphon::Stage;
use antiphon::ledger::ReadError;
use antiphon::{
    Addition, AskError, Engine, EngineBuilder, EraseError, Failed, Output, OutputError, QueryError,
    ReaderError, ReceiptError, RegisterError, SessionContext, StartError, Submission, SubmitError,
    Submitted, Unavailable,
};
use antiphon::{
    CoordinationBudget, CoordinationConfig, Ending, Raise, StopCondition, Verdict, WorkItemOutcome,
    WorkSpec,
};
use antiphon::{IdError, Version};
use futures_core::Stream;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn budget() -> CoordinationBudget {
    CoordinationBudget::new(1_000, 600_000, 1_000, None).unwrap()
}

fn item(id: &str) -> WorkSpec {
    WorkSpec::function(id, "work").unwrap()
}

fn with_input(id: &str, input: &str) -> WorkSpec {
    item(id).with_input(Digest::of(input.as_bytes()))
}

fn inbox() -> CoordinationConfig {
    CoordinationConfig::open(Vec::new(), budget()).unwrap().with_id("inbox").unwrap()
}

/// A function that repeats its input, and fails without one.
fn builder(dir: &Path) -> EngineBuilder {
    let mut builder = Engine::builder(dir.join("state")).unwrap();
    let work = |session: SessionContext| async move {
        let input = session.input().await?.ok_or_else(|| Failed::because("there is no input"))?;
        Ok(Output::bytes(input))
    };
    builder.register("work", work).unwrap();
    builder
}

#[tokio::test]
async fn a_name_that_is_bad_or_taken_is_not_registered() -> Result {
    let dir = tempfile::tempdir()?;
    let mut builder = builder(dir.path());
    let done = |_| async { Ok(Output::none()) };
    let told = |error: RegisterError| error.to_string();
    assert_eq!(
        builder.register("work", done).unwrap_err(),
        RegisterError::Taken { name: "work".parse()? }
    );
    assert_eq!(
        builder.register("", done).map(drop).map_err(told),
        Err("the runner name is empty; give it at least one character".to_owned()),
    );
    let plan = CoordinationConfig::of_work(vec![item("a")], budget())?;
    builder.register_plan("work", plan.clone())?; // functions and plans have names of their own
    assert_eq!(
        builder.register_plan("work", plan).map(drop).map_err(told),
        Err("\"work\" is registered already; give each function, and each plan, its own name"
            .to_owned())
    );
    Ok(())
}

#[tokio::test]
async fn a_submission_whose_input_nobody_handed_in_is_refused() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = builder(dir.path()).start().await?;
    let config = || {
        let work = vec![with_input("a", "hello"), with_input("b", "world")];
        CoordinationConfig::of_work(work, budget()).unwrap().with_id("greeting").unwrap()
    };
    let half = Submission::new(config()).with_input("hello");
    let refused = engine.submit(half).await.unwrap_err();
    assert!(matches!(&refused, SubmitError::InputMissing { work, .. } if *work == "b"));
    assert_eq!(
        refused.to_string(),
        format!(
            "item b names input {}, which was not supplied; submit it with the work",
            Digest::of(b"world")
        )
    );
    let unknown = engine.run("greeting")?.status().await.unwrap_err();
    assert!(matches!(unknown, QueryError::UnknownRun { .. }), "nothing was recorded");

    let whole = || Submission::new(config()).with_inputs(["hello", "world"]);
    assert!(matches!(engine.submit_or_find(whole()).await?, Submitted::New(_)));
    engine.run("greeting")?.wait().await?;
    // What is in the ledger already need not be handed in again.
    assert!(matches!(engine.submit_or_find(config()).await?, Submitted::Existing(_)));
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn work_added_late_brings_its_input() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = builder(dir.path()).start().await?;
    let run = engine.submit(inbox()).await?;
    let late = || Addition::new([with_input("late", "hello")]);
    let refused = run.add_work(late()).await.unwrap_err();
    assert!(matches!(refused, SubmitError::InputMissing { .. }), "{refused}");
    run.add_work(late().with_input("hello")).await?;
    run.close("no more").await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    assert_eq!(run.output("late").await?, Some(Output::text("hello")));
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn an_end_tells_how_it_went_and_its_receipt_what_became_of_each_item() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = builder(dir.path()).start().await?;
    let work = vec![with_input("has", "hello"), item("has-none").with_attempts(2)];
    let config = CoordinationConfig::of_work(work, budget())?;
    let run = engine.submit(Submission::new(config).with_input("hello")).await?;
    let ended = run.wait().await?;
    assert_eq!(
        (&ended.run, ended.verdict, &ended.ending),
        (run.id(), Verdict::Partial, &Ending::Completed(StopCondition::AllWorkCompleted))
    );
    assert_eq!((ended.usage.consumed_episodes(), ended.counts.work_failed), (3, 1));
    assert_eq!(run.wait().await?, ended, "also from the record");
    let status = run.status().await?;
    assert_eq!((status.stage, status.summary.work), (Stage::Ended(Verdict::Partial), 2));
    let receipt = run.receipt().await?.unwrap();
    assert_eq!(receipt.compute_hash(), ended.receipt);
    let outcomes: Vec<_> = receipt
        .work_outcomes
        .iter()
        .map(|item| (item.work_id.as_str(), item.attempts, item.final_outcome.clone().unwrap()))
        .collect();
    let expected =
        [("has", 1, WorkItemOutcome::Succeeded), ("has-none", 2, WorkItemOutcome::Failed)];
    assert_eq!(outcomes, expected);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_raise_is_one_command_to_a_total_or_by_an_amount_and_counts_once() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = builder(dir.path()).start().await?;
    let run = engine.submit(inbox()).await?;
    run.pause("to raise it").await?;
    let more = Raise::new().more_sessions(5).within(Duration::from_secs(1_200));
    let first = run.once("raise-1")?.unpause_with(more.clone()).await?;
    assert_eq!(run.once("raise-1")?.unpause_with(more).await?, first);
    let lower = run.raise(Raise::new().sessions(1)).await.unwrap_err();
    assert_eq!(
        lower.to_string(),
        "the ceiling on sessions is 1005, and 1 is lower; a ceiling can only be raised"
    );
    let none = run.raise(Raise::new().more_tokens(1)).await.unwrap_err();
    assert_eq!(none.to_string(), "the budget has no ceiling on tokens to raise");
    run.close("done").await?;
    run.wait().await?;
    assert_eq!(run.once("raise-1")?.unpause().await?, first, "also once it has ended");
    let raised = CoordinationBudget::new(1_005, 1_200_000, 1_000, None)?;
    assert_eq!(run.receipt().await?.unwrap().budget_ceiling, raised);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn an_engine_is_closed_once_for_all_its_clones() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = builder(dir.path()).start().await?;
    let run = engine.submit(inbox()).await?;
    let clone = engine.clone();
    let (first, second) = tokio::join!(engine.close(), clone.close());
    first?;
    second?;
    engine.close().await?;
    assert!(matches!(run.pause("").await, Err(AskError::Unavailable(Unavailable::Stopped))));
    // The ledger is free, though the clones are still there.
    let again = Engine::open(dir.path().join("state")).await?;
    assert_eq!(again.run("inbox")?.status().await?.stage, Stage::Running);
    again.close().await?;
    drop((engine, clone));
    Ok(())
}

#[tokio::test]
async fn a_subscription_is_a_stream_of_decoded_events() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = builder(dir.path()).start().await?;
    let run = engine.submit(inbox()).await?;
    let mut events = run.follow().await?;
    let following = tokio::spawn(async move {
        let mut kinds = Vec::new();
        while let Some(event) = poll_fn(|context| Pin::new(&mut events).poll_next(context)).await {
            kinds.push(event.unwrap().event().unwrap().kind());
        }
        kinds
    });
    run.close("done").await?;
    let expected =
        ["coordination.started", "coordination.stop_requested", "coordination.completed"];
    assert_eq!(following.await?, expected);
    let mut rest = run.follow_after(Version(2)).await?;
    assert_eq!(rest.next().await?.unwrap().version, Version(3));
    assert_eq!(rest.next().await?, None);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_run_that_nobody_submitted_and_a_text_that_is_no_id_are_told_apart() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("state")).await?;
    let bad = engine.run("a/b").unwrap_err();
    assert!(matches!(bad, IdError::BadCharacter { found: '/', .. }), "{bad}");
    let unknown = engine.run("unknown")?.wait().await.unwrap_err();
    assert!(matches!(unknown, QueryError::UnknownRun { .. }), "{unknown}");
    engine.close().await?;
    Ok(())
}

#[test]
fn an_error_says_its_cause_once() {
    let cause = || std::io::Error::other("the disk is gone");
    let start = StartError::System { what: "a thread", error: cause() };
    let said = |error: &dyn std::error::Error| {
        std::iter::successors(Some(error), |error| error.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(said(&start), ["the system refused a thread: the disk is gone"]);
    let fault = || Unavailable::from(ReadError::Absent { dir: "gone".into() });
    let read = ["the ledger could not be read: there is no ledger in gone"];
    assert_eq!(said(&fault()), read);
    assert_eq!(said(&SubmitError::from(fault())), read);
    assert_eq!(said(&AskError::from(fault())), read);
    assert_eq!(said(&QueryError::from(fault())), read);
    assert_eq!(said(&ReceiptError::from(QueryError::from(fault()))), read);
    assert_eq!(said(&ReaderError::from(QueryError::from(fault()))), read);
    assert_eq!(said(&EraseError::from(fault())), read);
    let json = serde_json::from_str::<u8>("x").unwrap_err();
    let text = json.to_string();
    let output = OutputError::NotJson { source: std::sync::Arc::new(json) };
    assert_eq!(said(&output), ["the output is not the JSON that was expected", &*text]);
}

#[test]
fn an_output_is_read_as_bytes_text_or_json() -> Result {
    let numbers = Output::of_json(&[1, 2])?;
    assert_eq!((numbers.as_bytes(), numbers.as_text()?), (Some(&b"[1,2]"[..]), "[1,2]"));
    assert_eq!(numbers.json::<Vec<u8>>()?, [1, 2]);
    assert!(matches!(numbers.json::<String>(), Err(OutputError::NotJson { .. })));
    assert!(matches!(Output::none().json::<()>(), Err(OutputError::Empty)));
    assert_eq!((Output::none().as_bytes(), Output::none().as_text()?), (None, ""));
    assert!(Output::bytes([0xff]).as_text().is_err());
    assert_eq!(Output::text("rows").with_note("42").note(), Some("42"));
    Ok(())
}
