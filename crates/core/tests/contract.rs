//! The kernel's contract, clause by clause: INV-CO01 to 15 and CTR-CO01 to 13, each under the name
//! of what it promises.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use antiphon_core::coordination::{
    AbortReason, ApplyError, Backoff, BindError, BudgetType, BudgetUsage, ConfigError,
    ControllerError, CoordinationBudget, CoordinationConfig, CoordinationController,
    CoordinationError, CoordinationObjectiveReceiptV1, CoordinationReceipt, CoordinationReducer,
    CoordinationStatus, EfeComponents, EfeObjective, EfeWeights, Ending, Grant, HashMismatch,
    MAX_ATTEMPTS_LIMIT, MAX_HASHMAP_SIZE, MAX_WORK_OUTCOMES, MAX_WORK_QUEUE_SIZE, NextStep,
    PlannerError, ReceiptBuilder, Reducer, ReducerContext, Runner, SessionOutcome, SessionSpawner,
    SessionTerminationInfo, SkipReason, SpawnError, StateError, StopCondition, TerminationError,
    Verdict, WorkItemOutcome, WorkOutcome, WorkSpec, WrongStopCondition,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Payload, Recorded, StreamTip};
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{Actor, OutOfOrder, StreamName, Version, WorkId};
use antiphon_core::time::{ClockRegression, LedgerTime, WallTime};

fn budget() -> CoordinationBudget {
    CoordinationBudget::new(10, 5_000_000, 1_000_000, Some(100_000)).unwrap()
}

fn controller(work: &[&str], attempts: u32) -> CoordinationController {
    let work = work.iter().map(ToString::to_string).collect();
    let config = CoordinationConfig::new(work, budget(), attempts).unwrap().with_id("c").unwrap();
    let mut controller = CoordinationController::new(config);
    controller.start(1_000).unwrap();
    controller
}

fn run(
    controller: &mut CoordinationController,
    work: &str,
    outcome: SessionOutcome,
    time: u64,
) -> NextStep {
    let bound = controller.prepare_session_spawn(work, controller.version().0, time).unwrap();
    controller
        .record_session_termination(bound.session_id.to_string(), work, outcome, 10, time)
        .unwrap()
        .then
}

fn kinds(events: &[Recorded]) -> Vec<&str> {
    events.iter().map(|event| &*event.kind).collect()
}

fn decode(recorded: &Recorded) -> CoordinationEvent {
    CoordinationEvent::of(recorded).unwrap()
}

fn replay(events: &[Recorded]) -> CoordinationReducer {
    let mut reducer = CoordinationReducer::new();
    for event in events {
        reducer.apply(event, &ReducerContext::replay(event.version.0)).unwrap();
    }
    reducer
}

#[test]
fn inv_co01_one_session_runs_at_a_time() {
    let mut controller = controller(&["a", "b"], 3);
    let bound = controller.prepare_session_spawn("a", controller.version().0, 2_000).unwrap();
    let before = controller.session().unwrap().snapshot();
    assert_eq!(
        controller.prepare_session_spawn("b", controller.version().0, 2_000),
        Err(BindError::SessionAlreadyBound { session_id: bound.session_id, concurrency: 1 }.into())
    );
    assert_eq!(controller.session().unwrap().snapshot(), before);
}

#[test]
fn inv_co02_the_session_id_is_known_before_it_is_bound() {
    let mut controller = controller(&["a"], 3);
    let bound = controller.prepare_session_spawn("a", controller.version().0, 2_000).unwrap();
    assert_eq!(bound.session_id.to_string(), "c.1");
    let CoordinationEvent::SessionBound(event) = decode(&bound.binding_event) else {
        panic!("{bound:?}")
    };
    assert_eq!((event.session, event.work.as_str(), event.attempt), (1, "a", 1));
}

#[test]
fn inv_co03_bound_and_unbound_bracket_every_session() {
    let mut controller = controller(&["a"], 2);
    run(&mut controller, "a", SessionOutcome::Failure, 2_000);
    let _bound = controller.prepare_session_spawn("a", controller.version().0, 3_000).unwrap();
    controller.abort(AbortReason::NoEligibleWork, 4_000).unwrap();
    assert_eq!(
        kinds(&controller.take_events()),
        [
            "coordination.started",
            "coordination.work_added",
            "coordination.session_bound",
            "coordination.session_unbound",
            "coordination.session_bound",
            "coordination.session_unbound",
            "coordination.aborted",
        ]
    );
}

#[test]
fn inv_co04_three_items_failed_for_good_trip_the_breaker() {
    let mut controller = controller(&["a", "b", "c", "d", "e", "f"], 1);
    run(&mut controller, "a", SessionOutcome::Failure, 2_000);
    run(&mut controller, "b", SessionOutcome::Timeout, 2_000);
    assert_eq!(controller.check_stop_condition(), None);
    run(&mut controller, "c", SessionOutcome::Success, 2_000);
    run(&mut controller, "d", SessionOutcome::Failure, 2_000);
    run(&mut controller, "e", SessionOutcome::SpawnFailed, 2_000);
    assert_eq!(controller.check_stop_condition(), None, "a success starts the count anew");
    run(&mut controller, "f", SessionOutcome::Failure, 2_000);
    assert_eq!(
        controller.check_stop_condition(),
        Some(StopCondition::AllWorkCompleted),
        "no work is left"
    );
}

