//! The engine on a disk that is full, or whose syncs fail: refused typed, nothing acknowledged is
//! lost, ends of sessions are kept, and functions wait for what there is no room for.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon::coordination::{Blocked, CoordinationBudget, CoordinationConfig, Verdict, WorkSpec};
use antiphon::event::{CoordinationEvent, Event};
use antiphon::id::{StreamName, Version};
use antiphon::ledger::failing::{FailingStore, Faults, full, unsynced};
use antiphon::ledger::verify::Scope;
use antiphon::ledger::{HeadQuery, Location, OpenError};
use antiphon::plan::{Environment, Plan};
use antiphon::{
    Engine, EngineBuilder, Failed, Output, QueryError, StartError, Submission, SubmitError,
    Unavailable,
};
use tokio::sync::{Notify, Semaphore};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Bench {
    dir: tempfile::TempDir,
    faults: Faults,
    begun: Arc<Notify>,
    go: Arc<Notify>,
    runs: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn new() -> Result<Self> {
        Ok(Self {
            dir: tempfile::tempdir()?,
            faults: Faults::default(),
            begun: Arc::default(),
            go: Arc::default(),
            runs: Arc::default(),
        })
    }

    fn open(&self) -> std::result::Result<EngineBuilder, StartError> {
        Engine::builder_on(FailingStore::at(self.dir.path().join("state"), &self.faults))
    }

    /// An engine whose function says when it has begun and ends when it is let go.
    async fn start(&self) -> Result<Engine> {
        self.start_from(self.open()?).await
    }

    /// The same once the engine before, which was dropped, has let go of the ledger.
    async fn restart(&self) -> Result<Engine> {
        loop {
            match self.open() {
                Err(StartError::Open(OpenError::InUse { .. })) => tokio::task::yield_now().await,
                other => return self.start_from(other?).await,
            }
        }
    }

    async fn start_from(&self, mut setup: EngineBuilder) -> Result<Engine> {
        let (begun, go, runs) =
            (Arc::clone(&self.begun), Arc::clone(&self.go), Arc::clone(&self.runs));
        setup.register("work", move |session| {
            let (begun, go, runs) = (Arc::clone(&begun), Arc::clone(&go), Arc::clone(&runs));
            async move {
                runs.lock().expect("no test panics here").push(session.session().to_string());
                begun.notify_one();
                go.notified().await;
                Ok(Output::text("done"))
            }
        })?;
        Ok(setup.start().await?)
    }

    /// An engine whose function `first` puts something out, after which nothing can be read, and
    /// whose function `second` reads that.
    async fn start_reader(&self, mut setup: EngineBuilder) -> Result<Engine> {
        let faults = self.faults.clone();
        setup.register("first", move |_| {
            let faults = faults.clone();
            async move {
                faults.unreadable(true);
                Ok(Output::text("put out"))
            }
        })?;
        let faults = self.faults.clone();
        setup.register("second", move |session| {
            let faults = faults.clone();
            async move {
                if session.session().number == 3 {
                    faults.none();
                }
                let read = session.output_of("a").await?;
                Ok(read.unwrap_or_default())
            }
        })?;
        Ok(setup.start().await?)
    }

    /// The events of a stream, with the outcomes of sessions.
    fn story(&self, stream: &str) -> Result<Vec<String>> {
        let store = Location::directory(self.dir.path().join("state")).store();
        let mut story = Vec::new();
        for event in store.read_stream(&stream.parse()?, Version(0), 100)? {
            story.push(match event.event()? {
                Event::Coordination(CoordinationEvent::SessionBound(_)) => "bound".to_owned(),
                Event::Coordination(CoordinationEvent::SessionUnbound(unbound)) => {
                    format!("unbound {}", unbound.outcome.as_str())
                }
                other => other.kind().trim_start_matches("coordination.").to_owned(),
            });
        }
        Ok(story)
    }

    fn runs(&self) -> Vec<String> {
        self.runs.lock().expect("no test panics here").clone()
    }
}

