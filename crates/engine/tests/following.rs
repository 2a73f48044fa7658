//! Following a coordination: live, from far behind, and under a name across restarts.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::fs;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use antiphon::coordination::{CoordinationBudget, CoordinationConfig, WorkSpec};
use antiphon::digest::Digest;
use antiphon::id::{CoordinationId, StreamName, Version};
use antiphon::world::EraseRequest;
use antiphon::{Engine, Incident, Output, Reader, Subscription};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

async fn engine(dir: &Path) -> Result<Engine> {
    let mut setup = Engine::builder(dir.join("state"))?;
    setup.register("work", |_| async { Ok(Output::none()) })?;
    Ok(setup.start().await?)
}

async fn open(engine: &Engine, id: &str) -> Result<CoordinationId> {
    let budget = CoordinationBudget::new(1_000, 600_000, 1_000, None)?;
    Ok(engine.submit(CoordinationConfig::open(vec![], budget)?.with_id(id)?).await?.id().clone())
}

/// Items that nobody carries out.
fn idle(command: u32, count: u32) -> Vec<WorkSpec> {
    (0..count)
        .map(|number| WorkSpec::function(format!("item-{command}-{number}"), "nobody").unwrap())
        .collect()
}

/// The next events of a reader, as `version type`.
async fn take(reader: &mut Reader, count: usize) -> Result<Vec<String>> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let event = reader.next().await?.unwrap();
        taken.push(format!("{} {}", event.version, event.kind));
    }
    Ok(taken)
}

#[tokio::test]
async fn a_named_reader_goes_on_after_what_it_acknowledged_also_after_a_restart() -> Result {
    let dir = tempfile::tempdir()?;
    let first = engine(dir.path()).await?;
    let id = open(&first, "inbox").await?;
    first.run(&id)?.add_work(idle(1, 1)).await?;
    let mut reader = first.run(&id)?.reader("mailer").await?;
    assert_eq!(take(&mut reader, 1).await?, ["1 coordination.started"]);
    reader.acknowledge().await?;
    assert_eq!(take(&mut reader, 1).await?, ["2 coordination.work_added"]);
    assert_eq!(reader.acknowledged(), Version(1));
    first.close().await?;

    let second = engine(dir.path()).await?;
    let mut reader = second.run(&id)?.reader("mailer").await?;
    assert_eq!(
        take(&mut reader, 2).await?,
        ["2 coordination.work_added", "3 coordination.resumed"]
    );
    reader.acknowledge().await?;
    let mut reader = second.run(&id)?.reader("mailer").await?;
    assert_eq!(reader.acknowledged(), Version(3));
    let mut another = second.run(&id)?.reader("counter").await?;
    second.run(&id)?.add_work(idle(2, 1)).await?;
    assert_eq!(take(&mut reader, 1).await?, ["4 coordination.work_added"]);
    assert_eq!(take(&mut another, 1).await?, ["1 coordination.started"]);
    second.close().await?;
    Ok(())
}

#[tokio::test]
async fn many_readers_acknowledge_while_work_goes_on_and_each_is_remembered() -> Result {
    let dir = tempfile::tempdir()?;
    let first = engine(dir.path()).await?;
    let id = open(&first, "inbox").await?;
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let mut reader = first.run(&id)?.reader(&format!("reader-{number}")).await?;
        take(&mut reader, 1).await?;
        acknowledged.push(tokio::spawn(async move { reader.acknowledge().await }));
    }
    first.run(&id)?.add_work(idle(1, 1)).await?;
    for done in acknowledged {
        done.await??;
    }
    first.close().await?;
    let second = engine(dir.path()).await?;
    for number in 0..20 {
        assert_eq!(
            second.run(&id)?.reader(&format!("reader-{number}")).await?.acknowledged(),
            Version(1)
        );
    }
    second.close().await?;
    Ok(())
}

/// The next events of a subscription, as `version type`, until it would wait or ends.
async fn take_stream(events: &mut Subscription, count: usize) -> Result<Vec<String>> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let event = events.next().await?.unwrap();
        taken.push(format!("{} {} {}", event.stream, event.version, event.kind));
    }
    Ok(taken)
}

