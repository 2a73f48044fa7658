//! A receipt is read back from its bytes: what was written, all of it, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use antiphon_core::coordination::{
    AbortReason, Answer, Approvals, ApprovedQuestion, BudgetType, BudgetUsage, CarriedOutItem,
    CarriedOutWork, CoordinationBudget, CoordinationError, CoordinationReceipt, Counts, Ending,
    Evidence, Forerunner, GateScore, GateScores, NeedTarget, ParentStop, ReceiptBuilder,
    ReceiptError, ReusedItem, ReusedWork, RouteTaken, RoutesTaken, SignalCounts, SignalType,
    SkipReason, StopCondition, Usage, Verdict, WorkItemOutcome, WorkOutcome,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::CommitTip;
use antiphon_core::event::{
    Aborted, AggregateEvent, Completed, CoordinationEvent, DecodeError, StopKind, StopRequested,
};
use antiphon_core::id::{Actor, CommitNumber, Epoch, SessionId, Version};
use antiphon_core::routing::RoutingDecision;
use antiphon_core::time::WallTime;
use proptest::prelude::*;

fn errors() -> impl Strategy<Value = CoordinationError> {
    prop_oneof![
        "[a-z_ ]{0,12}".prop_map(|field| CoordinationError::InvalidBudget { field }),
        any::<(u32, u32)>().prop_map(|(actual, max)| CoordinationError::WorkQueueSizeExceeded {
            actual: actual as usize,
            max: max as usize,
        }),
        any::<(u64, u64)>().prop_map(|(expected, actual)| CoordinationError::TickRateMismatch {
            expected,
            actual
        }),
        any::<(u64, u64)>()
            .prop_map(|(last, current)| CoordinationError::ClockRegression { last, current }),
        "[a-z)( ]{1,12}"
            .prop_map(|id| CoordinationError::WorkFailed { work_id: id.parse().unwrap() }),
    ]
}

fn endings() -> impl Strategy<Value = Ending> {
    let meters = prop_oneof![
        Just(BudgetType::Duration),
        Just(BudgetType::Tokens),
        Just(BudgetType::Cost),
        Just(BudgetType::Episodes),
    ];
    prop_oneof![
        Just(Ending::Completed(StopCondition::AllWorkCompleted)),
        meters.prop_map(|meter| Ending::Completed(StopCondition::BudgetExhausted(meter))),
        Just(Ending::Completed(StopCondition::CircuitBreakerTripped)),
        Just(Ending::Completed(StopCondition::UserRequested)),
        errors().prop_map(|error| Ending::Completed(StopCondition::Error(error))),
        errors().prop_map(|error| Ending::Completed(StopCondition::WordedError(error))),
        "\\PC{0,20}".prop_map(|reason| Ending::Aborted(AbortReason::Cancelled { reason })),
        "\\PC{0,20}".prop_map(|message| Ending::Aborted(AbortReason::Error { message })),
        Just(Ending::Aborted(AbortReason::NoEligibleWork)),
        Just(Ending::Aborted(AbortReason::StartCutOff)),
        Just(Ending::Aborted(AbortReason::ParentStopped(ParentStop::TimedOut))),
        Just(Ending::Aborted(AbortReason::ParentStopped(ParentStop::Ending))),
    ]
}

fn digests() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn outcomes() -> impl Strategy<Value = WorkOutcome> {
    let outcome = prop_oneof![
        Just(None),
        Just(Some(WorkItemOutcome::Succeeded)),
        Just(Some(WorkItemOutcome::Failed)),
        "[a-z]{1,5}".prop_map(|root| {
            Some(WorkItemOutcome::Skipped(SkipReason::NeedFailed(root.parse().unwrap())))
        }),
        prop_oneof![
            Just(NeedTarget::Work("a".parse().unwrap())),
            Just(NeedTarget::Group("g".parse().unwrap())),
            Just(NeedTarget::Signal("review.done".parse().unwrap())),
            Just(NeedTarget::Key("gate/coverage".parse().unwrap())),
            Just(NeedTarget::Approval("Deploy?".to_owned())),
            Just(NeedTarget::Route),
        ]
        .prop_map(|target| Some(WorkItemOutcome::Skipped(SkipReason::NeedTimedOut(target)))),
        Just(Some(WorkItemOutcome::Skipped(SkipReason::Denied("q7".parse().unwrap())))),
        Just(Some(WorkItemOutcome::Skipped(SkipReason::NotRouted))),
        Just(Some(WorkItemOutcome::Skipped(SkipReason::NotClaimable))),
        Just(Some(WorkItemOutcome::Skipped(SkipReason::Requested))),
        Just(Some(WorkItemOutcome::Skipped(SkipReason::Rule))),
    ];
    (
        "\\PC{1,10}",
        any::<u32>(),
        outcome,
        prop::collection::vec(any::<u64>(), 0..5),
        prop::option::of(digests()),
    )
        .prop_map(|(id, attempts, final_outcome, sessions, output)| WorkOutcome {
            work_id: id.parse().unwrap(),
            attempts,
            final_outcome,
            sessions,
            output,
        })
}