#[test]
fn inv_co04_a_tripped_breaker_lets_nothing_start() {
    let mut controller = controller(&["a", "b", "c", "d"], 1);
    for work in ["a", "b", "c"] {
        run(&mut controller, work, SessionOutcome::Failure, 2_000);
    }
    let stop = StopCondition::CircuitBreakerTripped;
    assert_eq!(controller.check_stop_condition(), Some(stop.clone()));
    let refused = controller.prepare_session_spawn("d", controller.version().0, 2_000);
    assert_eq!(refused, Err(BindError::MustStop { stop: stop.clone() }.into()));
    let end = controller.complete(stop, 2_000).unwrap();
    assert_eq!((end.receipt.verdict, end.receipt.totals.work_unfinished), (Verdict::Failed, 1));
}

#[test]
fn inv_co05_and_ctr_co08_zero_sessions_and_zero_time_are_no_budget() {
    let refused = |field: &str| Err(CoordinationError::InvalidBudget { field: field.to_owned() });
    assert_eq!(CoordinationBudget::new(0, 1, 1, None), refused("max_episodes"));
    assert_eq!(CoordinationBudget::new(1, 0, 1, None), refused("max_duration_ticks"));
    for bad in [
        r#"{"max_episodes":0,"max_duration_ticks":1,"tick_rate_hz":1}"#,
        r#"{"max_episodes":1,"max_duration_ticks":0}"#,
    ] {
        assert!(serde_json::from_str::<CoordinationBudget>(bad).is_err(), "{bad}");
    }
}

#[test]
fn inv_co06_a_zero_tick_rate_is_no_budget() {
    let field = "tick_rate_hz".to_owned();
    assert_eq!(
        CoordinationBudget::new(1, 1, 0, None),
        Err(CoordinationError::InvalidBudget { field })
    );
    let read = serde_json::from_str::<CoordinationBudget>(
        r#"{"max_episodes":1,"max_duration_ticks":1,"tick_rate_hz":0}"#,
    );
    assert_eq!(
        read.unwrap_err().to_string(),
        "the budget is invalid: tick_rate_hz must be greater than zero"
    );
}

#[test]
fn inv_co07_no_counter_of_usage_falls() {
    let mut usage = BudgetUsage::with_tick_rate(1_000);
    usage.update_elapsed_ticks(5, 1_000).unwrap();
    let before = usage.clone();
    assert_eq!(
        usage.update_elapsed_ticks(4, 1_000),
        Err(CoordinationError::ClockRegression { last: 5, current: 4 })
    );
    assert_eq!(usage, before);

    let mut controller = controller(&["a"], 3);
    let bound = controller.prepare_session_spawn("a", controller.version().0, 2_000).unwrap();
    let snapshot = controller.session().unwrap().snapshot();
    let refused =
        controller.record_session_termination("c.1", "a", SessionOutcome::Success, 1, 1_999);
    assert_eq!(refused, Err(ClockRegression { last: 2_000, current: 1_999 }.into()));
    assert_eq!(controller.session().unwrap().snapshot(), snapshot);
    let ended = controller.record_session_termination(
        bound.session_id.to_string(),
        "a",
        SessionOutcome::Success,
        1,
        2_000,
    );
    assert!(ended.is_ok(), "the session can still be ended");
}

#[test]
fn inv_co08_ticks_of_another_rate_are_refused() {
    let mut usage = BudgetUsage::with_tick_rate(1_000);
    let refused = usage.update_elapsed_ticks(1, 999);
    assert_eq!(refused, Err(CoordinationError::TickRateMismatch { expected: 1_000, actual: 999 }));
    assert_eq!(usage, BudgetUsage::with_tick_rate(1_000));
}

#[test]
fn inv_co09_the_same_events_give_the_same_state() {
    let mut controller = controller(&["a", "b"], 2);
    run(&mut controller, "a", SessionOutcome::Failure, 2_000);
    run(&mut controller, "a", SessionOutcome::Success, 3_000);
    let events = controller.take_events();
    let id = controller.session().unwrap().coordination_id().clone();
    let live = controller.session().unwrap().snapshot();
    assert_eq!(replay(&events).state().get(&id).unwrap().snapshot(), live);
    assert_eq!(replay(&events).state().get(&id).unwrap().snapshot(), live);
}

#[test]
fn inv_co10_a_replayed_start_resets_nothing() {
    let mut controller = controller(&["a", "b"], 2);
    run(&mut controller, "a", SessionOutcome::Success, 2_000);
    let events = controller.take_events();
    let mut reducer = replay(&events);
    let id = controller.session().unwrap().coordination_id().clone();
    let before = reducer.state().get(&id).unwrap().snapshot();
    for event in &events {
        reducer.apply(event, &ReducerContext::replay(1)).unwrap();
    }
    assert_eq!(reducer.state().get(&id).unwrap().snapshot(), before);
}

