//! `status`, the API, `why` and the lines of a run say the same word for the same item, and the
//! counts of `status` are those of its items, wherever the run is in its life.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::common::{Fixture, check};
use antiphon::coordination::WorkStage;
use antiphon::{
    Backoff, Budget, CoordinationConfig, Engine, Failed, Output, Run, SessionContext, WorkSpec,
};
use antiphon_server::{Client, Server};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(3_600);

/// An engine whose functions end as their names say; `gated` ends once it is let go.
async fn engine(fixture: &Fixture, gate: &Arc<Semaphore>) -> Engine {
    let builder = Engine::builder(fixture.state()).unwrap();
    let mut setup = builder.with_grace(Duration::from_millis(100));
    setup.register("succeeds", |_: SessionContext| async { Ok(Output::none()) }).unwrap();
    setup.register("fails", |_: SessionContext| async { Err(Failed::because("no luck")) }).unwrap();
    setup
        .register("defers", |_: SessionContext| async {
            Err(Failed::deferred(SystemTime::now() + HOUR, "the quota is used up"))
        })
        .unwrap();
    setup.register("stays", |_: SessionContext| std::future::pending()).unwrap();
    let gate = Arc::clone(gate);
    setup
        .register("gated", move |_: SessionContext| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(Output::none())
            }
        })
        .unwrap();
    setup.start().await.unwrap()
}

fn item(id: &str, function: &str) -> WorkSpec {
    WorkSpec::function(id, function).unwrap()
}

/// Items, each followed by one that needs it, one at a time.
async fn submitted(engine: &Engine, id: &str, work: Vec<WorkSpec>) -> Run {
    let mut all = Vec::new();
    for spec in work {
        let name = spec.id.clone();
        let after = item(&format!("after-{name}"), "succeeds").needs_work(&name).unwrap();
        all.extend([spec, after]);
    }
    let budget = Budget::sessions(20).within(HOUR).build().unwrap();
    let config = CoordinationConfig::of_work(all, budget).unwrap().with_id(id).unwrap();
    engine.submit(config).await.unwrap()
}

/// Waits until so many events of a type are recorded.
async fn recorded(run: &Run, kind: &str, count: usize) {
    let mut events = run.follow().await.unwrap();
    for _ in 0..count {
        while &*events.next().await.unwrap().unwrap().kind != kind {}
    }
}

