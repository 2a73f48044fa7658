//! Runs that take over what an earlier one carried out.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::path::Path;

use antiphon::{
    Blocked, CoordinationBudget, CoordinationConfig, Digest, Engine, Failed, Forerunner, Output,
    Reused, Run, SessionContext, SubmitError, Verdict, Version, WorkSpec,
};

use antiphon::retry::{Asked, EarlierItem, EarlierRun, Retry};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// An engine with functions that put out a text, pass on the output of `a`, and fail.
async fn engine(dir: &Path) -> Result<Engine> {
    let mut builder = Engine::builder(dir.join("state"))?;
    builder.register("write", |_: SessionContext| async { Ok(Output::text("written")) })?;
    builder.register("hang", |_: SessionContext| std::future::pending())?;
    builder.register("fail", |_: SessionContext| async { Err(Failed::because("no")) })?;
    builder.register("pass", |session: SessionContext| async move {
        let output = session.output_of("a").await?;
        Ok(output.unwrap_or_else(|| Output::text("nothing")))
    })?;
    Ok(builder.start().await?)
}

fn config(id: &str, work: Vec<WorkSpec>) -> CoordinationConfig {
    let budget = CoordinationBudget::new(10, 600_000, 1_000, None).unwrap();
    let config = CoordinationConfig::of_work(work, budget).unwrap().with_max_attempts(1).unwrap();
    config.with_id(id).unwrap()
}

fn item(id: &str, function: &str) -> WorkSpec {
    WorkSpec::function(id, function).unwrap()
}

fn taken(from: &Forerunner, id: &str, output: Option<&str>) -> WorkSpec {
    let output = output.map(|text| Digest::of(text.as_bytes()));
    item(id, "fail").reused(Reused {
        from: from.coordination.clone(),
        work: None,
        output,
        files: None,
        session: None,
    })
}

async fn ended(engine: &Engine, config: CoordinationConfig) -> Result<(Run, Forerunner)> {
    let run = engine.submit(config).await?;
    run.wait().await?;
    let forerunner = run.forerunner().await?.ok_or("it has ended")?;
    Ok((run, forerunner))
}

#[tokio::test]
async fn what_needs_an_item_that_was_taken_over_gets_its_output() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = engine(dir.path()).await?;
    let work = vec![item("a", "write"), item("b", "fail").needs_work("a")?];
    let (first, x) = ended(&engine, config("x", work)).await?;
    assert_eq!(first.wait().await?.verdict, Verdict::Partial);

    let work = vec![taken(&x, "a", Some("written")), item("b", "fail").needs_work("a")?];
    let (second, again) = ended(&engine, config("x@2", work).retrying(x)).await?;
    let work = vec![taken(&again, "a", Some("written")), item("b", "pass").needs_work("a")?];
    let (third, _) = ended(&engine, config("x@3", work).retrying(again.clone())).await?;
    assert_eq!(third.output("b").await?, Some(Output::text("written")));
    // Told by the run that carried it out.
    assert_eq!(third.output("a").await?, Some(Output::text("written")));
    assert_eq!(second.output("a").await?, Some(Output::text("written")));
    let end = third.wait().await?;
    assert_eq!(
        (end.verdict, end.usage.consumed_episodes(), end.counts.work_succeeded),
        (Verdict::Succeeded, 1, 2)
    );
    assert_eq!(third.status().await?.summary.totals.work_reused, 1);
    let receipt = third.receipt().await?.ok_or("it has ended")?;
    assert_eq!(receipt.reused.map(|reused| reused.forerunner), Some(again));
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn only_a_run_that_has_ended_is_retried_and_only_with_outputs_that_are_there() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = engine(dir.path()).await?;
    let (_, x) = ended(&engine, config("x", vec![item("a", "write")])).await?;
    let running = engine.submit(config("running", vec![item("a", "hang")])).await?;
    assert_eq!(running.forerunner().await?, None);

    let refused = |named: Forerunner, output: &str| {
        let work = vec![taken(&named, "a", Some(output))];
        let engine = &engine;
        async move { engine.submit(config("again", work).retrying(named)).await.unwrap_err() }
    };
    let others = [
        Forerunner { coordination: "running".parse()?, ..x.clone() },
        Forerunner { coordination: "nowhere".parse()?, ..x.clone() },
        Forerunner { version: Version(1), ..x.clone() },
    ];
    for other in others {
        let run = other.coordination.clone();
        assert_eq!(
            refused(other, "written").await.to_string(),
            format!(
                "run {run}, which is to be retried, has not ended as was said; wait for its end, \
                 or continue it with `antiphon resume {run}`"
            )
        );
    }
    let gone = refused(x, "something else").await;
    assert!(matches!(gone, SubmitError::OutputMissing { .. }), "{gone}");
    running.cancel("").await?;
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn why_of_an_item_names_the_run_that_it_was_taken_over_from() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = engine(dir.path()).await?;
    let (_, x) = ended(&engine, config("x", vec![item("a", "write")])).await?;
    let work = vec![taken(&x, "a", None), item("b", "hang")];
    let run = engine.submit(config("x@2", work).retrying(x)).await?;
    let why = run.why("a").await?;
    assert_eq!(why, [Blocked::TakenOver { from: "x".parse()?, work: "a".parse()?, session: None }]);
    run.cancel("").await?;
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_run_that_has_ended_is_retried_from_what_it_recorded() -> Result {
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("write", |_: SessionContext| async { Ok(Output::text("written")) })?;
    builder.register("fail", |_: SessionContext| async { Err(Failed::because("no")) })?;
    let inner = config("inner", vec![item("c", "write"), item("d", "fail")]);
    builder.register_plan("inner", inner)?;
    let engine = builder.start().await?;
    let work = vec![
        item("a", "write"),
        item("b", "fail"),
        item("e", "write").needs_work("b")?,
        WorkSpec::plan("n", "inner")?,
    ];
    let (run, x) = ended(&engine, config("x", work.clone())).await?;
    let earlier = run.earlier().await?.ok_or("it has ended")?;
    assert_eq!((&earlier.forerunner, earlier.below.len()), (&x, 1));
    let told = |run: &EarlierRun| -> Vec<String> {
        let word = |item: &EarlierItem| item.outcome.as_ref().map_or("none", |end| end.as_str());
        run.items.iter().map(|item| format!("{} {}", item.spec.id, word(item))).collect()
    };
    assert_eq!(told(&earlier), ["a succeeded", "b failed", "e skipped", "n failed"]);
    assert_eq!(earlier.items[0].output, Some(Digest::of(b"written")));
    let below = &earlier.below["n"];
    assert_eq!(told(below), ["c succeeded", "d failed"]);
    assert_eq!(below.forerunner.coordination.as_str(), "x.3");

    let asked = Asked::default();
    let blob = |_: &Digest| None;
    let retry =
        Retry { earlier: &earlier, work: &work, asked: &asked, only_failed: false, blob: &blob };
    let retry = retry.compose();
    let (again, _) = ended(&engine, config("x@2", retry.work).retrying(x)).await?;
    let earlier = again.earlier().await?.ok_or("it has ended")?;
    assert_eq!(told(&earlier), ["a succeeded", "b failed", "e skipped", "n failed"]);
    assert_eq!(earlier.items[0].output, Some(Digest::of(b"written")));
    let end = again.wait().await?;
    assert_eq!((end.counts.work_reused, end.counts.work_succeeded), (1, 1));
    engine.close().await?;
    Ok(())
}
