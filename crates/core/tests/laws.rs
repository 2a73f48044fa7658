//! Laws of the kernel over random histories: what must hold whatever happens, and in whatever
//! order.

mod history;

use antiphon_core::coordination::{Backoff, FailurePolicy, SessionOutcome};
use antiphon_core::event::{OnTripped, StopKind};
use antiphon_core::time::{Deadline, LedgerTime, WallTime};
use history::{Draft, History, Plan, Step, ToldNeed};
use proptest::prelude::*;

const MILLISECOND: u64 = 1_000_000;

fn told() -> impl Strategy<Value = ToldNeed> {
    (any::<u8>(), any::<u8>(), any::<u8>(), prop::option::of(1..30_u8))
        .prop_map(|(what, of, wanted, patience)| ToldNeed { what, of, wanted, patience })
}

fn drafts() -> impl Strategy<Value = Draft> {
    let backoff = (0..3_u64, 1..4_u32).prop_map(|(initial, factor)| Backoff {
        initial_ns: initial * MILLISECOND,
        factor,
        cap_ns: 5 * MILLISECOND,
        jitter_ppm: 0,
    });
    let policy = prop_oneof![
        3 => Just(FailurePolicy::SkipDependents),
        2 => Just(FailurePolicy::Continue),
        1 => Just(FailurePolicy::Abort),
    ];
    let links = (
        prop::collection::vec(any::<u8>(), 0..3),
        prop::option::of(0..3_u8),
        prop::option::of(0..3_u8),
        0..3_u8,
    );
    let limits = (
        prop::option::of(1..4_u32),
        prop::option::of(1..20_u64),
        prop::option::of(1..30_u64),
        prop::option::of(1..30_u64),
    );
    let rare = any::<(bool, bool)>();
    let told = prop_oneof![
        2 => Just(Vec::new()),
        1 => prop::collection::vec(told(), 1..3),
    ];
    let agent = prop::option::weighted(0.3, any::<u8>());
    let patience = prop::option::weighted(0.2, 1..30_u8);
    (links, limits, prop::option::of(backoff), policy, -1..3_i32, rare, (told, agent, patience))
        .prop_map(
            |(
                (needs, needs_group, group, runner),
                (attempts, timeout_ticks, max_tokens, max_cost),
                backoff,
                on_failure,
                priority,
                (critical, reused),
                (told, agent, patience),
            )| {
                Draft {
                    needs,
                    needs_group,
                    told,
                    agent,
                    patience,
                    group,
                    priority,
                    critical,
                    attempts,
                    backoff,
                    timeout_ticks,
                    max_tokens,
                    max_cost,
                    on_failure,
                    runner,
                    reused,
                }
            },
        )
}

fn plans() -> impl Strategy<Value = Plan> {
    let budget =
        (1..30_u32, 20..400_u64, prop::option::of(0..200_u64), prop::option::of(0..200_u64));
    let on_tripped = prop_oneof![
        2 => Just(OnTripped::Stop),
        1 => Just(OnTripped::Pause),
        1 => Just(OnTripped::Ignore),
    ];
    let shape = (1..=4_u32, 1..4_u32, on_tripped, 0..8_usize, 1..4_usize);
    (prop::collection::vec(drafts(), 1..8), budget, shape, any::<(bool, bool, bool, bool)>())
        .prop_map(
            |(
                drafts,
                (episodes, ticks, tokens, cost),
                (concurrency, breaker, on_tripped, turn, batch),
                (open, pausing, planner, retry),
            )| Plan {
                open,
                drafts,
                episodes,
                ticks,
                tokens,
                cost,
                concurrency,
                breaker,
                pausing,
                on_tripped,
                planner,
                retry,
                turn,
                batch,
            },
        )
}

fn outcomes() -> impl Strategy<Value = SessionOutcome> {
    prop_oneof![
        4 => Just(SessionOutcome::Success),
        3 => Just(SessionOutcome::Failure),
        1 => Just(SessionOutcome::Timeout),
        1 => Just(SessionOutcome::Cancelled),
        1 => Just(SessionOutcome::Lost),
        1 => Just(SessionOutcome::SpawnFailed),
        1 => (0..20 * MILLISECOND).prop_map(|at| SessionOutcome::Deferred { until: Deadline::Ledger(LedgerTime(at)) }),
        1 => (0..20 * MILLISECOND).prop_map(|wall| SessionOutcome::Deferred { until: Deadline::Wall(WallTime(wall)) }),
    ]
}