fn budgets() -> impl Strategy<Value = CoordinationBudget> {
    let cost = prop::option::of((any::<u64>(), "[A-Z]{0,3}"));
    (1_u32.., 1_u64.., 1_u64.., prop::option::of(any::<u64>()), cost).prop_map(
        |(sessions, ticks, rate, tokens, cost)| {
            let budget = CoordinationBudget::new(sessions, ticks, rate, tokens).unwrap();
            match cost {
                Some((cost, currency)) => budget.with_max_cost(cost, currency),
                None => budget,
            }
        },
    )
}

fn usages() -> impl Strategy<Value = BudgetUsage> {
    any::<(u32, u64, u64, u64, u64, bool)>().prop_map(
        |(sessions, ticks, tokens, cache_tokens, cost, estimated)| {
            let mut usage = BudgetUsage::with_tick_rate(1_000);
            usage.update_elapsed_ticks(ticks, 1_000).unwrap();
            usage.charge(&Usage { sessions, ticks, tokens, cache_tokens, cost, estimated });
            usage
        },
    )
}

fn counts() -> impl Strategy<Value = Counts> {
    any::<[u64; 4]>().prop_map(|[sessions, failed, work_failed, writes_refused]| Counts {
        sessions,
        failed,
        work_failed,
        writes_refused,
        ..Counts::default()
    })
}

fn reused() -> impl Strategy<Value = Option<ReusedWork>> {
    let forerunner = ("[a-z.]{1,9}", digests(), any::<u64>(), digests()).prop_map(
        |(id, receipt, version, hash)| Forerunner {
            coordination: id.parse().unwrap(),
            receipt,
            version: Version(version),
            hash,
        },
    );
    let items = ("\\PC{1,10}", "[a-z]{1,5}").prop_map(|(id, from)| ReusedItem {
        work_id: id.parse().unwrap(),
        from: from.parse().unwrap(),
    });
    let lists = (prop::collection::vec(digests(), 0..3), prop::collection::vec(items, 0..4));
    prop::option::of((forerunner, lists).prop_map(|(forerunner, (chunks, items))| ReusedWork {
        forerunner,
        chunks,
        items,
    }))
}

fn signals() -> impl Strategy<Value = Option<SignalCounts>> {
    let kinds = "[A-Za-z0-9_.:-]{1,5}".prop_map(|kind| kind.parse::<SignalType>().unwrap());
    let counts = (prop::collection::btree_map(kinds, 1_u64.., 0..4), any::<u64>());
    prop::option::of(counts.prop_map(|(by_type, others)| SignalCounts { by_type, others }))
}

fn routes() -> impl Strategy<Value = Option<RoutesTaken>> {
    let decision = (0..RoutingDecision::ALL.len()).prop_map(|at| RoutingDecision::ALL[at]);
    let rule = prop::option::of("[a-z ]{1,9}".prop_map(|name| name.parse().unwrap()));
    let to = prop::collection::vec("[a-z]{1,3}".prop_map(|id| id.parse().unwrap()), 0..3);
    let route = (any::<u64>(), "[a-z.]{1,9}", decision, to, any::<u32>(), rule).prop_map(
        |(session, work, decision, to, confidence, rule)| RouteTaken {
            session,
            work_id: work.parse().unwrap(),
            decision,
            to,
            confidence,
            rule,
        },
    );
    let lists = (prop::collection::vec(digests(), 0..3), prop::collection::vec(route, 0..4));
    prop::option::of(lists.prop_map(|(chunks, routes)| RoutesTaken { chunks, routes }))
}

fn gates() -> impl Strategy<Value = Option<GateScores>> {
    let score = ("\\PC{0,5}", any::<i64>(), any::<u64>())
        .prop_map(|(gate, score, version)| GateScore { gate, score, version: Version(version) });
    let scores = (prop::collection::vec(score, 0..4), any::<u64>());
    prop::option::of(scores.prop_map(|(gates, others)| GateScores { gates, others }))
}