#[test]
fn inv_co11_the_reducer_holds_ten_thousand_coordinations_and_refuses_the_next() {
    let mut controller = controller(&["a"], 1);
    let started = controller.take_events().remove(0);
    let named = |number: usize| {
        let stream = StreamName::Coordination(format!("c-{number}").parse().unwrap());
        Recorded { stream, ..started.clone() }
    };
    let mut reducer = CoordinationReducer::new();
    for number in 0..MAX_HASHMAP_SIZE {
        reducer.apply(&named(number), &ReducerContext::replay(1)).unwrap();
    }
    let refused = reducer.apply(&named(MAX_HASHMAP_SIZE), &ReducerContext::replay(1)).unwrap_err();
    assert_eq!(refused.to_string(), "coordinations would exceed its limit of 10000 entries");
    assert_eq!(reducer.state().len(), MAX_HASHMAP_SIZE);
    reducer.forget(&"c-0".parse().unwrap()).unwrap();
    reducer.apply(&named(MAX_HASHMAP_SIZE), &ReducerContext::replay(1)).unwrap();
}

#[test]
fn inv_co12_the_hash_in_the_terminal_event_is_that_of_the_stored_receipt() {
    let mut controller = controller(&["a"], 1);
    run(&mut controller, "a", SessionOutcome::Success, 2_000);
    let end = controller.complete(StopCondition::AllWorkCompleted, 3_000).unwrap();
    let blobs = controller.take_blobs();
    let CoordinationEvent::Completed(completed) = decode(&end.event) else { panic!("{end:?}") };
    assert_eq!(completed.receipt, end.receipt_hash);
    assert_eq!(blobs.iter().map(|blob| blob.digest).collect::<Vec<_>>(), [end.receipt_hash]);
    assert_eq!(Digest::of(&blobs[0].bytes), end.receipt_hash);
    assert_eq!(blobs[0].bytes, end.receipt.canonical_bytes());
    let mut cas: BTreeMap<Digest, Vec<u8>> = BTreeMap::new();
    assert_eq!(end.receipt.store(&mut cas), Ok(end.receipt_hash));
    assert_eq!(cas, [(end.receipt_hash, blobs[0].bytes.clone())].into());
}

fn outcome(work: &str, last: WorkItemOutcome, sessions: Vec<u64>) -> WorkOutcome {
    let work_id = WorkId::new(work).unwrap();
    WorkOutcome { work_id, attempts: 1, final_outcome: Some(last), sessions, output: None }
}

#[test]
fn inv_co13_a_receipt_spells_out_a_thousand_items_and_digests_each_thousand_before() {
    let mut builder = ReceiptBuilder::new("c".parse().unwrap(), budget(), 1);
    for number in 0..=2 * MAX_WORK_OUTCOMES {
        builder.record_work_outcome(
            outcome(&format!("w{number}"), WorkItemOutcome::Succeeded, vec![1]),
            false,
        );
    }
    let receipt = builder.build(StopCondition::AllWorkCompleted, 2);
    assert_eq!((receipt.outcome_chunks.len(), receipt.work_outcomes.len()), (2, 1));
    assert_eq!(receipt.work_outcomes[0].work_id, "w2000");
    assert_eq!(receipt.totals.work_succeeded, 2_001);
}

#[test]
fn inv_co14_weights_are_clamped_and_what_is_not_finite_is_refused() {
    let weights = EfeWeights::new(-1.0, 0.5, 7.0).unwrap();
    assert_eq!(<[u32; 3]>::from(weights), [0, 500_000, 1_000_000]);
    for bad in [f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(
            EfeWeights::new(0.0, bad, 0.0),
            Err(PlannerError::InvalidFloat { field: "lambda_uncertainty", value: bad })
        );
    }
    assert!(matches!(
        EfeWeights::new(f64::NAN, 0.0, 0.0),
        Err(PlannerError::InvalidFloat { field: "lambda_risk", .. })
    ));
    assert!(serde_json::from_str::<EfeWeights>("[1000001,0,0]").is_err());
}

#[test]
fn inv_co15_scores_lie_between_zero_and_one_and_zero_is_best() {
    let out = PlannerError::OutOfRange { field: "expected_resource_cost", value: 1.5 };
    assert_eq!(EfeComponents::new(0.0, 0.0, 1.5), Err(out));
    assert!(serde_json::from_str::<EfeComponents>("[0,0,1000001]").is_err());
    let score = |value| {
        EfeComponents::new(value, value, value).unwrap().compute_efe(&EfeWeights::default())
    };
    assert_eq!([score(0.0), score(0.5), score(1.0)], [0, 1_500_000, 3_000_000]);
    let forged =
        r#"{"work_id":"a","components":[500000,0,0],"weights":[1000000,0,0],"efe_score":1}"#;
    assert_eq!(
        serde_json::from_str::<EfeObjective>(forged).unwrap_err().to_string(),
        "the score of \"a\" is 1 millionths, but its inputs give 500000".replace('"', "")
    );
}

#[test]
fn ctr_co01_start_gives_the_started_event_once() {
    let config =
        CoordinationConfig::new(vec!["a".to_owned()], budget(), 3).unwrap().with_id("c").unwrap();
    let mut controller = CoordinationController::new(config);
    let start = controller.start(1_000).unwrap();
    assert_eq!(
        (&*start.event.kind, start.event.version, start.event.at),
        ("coordination.started", Version(1), LedgerTime(1_000))
    );
    assert_eq!(
        kinds(&controller.take_events()),
        ["coordination.started", "coordination.work_added"]
    );
    let again = controller.start(2_000);
    assert_eq!(
        again,
        Err(ControllerError::CoordinationAlreadyExists { coordination_id: "c".parse().unwrap() })
    );
    assert_eq!(controller.take_events(), []);
}

