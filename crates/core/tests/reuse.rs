//! How a retry is recorded: in schemas that say what an earlier version cannot know, and in a
//! section of the receipt.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use antiphon_core::coordination::{
    Coordination, CoordinationBudget, CoordinationConfig, CoordinationController,
    CoordinationReceipt, Ending, Forerunner, MAX_FINISHED_IN_MEMORY, MAX_ITEMS_PER_EVENT, Meta,
    Reused, StopCondition, WorkSpec,
};
use antiphon_core::digest::{Canonical, Digest};
use antiphon_core::envelope::{CommitTip, Recorded, StreamTip};
use antiphon_core::event::{
    AggregateEvent as _, CoordinationEvent, DecodeError, Interrupted, Resumed, WorkAdded,
};
use antiphon_core::id::{Actor, Epoch, Version};
use antiphon_core::time::{LedgerTime, WallTime};

fn forerunner() -> Forerunner {
    Forerunner {
        coordination: "x".parse().unwrap(),
        receipt: Digest::of(b"receipt"),
        version: Version(9),
        hash: Digest::of(b"head"),
    }
}

fn item(id: &str) -> WorkSpec {
    WorkSpec::function(id, "work").unwrap()
}

fn taken_over(id: &str) -> WorkSpec {
    item(id).reused(Reused {
        from: forerunner().coordination,
        work: None,
        output: None,
        files: None,
        session: None,
    })
}

fn config(work: Vec<WorkSpec>) -> CoordinationConfig {
    let budget = CoordinationBudget::new(10, 60_000, 1_000, None).unwrap();
    CoordinationConfig::of_work(work, budget).unwrap().with_id("x@2").unwrap()
}

/// Everything that a run records which ends at once.
fn recorded(config: CoordinationConfig, stop: StopCondition) -> Vec<Recorded> {
    let mut controller = CoordinationController::new(config);
    controller.start(1_000).unwrap();
    controller.complete(stop, 1_000).unwrap();
    controller.take_events()
}

fn schemas(events: &[Recorded]) -> Vec<String> {
    let kind = |event: &Recorded| event.kind.trim_start_matches("coordination.").to_owned();
    events.iter().map(|event| format!("{} {}", kind(event), event.schema)).collect()
}

#[test]
fn only_a_retry_is_recorded_in_schemas_that_earlier_versions_refuse() {
    let requested = || StopCondition::UserRequested;
    let none = recorded(config(vec![item("a")]), requested());
    assert_eq!(schemas(&none), ["started 1", "work_added 1", "completed 1"]);
    for event in &none {
        let text = String::from_utf8(CoordinationEvent::of(event).unwrap().encode()).unwrap();
        assert!(!text.contains("reused") && !text.contains("forerunner"), "{text}");
    }
    let nothing = recorded(config(vec![item("a")]).retrying(forerunner()), requested());
    assert_eq!(schemas(&nothing), ["started 2", "work_added 1", "completed 1"]);
    let some = config(vec![taken_over("a"), item("b")]).retrying(forerunner());
    let some = recorded(some, requested());
    assert_eq!(schemas(&some), ["started 2", "work_added 2", "completed 3"]);
    let reused = taken_over("a").reused.unwrap();
    let known = item("a").reused(Reused { session: Some("w.3".parse().unwrap()), ..*reused });
    let known = recorded(config(vec![known]).retrying(forerunner()), requested());
    assert_eq!(schemas(&known), ["started 2", "work_added 3", "completed 3"]);
    for event in some.iter().chain(&known) {
        let read = CoordinationEvent::of(event).unwrap();
        let older = CoordinationEvent::decode(read.kind(), event.schema - 1, &read.encode());
        assert!(matches!(older, Err(DecodeError::Malformed { .. })), "{read:?}");
    }
}

