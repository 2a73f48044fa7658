//! What pruning erases of runs that have ended, and what stays for those that are kept.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::path::Path;

use antiphon::coordination::WorkStage;
use antiphon::ledger::Location;
use antiphon::ledger::verify::Scope;
use antiphon::prune::{PruneError, PruneRequest, Pruned};
use antiphon::{
    CoordinationBudget, CoordinationConfig, Digest, Engine, Forerunner, Output, Reused, Run,
    SessionContext, Submission, WorkSpec,
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// An engine with functions that put out a text, put out their input, and never end.
async fn engine(dir: &Path) -> Result<Engine> {
    let mut builder = Engine::builder(dir)?;
    builder.register("write", |_: SessionContext| async { Ok(Output::text("written")) })?;
    builder.register("echo", |session: SessionContext| async move {
        let input = session.input().await?.unwrap_or_default();
        Ok(Output::text(String::from_utf8_lossy(&input)))
    })?;
    builder.register("hang", |_: SessionContext| std::future::pending())?;
    let inner = CoordinationConfig::of_work(vec![item("c", "write")], budget())?;
    builder.register_plan("inner", inner)?;
    Ok(builder.start().await?)
}

fn budget() -> CoordinationBudget {
    CoordinationBudget::new(10, 600_000, 1_000, None).unwrap()
}

fn config(id: &str, work: Vec<WorkSpec>) -> CoordinationConfig {
    CoordinationConfig::of_work(work, budget()).unwrap().with_id(id).unwrap()
}

fn item(id: &str, function: &str) -> WorkSpec {
    WorkSpec::function(id, function).unwrap()
}

async fn ended(engine: &Engine, submission: impl Into<Submission>) -> Result<(Run, Forerunner)> {
    let run = engine.submit(submission).await?;
    run.wait().await?;
    let forerunner = run.forerunner().await?.ok_or("it has ended")?;
    Ok((run, forerunner))
}

fn keep(keep: usize) -> PruneRequest {
    PruneRequest { keep: Some(keep), ..PruneRequest::default() }
}

fn names(pruned: &Pruned) -> Vec<&str> {
    pruned.runs.iter().map(antiphon::CoordinationId::as_str).collect()
}

/// A retry of a run that takes its only item over.
fn retry(id: &str, forerunner: Forerunner) -> CoordinationConfig {
    let output = Some(Digest::of(b"written"));
    let reused = Reused {
        from: forerunner.coordination.clone(),
        work: None,
        output,
        files: None,
        session: None,
    };
    let work = vec![item("a", "write").reused(reused), item("b", "write")];
    config(id, work).retrying(forerunner)
}

#[tokio::test]
async fn a_run_that_a_kept_one_has_taken_over_from_stays_unless_it_is_asked_for() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = engine(dir.path()).await?;
    let (_, first) = ended(&engine, config("x", vec![item("a", "write")])).await?;
    let (_, second) = ended(&engine, retry("x@2", first)).await?;
    let (third, _) = ended(&engine, retry("x@3", second)).await?;

    let pruned = engine.prune(keep(1)).await?;
    assert_eq!(names(&pruned), <[&str; 0]>::default());
    let needed: Vec<_> = pruned.needed.iter().map(|id| id.as_str()).collect();
    assert_eq!(needed, ["x", "x@2"], "also what a run has taken over from that stays for another");

    let pruned = engine.prune(PruneRequest { forerunners: true, ..keep(1) }).await?;
    assert_eq!(names(&pruned), ["x", "x@2"]);
    assert_eq!(
        third.output("a").await?,
        Some(Output::text("written")),
        "it is named by what stays"
    );
    engine.close().await?;
    let report = Location::directory(dir.path()).verify(&Scope::Ledger)?;
    assert!(report.is_sound(), "{report}");
    assert!(
        report.to_string().contains("`coordination/x@3`: forerunner pruned: x@2\n"),
        "{report}"
    );
    let one = Location::directory(dir.path()).verify(&Scope::Coordination("x@3".parse()?))?;
    assert_eq!(
        one.to_string().lines().skip(1).collect::<Vec<_>>(),
        [
            "1 receipt rebuilt, 6 payloads erased",
            "forerunners verified: x@2, x",
            "`coordination/x@2`: not rebuildable: 3 erased",
            "`coordination/x`: not rebuildable: 3 erased",
            "`coordination/x@3`: forerunner pruned: x@2",
            "`coordination/x@2`: forerunner pruned: x",
            "sound"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn what_runs_stays_with_what_it_is_made_of_and_goes_on() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = engine(dir.path()).await?;
    let with_input = |id: &str, function: &str| {
        let item = item("a", function).with_input(Digest::of(b"shared"));
        Submission::new(config(id, vec![item])).with_input("shared")
    };
    ended(&engine, with_input("done", "write")).await?;
    let running = engine.submit(with_input("running", "hang")).await?;
    ended(&engine, config("nested", vec![WorkSpec::plan("n", "inner")?])).await?;

    let pruned = engine.prune(keep(0)).await?;
    assert_eq!((names(&pruned), pruned.nested), (vec!["done", "nested"], 1));
    assert_eq!(engine.blob(Digest::of(b"shared")).await?.as_deref(), Some(&b"shared"[..]));
    let stages = async || -> Result<Vec<WorkStage>> {
        Ok(running.items().await?.iter().map(|item| item.stage).collect())
    };
    assert_eq!(stages().await?, [WorkStage::Running]);
    running.cancel("").await?;
    running.wait().await?;
    assert_eq!(stages().await?, [WorkStage::Unfinished], "they are read again after an event");
    assert_eq!(names(&engine.prune(keep(0)).await?), ["running"]);
    assert_eq!(stages().await?, [], "and after an erasure");
    assert_eq!(engine.blob(Digest::of(b"shared")).await?, None);
    // What was erased may come again.
    let (again, _) = ended(&engine, with_input("again", "write")).await?;
    assert_eq!(again.output("a").await?, Some(Output::text("written")));
    engine.close().await?;
    let report = Location::directory(dir.path()).verify(&Scope::Ledger)?;
    assert!(report.is_sound(), "{report}");
    Ok(())
}

#[tokio::test]
async fn runs_that_start_and_end_while_others_are_pruned_lose_nothing() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = engine(dir.path()).await?;
    let text = |n: usize| format!("text {n}");
    let submission = |id: &str, n: usize| {
        let item = item("a", "echo").with_input(Digest::of(text(n).as_bytes()));
        Submission::new(config(&format!("{id}{n}"), vec![item])).with_input(text(n))
    };
    for n in 0..300 {
        ended(&engine, submission("old", n)).await?;
    }
    let pruning = tokio::spawn({
        let engine = engine.clone();
        async move { engine.prune(keep(0)).await }
    });
    // Each new run names the blobs of an old one; those that go last come first.
    let mut new = Vec::new();
    for n in (0..300).rev() {
        if pruning.is_finished() {
            break;
        }
        new.push((n, ended(&engine, submission("new", n)).await?.0));
    }
    let pruned = pruning.await??;
    assert!(pruned.runs.len() >= 300, "{}", pruned.runs.len());
    // One that had ended before the look may have gone too.
    new.retain(|(n, _)| !names(&pruned).contains(&format!("new{n}").as_str()));
    assert!(!new.is_empty(), "none came meanwhile");
    for (n, run) in new {
        assert_eq!(run.output("a").await?, Some(Output::text(text(n))));
        assert_eq!(engine.blob(Digest::of(text(n).as_bytes())).await?, Some(text(n).into_bytes()));
    }
    engine.close().await?;
    let report = Location::directory(dir.path()).verify(&Scope::Ledger)?;
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.blobs_erased, 0, "nothing that stays names what is gone: {report}");
    Ok(())
}

#[tokio::test]
async fn a_request_that_limits_nothing_is_refused() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = engine(dir.path()).await?;
    ended(&engine, config("x", vec![item("a", "write")])).await?;
    let refused = engine.prune(PruneRequest { forerunners: true, ..PruneRequest::default() }).await;
    assert!(matches!(refused, Err(PruneError::Unlimited)), "{refused:?}");
    engine.close().await?;
    Ok(())
}