#[test]
fn ctr_co02_binding_leaves_its_event_in_the_outbox() {
    let mut controller = controller(&["a"], 3);
    let _started = controller.take_events();
    let bound = controller.prepare_session_spawn("a", controller.version().0, 2_000).unwrap();
    assert_eq!(controller.take_events(), [bound.binding_event]);
}

#[test]
fn ctr_co03_the_end_of_a_session_leaves_its_event_and_what_follows() {
    let mut controller = controller(&["a"], 2);
    let _bound = controller.prepare_session_spawn("a", controller.version().0, 2_000).unwrap();
    let _until_here = controller.take_events();
    let ended = controller
        .record_session_termination("c.1", "a", SessionOutcome::Failure, 10, 3_000)
        .unwrap();
    assert_eq!(ended.then, NextStep::Retry(LedgerTime(3_000)));
    assert_eq!(controller.take_events(), [ended.event]);
    assert_eq!(
        run(&mut controller, "a", SessionOutcome::Failure, 4_000),
        NextStep::Done(WorkItemOutcome::Failed)
    );
}

#[test]
fn ctr_co04_complete_and_abort_give_the_one_terminal_event() {
    let mut completed = controller(&["a"], 3);
    let end = completed.complete(StopCondition::UserRequested, 2_000).unwrap();
    assert_eq!(&*end.event.kind, "coordination.completed");
    let mut aborted = controller(&["a"], 3);
    let reason = AbortReason::Cancelled { reason: "enough".to_owned() };
    let end = aborted.abort(reason.clone(), 2_000).unwrap();
    assert_eq!(&*end.event.kind, "coordination.aborted");
    assert_eq!(aborted.session().unwrap().status(), &CoordinationStatus::Aborted(reason.clone()));
    let over = StateError::CoordinationTerminal { coordination_id: "c".parse().unwrap() };
    let events = aborted.take_events().len();
    assert_eq!(aborted.abort(reason, 3_000), Err(over.clone().into()));
    assert_eq!(aborted.complete(StopCondition::UserRequested, 3_000), Err(over.clone().into()));
    assert_eq!(aborted.prepare_session_spawn("a", 9, 3_000), Err(over.into()));
    assert_eq!((events, aborted.take_events()), (3, Vec::new()));
}

#[test]
fn ctr_co05_an_empty_queue_is_refused() {
    assert_eq!(
        CoordinationConfig::new(Vec::new(), budget(), 3),
        Err(ControllerError::EmptyWorkQueue)
    );
}

#[test]
fn ctr_co06_a_queue_beyond_its_limit_is_refused() {
    let work = |count: usize| (0..count).map(|number| format!("w{number}")).collect::<Vec<_>>();
    assert!(CoordinationConfig::new(work(MAX_WORK_QUEUE_SIZE), budget(), 3).is_ok());
    let refused = CoordinationConfig::new(work(MAX_WORK_QUEUE_SIZE + 1), budget(), 3);
    assert_eq!(
        refused,
        Err(ConfigError::WorkQueueSizeExceeded { actual: 1_001, max: 1_000 }.into())
    );
    let raised = CoordinationConfig::with_max_queue_size(work(1_001), budget(), 3, 2_000).unwrap();
    assert!(CoordinationController::new(raised).start(1_000).is_ok());
}

#[test]
fn ctr_co07_attempts_lie_between_one_and_a_hundred() {
    let with = |attempts| CoordinationConfig::new(vec!["a".to_owned()], budget(), attempts);
    for attempts in [0, MAX_ATTEMPTS_LIMIT + 1] {
        let actual = attempts.into();
        assert_eq!(
            with(attempts),
            Err(ConfigError::OutOfRange {
                field: "max_attempts_per_work",
                actual,
                min: 1,
                max: 100
            }
            .into())
        );
    }
    assert!(with(1).is_ok() && with(MAX_ATTEMPTS_LIMIT).is_ok());
}