#[test]
fn members_that_came_without_a_schema_are_recorded_in_one_and_read_in_those_before() {
    let requested = || StopCondition::UserRequested;
    let origin = Some(Digest::of(b"origin"));
    let from_somewhere = recorded(config(vec![item("a")]).with_origin(origin), requested());
    assert_eq!(schemas(&from_somewhere), ["started 5", "work_added 1", "completed 1"]);
    let again = config(vec![item("a").again("it failed before")]).retrying(forerunner());
    let again = recorded(again.with_origin(origin), requested());
    assert_eq!(schemas(&again), ["started 5", "work_added 3", "completed 1"]);
    let some = vec![taken_over("a"), item("b").again("it failed before")];
    let some = recorded(config(some).retrying(forerunner()).with_origin(origin), requested());
    assert_eq!(schemas(&some), ["started 5", "work_added 3", "completed 3"]);

    // The lowest schema that each was written in before.
    for (events, lowest) in [(&from_somewhere, [1, 1]), (&again, [2, 1]), (&some, [2, 2])] {
        for (event, lowest) in events.iter().zip(lowest) {
            let event = CoordinationEvent::of(event).unwrap();
            let read = |schema| CoordinationEvent::decode(event.kind(), schema, &event.encode());
            for schema in lowest..=event.schema() {
                assert_eq!(read(schema).as_ref(), Ok(&event), "{schema}");
            }
            assert!(read(lowest - 1).is_err(), "{event:?}");
        }
    }
}

#[test]
fn what_is_taken_over_is_recorded_with_where_it_came_from() {
    let reused = Reused {
        from: forerunner().coordination,
        work: Some("first".parse().unwrap()),
        output: Some(Digest::of(b"output")),
        files: Some(Digest::of(b"files")),
        session: Some("w.3".parse().unwrap()),
    };
    let config = config(vec![item("a").reused(reused)]).retrying(forerunner());
    let events = recorded(config, StopCondition::AllWorkCompleted);
    let CoordinationEvent::Started(started) = CoordinationEvent::of(&events[0]).unwrap() else {
        panic!("of its type")
    };
    assert_eq!(started.forerunner, Some(forerunner()));
    let added = CoordinationEvent::of(&events[1]).unwrap().encode();
    let (output, files) = (Digest::of(b"output"), Digest::of(b"files"));
    assert_eq!(
        String::from_utf8(added).unwrap(),
        format!(
            r#"{{"items":[{{"id":"a","runner":{{"function":"work"}},"reused":{{"from":"x","work":"first","output":"{output}","files":"{files}","session":"w.3"}}}}]}}"#
        )
    );
}

/// The receipt of a run with this work, all of which is taken over.
fn receipt(work: Vec<WorkSpec>) -> CoordinationReceipt {
    let mut controller = CoordinationController::new(config(work).retrying(forerunner()));
    controller.start(1_000).unwrap();
    controller.complete(StopCondition::AllWorkCompleted, 1_000).unwrap().receipt
}

#[test]
fn the_receipt_of_a_retry_ends_with_what_was_taken_over() {
    let receipt = receipt(vec![taken_over("a"), taken_over("b")]);
    assert_eq!((receipt.totals.work_succeeded, receipt.totals.work_reused), (2, 2));
    assert_eq!(receipt.verdict.as_str(), "succeeded");
    let whole = receipt.canonical_bytes();
    let without = CoordinationReceipt { reused: None, ..receipt }.canonical_bytes();
    let mut section = Canonical::new("reused");
    section
        .text("x")
        .digest(&Digest::of(b"receipt"))
        .u64(9)
        .digest(&Digest::of(b"head"))
        .length(0)
        .length(2);
    section.text("a").text("a").text("b").text("b");
    assert_eq!(whole.strip_prefix(without.as_slice()), Some(section.into_bytes().as_slice()));
}

#[test]
fn a_receipt_names_the_sessions_that_carried_out_what_was_taken_over_as_far_as_they_are_known() {
    let session = |run: &str| Some(format!("{run}.3").parse().unwrap());
    let known = |id: &str, run: &str| {
        let reused = taken_over(id).reused.unwrap();
        item(id).reused(Reused { session: session(run), ..*reused })
    };
    let receipt = receipt(vec![known("a", "x"), taken_over("b"), known("c", "w")]);
    let whole = receipt.canonical_bytes();
    let without = CoordinationReceipt { carried_out: None, ..receipt }.canonical_bytes();
    let mut section = Canonical::new("carried out");
    section.length(0).length(2);
    section.text("a").text("x").u64(3).text("c").text("w").u64(3);
    assert_eq!(whole.strip_prefix(without.as_slice()), Some(section.into_bytes().as_slice()));
}