fn approvals() -> impl Strategy<Value = Option<Approvals>> {
    let answer = ("\\PC{1,5}", digests(), any::<bool>(), "\\PC{1,5}", any::<u64>()).prop_map(
        |(question, text, yes, by, version)| ApprovedQuestion {
            question: question.parse().unwrap(),
            text,
            answer: if yes { Answer::Yes } else { Answer::No },
            by: by.parse().unwrap(),
            version: Version(version),
        },
    );
    let answers = (prop::collection::vec(answer, 0..4), any::<u64>());
    prop::option::of(answers.prop_map(|(answers, others)| Approvals { answers, others }))
}

fn carried_out() -> impl Strategy<Value = Option<CarriedOutWork>> {
    let items = ("\\PC{1,10}", "[a-z.]{1,9}", any::<u64>()).prop_map(|(id, run, number)| {
        let session = SessionId { coordination: run.parse().unwrap(), number };
        CarriedOutItem { work_id: id.parse().unwrap(), session }
    });
    let lists = (prop::collection::vec(digests(), 0..3), prop::collection::vec(items, 0..4));
    prop::option::of(lists.prop_map(|(chunks, items)| CarriedOutWork { chunks, items }))
}

fn receipts() -> impl Strategy<Value = CoordinationReceipt> {
    let verdict = prop_oneof![
        Just(Verdict::Succeeded),
        Just(Verdict::Partial),
        Just(Verdict::Failed),
        Just(Verdict::Aborted)
    ];
    let epochs = prop::collection::vec((any::<u64>().prop_map(Epoch), "[0-9.]{0,6}".boxed()), 0..3);
    let evidence = (any::<(u64, u64)>(), digests(), digests(), epochs).prop_map(
        |((version, commit), head_hash, hash, epochs)| Evidence {
            last_version: Version(version),
            head_hash,
            commit: CommitTip { number: CommitNumber(commit), hash },
            epochs,
        },
    );
    let lists = (prop::collection::vec(digests(), 0..3), prop::collection::vec(outcomes(), 0..4));
    (
        ("[a-z.]{1,9}", endings(), verdict, lists),
        (
            usages(),
            budgets(),
            any::<(u64, u64)>(),
            counts(),
            evidence,
            (signals(), gates(), approvals(), routes(), reused(), carried_out()),
        ),
    )
        .prop_map(
            |(
                (id, ending, verdict, (outcome_chunks, work_outcomes)),
                (
                    budget_usage,
                    budget_ceiling,
                    (started_at, completed_at),
                    totals,
                    evidence,
                    (signals, gates, approvals, routes, reused, carried_out),
                ),
            )| {
                CoordinationReceipt {
                    coordination_id: id.parse().unwrap(),
                    ending,
                    verdict,
                    outcome_chunks,
                    work_outcomes,
                    budget_usage,
                    budget_ceiling,
                    started_at: WallTime(started_at),
                    completed_at: WallTime(completed_at),
                    totals: Counts { work_reused: counted(&reused), ..totals },
                    evidence,
                    signals,
                    gates,
                    approvals,
                    routes,
                    reused,
                    carried_out,
                }
            },
        )
}

fn counted(reused: &Option<ReusedWork>) -> u64 {
    reused
        .as_ref()
        .map_or(0, |reused| 1_000 * reused.chunks.len() as u64 + reused.items.len() as u64)
}