#[test]
fn ctr_co09_old_budgets_in_milliseconds_are_read() {
    let read: CoordinationBudget =
        serde_json::from_str(r#"{"max_episodes":10,"max_duration_ms":60000,"max_tokens":5}"#)
            .unwrap();
    assert_eq!(read, CoordinationBudget::new(10, 60_000, 1_000, Some(5)).unwrap());
}

struct Broken;

impl SessionSpawner for Broken {
    fn spawn(&self, _session_id: &str, _work_id: &str) -> Result<(), SpawnError> {
        Err(SpawnError::SpawnFailed { reason: "no room".to_owned() })
    }
    fn observe_termination(&self, session_id: &str) -> Result<SessionTerminationInfo, SpawnError> {
        Err(SpawnError::SessionNotFound { session_id: session_id.to_owned() })
    }
}

#[test]
fn ctr_co10_the_binding_is_there_to_append_before_the_session_starts() {
    let mut controller = controller(&["a"], 1);
    let bound = controller.prepare_session_spawn("a", controller.version().0, 2_000).unwrap();
    let appended = controller.take_events();
    assert_eq!(appended.last(), Some(&bound.binding_event));
    let id = controller.session().unwrap().coordination_id().clone();
    // Whoever dies before the spawn finds the binding in the record.
    assert_eq!(replay(&appended).state().get(&id).unwrap().bindings().len(), 1);
}

#[test]
fn ctr_co11_a_failed_spawn_unbinds_with_its_reason() {
    let mut controller = controller(&["a"], 1);
    let bound = controller.prepare_session_spawn("a", controller.version().0, 2_000).unwrap();
    let session = bound.session_id.to_string();
    assert_eq!(
        Broken.spawn(&session, "a").unwrap_err().to_string(),
        "the session could not be started: no room"
    );
    let ended = controller
        .record_session_termination(&session, "a", SessionOutcome::SpawnFailed, 0, 2_000)
        .unwrap();
    let CoordinationEvent::SessionUnbound(unbound) = decode(&ended.event) else {
        panic!("{ended:?}")
    };
    assert_eq!(
        (unbound.reason(), unbound.then),
        (Some("SPAWN_FAILED"), NextStep::Done(WorkItemOutcome::Failed))
    );
    assert_eq!(controller.session().unwrap().consecutive_failures(), 1);
}

fn golden_receipt() -> CoordinationReceipt {
    let mut builder = ReceiptBuilder::new("coord-golden".parse().unwrap(), budget(), 1_000_000_000);
    builder.record_work_outcome(outcome("work-1", WorkItemOutcome::Succeeded, vec![1, 2]), true);
    builder.record_work_outcome(outcome("work-2", WorkItemOutcome::Failed, vec![3]), false);
    builder.build(StopCondition::BudgetExhausted(BudgetType::Tokens), 2_000_000_000)
}

#[test]
fn ctr_co12_the_receipt_hash_covers_length_prefixed_bytes() {
    let receipt = golden_receipt();
    let bytes: String =
        receipt.canonical_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, include_str!("receipt.hex").split_whitespace().collect::<String>());
    assert_eq!(
        receipt.compute_hash().to_string(),
        "ca7ced5980cf747574be668cd25850339b2c9d801ddcaa417a6a6bc7d3878e19"
    );
    let moved = |first: &str, second: &str| {
        let mut builder = ReceiptBuilder::new(first.parse().unwrap(), budget(), 1);
        builder.record_work_outcome(outcome(second, WorkItemOutcome::Succeeded, Vec::new()), false);
        builder.build(StopCondition::AllWorkCompleted, 2).compute_hash()
    };
    assert_ne!(moved("ab", "c"), moved("a", "bc"));
}

#[test]
fn ctr_co13_verify_tells_a_changed_receipt() {
    let receipt = golden_receipt();
    let expected = receipt.compute_hash();
    assert_eq!(receipt.verify(&expected), Ok(()));
    let changed = CoordinationReceipt { completed_at: WallTime(2_000_000_001), ..receipt };
    assert_eq!(
        changed.verify(&expected),
        Err(HashMismatch { expected, actual: changed.compute_hash() })
    );
}

#[test]
fn planner_hashes_are_what_they_always_were() {
    let components = EfeComponents::new(0.25, 0.5, 1.0).unwrap();
    let objective = EfeObjective::new(
        "work-1".parse().unwrap(),
        components,
        EfeWeights::new(1.0, 0.5, 0.0).unwrap(),
    );
    assert_eq!(objective.efe_score(), 500_000);
    assert_eq!(
        objective.inputs_hash().to_string(),
        "5681d4ab18a92938f33f689dea3036aa0fab55eff55823bf508c3d0c0b2b3dbd"
    );
    let id = "coord-golden".parse().unwrap();
    let receipt = CoordinationObjectiveReceiptV1::new(id, &objective, 3, 1_000).unwrap();
    assert_eq!(
        receipt.compute_hash().to_string(),
        "0a066881f203e25f40ff59c2a19bbe94a24432d2b38914e3cdaa77fe8a93fbc5"
    );
    assert!(receipt.verify(&receipt.compute_hash()));
    assert_eq!(
        CoordinationObjectiveReceiptV1::new("c".parse().unwrap(), &objective, 2, 1_000),
        None
    );
}

#[test]
fn foreign_sessions_and_work_are_refused_and_change_nothing() {
    let mut controller = controller(&["a", "b"], 3);
    let _bound = controller.prepare_session_spawn("a", controller.version().0, 2_000).unwrap();
    let before = (controller.session().unwrap().snapshot(), controller.take_events().len());
    for session in ["c.2", "c.0", "d.1", "c", "", "c.01"] {
        let refused =
            controller.record_session_termination(session, "a", SessionOutcome::Success, 1, 3_000);
        assert_eq!(
            refused,
            Err(TerminationError::SessionNotBound { session_id: session.to_owned() }.into())
        );
    }
    let refused =
        controller.record_session_termination("c.1", "b", SessionOutcome::Success, 1, 3_000);
    let mismatch = TerminationError::SessionWorkMismatch {
        session_id: "c.1".parse().unwrap(),
        actual: "a".parse().unwrap(),
        claimed: "b".to_owned(),
    };
    assert_eq!(refused, Err(mismatch.into()));
    let refused = controller.complete(StopCondition::AllWorkCompleted, 3_000);
    assert_eq!(
        refused,
        Err(ControllerError::WrongStopCondition(WrongStopCondition {
            claimed: StopCondition::AllWorkCompleted,
            actual: None
        }))
    );
    assert_eq!(controller.session().unwrap().snapshot(), before.0);
    assert_eq!(controller.take_events(), []);
}