fn signals() -> impl Strategy<Value = Step> {
    let dedup = prop::option::of((any::<u8>(), 1..40 * MILLISECOND, 1..4_u32));
    let said = (any::<u8>(), any::<u8>(), prop::option::of(any::<u8>()), any::<bool>(), dedup);
    said.prop_map(|(kind, from, about, failed, dedup)| Step::Signal {
        kind,
        from,
        about,
        failed,
        dedup,
    })
}

fn steps() -> impl Strategy<Value = Step> {
    let decided = prop::option::weighted(0.4, any::<u8>());
    let end = (any::<u8>(), outcomes(), 0..40_u64, 0..40_u64, any::<bool>(), decided).prop_map(
        |(pick, outcome, tokens, cost, output, decided)| Step::End {
            pick,
            outcome,
            tokens,
            cost,
            output,
            decided,
        },
    );
    prop_oneof![
        12 => Just(Step::Propose),
        8 => end,
        4 => (0..8 * MILLISECOND).prop_map(Step::Pass),
        3 => drafts().prop_map(Step::Add),
        2 => Just(Step::Restore),
        1 => any::<u8>().prop_map(Step::Skip),
        1 => Just(Step::Pause),
        2 => Just(Step::Continue),
        1 => (0..50_u64).prop_map(Step::Raise),
        1 => any::<u8>().prop_map(|away| Step::Resume { away }),
        1 => any::<bool>().prop_map(|ends_sessions| Step::Interrupt { ends_sessions }),
        1 => any::<u8>().prop_map(Step::Refuse),
        3 => signals(),
        2 => (any::<u8>(), any::<Option<u8>>()).prop_map(|(id, expires)| Step::Ask { id, expires }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(id, yes)| Step::Answer { id, yes }),
        3 => prop::collection::vec((any::<u8>(), any::<Option<u8>>()), 0..4).prop_map(Step::SetKeys),
    ]
}

fn stops() -> impl Strategy<Value = Option<StopKind>> {
    prop_oneof![3 => Just(None), 1 => Just(Some(StopKind::Close)), 1 => Just(Some(StopKind::Drain)), 1 => Just(Some(StopKind::Cancel))]
}

/// A history that took steps, and perhaps a request to stop; looked at after each.
fn history(
    plan: &Plan,
    steps: &[Step],
    stop: Option<StopKind>,
    look: impl Fn(&mut History),
) -> History {
    let mut history = History::begin(plan);
    for step in steps.iter().cloned().chain(stop.map(Step::Stop)) {
        history.take(&step);
        look(&mut history);
    }
    history
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// After every event the live, the replayed and the restored state are the same, limits hold
    /// and counters never fall; at the end nothing was stuck, there is one terminal event, and the
    /// receipt names every item.
    #[test]
    fn every_history_replays_keeps_its_limits_and_ends(
        plan in plans(),
        steps in prop::collection::vec(steps(), 0..60),
        stop in stops(),
    ) {
        let mut history = history(&plan, &steps, stop, |_| ());
        history.run_to_the_end();
        history.needs_were_kept();
        history.what_was_waited_for_was_told();
        history.receipt_names_every_item();
    }

    /// In no state does an event apply that may not follow, and refusing it changes nothing.
    #[test]
    fn in_no_state_is_what_may_not_follow_accepted(
        plan in plans(),
        steps in prop::collection::vec(steps(), 0..40),
        stop in stops(),
    ) {
        let mut history = history(&plan, &steps, stop, History::refuses_what_may_not_follow);
        history.run_to_the_end();
        history.refuses_what_may_not_follow();
    }

    /// In every state a caller and a record are refused the same, and work is eligible just where
    /// it can be bound.
    #[test]
    fn in_every_state_callers_and_records_are_answered_alike(
        plan in plans(),
        steps in prop::collection::vec(steps(), 0..40),
        stop in stops(),
    ) {
        history(&plan, &steps, stop, |history| history.callers_and_records_get_the_same_answer());
    }
}
