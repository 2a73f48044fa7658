//! Keys over the socket: changed together, read, looked back at, and refused.

#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod common;

use antiphon::id::CoordinationId;
use antiphon_server::{Client, Code, KeyLine, KeysRequest};
use common::{Bench, Result};
use serde_json::json;
use serde_json::value::RawValue;

fn set(values: &[(&str, &str)]) -> KeysRequest {
    let value = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let set = values.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect();
    KeysRequest { set, ..KeysRequest::default() }
}

fn told(keys: &[KeyLine]) -> Vec<String> {
    keys.iter().map(|key| format!("{} {} {}", key.version, key.key, key.value.get())).collect()
}

fn code(error: &antiphon_server::ClientError) -> Option<Code> {
    error.problem().and_then(|problem| problem.known_code())
}

#[tokio::test]
async fn keys_are_changed_together_and_read_by_prefix_page_by_page() -> Result {
    let bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("inbox")?);
    let first = set(&[("a/1", "1"), ("a/2", "{ \"n\": 100000000000000000001 }"), ("b", "null")]);
    assert_eq!(client.change_keys(&run, &first, Some("k")).await?.version, 2);
    assert_eq!(client.change_keys(&run, &first, Some("k")).await?.version, 2);

    let keys = client.keys(&run, "a/", None, 1).await?;
    assert_eq!((told(&keys.keys), keys.more), (vec!["2 a/1 1".to_owned()], true));
    let keys = client.keys(&run, "a/", Some("a/1"), 10).await?;
    let expected = ["2 a/2 { \"n\": 100000000000000000001 }"];
    assert_eq!((told(&keys.keys), keys.more), (expected.map(str::to_owned).to_vec(), false));

    let mut next = set(&[("a/1", "2")]);
    next.delete.push("b".to_owned());
    next.expected = [("a/1".to_owned(), Some(1)), ("b".to_owned(), Some(2))].into();
    let stale = client.change_keys(&run, &next, None).await.unwrap_err();
    assert_eq!(code(&stale), Some(Code::StaleKey));
    assert_eq!(
        stale.to_string(),
        "key a/1 was set at version 2, and was expected to be as of version 1; read it again"
    );
    next.expected.insert("a/1".to_owned(), Some(2));
    assert_eq!(client.change_keys(&run, &next, None).await?.version, 3);
    let history = client.key_history(&run, "", 2).await?;
    let changes = serde_json::to_value(&history.changes)?;
    assert_eq!(
        [&changes[0]["key"], &changes[0]["value"], &changes[1]["gone"], &changes[1]["by"]],
        [&json!("a/1"), &json!(2), &json!(true), &json!("operator")]
    );
    bench.stop().await
}

#[tokio::test]
async fn what_is_wrong_with_a_change_is_named_with_its_place_and_changes_nothing() -> Result {
    let bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("inbox")?);
    let mut wrong = set(&[("", "1"), ("ok", "1")]);
    wrong.expected.insert("other".to_owned(), None);
    let error = client.change_keys(&run, &wrong, None).await.unwrap_err();
    let problem = error.problem().unwrap();
    let faults: Vec<_> = problem
        .errors
        .iter()
        .map(|fault| format!("{} {}", fault.pointer.as_deref().unwrap(), fault.detail))
        .collect();
    assert_eq!(
        faults,
        [
            "/set/ the key is empty; give it at least one character",
            "/expected/other this key is not changed",
        ]
    );
    let odd = client.change_keys(&run, &set(&[("gate/coverage", "0.8")]), None).await.unwrap_err();
    assert_eq!(code(&odd), Some(Code::Refused));
    let unknown = CoordinationId::new("unknown")?;
    let error = client.keys(&unknown, "", None, 10).await.unwrap_err();
    assert_eq!(code(&error), Some(Code::UnknownRun));
    assert_eq!(client.keys(&run, "", None, 10).await?.keys.len(), 0);
    bench.stop().await
}