#[test]
fn an_event_of_the_wrong_shape_is_refused_where_it_lies() {
    let mut controller = controller(&["a"], 3);
    let mut started = controller.take_events().remove(0);
    started.payload = Payload::Bytes(b"{}".to_vec());
    started.actor = Actor::new("x").unwrap();
    let refused =
        CoordinationReducer::new().apply(&started, &ReducerContext::replay(1)).unwrap_err();
    assert!(
        refused.to_string().starts_with("coordination/c 1: the payload of coordination.started"),
        "{refused}"
    );
}

#[test]
fn a_reason_without_bounds_is_cut_off() {
    let mut controller = controller(&["a"], 3);
    let end = controller.abort(AbortReason::Error { message: "x".repeat(100_000) }, 2_000).unwrap();
    assert_eq!(end.event.payload.bytes().map(|bytes| bytes.len() < 8_192), Some(true));
    assert_eq!(
        end.receipt.ending.clone(),
        Ending::Aborted(AbortReason::Error { message: format!("{} [cut]", "x".repeat(4_090)) })
    );
}

#[test]
fn what_a_failed_item_leaves_without_hope_is_skipped_in_the_same_append() {
    let item = |id: &str| WorkSpec::new(id.parse().unwrap(), Runner::Caller).with_attempts(1);
    let work =
        vec![item("a"), item("b").needs_work("a").unwrap(), item("c").needs_work("b").unwrap()];
    let mut controller =
        CoordinationController::new(CoordinationConfig::of_work(work, budget()).unwrap());
    controller.start(1_000).unwrap();
    run(&mut controller, "a", SessionOutcome::Failure, 2_000);
    assert_eq!(
        kinds(&controller.take_events())[3..],
        ["coordination.session_unbound", "coordination.work_skipped", "coordination.work_skipped"]
    );
    assert_eq!(controller.check_stop_condition(), Some(StopCondition::AllWorkCompleted));
}

#[test]
fn work_whose_back_off_has_passed_is_ready_again_and_overdue_sessions_are_named_once() {
    let backoff = Backoff { initial_ns: 1_000, factor: 1, cap_ns: 1_000, jitter_ppm: 0 };
    let item = WorkSpec::new("a".parse().unwrap(), Runner::Caller)
        .with_backoff(backoff)
        .with_timeout_ticks(1);
    let mut controller =
        CoordinationController::new(CoordinationConfig::of_work(vec![item], budget()).unwrap());
    controller.start(1).unwrap();
    run(&mut controller, "a", SessionOutcome::Failure, 10);
    assert_eq!(controller.current_work_id(), None);
    let (due, _) = controller.session().unwrap().next_deadlines(LedgerTime(10));
    assert_eq!(due, Some(LedgerTime(1_010)));
    assert_eq!(
        (controller.expire(1_009), controller.current_work_id()),
        (vec![], None),
        "it is not due yet"
    );
    assert_eq!(controller.expire(1_010), []);
    assert_eq!(controller.current_work_id().map(WorkId::as_str), Some("a"));

    let bound = controller.prepare_session_spawn("a", controller.version().0, 1_010).unwrap();
    let over = controller.session().unwrap().binding(2).unwrap().0.deadline.0;
    assert_eq!(controller.expire(over), [bound.session_id]);
    assert_eq!(controller.expire(over), []);
}

#[test]
fn what_is_bound_records_the_version_that_its_caller_looked_at() {
    let mut controller = controller(&["a", "b"], 3);
    let looked_at = controller.version().0;
    run(&mut controller, "a", SessionOutcome::Success, 2_000);
    let bound = controller.prepare_session_spawn("b", looked_at, 3_000).unwrap();
    let CoordinationEvent::SessionBound(event) = decode(&bound.binding_event) else {
        panic!("{bound:?}")
    };
    assert_eq!((event.looked_at, bound.binding_event.version), (Version(looked_at), Version(5)));
}

#[test]
fn a_version_beyond_the_stream_is_refused() {
    let mut controller = controller(&["a"], 3);
    let (last, ahead) = (controller.version(), controller.version().next());
    let refused = BindError::LookedAhead { looked_at: ahead, last };
    assert_eq!(controller.prepare_session_spawn("a", ahead.0, 2_000), Err(refused.clone().into()));
    let fresh = controller.check_work_freshness("a", ahead.0, true).unwrap();
    assert_eq!(
        (fresh.is_eligible, fresh.skip_reason.as_deref()),
        (false, Some("version 3 is beyond version 2, the last there is; look again"))
    );
    assert_eq!(fresh.skip_reason, Some(refused.to_string()));
}

/// Whether work is eligible, and that the binding itself is refused for the same reason.
fn refusal(controller: &CoordinationController, work: &str, seq: u64, time: u64) -> Option<String> {
    let fresh = controller.check_work_freshness(work, seq, true).unwrap();
    let bound = controller.clone().prepare_session_spawn(work, seq, time);
    assert_eq!(fresh.skip_reason, bound.err().map(|error| error.to_string()));
    assert_eq!(fresh.is_eligible, fresh.skip_reason.is_none());
    fresh.skip_reason
}