/// What is said of the items of a run, one a line. Where that is not the same everywhere, the test
/// fails.
async fn words(fixture: &Fixture, client: &Client, run: &Run) -> String {
    let id = run.id();
    let status = fixture.objects(&format!("status {id} --json")).remove(0);
    let items: Vec<(&str, &str)> = status["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["id"].as_str().unwrap(), item["state"].as_str().unwrap()))
        .collect();
    let mut counts = BTreeMap::<&str, u64>::new();
    items.iter().for_each(|(_, state)| *counts.entry(state).or_default() += 1);
    assert_eq!(status["counts"], serde_json::to_value(counts).unwrap(), "{status}");

    let printed = fixture.run(&format!("status {id}"));
    // What is said of the run as a whole comes before its items.
    let printed = printed.split_once("\nITEM ").map_or(printed.as_str(), |(_, items)| items);
    let has_ended = status["ended"].as_bool().unwrap();
    let mut text = format!("{id}: {}\n", status["status"].as_str().unwrap());
    for (item, state) in &items {
        text.push_str(&format!("  {item}: {state}\n"));
        let row = printed.lines().find(|line| line.split_whitespace().next() == Some(item));
        let row = row.unwrap_or_else(|| panic!("{item}: {printed}"));
        assert!(row[item.len()..].trim_start().starts_with(state), "{item} is {state}: {row}");
        // What needs it says how it is.
        if !has_ended && !item.starts_with("after-") {
            let answer = client.why(id, &format!("after-{item}")).await.unwrap();
            let needs = answer.reasons.iter().find(|why| why.reason == "needs_work");
            let said = needs.map(|why| why.about["state"].as_str().unwrap());
            let has_outcome = ["succeeded", "failed", "skipped"].contains(state);
            let expected = (!has_outcome).then_some(*state);
            assert_eq!(said, expected, "{item} is {state}: {answer:?}");
        }
        // The last event that moved it says where that left it, unless the run has ended since; of an
        // item that has another try, how its session ended.
        let log = fixture.run(&format!("log {id} --work {item} --type session_* --type *_skipped"));
        let last = log.lines().rfind(|line| line.contains("coordination."));
        let said = last.and_then(|line| line.split_whitespace().nth(3));
        let moved = said.filter(|_| *state != WorkStage::Unfinished.as_str());
        let words = if *state == "delayed" { &["failed", "deferred"][..] } else { &[*state] };
        assert!(moved.is_none_or(|said| words.contains(&said)), "{item} is {state}: {log}");
    }
    text
}

#[test]
fn an_item_has_one_word_wherever_it_is_asked_and_the_counts_are_those_of_the_items() {
    let fixture = Fixture::empty();
    let table = fixture.block_on(async {
        let gate = Arc::new(Semaphore::new(0));
        let engine = engine(&fixture, &gate).await;
        let server = Server::bind(fixture.state(), engine.clone()).await.unwrap();
        let served = CancellationToken::new();
        let serving = tokio::spawn(server.serve(served.clone()));
        let client = Client::connect(fixture.state()).await.unwrap();
        let again = Backoff::new(HOUR, 1, HOUR);
        let mut runs = Vec::new();

        let once = item("bad", "fails").with_attempts(1);
        let finished = submitted(&engine, "finished", vec![item("good", "succeeds"), once]).await;
        finished.wait().await.unwrap();
        runs.push(finished);

        let twice = item("flaky", "fails").with_attempts(2).with_backoff(again);
        let retrying = submitted(&engine, "retrying", vec![twice, item("long", "stays")]).await;
        recorded(&retrying, "coordination.session_bound", 2).await;
        runs.push(retrying);

        let deferring = submitted(&engine, "deferring", vec![item("quota", "defers")]).await;
        recorded(&deferring, "coordination.session_unbound", 1).await;
        runs.push(deferring);

        let paused =
            submitted(&engine, "paused", vec![item("long", "stays"), item("next", "stays")]);
        let paused = paused.await;
        recorded(&paused, "coordination.session_bound", 1).await;
        paused.pause("lunch").await.unwrap();
        runs.push(paused);

        let work = vec![item("last", "gated"), item("never", "succeeds")];
        let drained = submitted(&engine, "drained", work).await;
        recorded(&drained, "coordination.session_bound", 1).await;
        drained.drain("enough").await.unwrap();
        gate.add_permits(1);
        drained.wait().await.unwrap();
        runs.push(drained);

        let work = vec![item("long", "stays"), item("never", "succeeds")];
        let aborted = submitted(&engine, "aborted", work).await;
        recorded(&aborted, "coordination.session_bound", 1).await;
        aborted.cancel("enough").await.unwrap();
        aborted.wait().await.unwrap();
        runs.push(aborted);

        let mut table = String::new();
        for run in &runs {
            table.push_str(&words(&fixture, &client, run).await);
        }
        served.cancel();
        serving.await.unwrap();
        engine.close().await.unwrap();
        table
    });
    check(&table, EXPECTED);
}

/// The words are those that the documentation lists.
#[test]
fn every_word_is_documented() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/exit-codes.md");
    let text = std::fs::read_to_string(document).unwrap();
    let (_, table) = text.split_once("## States of items").unwrap();
    let words: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(word, _)| word)
        .collect();
    let all: Vec<&str> = WorkStage::ALL.iter().map(|stage| stage.as_str()).collect();
    assert_eq!(words, all);
}

const EXPECTED: &str = "\
finished: partial
  good: succeeded
  after-good: succeeded
  bad: failed
  after-bad: skipped
retrying: running
  flaky: delayed
  after-flaky: waiting
  long: running
  after-long: waiting
deferring: running
  quota: delayed
  after-quota: waiting
paused: paused
  long: running
  after-long: waiting
  next: ready
  after-next: waiting
drained: partial
  last: succeeded
  after-last: unfinished
  never: unfinished
  after-never: unfinished
aborted: aborted
  long: unfinished
  after-long: unfinished
  never: unfinished
  after-never: unfinished
";
