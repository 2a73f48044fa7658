//! The ledger as a client reads it over the socket is the one that the store has, whole, however many
//! pages it takes.

use crate::common::{Bench, Result};
use antiphon::digest::Digest;
use antiphon::id::{CommitNumber, Seq, StreamName, Version};
use antiphon::ledger::{HeadFilter, HeadQuery};
use antiphon_server::Client;

/// More events and commits than a page has.
const PAUSES: usize = 520;

#[tokio::test]
async fn a_client_reads_what_the_store_has_however_many_pages_it_takes() -> Result {
    let bench = Bench::new().await?;
    bench.start("there", "work a hold").await?;
    bench.start("other", "work a hold").await?;
    let run = bench.engine.run("there")?;
    for _ in 0..PAUSES {
        run.pause("a while").await?;
        run.unpause().await?;
    }
    let (client, engine) = (Client::connect(&bench.dir).await?, &bench.engine);
    let stream: StreamName = "coordination/there".parse()?;

    let read = engine.read(|store| store.read_all(Seq(0), usize::MAX)).await?;
    assert!(read.len() > 1_000);
    assert_eq!(client.ledger_events(Seq(0), usize::MAX).await?, read);
    assert_eq!(client.ledger_events(Seq(7), 3).await?, read[7..10]);
    assert_eq!(client.ledger_events(Seq(read.len() as u64), 3).await?, []);

    let of = stream.clone();
    let events = engine.read(move |store| store.read_stream(&of, Version(0), usize::MAX)).await?;
    assert!(events.len() > 1_000);
    assert_eq!(client.stream_events(&stream, Version(0), usize::MAX).await?, events);
    assert_eq!(client.stream_events(&stream, Version(5), 1_001).await?, events[5..1_006]);
    assert_eq!(client.stream_events(&"coordination/no".parse()?, Version(0), 9).await?, []);

    let commits = engine.read(|store| store.commits(CommitNumber(0), usize::MAX)).await?;
    assert!(commits.len() > 1_000);
    assert_eq!(client.commits(CommitNumber(0), usize::MAX).await?, commits);
    assert_eq!(client.commits(CommitNumber(2), 2).await?, commits[2..4]);

    let queries = [
        HeadQuery::Stream(stream.clone()),
        HeadQuery::Stream("coordination/no".parse()?),
        HeadQuery::List(HeadFilter::default()),
        HeadQuery::List(HeadFilter {
            prefix: StreamName::COORDINATIONS.to_owned(),
            status: Some("running".to_owned()),
            ended: Some(false),
            limit: 1,
            ..HeadFilter::default()
        }),
        HeadQuery::List(HeadFilter {
            older_than: Some("coordination/other".parse()?),
            ..HeadFilter::default()
        }),
        HeadQuery::List(HeadFilter { ended: Some(true), ..HeadFilter::default() }),
    ];
    for (query, found) in queries.into_iter().zip([1, 0, 3, 1, 2, 0]) {
        let heads = client.heads(&query).await?;
        assert_eq!(heads.len(), found, "{query:?}");
        assert_eq!(heads, engine.heads(query).await?);
    }

    assert_eq!(client.blob(&Digest::of(b"nothing")).await?, None);
    bench.release.cancel();
    let receipt = run.wait().await?.receipt;
    assert_eq!(client.blob(&receipt).await?, engine.blob(receipt).await?);
    assert!(client.blob(&receipt).await?.is_some());
    bench.stop().await
}