#[test]
fn work_is_eligible_just_where_it_can_be_bound() {
    let mut controller = controller(&["a", "b", "c"], 1);
    let seen = controller.version().0;
    assert_eq!(refusal(&controller, "a", seen, 2_000), None);
    let not_claimable = controller.check_work_freshness("a", seen, false).unwrap();
    assert_eq!(not_claimable.skip_reason.as_deref(), Some("work is not claimable"));

    let _bound = controller.prepare_session_spawn("a", seen, 2_000).unwrap();
    let taken = "session c.1 is running, and the concurrency of 1 allows no more";
    for work in ["a", "b"] {
        assert_eq!(refusal(&controller, work, 3, 2_000).as_deref(), Some(taken));
    }
    controller.record_session_termination("c.1", "a", SessionOutcome::Success, 10, 2_000).unwrap();
    let changed = "work a changed at version 4 after it was looked at (version 3); look again";
    assert_eq!(refusal(&controller, "a", 3, 2_000).as_deref(), Some(changed));
    let done = "work a has succeeded; only work that is ready can be bound";
    assert_eq!(refusal(&controller, "a", 4, 2_000).as_deref(), Some(done));

    controller.complete(StopCondition::UserRequested, 3_000).unwrap();
    let ended = "run c has ended; nothing can be added to its record";
    assert_eq!(refusal(&controller, "b", 5, 3_000).as_deref(), Some(ended));
}

#[test]
fn work_that_waits_is_eligible_once_its_moment_has_come_and_none_is_once_the_budget_is_used() {
    let backoff = Backoff { initial_ns: 1_000, factor: 1, cap_ns: 1_000, jitter_ppm: 0 };
    let item = WorkSpec::new("a".parse().unwrap(), Runner::Caller).with_backoff(backoff);
    let mut controller = CoordinationController::new(
        CoordinationConfig::of_work(vec![item], budget()).unwrap().with_id("c").unwrap(),
    );
    controller.start(1).unwrap();
    run(&mut controller, "a", SessionOutcome::Failure, 10);
    let seen = controller.version().0;
    let waits = "work a is delayed; only work that is ready can be bound";
    assert_eq!(refusal(&controller, "a", seen, 10).as_deref(), Some(waits));
    assert_eq!(controller.expire(1_009), []);
    assert_eq!(refusal(&controller, "a", seen, 1_009).as_deref(), Some(waits));
    assert_eq!(controller.expire(1_010), []);
    assert_eq!(refusal(&controller, "a", seen, 1_010), None);

    let whole = 1 + 5_000_000 * 1_000;
    assert_eq!(controller.expire(whole), []);
    let spent = "no new session can start: the time budget is spent";
    assert_eq!(refusal(&controller, "a", seen, whole).as_deref(), Some(spent));
}

fn scored(work: &str, violation: f64) -> EfeObjective {
    let components = EfeComponents::new(violation, 0.0, 0.0).unwrap();
    EfeObjective::new(work.parse().unwrap(), components, EfeWeights::default())
}

#[test]
fn recorded_objectives_order_ready_work_while_the_planner_is_on() {
    let work = || ["a", "b", "c"].map(str::to_owned).to_vec();
    let config = CoordinationConfig::new(work(), budget(), 3).unwrap();
    let mut off = CoordinationController::new(config.clone());
    let mut on = CoordinationController::new(config.with_planner(EfeWeights::default()));
    for controller in [&mut off, &mut on] {
        controller.start(1_000).unwrap();
        for (work, violation) in [("a", 0.9), ("b", 0.5), ("c", 0.1)] {
            let receipt = controller.record_advisory_objective(scored(work, violation)).unwrap();
            assert_eq!(receipt, None, "it has not escalated");
        }
    }
    let first = |controller: &CoordinationController| controller.current_work_id().cloned();
    assert_eq!((first(&off), first(&on)), (Some("a".parse().unwrap()), Some("c".parse().unwrap())));
    on.record_advisory_objective(scored("c", 0.7)).unwrap();
    assert_eq!(first(&on), Some("b".parse().unwrap()), "the last score counts");
    run(&mut on, "b", SessionOutcome::Failure, 2_000);
    assert_eq!(first(&on), Some("b".parse().unwrap()), "it goes by its score again");
    assert_eq!(on.advisory_score_for("b"), Some(500_000));
    // A score authorises nothing: whoever wants other work gets it.
    assert!(on.prepare_session_spawn("a", on.version().0, 3_000).is_ok());
}

#[test]
fn work_that_its_owner_refuses_whole_is_never_a_success() {
    let mut refused = controller(&["a", "b"], 3);
    for work in ["a", "b"] {
        refused.skip_work_item(work, SkipReason::NotClaimable, 2_000).unwrap();
    }
    let stop = refused.check_stop_condition().unwrap();
    let end = refused.complete(stop, 2_000).unwrap();
    assert_eq!(
        (&*end.event.kind, end.receipt.ending, end.receipt.verdict),
        ("coordination.aborted", Ending::Aborted(AbortReason::NoEligibleWork), Verdict::Aborted)
    );

    let mut skipped = controller(&["a", "b"], 3);
    skipped.skip_work_item("a", SkipReason::NotClaimable, 2_000).unwrap();
    skipped.skip_work_item("b", SkipReason::Rule, 2_000).unwrap();
    let end = skipped.complete(StopCondition::AllWorkCompleted, 2_000).unwrap();
    assert_eq!(
        (&*end.event.kind, end.receipt.verdict),
        ("coordination.completed", Verdict::Succeeded)
    );
}

