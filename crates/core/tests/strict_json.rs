//! Stored JSON is read strictly: what does not exist is refused at every depth, and what passes its
//! limit is refused there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use antiphon_core::coordination::{
    AbortReason, Backoff, CoordinationBudget, CoordinationConfig, CoordinationReceipt, Ending,
    FailurePolicy, ReceiptBuilder, Runner, WorkItemOutcome, WorkOutcome, WorkSpec,
};
use antiphon_core::digest::Digest;
use antiphon_core::event::{AggregateEvent, CoordinationEvent, LedgerEvent};
use antiphon_core::id::Epoch;
use antiphon_core::time::WallTime;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Members of these are names that callers choose.
const BY_NAME: [&str; 3] = ["/labels", "/widths", "/scores"];

/// The places of all objects in a value.
fn objects(value: &Value, place: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if !BY_NAME.iter().any(|name| place.ends_with(name)) {
                found.push(place.to_owned());
            }
            for (name, member) in members {
                objects(member, &format!("{place}/{name}"), found);
            }
        }
        Value::Array(members) => {
            for (index, member) in members.iter().enumerate() {
                objects(member, &format!("{place}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Asserts that a value can be read, and cannot with one more member anywhere. Returns how many
/// objects it has.
fn refuses_members<T: DeserializeOwned>(stored: &Value) -> usize {
    serde_json::from_value::<T>(stored.clone()).unwrap();
    let mut places = Vec::new();
    objects(stored, "", &mut places);
    for place in &places {
        let mut changed = stored.clone();
        changed.pointer_mut(place).unwrap()["unknown"] = json!(1);
        assert!(serde_json::from_value::<T>(changed).is_err(), "{place}");
    }
    places.len()
}

fn config() -> CoordinationConfig {
    let budget =
        CoordinationBudget::new(9, 60_000, 1_000, Some(5)).unwrap().with_max_cost(1, "EUR");
    let process = Runner::Process { reports_tokens: true, reports_cost: true, secrets: true };
    let backoff = Backoff { initial_ns: 1, factor: 2, cap_ns: 3, jitter_ppm: 4 };
    let work = vec![
        WorkSpec::new("a".parse().unwrap(), Runner::Caller)
            .with_backoff(backoff)
            .on_failure(FailurePolicy::Abort),
        WorkSpec::function("b", "function").unwrap().needs_work("a").unwrap(),
        WorkSpec {
            input: Some(Digest::of(b"input")),
            ..WorkSpec::new("c".parse().unwrap(), process)
        },
    ];
    CoordinationConfig::of_work(work, budget)
        .unwrap()
        .with_label("team", "core")
        .with_width("group".parse().unwrap(), 2)
        .unwrap()
}

fn outcome(number: usize) -> WorkOutcome {
    WorkOutcome {
        work_id: format!("work-{number}").parse().unwrap(),
        attempts: 1,
        final_outcome: Some(WorkItemOutcome::Succeeded),
        sessions: vec![1],
        output: None,
    }
}

fn receipt() -> CoordinationReceipt {
    let budget = CoordinationBudget::new(9, 60_000, 1_000, None).unwrap();
    let mut builder = ReceiptBuilder::new("run".parse().unwrap(), budget, 0);
    builder.record_epoch(Epoch(1), "0.1.0");
    builder.record_work_outcome(outcome(0), true);
    let reason = AbortReason::Cancelled { reason: "by hand".to_owned() };
    builder.end(Ending::Aborted(reason), WallTime(1))
}

#[test]
fn a_configuration_has_no_unknown_members_at_any_depth() {
    assert_eq!(refuses_members::<CoordinationConfig>(&serde_json::to_value(config()).unwrap()), 10);
}

#[test]
fn a_receipt_in_json_has_no_unknown_members_at_any_depth() {
    let stored = serde_json::to_value(receipt()).unwrap();
    assert_eq!(refuses_members::<CoordinationReceipt>(&stored), 10);
}

#[test]
fn a_receipt_in_json_keeps_the_limits_of_receipts() {
    let read = |change: &dyn Fn(&mut Value)| {
        let mut stored = serde_json::to_value(receipt()).unwrap();
        change(&mut stored);
        serde_json::from_value::<CoordinationReceipt>(stored).map_err(|error| error.to_string())
    };
    let outcomes = |count: usize| {
        move |stored: &mut Value| {
            stored["work_outcomes"] = (0..count).map(|n| json!(outcome(n))).collect();
        }
    };
    let sessions = |count: u64| {
        move |stored: &mut Value| {
            stored["work_outcomes"][0]["sessions"] = (0..count).map(Value::from).collect();
        }
    };
    assert_eq!(read(&outcomes(1_000)).unwrap().work_outcomes.len(), 1_000);
    assert_eq!(read(&sessions(100)).unwrap().work_outcomes[0].sessions.len(), 100);
    assert_eq!(
        vec![
            read(&outcomes(1_001)).unwrap_err(),
            read(&outcomes(5_000)).unwrap_err(),
            read(&sessions(101)).unwrap_err(),
        ],
        [
            "the list has more than 1000 members",
            "the list has more than 1000 members",
            "the list has more than 100 members",
        ]
    );
}

#[test]
fn an_event_that_holds_too_much_is_refused_before_it_is_read_whole() {
    let refused = |kind: &str, payload: String| {
        CoordinationEvent::decode(kind, 1, payload.as_bytes()).unwrap_err().to_string()
    };
    let item = serde_json::to_string(&config().work()[1]).unwrap();
    let items = vec![item.as_str(); 1_001].join(",");
    let works = vec!["\"a\""; 1_001].join(",");
    // Both end in the middle: nobody comes that far.
    for (kind, payload) in [
        ("coordination.work_added", format!("{{\"items\":[{items},{{")),
        ("coordination.work_skipped", format!("{{\"works\":[{works},{{")),
    ] {
        let text = refused(kind, payload);
        assert!(text.contains("the list has more than 1000 members"), "{text}");
    }
}

#[test]
fn what_is_erased_and_what_comes_back_keep_the_limits_of_their_lists() {
    let refused = |text: &str| {
        let limit = text.split_once(" at line").map_or(text, |(limit, _)| limit);
        limit.rsplit(": ").next().unwrap_or(limit).to_owned()
    };
    let erased = |versions: u64, blobs: u64| {
        let payload = json!({
            "stream": "coordination/run",
            "versions": (1..=versions).collect::<Vec<_>>(),
            "blobs": (0..blobs).map(|n| Digest::of(&n.to_be_bytes())).collect::<Vec<_>>(),
            "reason": "",
        });
        LedgerEvent::decode("ledger.erased", 1, payload.to_string().as_bytes())
            .map(|_| ())
            .map_err(|error| refused(&error.to_string()))
    };
    let recalled = |sessions: u64| {
        let work = json!({"id": "a", "runner": {"function": "f"}});
        let finished = json!({
            "work": work,
            "outcome": "succeeded",
            "attempts": 1,
            "sessions": (1..=sessions).collect::<Vec<_>>(),
            "changed": 9,
        });
        let payload = json!({"items": [], "recalled": [finished]});
        CoordinationEvent::decode("coordination.work_added", 1, payload.to_string().as_bytes())
            .map(|_| ())
            .map_err(|error| refused(&error.to_string()))
    };
    let over = |max: u32| Err(format!("the list has more than {max} members"));
    assert_eq!(
        [erased(500, 500), erased(501, 0), erased(0, 501), recalled(100), recalled(101)],
        [Ok(()), over(500), over(500), Ok(()), over(100)]
    );
}

#[test]
fn a_receipt_in_the_making_keeps_the_limit_of_its_outcomes() {
    let budget = CoordinationBudget::new(9, 60_000, 1_000, None).unwrap();
    let builder = ReceiptBuilder::new("run".parse().unwrap(), budget, 0);
    let read = |count: usize| {
        let mut stored = serde_json::to_value(&builder).unwrap();
        stored["outcomes"] = (0..count).map(|n| json!(outcome(n))).collect();
        serde_json::from_value::<ReceiptBuilder>(stored).map_err(|error| error.to_string())
    };
    assert!(read(1_000).is_ok());
    assert_eq!(read(1_001), Err("the list has more than 1000 members".to_owned()));
}
