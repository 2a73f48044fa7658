//! Callers that wait for something in a run: how their waits end, and what they leave behind.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::{Duration, Instant};

use antiphon::approvals::Answer;
use antiphon::keys::{JsonText, KeyWrite};
use antiphon::ledger::failing::{FailingStore, Faults};
use antiphon::signals::Signal;
use antiphon::waits::{KeyCondition, KeyNeed, MAX_WAITS, Met, SignalNeed, WaitError, Waited};
use antiphon::{
    Budget, CoordinationConfig, Engine, Failed, Need, Output, QueryError, Run, SessionContext,
    SessionId, SkipReason, Version, WorkItemOutcome, WorkSpec,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
type Waiting = Pin<Box<dyn Future<Output = std::result::Result<Waited, WaitError>> + Send>>;

fn signal(kind: &str) -> Need {
    Need::from(SignalNeed::new(kind.parse().unwrap()))
}

fn from(kind: &str, agent: &str) -> Need {
    Need::from(SignalNeed::new(kind.parse().unwrap()).from(agent.parse().unwrap()))
}

fn item(id: &str) -> Need {
    Need::Work(id.parse().unwrap())
}

fn gate(name: &str, at_least: i64) -> Need {
    let key = format!("gate/{name}").parse().unwrap();
    Need::from(KeyNeed::new(key, KeyCondition::AtLeast(at_least)))
}

fn there(key: &str) -> Need {
    Need::from(KeyNeed::new(key.parse().unwrap(), KeyCondition::Exists))
}

fn set(key: &str, value: i64) -> KeyWrite {
    KeyWrite::set(key.parse().unwrap(), JsonText::new(value.to_string()).unwrap()).unwrap()
}

fn budget() -> Result<antiphon::CoordinationBudget> {
    Ok(Budget::sessions(100).within(Duration::from_secs(600)).build()?)
}

async fn open(engine: &Engine, id: &str) -> Result<Run> {
    Ok(engine.submit(CoordinationConfig::open(Vec::new(), budget()?)?.with_id(id)?).await?)
}

/// A caller that waits: it has been taken in before anything that is asked after this.
async fn waiting(run: &Run, needs: impl IntoIterator<Item = Need>) -> Waiting {
    let (run, needs): (Run, Vec<Need>) = (run.clone(), needs.into_iter().collect());
    let mut wait: Waiting = Box::pin(async move { run.wait_for(needs, None).await });
    assert!(is_pending(&mut wait).await, "it is not met yet");
    wait
}

async fn is_pending(wait: &mut Waiting) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx).is_pending())).await
}

fn met(version: u64) -> Waited {
    Waited::Met(vec![Met::Signal { version: Some(Version(version)) }])
}