#[tokio::test]
async fn a_stream_that_is_no_coordination_is_replayed_and_followed_live() -> Result {
    let dir = tempfile::tempdir()?;
    engine(dir.path()).await?.close().await?;

    let second = engine(dir.path()).await?;
    let mut events = second.follow_stream(&StreamName::Ledger, Version(0));
    let replayed = ["ledger 1 ledger.opened", "ledger 2 ledger.closed", "ledger 3 ledger.opened"];
    assert_eq!(take_stream(&mut events, 3).await?, replayed);
    let mut tail = second.follow_stream(&StreamName::Ledger, Version(3));
    let mut waits = pin!(tail.next());
    assert!(poll_fn(|context| Poll::Ready(waits.as_mut().poll(context))).await.is_pending());
    let blobs = vec![Digest::of(b"never was")];
    second.erase(EraseRequest { payloads: None, blobs, reason: "asked".to_owned() }).await?;
    assert_eq!(waits.await?.unwrap().kind, "ledger.erased");
    assert_eq!(take_stream(&mut events, 1).await?, ["ledger 4 ledger.erased"]);
    second.close().await?;
    assert_eq!(take_stream(&mut events, 1).await?, ["ledger 5 ledger.closed"]);
    assert_eq!((events.next().await?, events.position()), (None, Version(5)));

    // The stream verifies, and goes on where it was.
    let third = engine(dir.path()).await?;
    let mut events = third.follow_stream(&StreamName::Ledger, Version(5));
    assert_eq!(take_stream(&mut events, 1).await?, ["ledger 6 ledger.opened"]);
    third.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_cursor_reads_one_coordination_under_a_name_that_fits() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = engine(dir.path()).await?;
    let (one, other) = (open(&engine, "one").await?, open(&engine, "other").await?);
    let mut reader = engine.run(&one)?.reader("mailer").await?;
    take(&mut reader, 1).await?;
    reader.acknowledge().await?;
    let long = "n".repeat(257);
    for (name, id, says) in [
        (
            "mailer",
            &other,
            "the cursor \"mailer\" reads `coordination/one`; choose another name for another run",
        ),
        ("", &one, "the name of a cursor has 1 to 256 bytes, not 0"),
        (&long, &one, "the name of a cursor has 1 to 256 bytes, not 257"),
        (
            "new",
            &CoordinationId::new("unknown")?,
            "there is no run unknown; `antiphon list` shows the runs there are",
        ),
    ] {
        assert_eq!(engine.run(id)?.reader(name).await.unwrap_err().to_string(), says);
    }
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_follower_that_fell_far_behind_misses_nothing_and_sees_nothing_twice() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = engine(dir.path()).await?;
    let id = open(&engine, "inbox").await?;
    let mut events = engine.run(&id)?.follow().await?;
    events.next().await?;
    engine.run(&id)?.add_work(idle(0, 1)).await?;
    assert_eq!(events.next().await?.unwrap().version, Version(2), "it is live now");
    let (mut last, mut bytes) = (Version(0), 0);
    for command in 1..=120 {
        last = engine.run(&id)?.add_work(idle(command, 200)).await?;
    }
    for version in 3..=last.0 {
        let event = events.next().await?.unwrap();
        assert_eq!(event.version, Version(version));
        bytes += event.payload.bytes().unwrap().len();
    }
    assert!(bytes > 1024 * 1024, "{bytes} bytes would have waited in memory");
    engine.run(&id)?.add_work(idle(121, 1)).await?;
    assert_eq!(events.next().await?.unwrap().version, last.next(), "it is live again");
    engine.close().await?;
    assert_eq!(events.next().await?, None);
    Ok(())
}

#[tokio::test]
async fn a_head_mark_that_cannot_be_written_is_counted() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = engine(dir.path()).await?;
    assert!(engine.incidents().is_empty());
    let head = dir.path().join("state/head");
    fs::remove_file(&head)?;
    fs::create_dir(&head)?;
    let id = open(&engine, "inbox").await?;
    let mut command = 0;
    while engine.incidents().is_empty() {
        command += 1;
        engine.run(&id)?.add_work(idle(command, 1)).await?;
    }
    assert_eq!(engine.incidents().into_keys().collect::<Vec<_>>(), [Incident::HeadMarkNotWritten]);
    fs::remove_dir(&head)?;
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_wait_that_is_given_up_at_any_point_misses_nothing() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = engine(dir.path()).await?;
    let id = open(&engine, "inbox").await?;
    engine.run(&id)?.add_work(idle(1, 1)).await?;
    let mut events = engine.run(&id)?.follow().await?;
    let mut seen = Vec::new();
    // Given up when it waits for the first time, then for the second time, and so on, until there
    // is an event; and after a while, where nothing happens that it could wait for once more.
    let mut patience = 1;
    while seen.len() < 4 {
        let mut next = pin!(events.next());
        let mut waited = 0;
        let event = poll_fn(|context| {
            let polled = next.as_mut().poll(context).map(Some);
            waited += u32::from(polled.is_pending());
            if waited == patience { Poll::Ready(None) } else { polled }
        });
        let event = tokio::time::timeout(Duration::from_millis(50), event).await.unwrap_or(None);
        match event {
            Some(event) => {
                let event = event?.unwrap();
                seen.push(format!("{} {}", event.version, event.kind));
                patience = 1;
            }
            None => patience += 1,
        }
        if seen.len() == 2 && patience == 4 {
            engine.run(&id)?.cancel("enough").await?;
        }
    }
    let expected = [
        "1 coordination.started",
        "2 coordination.work_added",
        "3 coordination.stop_requested",
        "4 coordination.aborted",
    ];
    assert_eq!(seen, expected);
    engine.close().await?;
    Ok(())
}