fn config(id: &str, work: &[&str]) -> Result<CoordinationConfig> {
    let items = work
        .iter()
        .map(|work| WorkSpec::function(work, "work"))
        .collect::<std::result::Result<_, _>>()?;
    Ok(CoordinationConfig::of_work(items, budget()?)?.with_id(id)?)
}

fn budget() -> Result<CoordinationBudget> {
    Ok(CoordinationBudget::new(10, 600_000, 1_000, None)?)
}

#[tokio::test]
async fn a_full_disk_refuses_commands_keeps_the_ends_of_sessions_and_goes_on_once_there_is_room()
-> Result {
    let bench = Bench::new()?;
    let engine = bench.start().await?;
    let run = engine.submit(config("first", &["a", "b"])?).await?;
    bench.begun.notified().await;

    bench.faults.full();
    bench.go.notify_one();
    bench.faults.failed().await;
    let refused = engine.submit(config("second", &["c"])?).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the ledger is read-only until a write succeeds again (could not append: no space left on device; make room); repeat the command then"
    );
    assert_eq!(bench.runs(), ["first.1"], "no session starts on a full disk");

    bench.faults.none();
    bench.begun.notified().await;
    bench.go.notify_one();
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    assert_eq!(
        bench.runs(),
        ["first.1", "first.2"],
        "the end that met the full disk was kept, not repeated"
    );
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn while_the_state_cannot_be_read_again_nothing_hangs_and_the_engine_goes_on_once_it_can()
-> Result {
    let bench = Bench::new()?;
    let engine = bench.start().await?;
    let run = engine.submit(config("first", &["a", "b"])?).await?;
    bench.begun.notified().await;

    bench.faults.full();
    bench.faults.unreadable(true);
    bench.go.notify_one();
    bench.faults.failed().await;
    // Refused with the turn that failed, or behind it.
    engine.submit(config("second", &["c"])?).await.unwrap_err();
    let refused = "the ledger is read-only until a write succeeds again (could not read: too many open files); repeat the command then";
    assert_eq!(engine.submit(config("third", &["d"])?).await.unwrap_err().to_string(), refused);
    assert_eq!(engine.health().await.unwrap_err().to_string(), refused);
    assert_eq!(
        engine.at_work().await.unwrap_err().to_string(),
        refused,
        "there is no state to look at"
    );
    let waiting = engine.run("first")?;
    let waiting = tokio::spawn(async move { waiting.wait().await });

    bench.faults.unreadable(false);
    bench.faults.failed().await;
    engine.submit(config("second", &["c"])?).await.unwrap_err();
    assert_eq!(engine.at_work().await?.len(), 1, "a full disk can be read");

    bench.faults.none();
    bench.begun.notified().await;
    bench.go.notify_one();
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    assert_eq!(waiting.await??.verdict, Verdict::Succeeded);
    assert_eq!(bench.runs(), ["first.1", "first.2"]);
    engine.close().await?;
    Ok(())
}

/// A run whose item `b` reads what its item `a` has put out, once.
fn reading(ticks: u64) -> Result<CoordinationConfig> {
    let items = vec![
        WorkSpec::function("a", "first")?,
        WorkSpec::function("b", "second")?
            .needs_work("a")?
            .with_attempts(1)
            .with_timeout_ticks(ticks),
    ];
    Ok(CoordinationConfig::of_work(items, budget()?)?.with_id("first")?)
}