#[test]
fn of_very_many_items_that_are_taken_over_each_full_thousand_is_a_digest() {
    let ids: Vec<String> = (0..2_001).map(|number| format!("w{number}")).collect();
    let receipt = receipt(ids.iter().map(|id| taken_over(id)).collect());
    let reused = receipt.reused.as_ref().unwrap();
    let chunk = |ids: &[String]| {
        let mut bytes = Canonical::new("antiphon.reused-chunk.1");
        for id in ids {
            bytes.text(id).text(id);
        }
        bytes.hash()
    };
    assert_eq!(reused.chunks, [chunk(&ids[..1_000]), chunk(&ids[1_000..2_000])]);
    let items: Vec<&str> = reused.items.iter().map(|item| item.work_id.as_str()).collect();
    assert_eq!((items, receipt.totals.work_reused), (vec!["w2000"], 2_001));
    assert_eq!(CoordinationReceipt::from_bytes(&receipt.canonical_bytes()), Ok(receipt));
}

/// A run of which the first event was applied, and what gives it the next ones.
struct Run(Coordination);

impl Run {
    fn begin(config: CoordinationConfig) -> Self {
        let mut controller = CoordinationController::new(config);
        let start = controller.start(1_000).unwrap();
        let event = CoordinationEvent::of(&start.event).unwrap();
        let meta =
            Meta { version: Version(1), at: LedgerTime(1_000), wall: WallTime(1_000), cause: None };
        Self(Coordination::begin(start.coordination_id, &event, &meta).unwrap())
    }

    fn apply(&mut self, event: CoordinationEvent) {
        let version = self.0.version().next();
        let meta = Meta { version, at: LedgerTime(1_000), wall: WallTime(1_000), cause: None };
        self.0.apply(&event, &meta).unwrap();
    }
}

#[test]
fn nothing_leaves_memory_before_a_start_that_was_cut_off_is_complete() {
    let work: Vec<WorkSpec> = (0..MAX_FINISHED_IN_MEMORY + 2_000)
        .map(|number| taken_over(&format!("w{number}")))
        .collect();
    let budget = CoordinationBudget::new(10, 60_000, 1_000, None).unwrap();
    let open = CoordinationConfig::open(work.clone(), budget).unwrap();
    let mut run = Run::begin(open.with_id("x@2").unwrap().retrying(forerunner()));
    let (engine, by) = ("0".to_owned(), Actor::engine().clone());
    for (number, items) in work.chunks(MAX_ITEMS_PER_EVENT).enumerate() {
        run.apply(CoordinationEvent::WorkAdded(WorkAdded {
            items: items.to_vec(),
            recalled: Vec::new(),
        }));
        let (epoch, engine, by) = (Epoch(number as u64 + 2), engine.clone(), by.clone());
        let left = run.0.is_starting();
        run.apply(CoordinationEvent::Interrupted(Interrupted {
            epoch,
            engine,
            by,
            reason: String::new(),
            ends_sessions: false,
            swept: 0,
            away: 0,
        }));
        assert_eq!((left, run.0.is_starting()), (number < 11, number < 11));
    }
    assert_eq!(run.0.work_queue().count(), MAX_FINISHED_IN_MEMORY);
    assert_eq!((run.0.work_count(), run.0.work_left()), (work.len() as u64, 0));
    run.apply(CoordinationEvent::Resumed(Resumed { epoch: Epoch(99), engine, swept: 0, away: 0 }));
    let (tip, commit) = (StreamTip::default(), CommitTip::default());
    let ending = Ending::Completed(StopCondition::AllWorkCompleted);
    let receipt = run.0.receipt(ending, LedgerTime(1_000), WallTime(1_000), tip, commit);
    assert_eq!(receipt.totals.work_reused, work.len() as u64);
}
