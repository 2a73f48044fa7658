//! Contexts over the socket: distributed, updated together, read, deleted, and refused.

use crate::common::{Bench, Result};
use antiphon::id::CoordinationId;
use antiphon_server::{Client, ClientError, Code, ContextDeletion, ContextUpdate, ContextsRequest};
use serde_json::{Value, json};

fn code(error: &ClientError) -> Option<Code> {
    error.problem().and_then(|problem| problem.known_code())
}

fn given(contexts: &[(&str, Value)]) -> ContextsRequest {
    let contexts = contexts.iter().map(|(agent, given)| ((*agent).to_owned(), given.clone()));
    ContextsRequest { contexts: contexts.collect() }
}

#[tokio::test]
async fn contexts_are_distributed_updated_read_and_deleted_each_with_one_event() -> Result {
    let bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("inbox")?);
    let objective = json!({ "agent_assignment": { "objective": "write" }, "own": 1 });
    let first = given(&[("a", objective), ("b", json!({}))]);
    assert_eq!(client.distribute_contexts(&run, &first, Some("k")).await?.version, 2);
    assert_eq!(client.distribute_contexts(&run, &first, Some("k")).await?.version, 2);
    let rule = json!({ "lines": 100 }).as_object().unwrap().clone();
    let update = ContextUpdate {
        field: "validation_rules".to_owned(),
        data: rule,
        agents: Some(vec!["a".to_owned()]),
        same_version: false,
    };
    assert_eq!(client.update_contexts(&run, &update, None).await?.version, 3);
    assert_eq!(client.contexts(&run).await?.agents, ["a", "b"]);
    let a = Value::Object(client.context(&run, "a").await?.context);
    let told = [
        &a["agent_assignment"]["objective"],
        &a["shared_intelligence"]["validation_rules"],
        &a["context_version"],
        &a["own"],
    ];
    assert_eq!(told, [&json!("write"), &json!({ "lines": 100 }), &json!(2), &json!(1)]);

    let wrong = given(&[("c/d", json!({ "context_version": 0, "agent_assignment": 1 }))]);
    let error = client.distribute_contexts(&run, &wrong, None).await.unwrap_err();
    let faults = &error.problem().unwrap().errors;
    let places: Vec<_> = faults.iter().map(|fault| fault.pointer.as_deref().unwrap()).collect();
    assert_eq!(places, ["/contexts/c~1d/agent_assignment", "/contexts/c~1d/context_version"]);
    let other = ContextUpdate { agents: Some(vec!["x".to_owned()]), ..update.clone() };
    let refused = client.update_contexts(&run, &other, None).await.unwrap_err();
    assert_eq!(code(&refused), Some(Code::UnknownContext));
    let other = ContextUpdate { field: "rules".to_owned(), ..update };
    let refused = client.update_contexts(&run, &other, None).await.unwrap_err();
    assert_eq!(code(&refused), Some(Code::InvalidBody));

    let one = ContextDeletion { agents: Some(vec!["a".to_owned()]) };
    assert_eq!(client.delete_contexts(&run, &one, None).await?.version, 4);
    let gone = client.context(&run, "a").await.unwrap_err();
    assert_eq!(code(&gone), Some(Code::UnknownContext));
    assert_eq!(client.delete_contexts(&run, &ContextDeletion::default(), None).await?.version, 5);
    assert_eq!(client.contexts(&run).await?.agents, Vec::<String>::new());
    let nowhere = CoordinationId::new("nowhere")?;
    let unknown = client.distribute_contexts(&nowhere, &first, None).await.unwrap_err();
    assert_eq!(code(&unknown), Some(Code::UnknownRun));
    bench.stop().await
}