#[tokio::test]
async fn a_function_waits_for_what_cannot_be_read_and_everybody_is_told() -> Result {
    let bench = Bench::new()?;
    let engine = bench.start_reader(bench.open()?).await?;
    let run = engine.submit(reading(60_000)?).await?;
    // Noted after the first try, before the second one.
    bench.faults.unread().await;
    bench.faults.unread().await;
    let what = "the ledger could not be read: could not read: too many open files".to_owned();
    let told = engine.shortage();
    assert_eq!(told, Some(format!("sessions wait for room on this machine: {what}")));
    let waits = Blocked::AwaitingRoom { session: "first.2".parse()?, what };
    assert_eq!(run.why("b").await?, [waits]);

    bench.faults.none();
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    assert_eq!(engine.shortage(), None);
    assert_eq!(run.output("b").await?, Some(Output::text("put out")));
    engine.close().await?;
    let expected = [
        "started",
        "work_added",
        "bound",
        "unbound SUCCESS",
        "bound",
        "unbound SUCCESS",
        "completed",
    ];
    assert_eq!(bench.story("coordination/first")?, expected);
    Ok(())
}

#[tokio::test]
async fn a_function_whose_time_goes_by_while_it_waits_is_tried_again_without_an_attempt() -> Result
{
    let bench = Bench::new()?;
    let engine = bench.start_reader(bench.open()?).await?;
    let run = engine.submit(reading(1_000)?).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    engine.close().await?;
    let ends = ["unbound SUCCESS", "bound", "unbound DEFERRED", "bound", "unbound SUCCESS"];
    let story = [&["started", "work_added", "bound"], &ends[..], &["completed"]].concat();
    assert_eq!(bench.story("coordination/first")?, story);
    Ok(())
}

