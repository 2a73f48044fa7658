//! Items of a run by the API: pages of them, their details, their values, and what they print.

#![cfg(target_os = "linux")]

use crate::common::{Bench, Result, Setting, submission};
use antiphon::id::CoordinationId;
use antiphon_server::{Client, ClientError, Code, Item, ItemQuery, LogBytes, LogQuery};

const PLAN: &str = "name: items
budget: { sessions: 20, duration: 10m }
work:
  says: { shell: 'printf 0123456789' }
  puts: { shell: 'echo \"{\\\"output\\\": 7}\" > \"$ANTIPHON_RESULT\"', group: checks }
  fails: { shell: 'printf \"\\377\" >&2; exit 3', retry: { attempts: 1 }, group: checks }
  never: { command: [echo, '{{puts.output}}'], needs: [fails, puts] }
";

/// The plan, carried out to its end as the run `r`.
async fn ended() -> Result<(Bench, Client, CoordinationId)> {
    let bench = Bench::with(Setting { processes: true, ..Setting::default() }).await?;
    let body: serde_json::Value = serde_json::from_str(&submission("r", PLAN))?;
    let request = serde_json::from_value(body)?;
    let client = Client::connect(&bench.dir).await?;
    client.submit(&request, None).await?;
    bench.engine.run("r")?.wait().await?;
    Ok((bench, client, CoordinationId::new("r")?))
}

fn code<T: std::fmt::Debug>(answer: std::result::Result<T, ClientError>) -> Option<Code> {
    answer.unwrap_err().problem().and_then(antiphon_server::Problem::known_code)
}

#[tokio::test]
async fn items_are_filtered_and_paged_in_the_order_of_addition() -> Result {
    let (bench, client, id) = ended().await?;
    let (mut seen, mut query) = (Vec::new(), ItemQuery { limit: Some(3), ..ItemQuery::default() });
    loop {
        let page = client.items(&id, &query).await?;
        seen.extend(page.items.into_iter().map(|item| (item.item, item.state)));
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    let seen: Vec<_> = seen.iter().map(|(item, state)| (item.as_str(), state.as_str())).collect();
    assert_eq!(
        seen,
        [("says", "succeeded"), ("puts", "succeeded"), ("fails", "failed"), ("never", "skipped")]
    );
    let of_state = ItemQuery { state: Some("failed".to_owned()), ..ItemQuery::default() };
    let failed = client.items(&id, &of_state).await?.items;
    assert_eq!((failed.len(), failed[0].item.as_str()), (1, "fails"));
    let of_group = ItemQuery { group: Some("checks".to_owned()), ..ItemQuery::default() };
    assert_eq!(client.items(&id, &of_group).await?.items.len(), 2);
    let unknown = ItemQuery { state: Some("done".to_owned()), ..ItemQuery::default() };
    assert_eq!(code(client.items(&id, &unknown).await), Some(Code::InvalidRequest));
    bench.stop().await
}

#[tokio::test]
async fn a_value_is_told_from_what_was_printed_and_what_is_not_there_is_refused() -> Result {
    let (bench, client, id) = ended().await?;
    let puts = client.output(&id, "puts").await?;
    assert_eq!((puts.source.as_str(), &puts.bytes[..]), ("output", &b"7"[..]));
    let says = client.output(&id, "says").await?;
    assert_eq!((says.source.as_str(), &says.bytes[..]), ("stdout", &b"0123456789"[..]));
    for item in ["fails", "never"] {
        assert_eq!(code(client.output(&id, item).await), Some(Code::NoValue), "{item}");
    }
    assert_eq!(code(client.output(&id, "nobody").await), Some(Code::UnknownWork));
    let never: Item = client.item(&id, "never").await?;
    assert_eq!(never.line.text.as_deref(), Some("fails, which it needs, did not succeed"));
    assert_eq!(never.command.unwrap().argv, ["echo", "7"]);
    let unstarted = client.logs(&id, Some("never"), &LogQuery::default()).await;
    assert_eq!(code(unstarted), Some(Code::NoSession));
    bench.stop().await
}

#[tokio::test]
async fn what_was_printed_is_read_in_parts_and_as_a_stream_and_bytes_stay_what_they_are() -> Result
{
    let (bench, client, id) = ended().await?;
    let part = bench.get("/v1/runs/r/items/says/logs?stream=stdout&from=4&limit=3").await?;
    assert!(part.contains(r#""from":4,"next":7,"size":10,"text":"456""#), "{part}");
    for refused in ["from=4", "stream=other", "stream=stdout&limit=0", "follow=true"] {
        let answer = bench.get(&format!("/v1/runs/r/items/says/logs?{refused}")).await?;
        assert!(answer.starts_with("HTTP/1.1 400"), "{refused}: {answer}");
    }
    let mut stream = client.logs(&id, None, &LogQuery::default()).await?;
    let mut seen = Vec::new();
    while let Some(piece) = stream.next().await? {
        seen.push((piece.item, piece.stream, piece.bytes));
    }
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    let text = |item: &str, stream: &str, bytes| (item.to_owned(), stream.to_owned(), bytes);
    assert_eq!(
        seen,
        [
            text("fails", "stderr", LogBytes::Hex("ff".to_owned())),
            text("says", "stdout", LogBytes::Text("0123456789".to_owned())),
        ]
    );
    bench.stop().await
}

#[tokio::test]
async fn an_engine_and_the_ledger_at_rest_say_the_same_of_an_item() -> Result {
    let (bench, client, id) = ended().await?;
    let mut live = Vec::new();
    for item in ["says", "puts", "fails", "never"] {
        live.push(client.item(&id, item).await?);
    }
    let store = antiphon::ledger::Location::directory(&bench.dir).store();
    for item in live {
        let details = antiphon::items::ItemDetails::read(store.as_ref(), &id, &item.line.item)?;
        assert_eq!(Item::from(&details), item);
    }
    bench.stop().await
}