#[tokio::test]
async fn a_wait_is_met_by_what_was_there_before_and_by_what_comes() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("state")).await?;
    let run = open(&engine, "run").await?;
    run.signal(Signal::new("built".parse()?).from("builder".parse()?)).await?;
    assert_eq!(run.wait_for([signal("built")], None).await?, met(2));
    assert_eq!(run.wait_for([from("built", "builder")], None).await?, met(2));

    let both = waiting(&run, [from("built", "tester"), gate("coverage", 800_000)]).await;
    let other = waiting(&run, [signal("deployed")]).await;
    run.set_keys([set("gate/coverage", 900_000)]).await?;
    run.set_keys([set("gate/coverage", 500_000)]).await?;
    run.signal(Signal::new("built".parse()?).from("tester".parse()?)).await?;
    run.signal(Signal::new("deployed".parse()?).from("builder".parse()?).failed(true)).await?;
    let last = run.set_keys([set("gate/coverage", 800_000)]).await?;
    assert_eq!(last, Version(7), "no wait is on the record");
    let heard = Met::Signal { version: Some(Version(5)) };
    let scored = Met::Key { version: last };
    assert_eq!(both.await?, Waited::Met(vec![heard, scored]), "both at the same moment");
    run.signal(Signal::new("deployed".parse()?)).await?;
    assert_eq!(other.await?, met(8), "one that tells of a failure does not count");
    let shared = waiting(&engine.shared(), [there("resource/gpu")]).await;
    let version = engine.shared().set_keys([set("resource/gpu", 1)]).await?;
    assert_eq!(shared.await?, Waited::Met(vec![Met::Key { version }]), "it begins with its key");
    assert_eq!(engine.stats().get("dependency_resolution_time_ms").unwrap().count, 5);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn who_waits_for_an_item_is_told_its_outcome_also_where_the_run_ends_with_it() -> Result {
    let dir = tempfile::tempdir()?;
    let go = Arc::new(Semaphore::new(0));
    let mut builder = Engine::builder(dir.path().join("state"))?;
    let may = Arc::clone(&go);
    builder.register("fail", move |_: SessionContext| {
        let may = Arc::clone(&may);
        async move {
            may.acquire().await?.forget();
            Err::<Output, _>(Failed::because("no"))
        }
    })?;
    let engine = builder.start().await?;
    let mut first = WorkSpec::function("first", "fail")?.with_attempts(1);
    first.agent = Some("builder".parse()?);
    first.group = Some("all".parse()?);
    let second = WorkSpec::function("second", "fail")?.needs_work("first")?;
    let config = CoordinationConfig::of_work(vec![first, second], budget()?)?.with_id("run")?;
    let run = engine.submit(config).await?;
    let began = from("agent_initialized", "builder");
    assert_eq!(
        run.wait_for([began.clone()], None).await?,
        Waited::Met(vec![Met::Signal { version: None }])
    );
    let outcomes = waiting(&run, [item("first"), item("second")]).await;
    let group = waiting(&run, [Need::Group("all".parse()?)]).await;
    let told = Need::from(SignalNeed::new("agent_completed".parse()?).even_failed());
    let told = waiting(&run, [told]).await;
    let success = from("agent_completed", "builder");
    let succeeded = waiting(&run, [success.clone(), item("first")]).await;
    go.add_permits(1);

    let skipped = WorkItemOutcome::Skipped(SkipReason::NeedFailed("first".parse()?));
    let [failed, skipped] =
        [WorkItemOutcome::Failed, skipped].map(|outcome| Met::Outcome { outcome });
    let both = Waited::Met(vec![failed, skipped]);
    assert_eq!(outcomes.await?, both);
    let of_group = Met::Outcomes { failed: Some("first".parse()?) };
    assert_eq!(group.await?, Waited::Met(vec![of_group.clone()]));
    assert_eq!(told.await?, Waited::Met(vec![Met::Signal { version: None }]));
    assert_eq!(succeeded.await?, Waited::Ended { unmet: vec![success.clone()] });

    run.wait().await?;
    // Who comes later is answered from the record.
    assert_eq!(run.wait_for([item("first"), item("second")], None).await?, both);
    let group = run.wait_for([Need::Group("all".parse()?)], None).await?;
    assert_eq!(group, Waited::Met(vec![of_group]));
    let unmet = vec![success];
    assert_eq!(run.wait_for([began, unmet[0].clone()], None).await?, Waited::Ended { unmet });
    let unknown = engine.run("other")?.wait_for([signal("built")], None).await;
    assert!(matches!(unknown, Err(WaitError::Query(QueryError::UnknownRun { .. }))), "{unknown:?}");
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_run_that_ends_and_an_item_that_never_comes_are_told() -> Result {
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("stay", |session: SessionContext| async move {
        let inner = session.wait_for([signal("never")], None).await;
        assert!(matches!(inner, Err(WaitError::Stopping { .. })), "{inner:?}");
        Ok(Output::none())
    })?;
    let engine = builder.start().await?;
    let work = vec![WorkSpec::function("stay", "stay")?];
    let run = engine.submit(CoordinationConfig::of_work(work, budget()?)?.with_id("run")?).await?;
    let none = run.wait_for([item("later")], None).await;
    assert!(matches!(none, Err(WaitError::NoSuchItem { .. })), "{none:?}");
    let again = run.wait_for([item("stay#2")], Some(Duration::ZERO)).await?;
    assert!(matches!(again, Waited::TimedOut { .. }), "it may be routed to again: {again:?}");
    let all_kinds = [signal("built"), gate("coverage", 1), item("stay")];
    let wait = waiting(&run, all_kinds.clone()).await;
    run.cancel("enough").await?;
    let ended = wait.await?;
    let Waited::Ended { unmet } = ended else { panic!("{ended:?}") };
    assert!(unmet.starts_with(&all_kinds[..2]), "{unmet:?}");

    let inbox = open(&engine, "inbox").await?;
    let late = waiting(&inbox, [item("later")]).await;
    inbox.add_work(WorkSpec::function("later", "stay")?).await?;
    inbox.cancel("enough").await?;
    let late = late.await?;
    assert!(matches!(late, Waited::Ended { .. } | Waited::Met(_)), "{late:?}");
    for refused in [Vec::new(), vec![signal("built"); 101]] {
        let refused = inbox.wait_for(refused, None).await;
        assert!(
            matches!(refused, Err(WaitError::Nothing | WaitError::TooManyNeeds { .. })),
            "{refused:?}"
        );
    }
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_wait_times_out_at_its_moment_also_while_the_disk_takes_nothing() -> Result {
    let dir = tempfile::tempdir()?;
    let faults = Faults::default();
    let store = FailingStore::at(dir.path().join("state"), &faults);
    let engine = Engine::builder_on(store)?.start().await?;
    let run = open(&engine, "run").await?;
    let short = Duration::from_millis(20);
    let unmet = vec![signal("built")];
    let timed_out = Waited::TimedOut { unmet: unmet.clone() };
    let began = Instant::now();
    assert_eq!(run.wait_for(unmet.clone(), Some(short)).await?, timed_out);
    assert!(began.elapsed() >= short);
    assert_eq!(run.wait_for(unmet.clone(), Some(Duration::ZERO)).await?, timed_out);

    let lifted = faults.until_dropped();
    faults.stuck();
    let mut set = Box::pin(run.set_keys([set("a", 1)]));
    assert!(std::future::poll_fn(|cx| Poll::Ready(set.as_mut().poll(cx).is_pending())).await);
    assert_eq!(run.wait_for(unmet, Some(short)).await?, timed_out);
    drop(lifted);
    set.await?;
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_wait_is_answered_with_what_is_durable_and_goes_on_where_that_was_lost() -> Result {
    let dir = tempfile::tempdir()?;
    let faults = Faults::default();
    let store = FailingStore::at(dir.path().join("state"), &faults);
    let engine = Engine::builder_on(store)?.start().await?;
    let run = open(&engine, "run").await?;
    let mut wait = waiting(&run, [there("a")]).await;
    let lifted = faults.until_dropped();
    faults.stuck();
    let writes = run.clone();
    let lost = tokio::spawn(async move { writes.set_keys([set("a", 1)]).await });
    // What is asked after it comes after it.
    let late = tokio::spawn({
        let run = run.clone();
        async move { run.wait_for([there("a")], Some(Duration::from_secs(600))).await }
    });
    let never = run.wait_for([signal("never")], Some(Duration::from_millis(20))).await?;
    assert!(matches!(never, Waited::TimedOut { .. }));
    assert!(is_pending(&mut wait).await && !late.is_finished(), "it is not durable");
    faults.full();
    assert!(lost.await?.is_err());
    assert!(is_pending(&mut wait).await && !late.is_finished(), "it was lost");
    drop(lifted);
    let version = loop {
        match run.set_keys([set("a", 2)]).await {
            Ok(version) => break version,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let met = Waited::Met(vec![Met::Key { version }]);
    assert_eq!((wait.await?, late.await??), (met.clone(), met));
    engine.close().await?;
    Ok(())
}

/// So many callers that wait for the same, all taken in.
async fn crowd(
    run: &Run,
    callers: usize,
) -> Result<JoinSet<std::result::Result<Waited, WaitError>>> {
    let (mut waits, asked) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..callers {
        let (run, asked) = (run.clone(), Arc::clone(&asked));
        waits.spawn(async move {
            asked.fetch_add(1, SeqCst);
            run.wait_for([signal("go")], None).await
        });
    }
    while asked.load(SeqCst) < callers {
        tokio::task::yield_now().await;
    }
    run.pause_now().await?;
    Ok(waits)
}

#[tokio::test]
async fn callers_that_go_leave_nothing_and_no_more_wait_than_may() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("state")).await?;
    let run = open(&engine, "run").await?;
    let other = open(&engine, "other").await?;
    for _ in 0..3 {
        let mut waits = crowd(&run, MAX_WAITS).await?;
        assert!(waits.try_join_next().is_none(), "all of them wait");
        waits.shutdown().await;
    }
    let mut waits = crowd(&run, MAX_WAITS).await?;
    let refused = run.wait_for([signal("other")], None).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.starts_with("10000 callers wait in run run already"), "{said}");
    let timed_out = other.wait_for([signal("go")], Some(Duration::ZERO)).await?;
    assert!(matches!(timed_out, Waited::TimedOut { .. }), "others may wait in another run");

    let version = run.signal(Signal::new("go".parse()?)).await?;
    assert_eq!(version, Version(2), "no wait is on the record");
    while let Some(waited) = waits.join_next().await {
        assert_eq!(waited??, met(2));
    }
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn agents_that_would_wait_for_each_other_are_refused_by_name() -> Result {
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("stay", |session: SessionContext| async move {
        session.stop_requested().await;
        Ok(Output::none())
    })?;
    let engine = builder.start().await?;
    let stays = |id: &str, agent: &str| -> Result<WorkSpec> {
        let mut item = WorkSpec::function(id, "stay")?;
        item.agent = Some(agent.parse()?);
        Ok(item)
    };
    let work = vec![
        stays("a", "alice")?,
        stays("b", "bob")?,
        stays("c", "carol")?.needs_work("a")?,
        stays("d", "dora")?,
    ];
    let config = CoordinationConfig::of_work(work, budget()?)?.with_concurrency(8)?;
    let run = engine.submit(config.with_id("run")?).await?;
    let begun = ["alice", "bob", "dora"].map(|agent| from("agent_initialized", agent));
    run.wait_for(begun, None).await?;
    let (alice, bob): (SessionId, SessionId) = ("run.1".parse()?, "run.2".parse()?);
    let at_once = Some(Duration::ZERO);

    let (of, by) = (run.clone(), alice.clone());
    let mut first: Waiting =
        Box::pin(async move { of.wait_for_from(&by, [from("built", "bob")], None).await });
    assert!(is_pending(&mut first).await);
    let refused = run.wait_for_from(&bob, [signal("x"), item("c")], None).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "this wait closes a cycle of agents that wait for each other: \
         bob -> carol -> alice -> bob; let one of them go on"
    );
    for free in [from("x", "dora"), signal("x"), gate("g", 1), from("mine", "bob"), item("d")] {
        let waited = run.wait_for_from(&bob, [free], at_once).await?;
        assert!(matches!(waited, Waited::TimedOut { .. }), "{waited:?}");
    }
    for own in [item("b"), from("agent_completed", "bob")] {
        let refused = run.wait_for_from(&bob, [own], at_once).await.unwrap_err();
        assert!(refused.to_string().contains(": bob -> bob;"), "{refused}");
    }
    drop(first);
    let waited = run.wait_for_from(&bob, [item("c")], at_once).await?;
    assert!(matches!(waited, Waited::TimedOut { .. }), "alice waits no more: {waited:?}");
    let stale = run.wait_for_from(&"run.9".parse()?, [item("c")], None).await;
    assert!(matches!(stale, Err(WaitError::Stale { .. })), "{stale:?}");
    run.cancel("enough").await?;
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn who_waits_for_an_approval_is_told_the_answer_whichever_it_is() -> Result {
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("deploy", |_: SessionContext| async { Ok(Output::none()) })?;
    let engine = builder.start().await?;
    let approval = Need::Approval("Deploy?".to_owned());
    let deploy = WorkSpec::function("deploy", "deploy")?.with_need(approval.clone());
    let config = CoordinationConfig::open(vec![deploy], budget()?)?.with_id("run")?;
    let run = engine.submit(config).await?;
    let mut wait = waiting(&run, [approval.clone()]).await;
    run.signal(Signal::new("other".parse()?)).await?;
    assert!(is_pending(&mut wait).await);
    let question = run.questions().await?.pop().unwrap().id;
    run.answer(question.clone(), Answer::No, None).await?;
    let answered = Waited::Met(vec![Met::Answer { question, answer: Answer::No }]);
    assert_eq!(wait.await?, answered);
    assert_eq!(run.wait_for([approval], None).await?, answered);
    engine.close().await?;
    Ok(())
}