/// A reducer that has seen these events.
fn reduced(events: &[Recorded]) -> CoordinationReducer {
    let mut reducer = CoordinationReducer::new();
    for (seq_id, event) in (1..).zip(events) {
        reducer.apply(event, &ReducerContext::replay(seq_id)).unwrap();
    }
    reducer
}

#[test]
fn a_reducer_goes_on_from_its_checkpoint_as_if_it_had_never_stopped() {
    let mut controller = controller(&["a", "b"], 3);
    run(&mut controller, "a", SessionOutcome::Success, 2_000);
    run(&mut controller, "b", SessionOutcome::Failure, 3_000);
    let events = controller.take_events();
    let whole = reduced(&events).checkpoint();
    for stop in 0..=events.len() {
        let checkpoint = reduced(&events[..stop]).checkpoint();
        let mut reducer = CoordinationReducer::from_checkpoint(&checkpoint).unwrap();
        assert_eq!(reducer.checkpoint(), checkpoint);
        // From the first event: those that the checkpoint holds are known.
        for event in &events {
            reducer.apply(event, &ReducerContext::replay(1)).unwrap();
        }
        assert_eq!(reducer.checkpoint(), whole, "stopped after {stop}");
    }
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let events = controller(&["a"], 3).take_events();
    let checkpoint = String::from_utf8(reduced(&events).checkpoint()).unwrap();
    let hash = format!("\"{}\"", events[0].hash);
    let refused = |changed: String| {
        CoordinationReducer::from_checkpoint(changed.as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(
        vec![
            refused(checkpoint[..checkpoint.len() - 2].to_owned()),
            refused(checkpoint.replace("reducer.1", "reducer.9")),
            refused(checkpoint.replace("\"seen\"", "\"saw\"")),
            refused(checkpoint.replace(&format!("{hash},"), "")),
        ],
        [
            "the checkpoint cannot be read",
            "the checkpoint is of format \"antiphon.reducer.9\", and this version reads \
             \"antiphon.reducer.1\"",
            "the checkpoint cannot be read",
            "the checkpoint contradicts itself about coordination c",
        ]
    );
}

#[test]
fn another_event_at_a_version_that_was_seen_is_refused_and_the_same_one_ignored() {
    let events = controller(&["a"], 3).take_events();
    let mut reducer = reduced(&events);
    let before = reducer.checkpoint();
    for event in &events {
        assert_eq!(reducer.apply(event, &ReducerContext::replay(1)), Ok(()));
        let mut other = event.clone();
        other.actor = Actor::new("somebody").unwrap();
        other.hash = other.computed_hash();
        assert_eq!(
            reducer.apply(&other, &ReducerContext::replay(1)),
            Err(ApplyError::AnotherEvent {
                version: event.version,
                known: event.hash,
                actual: other.hash,
            })
        );
    }
    let mut nowhere = events[0].clone();
    nowhere.version = Version(0);
    assert_eq!(
        reducer.apply(&nowhere, &ReducerContext::replay(1)),
        Err(OutOfOrder { last: Version(2), actual: Version(0) }.into())
    );
    assert_eq!(reducer.checkpoint(), before);
}

#[test]
fn a_grant_whose_ticks_come_at_no_rate_is_refused() {
    let grant = Grant { sessions: 1, ticks: 5, ..Grant::default() };
    assert_eq!(
        budget().within(&grant, 0),
        Err(CoordinationError::InvalidBudget { field: "grant_rate_hz".to_owned() })
    );
    assert_eq!(budget().within(&grant, 1_000).unwrap().max_episodes(), 1);
}

#[test]
fn two_starts_of_one_configuration_at_one_moment_have_ids_of_their_own() {
    let config = CoordinationConfig::new(vec!["a".to_owned()], budget(), 3).unwrap();
    let started: Vec<_> = (0..3)
        .map(|_| CoordinationController::new(config.clone()).start(1_000).unwrap().coordination_id)
        .collect();
    assert!(started[0] != started[1] && started[1] != started[2] && started[0] != started[2]);
}

#[test]
fn a_controller_is_resumed_only_where_its_stream_ends() {
    let mut before = controller(&["a"], 3);
    let session = before.session().unwrap().clone();
    let tip = before.tip();
    for version in [Version(0), Version(1), Version(3)] {
        let refused = CoordinationController::resume(session.clone(), StreamTip { version, ..tip });
        assert_eq!(
            refused.err(),
            Some(ControllerError::AnotherTip {
                coordination_id: "c".parse().unwrap(),
                state: Version(2),
                tip: version,
            })
        );
    }
    let mut after = CoordinationController::resume(session, tip).unwrap();
    let bound = |controller: &mut CoordinationController| {
        controller.prepare_session_spawn("a", 2, 2_000).unwrap().binding_event
    };
    assert_eq!(bound(&mut after), bound(&mut before));
}