#[tokio::test]
async fn a_function_that_has_waited_as_long_as_is_stated_is_given_the_error_with_its_cause()
-> Result {
    let bench = Bench::new()?;
    let setup = bench.open()?.with_room_within(Duration::ZERO);
    let engine = bench.start_reader(setup).await?;
    let run = engine.submit(reading(60_000)?).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Partial);
    bench.faults.none();
    let mut events = run.follow().await?;
    let mut said = Vec::new();
    while let Some(recorded) = events.next().await? {
        if let Event::Coordination(CoordinationEvent::SessionUnbound(unbound)) = recorded.event()? {
            said.extend(unbound.text);
        }
    }
    let error = "the ledger could not be read: could not read: too many open files";
    assert_eq!(said, [error]);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_nested_plan_that_cannot_be_read_is_read_once_it_can_be() -> Result {
    let bench = Bench::new()?;
    let engine = bench.start().await?;
    let top = "name: n\nbudget: { sessions: 2, duration: 1m }\n";
    let inner = format!("{top}work:\n  a: {{ command: [/bin/true] }}\n");
    std::fs::write(bench.dir.path().join("inner.yaml"), inner)?;
    let outer = bench.dir.path().join("outer.yaml");
    std::fs::write(&outer, format!("{top}work:\n  nested: {{ plan: inner.yaml }}\n"))?;
    let compiled = Plan::read(&outer)?.compile(&Environment::Of([].into()))?;
    bench.faults.unreadable(true);
    let work = Submission::new(compiled.config).with_inputs(compiled.blobs);
    let run = engine.submit(work).await?;
    bench.faults.unread().await;
    bench.faults.unread().await;
    bench.faults.none();
    let mut events = run.follow().await?;
    let bound = loop {
        let recorded = events.next().await?.ok_or("it has ended")?;
        if let Event::Coordination(CoordinationEvent::SessionBound(bound)) = recorded.event()? {
            break bound.work;
        }
    };
    assert_eq!(bound.as_str(), "nested");
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn work_that_a_function_adds_on_a_full_disk_is_added_once_there_is_room() -> Result {
    let bench = Bench::new()?;
    let mut setup = bench.open()?;
    let faults = bench.faults.clone();
    setup.register("adds", move |session| {
        let faults = faults.clone();
        async move {
            faults.full();
            session.add_work(vec![WorkSpec::function("b", "work")?]).await?;
            Ok(Output::none())
        }
    })?;
    let engine = bench.start_from(setup).await?;
    let items = vec![WorkSpec::function("a", "adds")?.with_attempts(1)];
    let run =
        engine.submit(CoordinationConfig::of_work(items, budget()?)?.with_id("first")?).await?;
    bench.faults.failed().await;
    bench.faults.failed().await;
    let told = engine.shortage().ok_or("nothing waits")?;
    let full = "the ledger is read-only: could not append: no space left on device; make room";
    assert_eq!(told, format!("sessions wait for room on this machine: {full}"));

    bench.faults.none();
    bench.begun.notified().await;
    bench.go.notify_one();
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    assert_eq!(bench.runs(), ["first.2"]);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn an_engine_can_be_closed_while_the_state_cannot_be_read_again() -> Result {
    let bench = Bench::new()?;
    let engine = bench.start().await?;
    engine.submit(config("first", &["a"])?).await?;
    bench.begun.notified().await;
    bench.faults.full();
    bench.faults.unreadable(true);
    bench.go.notify_one();
    bench.faults.failed().await;
    engine.submit(config("second", &["b"])?).await.unwrap_err();
    let closed = engine.close().await.unwrap_err();
    assert!(matches!(closed, Unavailable::ReadOnly { .. }), "{closed}");

    bench.faults.none();
    let engine = bench.restart().await?;
    bench.begun.notified().await;
    bench.go.notify_one();
    assert_eq!(engine.run("first")?.wait().await?.verdict, Verdict::Succeeded);
    engine.close().await?;
    Ok(())
}

/// What verifying the ledger in the bench's directory finds.
fn findings(bench: &Bench) -> Result<Vec<String>> {
    let report = Location::directory(bench.dir.path().join("state")).verify(&Scope::Ledger)?;
    Ok(report.findings.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_failed_append_in_the_first_engine_of_a_ledger_leaves_it_sound() -> Result {
    let bench = Bench::new()?;
    let engine = bench.start().await?;
    let run = engine.submit(config("run", &["a"])?).await?;
    bench.begun.notified().await;
    // The world is built anew, and with it the head row of the ledger's own stream.
    bench.faults.full();
    bench.go.notify_one();
    bench.faults.failed().await;
    bench.faults.none();
    run.wait().await?;
    engine.close().await?;
    assert_eq!(findings(&bench)?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_head_row_that_an_earlier_build_left_wrong_is_rebuilt_from_the_events() -> Result {
    let bench = Bench::new()?;
    bench.start().await?.close().await?;
    let directory = Location::directory(bench.dir.path().join("state"));
    let heads = directory.store().heads(&HeadQuery::Stream(StreamName::Ledger))?;
    let mut head = heads.into_iter().next().ok_or("the ledger has a stream of its own")?;
    head.started.0 += 1;
    let database = rusqlite::Connection::open(directory.files().database())?;
    database.execute(
        "UPDATE streams SET started = started + 1, digest = ?1 WHERE name = 'ledger'",
        [head.digest().as_bytes()],
    )?;
    drop(database);
    assert_eq!(findings(&bench)?.len(), 1, "its digest is right, and it is not");
    bench.start().await?.close().await?;
    assert_eq!(findings(&bench)?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn an_error_of_a_sync_closes_the_ledger_until_a_restart_has_verified_it() -> Result {
    let bench = Bench::new()?;
    let engine = bench.start().await?;
    let run = engine.submit(config("first", &["a"])?).await?;
    bench.begun.notified().await;

    bench.faults.set(|_| Some(unsynced()));
    let unknown = engine.submit(config("second", &["b"])?).await.unwrap_err();
    assert!(matches!(unknown, SubmitError::Unavailable(Unavailable::Poisoned { .. })), "{unknown}");
    bench.faults.none();
    let still = engine.submit(config("third", &["b"])?).await.unwrap_err();
    assert!(matches!(still, SubmitError::Unavailable(Unavailable::Poisoned { .. })), "{still}");
    let ends = run.wait().await.unwrap_err();
    assert!(
        matches!(ends, QueryError::Unavailable(Unavailable::Poisoned { .. })),
        "no end will be recorded: {ends}"
    );
    let closed = engine.close().await.unwrap_err();
    assert!(matches!(closed, Unavailable::Poisoned { .. }), "{closed}");

    let engine = bench.start().await?;
    let run = engine.run(run.id())?;
    bench.begun.notified().await;
    bench.go.notify_one();
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    assert_eq!(bench.runs(), ["first.1", "first.2"]);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_full_disk_at_the_start_does_not_keep_what_the_last_engine_ran_from_being_found_lost()
-> Result {
    let bench = Bench::new()?;
    let engine = bench.start().await?;
    engine.submit(config("first", &["a"])?).await?;
    bench.begun.notified().await;
    drop(engine);

    bench.faults.full();
    let engine = bench.restart().await?;
    bench.faults.failed().await;
    bench.faults.none();
    bench.begun.notified().await;
    bench.go.notify_one();
    assert_eq!(engine.run("first")?.wait().await?.verdict, Verdict::Succeeded);
    engine.close().await?;
    let expected = [
        "started",
        "work_added",
        "bound",
        "resumed",
        "unbound LOST",
        "bound",
        "unbound SUCCESS",
        "completed",
    ];
    assert_eq!(bench.story("coordination/first")?, expected);
    assert_eq!(bench.story("ledger")?, ["ledger.opened", "ledger.opened", "ledger.closed"]);
    Ok(())
}

#[tokio::test]
async fn a_session_stopped_for_its_time_has_timed_out_though_its_end_meets_a_full_disk() -> Result {
    let bench = Bench::new()?;
    let mut setup = bench.open()?.with_grace(Duration::from_secs(600));
    let faults = bench.faults.clone();
    setup.register("slow", move |session| {
        let faults = faults.clone();
        async move {
            session.stop_requested().await;
            faults.full();
            Ok(Output::none())
        }
    })?;
    let engine = setup.start().await?;
    let items = vec![WorkSpec::function("a", "slow")?.with_timeout_ticks(1).with_attempts(1)];
    let run =
        engine.submit(CoordinationConfig::of_work(items, budget()?)?.with_id("first")?).await?;
    bench.faults.failed().await;
    bench.faults.none();
    assert_eq!(run.wait().await?.verdict, Verdict::Failed);
    engine.close().await?;
    assert_eq!(
        bench.story("coordination/first")?,
        ["started", "work_added", "bound", "unbound TIMEOUT", "completed"]
    );
    Ok(())
}

#[tokio::test]
async fn sessions_that_fail_because_a_disk_stays_full_are_cancelled() -> Result {
    let bench = Bench::new()?;
    let mut setup = bench.open()?.with_grace(Duration::ZERO);
    let faults = bench.faults.clone();
    setup.register("polite", move |session| {
        let faults = faults.clone();
        async move {
            if session.session().number == 1 {
                session.stop_requested().await;
                faults.none();
                return Err(Failed::because("asked to stop"));
            }
            Ok(Output::none())
        }
    })?;
    let engine = bench.start_from(setup).await?;
    let items =
        vec![WorkSpec::function("a", "polite")?.with_attempts(1), WorkSpec::function("b", "work")?];
    let config =
        CoordinationConfig::of_work(items, budget()?)?.with_concurrency(2)?.with_id("first")?;
    let run = engine.submit(config).await?;
    bench.begun.notified().await;
    bench.faults.full();
    bench.go.notify_one();
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    engine.close().await?;
    let ends =
        ["bound", "bound", "unbound SUCCESS", "unbound CANCELLED", "bound", "unbound SUCCESS"];
    assert_eq!(
        bench.story("coordination/first")?,
        [&["started", "work_added"], &ends[..], &["completed"]].concat()
    );
    Ok(())
}

#[tokio::test]
async fn more_ends_than_one_append_holds_are_kept_on_a_full_disk_and_recorded_over_turns() -> Result
{
    const SESSIONS: usize = 1_000;
    let bench = Bench::new()?;
    let mut setup = bench.open()?.with_grace(Duration::from_secs(600));
    let (begun, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (has_begun, goes) = (Arc::clone(&begun), Arc::clone(&go));
    setup.register("chatty", move |_| {
        let (begun, go) = (Arc::clone(&has_begun), Arc::clone(&goes));
        async move {
            begun.add_permits(1);
            let _ = go.acquire().await?;
            begun.add_permits(1);
            // As JSON six times as long: together they are larger than an append may be.
            Ok(Output::none().with_note("\u{1}".repeat(4_096)))
        }
    })?;
    let engine = setup.start().await?;
    let names: Vec<String> = (0..SESSIONS).map(|number| format!("w{number}")).collect();
    let items = names
        .iter()
        .map(|name| WorkSpec::function(name, "chatty"))
        .collect::<std::result::Result<_, _>>()?;
    let budget = CoordinationBudget::new(10_000, 600_000, 1_000, None)?;
    let run = engine
        .submit(CoordinationConfig::of_work(items, budget)?.with_concurrency(SESSIONS as u32)?)
        .await?;
    begun.acquire_many(SESSIONS as u32).await?.forget();
    bench.faults.full();
    go.add_permits(SESSIONS);
    begun.acquire_many(SESSIONS as u32).await?.forget();
    // The second append that fails from here on was tried with all of them.
    for _ in 0..3 {
        bench.faults.failed().await;
    }
    bench.faults.none();
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn an_engine_whose_writer_breaks_while_a_turn_is_given_up_can_still_be_closed() -> Result {
    let bench = Bench::new()?;
    let engine = Arc::new(bench.start().await?);
    let (go, goes) = std::sync::mpsc::channel::<()>();
    let appends = AtomicUsize::new(0);
    bench.faults.set(move |_| {
        assert_eq!(appends.fetch_add(1, SeqCst), 0, "the writer breaks at the second append");
        goes.recv().ok()?;
        Some(full())
    });
    let submit = |id: &'static str| {
        let engine = Arc::clone(&engine);
        async move {
            engine
                .submit(config(id, &["a"]).map_err(|error| error.to_string())?)
                .await
                .map_err(|error| error.to_string())
        }
    };
    let (first, second) = (tokio::spawn(submit("first")), tokio::spawn(submit("second")));
    // Both turns are on their way: nothing else is left to be done.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    go.send(())?;
    assert!(first.await?.is_err());
    assert!(second.await?.is_err());
    let engine = Arc::into_inner(engine).ok_or("nobody else has it")?;
    assert!(matches!(engine.close().await, Err(Unavailable::Poisoned { .. })));
    Ok(())
}

#[tokio::test]
async fn sessions_are_stopped_while_a_disk_stays_full_though_only_commands_meet_it() -> Result {
    let bench = Bench::new()?;
    let mut setup = bench.open()?.with_grace(Duration::ZERO);
    let (begun, stopped) = (Arc::clone(&bench.begun), Arc::clone(&bench.go));
    setup.register("polite", move |session| {
        let (begun, stopped) = (Arc::clone(&begun), Arc::clone(&stopped));
        async move {
            begun.notify_one();
            session.stop_requested().await;
            stopped.notify_one();
            Ok(Output::none())
        }
    })?;
    let engine = setup.start().await?;
    let items = vec![WorkSpec::function("a", "polite")?];
    engine.submit(CoordinationConfig::of_work(items, budget()?)?.with_id("first")?).await?;
    bench.begun.notified().await;
    bench.faults.full();
    // Between the commands the engine has nothing to write.
    let trying = async {
        loop {
            assert!(engine.submit(config("second", &["c"])?).await.is_err());
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        tried = trying => tried,
        () = bench.go.notified() => Ok(()),
    }
}