proptest! {
    #[test]
    fn what_was_written_is_read(receipt in receipts()) {
        let bytes = receipt.canonical_bytes();
        prop_assert_eq!(CoordinationReceipt::from_bytes(&bytes), Ok(receipt));
    }

    #[test]
    fn what_can_be_read_is_written_as_it_was(
        receipt in receipts(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = receipt.canonical_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = CoordinationReceipt::from_bytes(&bytes) {
            prop_assert_eq!(read.canonical_bytes(), bytes);
        }
    }

    #[test]
    fn a_part_of_a_receipt_is_none(receipt in receipts(), more in 1..40_usize) {
        let bytes = receipt.canonical_bytes();
        // A receipt without a section is another receipt, and the tag of one says what it is.
        let without_last = CoordinationReceipt { carried_out: None, ..receipt };
        let first = without_last.canonical_bytes().len();
        let without_two = CoordinationReceipt { reused: None, ..without_last };
        let second = without_two.canonical_bytes().len();
        let without_three = CoordinationReceipt { routes: None, ..without_two };
        let third = without_three.canonical_bytes().len();
        let without_four = CoordinationReceipt { approvals: None, ..without_three };
        let fourth = without_four.canonical_bytes().len();
        let without_five = CoordinationReceipt { gates: None, ..without_four };
        let fifth = without_five.canonical_bytes().len();
        let bare = CoordinationReceipt { signals: None, ..without_five }.canonical_bytes().len();
        let tags = [
            first..first + "....carried out".len(),
            second..second + "....reused".len(),
            third..third + "....routes".len(),
            fourth..fourth + "....approvals".len(),
            fifth..fifth + "....gates".len(),
            bare..bare + "....signals".len(),
        ];
        let is_another = |length: &usize| tags.iter().any(|tag| tag.contains(length));
        for length in (0..bytes.len()).filter(|length| !is_another(length)) {
            let read = CoordinationReceipt::from_bytes(&bytes[..length]);
            prop_assert!(
                matches!(read, Err(ReceiptError::CutOff { .. } | ReceiptError::NotAReceipt)),
                "{} of {}: {:?}", length, bytes.len(), read
            );
        }
        let longer = [bytes.as_slice(), &vec![0; more]].concat();
        prop_assert_eq!(
            CoordinationReceipt::from_bytes(&longer),
            Err(ReceiptError::Trailing { at: bytes.len(), count: more })
        );
    }
}

fn receipt() -> CoordinationReceipt {
    let budget = CoordinationBudget::new(10, 60_000, 1_000, None).unwrap();
    let mut builder = ReceiptBuilder::new("run".parse().unwrap(), budget, 0);
    let outcome = WorkOutcome {
        work_id: "work".parse().unwrap(),
        attempts: 1,
        final_outcome: Some(WorkItemOutcome::Succeeded),
        sessions: vec![1],
        output: None,
    };
    builder.record_work_outcome(outcome, false);
    builder.build(StopCondition::AllWorkCompleted, 1)
}

/// Why a receipt is refused after bytes of it were replaced, the first time that they occur.
fn refused(old: &[u8], new: &[u8]) -> String {
    let bytes = receipt().canonical_bytes();
    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
    let changed = [&bytes[..at], new, &bytes[at + old.len()..]].concat();
    CoordinationReceipt::from_bytes(&changed).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_with_a_receipt_is_named_with_its_place() {
    let sessions = b"S\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01";
    assert_eq!(
        vec![
            refused(b"receipt.1", b"receipt.2"),
            refused(b"\x03run", b"\x03r n"),
            refused(b"\x03run", b"\x03r\xffn"),
            refused(b"runC", b"runX"),
            refused(b"ALL_WORK", b"all_work"),
            refused(b"succeeded", b"SUCCEEDED"),
            refused(b"\x00\x00\x00\x04work", b"\x00\x00\xff\xffwork"),
            refused(b"\x00\x00\x00\x04work", b"\x00\x00\x00\x00work"),
            refused(sessions, b"s\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01"),
            refused(sessions, b"S\x00\x00\x00\x65\x00\x00\x00\x00\x00\x00\x00\x01"),
            refused(
                b"\x00\x00\x00\x01\x00\x00\x00\x04work",
                b"\x00\x00\x13\x88\x00\x00\x00\x04work"
            ),
            refused(
                b"\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\xea\x60",
                b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xea\x60"
            ),
        ],
        [
            "the bytes do not begin as a receipt does, with `antiphon.receipt.1`",
            "at byte 22: the run id \"r n\" holds ' '; control characters, white space \
             and slashes are not allowed in it",
            "the coordination at byte 22 is not UTF-8",
            "the kind of ending at byte 29 is 88, which means nothing there",
            "the stop condition at byte 30 is \"all_work_COMPLETED\", which means nothing there",
            "the verdict at byte 52 is \"SUCCEEDED\", which means nothing there",
            "the receipt is cut off at byte 77, in an item",
            "at byte 73: the work id is empty; give it at least one character",
            "its outcome at byte 85 is 115, which means nothing there",
            "its sessions at byte 86 has 101 members; at most 100 are allowed",
            "the items at byte 69 has 5000 members; at most 1000 are allowed",
            "at byte 144: the budget is invalid: max_episodes must be greater than zero",
        ]
    );
    let huge = vec![0; 16 * 1024 * 1024 + 1];
    assert_eq!(
        CoordinationReceipt::from_bytes(&huge).unwrap_err().to_string(),
        "16777217 bytes are too many for a receipt; at most 16777216 are allowed"
    );
}

/// The bytes of an ending, with those that are not printable as their number.
fn written(ending: Ending) -> String {
    let bytes = CoordinationReceipt { ending, ..receipt() }.canonical_bytes();
    let end = bytes.windows(9).position(|window| window == b"succeeded").unwrap() - 4;
    bytes[29..end].escape_ascii().to_string()
}

#[test]
fn an_ending_is_written_as_a_code_and_never_as_a_sentence_of_ours() {
    let failed = || CoordinationError::WorkFailed { work_id: "b".parse().unwrap() };
    assert_eq!(
        vec![
            written(Ending::Completed(StopCondition::Error(failed()))),
            written(Ending::Completed(StopCondition::WordedError(failed()))),
            written(Ending::Completed(StopCondition::Error(CoordinationError::ClockRegression {
                last: 2,
                current: 1,
            }))),
            written(Ending::Aborted(AbortReason::Cancelled { reason: "by hand".to_owned() })),
            written(Ending::Aborted(AbortReason::StartCutOff)),
            written(Ending::Aborted(AbortReason::ParentStopped(ParentStop::TimedOut))),
        ],
        [
            "E\\x00\\x00\\x00\\x0bWORK_FAILED\\x00\\x00\\x00\\x01b",
            // As the first version wrote it.
            "C\\x00\\x00\\x00CERROR (work b failed, and its failure policy ends the coordination)",
            "E\\x00\\x00\\x00\\x10CLOCK_REGRESSION\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\
             \\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01",
            "A\\x00\\x00\\x00\\x13CANCELLED (by hand)",
            "A\\x00\\x00\\x00\\rSTART_CUT_OFF",
            "A\\x00\\x00\\x00\\x10PARENT_TIMED_OUT",
        ]
    );
}

#[test]
fn what_is_recorded_as_a_code_has_a_schema_that_the_first_version_refuses() {
    let end = |stop| {
        CoordinationEvent::Completed(Box::new(Completed {
            stop,
            verdict: Verdict::Failed,
            usage: BudgetUsage::default(),
            totals: Counts::default(),
            receipt: Digest::GENESIS,
        }))
    };
    let abort = |reason| {
        CoordinationEvent::Aborted(Box::new(Aborted {
            reason,
            verdict: Verdict::Aborted,
            usage: BudgetUsage::default(),
            totals: Counts::default(),
            receipt: Digest::GENESIS,
        }))
    };
    let cancel = |parent| {
        CoordinationEvent::StopRequested(StopRequested {
            kind: StopKind::Cancel,
            by: Actor::new("engine").unwrap(),
            reason: String::new(),
            parent,
        })
    };
    let failed = || CoordinationError::WorkFailed { work_id: "b".parse().unwrap() };
    let events = [
        (1, end(StopCondition::AllWorkCompleted)),
        (1, end(StopCondition::WordedError(failed()))),
        (2, end(StopCondition::Error(failed()))),
        (1, abort(AbortReason::Cancelled { reason: "by hand".to_owned() })),
        (2, abort(AbortReason::StartCutOff)),
        (2, abort(AbortReason::ParentStopped(ParentStop::Ending))),
        (1, cancel(None)),
        (2, cancel(Some(ParentStop::Ending))),
    ];
    for (schema, event) in events {
        let payload = event.encode();
        assert_eq!(event.schema(), schema, "{event:?}");
        let read = |schema| CoordinationEvent::decode(event.kind(), schema, &payload);
        assert_eq!(read(schema), Ok(event.clone()));
        if schema == 2 {
            assert!(matches!(read(1), Err(DecodeError::Malformed { .. })), "{event:?}");
        }
    }
    let old = br#"{"stop":{"Error":{"WorkFailed":{"work_id":"b"}}},"verdict":"failed",
        "usage":{"consumed_episodes":1,"elapsed_ticks":5,"tick_rate_hz":1000,"consumed_tokens":0},
        "totals":{"sessions":1,"failed":1,"work_failed":1,"work_unfinished":1},
        "receipt":"bc47bf45ace11d52ef23fd602ccd18078931920f5cddf58518a369423417d513"}"#;
    let CoordinationEvent::Completed(read) =
        CoordinationEvent::decode("coordination.completed", 1, old).unwrap()
    else {
        panic!("of its type")
    };
    assert_eq!(read.stop, StopCondition::WordedError(failed()));
    assert_eq!(read.stop.error(), Some(&failed()));
}
