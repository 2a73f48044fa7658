//! A ledger with an event that only a newer version knows: it is read, and nothing is written to it.

use antiphon::Engine;
use antiphon::append::HeadRow;
use antiphon::coordination::{CoordinationBudget, CoordinationConfig, WorkSpec};
use antiphon::envelope::{Commit, StreamTip};
use antiphon::head::Stage;
use antiphon::id::{CommitNumber, CoordinationId, Seq, Version};
use antiphon::ledger::conformance::{Chain, owner, stream};
use antiphon::ledger::{HeadFilter, HeadQuery, Location, Placed, PlacedCommit, Store};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// An event as a newer version would write it.
struct Newer {
    stream: &'static str,
    kind: &'static str,
    schema: u32,
    payload: &'static str,
}

fn config() -> Result<CoordinationConfig> {
    let budget = CoordinationBudget::new(10, 600_000, 1_000, None)?;
    Ok(CoordinationConfig::open(vec![WorkSpec::function("a", "nobody")?], budget)?
        .with_id("run")?)
}

/// A ledger in which a run is open, with one more event at its end.
async fn ledger(dir: &tempfile::TempDir, newer: &Newer) -> Result<Location> {
    let location = Location::directory(dir.path().join("state"));
    let engine = Engine::builder_at(&location)?.start().await?;
    engine.submit(config()?).await?;
    engine.close().await?;
    forge(location.store().as_ref(), newer)?;
    Ok(location)
}

/// Appends the event, as sound as every other one.
fn forge(store: &dyn Store, newer: &Newer) -> Result {
    let opened = store.open(&owner("newer"))?;
    let mut chain = Chain::after(&opened, heads(store)?);
    let mut append = chain.turn().event(newer.stream, newer.kind, newer.payload).build_aside();
    let event = &mut append.events[0];
    event.schema = newer.schema;
    event.hash = event.computed_hash();
    append.heads[0].ended = newer.kind == "coordination.completed";
    append.heads[0].tip = StreamTip { version: event.version, hash: event.hash };
    append.commit = Commit::link(opened.commits, opened.epoch, [event.hash].into_iter());
    store.append(&append, &[])?;
    Ok(store.close()?)
}

fn heads(store: &dyn Store) -> Result<Vec<HeadRow>> {
    Ok(store.heads(&HeadQuery::List(HeadFilter::default()))?)
}

/// All that is recorded.
fn everything(store: &dyn Store) -> Result<(Vec<Placed>, Vec<PlacedCommit>, Vec<HeadRow>)> {
    let events = store.read_all(Seq(0), usize::MAX)?;
    Ok((events, store.commits(CommitNumber(0), usize::MAX)?, heads(store)?))
}

const NOT_KNOWN: [(Newer, &str); 4] = [
    (
        Newer { stream: "coordination/run", kind: "coordination.paused", schema: 7, payload: "{}" },
        "the ledger is read-only for this version of antiphon: coordination/run 3: coordination.paused (schema 7) \
         is not known to this version, which reads up to schema 1; open the ledger with the version that wrote it",
    ),
    (
        Newer { stream: "coordination/run", kind: "coordination.sung", schema: 1, payload: "{}" },
        "the ledger is read-only for this version of antiphon: coordination/run 3: coordination.sung (schema 1) is not \
         known to this version; open the ledger with the version that wrote it",
    ),
    (
        Newer { stream: "ledger", kind: "ledger.opened", schema: 2, payload: "{}" },
        "the ledger is read-only for this version of antiphon: ledger 3: ledger.opened (schema 2) is not known to this \
         version, which reads up to schema 1; open the ledger with the version that wrote it",
    ),
    (
        Newer { stream: "pool/gpu", kind: "pool.declared", schema: 1, payload: "{}" },
        "the ledger is read-only for this version of antiphon: pool/gpu 1: pool.declared (schema 1) is not known to this \
         version; open the ledger with the version that wrote it",
    ),
];

#[tokio::test]
async fn a_ledger_of_a_newer_version_is_read_and_every_writer_is_told_which_event_it_does_not_know()
-> Result {
    let id = CoordinationId::new("run")?;
    for (newer, says) in NOT_KNOWN {
        let dir = tempfile::tempdir()?;
        let location = ledger(&dir, &newer).await?;
        let before = everything(location.store().as_ref())?;

        let engine = Engine::builder_at(&location)?.start().await?;
        let refused = |said: String| assert_eq!(said, says);
        refused(engine.health().await.unwrap_err().to_string());
        refused(engine.submit(config()?).await.unwrap_err().to_string());
        refused(
            engine
                .run(&id)?
                .add_work(vec![WorkSpec::function("b", "nobody")?])
                .await
                .unwrap_err()
                .to_string(),
        );
        refused(engine.run(&id)?.cancel("").await.unwrap_err().to_string());
        // Nor does it claim to know the state.
        refused(engine.run(&id)?.why("a").await.unwrap_err().to_string());
        refused(engine.run(&id)?.wait().await.unwrap_err().to_string());

        assert_eq!(engine.run(&id)?.status().await?.stage, Stage::Running);
        let name = stream(newer.stream);
        let mut events = engine.follow_stream(&name, Version(0));
        let mut last = None;
        while let Some(event) = events.next().await? {
            last = Some(event);
        }
        let last = last.unwrap();
        assert_eq!((&*last.kind, last.schema), (newer.kind, newer.schema));
        let mut reader = engine.run(&id)?.reader("mailer").await?;
        reader.next().await?.unwrap();
        refused(reader.acknowledge().await.unwrap_err().to_string());

        // A version that can write may take the ledger meanwhile.
        let other = location.store();
        let _opened = other.open(&owner("newer again"))?;
        other.close()?;
        engine.close().await?;
        assert_eq!(everything(location.store().as_ref())?, before);
    }
    Ok(())
}

#[tokio::test]
async fn an_event_of_a_newer_schema_in_a_run_that_has_ended_is_met_by_whoever_reads_it() -> Result {
    let dir = tempfile::tempdir()?;
    let newer = Newer {
        stream: "coordination/run",
        kind: "coordination.completed",
        schema: 7,
        payload: "{}",
    };
    let engine = Engine::builder_at(&ledger(&dir, &newer).await?)?.start().await?;
    engine.health().await?;
    let mut events = engine.run("run")?.follow().await?;
    let mut unreadable = Vec::new();
    while let Some(event) = events.next().await? {
        unreadable.extend(event.event().err().map(|error| error.to_string()));
    }
    assert_eq!(
        unreadable,
        ["coordination/run 3: coordination.completed (schema 7) is not known to this version, \
         which reads up to schema 3; open the ledger with the version that wrote it"]
    );
    engine.submit(config()?.with_id("next")?).await?;
    engine.close().await?;
    Ok(())
}
