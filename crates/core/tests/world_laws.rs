//! What holds whatever happens: random histories of commands, ends, time and crashes over a world
//! with nested coordinations.
//!
//! The auditor checks every turn (chains, heads, replay, receipts, bindings, spawns, refusals);
//! here it is fed.

#![allow(clippy::unwrap_used, reason = "a law that cannot be tried has failed")]

mod auditor;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use antiphon_core::coordination::{
    Answer, Backoff, Capability, CapableRunners, Coordination, CoordinationBudget,
    CoordinationConfig, Dedup, Expected, FailurePolicy, Forerunner, KeyCondition, KeyNeed,
    KeyValue, KeyWrite, Need, Question, Raise, Report, Reused, Route, Runner, Runners, SessionEnd,
    SessionOutcome, Signal, SignalNeed, SkipReason, WorkSpec, WorkState,
};
use antiphon_core::digest::Digest;
use antiphon_core::event::{OnTripped, StopKind};
use antiphon_core::id::{CoordinationId, Fence, SessionId, Version, WorkId};
use antiphon_core::json_text::JsonText;
use antiphon_core::routing::RoutingDecision;
use antiphon_core::time::{Deadline, LedgerTime, Now, WallTime};
use antiphon_core::world::{Action, Asker, Command, Reply, TakenUp, Turn, Written, commands};
use auditor::{Audited, Restart};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

/// One thing that happens, in numbers that mean something only where they are used.
type Step = (u8, u16, u16);

/// A world, and a shell that carries out its actions when it is told to.
struct Desk {
    audited: Audited,
    passed: u64,
    started: u32,
    running: BTreeMap<SessionId, Fence>,
    ended: BTreeMap<SessionId, Fence>,
    expanding: BTreeSet<(CoordinationId, WorkId, Runner)>,
}

impl Desk {
    fn new() -> Self {
        let (audited, _) = Audited::open(&now(0));
        let mut desk = Self {
            audited,
            passed: 0,
            started: 0,
            running: BTreeMap::new(),
            ended: BTreeMap::new(),
            expanding: BTreeSet::new(),
        };
        desk.register(false);
        desk
    }

    fn register(&mut self, all: bool) {
        let mut runners = Runners::default();
        let reporting = Capability { reports_tokens: true, reports_cost: true, sessions: None };
        runners.add_function("work".parse().unwrap(), reporting);
        runners.add_function("silent".parse().unwrap(), Capability::default());
        if all {
            runners.add_function("missing".parse().unwrap(), reporting);
        }
        runners.add_plan("leaf".parse().unwrap(), 3);
        runners.add_plan("branch".parse().unwrap(), 6);
        self.audited.set_runners(runners);
    }

    fn now(&self) -> Now {
        now(self.passed)
    }

    /// When something happens next by itself; the end of what never ends is none.
    fn next_deadline(&self) -> (Option<LedgerTime>, Option<WallTime>) {
        let (at, wall) = self.audited.world.next_deadline();
        (at.filter(|at| *at < LedgerTime(u64::MAX)), wall)
    }

    fn tell(&mut self, command: Command) -> bool {
        let now = self.now();
        let told = self.audited.tell(command, &now).is_ok();
        self.turns();
        told
    }

    fn turns(&mut self) {
        let turns = self.audited.turns(&self.now(), usize::MAX);
        self.carry_out(&turns);
    }

    fn carry_out(&mut self, turns: &[Turn]) {
        for action in turns.iter().flat_map(|turn| &turn.actions) {
            match action {
                Action::Spawn(spawn) => {
                    self.running.insert(spawn.session.clone(), spawn.fence);
                }
                Action::Expand { coordination, work, runner } => {
                    self.expanding.insert((coordination.clone(), work.clone(), runner.clone()));
                }
                Action::Stop { session, .. } => {
                    assert!(self.running.contains_key(session), "{session} is stopped but not run");
                }
                Action::Ended { .. } => {}
            }
        }
    }

    fn end(&mut self, session: &SessionId, end: SessionEnd) -> bool {
        let fence = self.running.remove(session).unwrap();
        self.ended.insert(session.clone(), fence);
        self.tell(commands::EndSession::new(session.clone(), fence, end).into())
    }

    fn some_coordination(&self, pick: u16) -> Option<CoordinationId> {
        nth(&self.live(), pick)
    }

    /// The coordinations that have not ended.
    fn live(&self) -> Vec<CoordinationId> {
        let live = self.audited.world.coordinations();
        live.map(|session| session.coordination_id().clone()).collect()
    }

    fn expand(&mut self, pick: u16, well: bool) {
        let all: Vec<_> = self.expanding.iter().cloned().collect();
        let Some((coordination, work, runner)) = nth(&all, pick) else { return };
        self.expanding.remove(&(coordination.clone(), work.clone(), runner.clone()));
        let config = if well { Ok(Box::new(plan(&runner))) } else { Err("it is gone".to_owned()) };
        self.tell(Command::Expanded(commands::Expanded { coordination, work, config }));
    }

    fn step(&mut self, (kind, a, b): Step) {
        match kind {
            0..=3 if b.is_multiple_of(9) => {
                self.share(b / 9);
            }
            0..=3 => {
                // A few ids come again, with the same configuration or another one.
                let id = if b.is_multiple_of(5) {
                    u32::from(b) % (self.started + 1)
                } else {
                    self.started
                };
                self.started = self.started.max(id + 1);
                let id = CoordinationId::new(format!("c{id}")).unwrap();
                // The caller of a start has seen that no ended coordination has its id.
                if self.audited.all().any(|session| {
                    *session.coordination_id() == id && session.status().is_terminal()
                }) {
                    return;
                }
                self.tell(Command::Start(commands::Start {
                    id,
                    config: Box::new(some_config(a)),
                    blobs: Vec::new(),
                }));
            }
            4..=15 => {
                let all: Vec<_> = self.running.keys().cloned().collect();
                if let Some(session) = nth(&all, a) {
                    assert!(self.end(&session, some_end(b, self.passed)), "{session} was live");
                }
            }
            16 | 17 => {
                let all: Vec<_> =
                    self.ended.iter().map(|(session, fence)| (session.clone(), *fence)).collect();
                let Some((session, fence)) = nth(&all, a) else { return };
                let fence = if b.is_multiple_of(2) { fence } else { Version(u64::from(b)) };
                let end = SessionEnd::new(SessionOutcome::Success);
                let end = commands::EndSession::new(session, fence, end);
                let reply = self.audited.tell(end.into(), &self.now());
                assert!(
                    !matches!(reply, Ok(Reply::EndSession(Written::Done(_)))),
                    "a stale fence was taken"
                );
                self.turns();
            }
            18..=21 => self.expand(a, !b.is_multiple_of(5)),
            22..=26 => {
                self.passed += u64::from(a) * SECOND / 4000;
                self.turns();
            }
            27 => {
                let how =
                    if a.is_multiple_of(2) { Restart::FromEvents } else { Restart::FromSnapshots };
                // Some engines carry out only what they are asked for.
                let taken_up = if b.is_multiple_of(3) { TakenUp::Asked } else { TakenUp::All };
                self.crash(taken_up, how);
            }
            28 => self.wait_for_what_is_due(),
            _ => self.operate(kind, a, b),
        }
    }

    /// Sets a key that all share, or removes it.
    fn share(&mut self, b: u16) {
        let coordination = CoordinationId::shared().clone();
        if self.audited.world.coordination(&coordination).is_none() {
            let (id, budget) =
                (coordination.clone(), CoordinationBudget::new(1, u64::MAX, 1, None));
            let config = CoordinationConfig::open(Vec::new(), budget.unwrap());
            let config = Box::new(config.unwrap());
            self.tell(Command::Start(commands::Start { id, config, blobs: Vec::new() }));
        }
        let key = format!("k{}", b % 6).parse().unwrap();
        let write = match b % 4 {
            0 => KeyWrite::delete(key),
            1 => KeyWrite::set(key, enough()).unwrap(),
            _ => KeyWrite::set(key, JsonText::new(b.to_string()).unwrap()).unwrap(),
        };
        self.tell(commands::SetKeys { coordination, writes: vec![write] }.into());
    }

    /// What an operator does to one coordination.
    fn operate(&mut self, kind: u8, a: u16, b: u16) {
        let Some(coordination) = self.some_coordination(a) else { return };
        let reason = String::new();
        let session = self.audited.world.coordination(&coordination).unwrap();
        let works: Vec<String> = session.work_queue().map(ToString::to_string).collect();
        let higher = raised(session.budget(), u32::from(b % 7), u64::from(b % 3) * 10_000);
        let command = match kind {
            29 => Command::Stop(commands::Stop { coordination, kind: StopKind::Cancel, reason }),
            30 => Command::Stop(commands::Stop { coordination, kind: StopKind::Drain, reason }),
            31 => Command::Stop(commands::Stop { coordination, kind: StopKind::Close, reason }),
            32 => Command::Pause(commands::Pause { coordination, reason }),
            33 => Command::Continue(commands::Continue {
                coordination,
                raise: if b.is_multiple_of(2) { higher } else { Raise::new() },
            }),
            34 => Command::RaiseBudget(commands::RaiseBudget { coordination, raise: higher }),
            35 => match nth(&works, b) {
                Some(work) => Command::Skip(commands::Skip {
                    coordination,
                    work,
                    because: SkipReason::Requested,
                }),
                None => return,
            },
            36 => {
                let work = works.first().map_or("none", String::as_str).parse().unwrap();
                Command::Expanded(commands::Expanded {
                    coordination,
                    work,
                    config: Err("nobody asked".to_owned()),
                })
            }
            37 => {
                let number = session.bindings().next().map_or(1, |(binding, _)| binding.session);
                let mut dice = Dice(u64::from(b));
                let mut known: Vec<WorkId> =
                    works.iter().map(|work| work.parse().unwrap()).collect();
                let items = (0..=b % 3)
                    .map(|number| dice.item(&format!("n{b}-{number}"), &mut known))
                    .collect();
                let (archived, blobs) = (Vec::new(), Vec::new());
                if b.is_multiple_of(2) {
                    commands::AddWork { coordination, items, archived, blobs }.into()
                } else {
                    let session = SessionId { coordination, number };
                    let fence = Some(Version(u64::from(b % 8)));
                    commands::AddSessionWork { session, fence, items, archived, blobs }.into()
                }
            }
            40..=42 => {
                let ends_sessions = b.is_multiple_of(2);
                Command::Interrupt(commands::Interrupt { coordination, reason, ends_sessions })
            }
            50..=52 => {
                let writes = (0..=b % 3).map(|nth| {
                    let key = format!("k{}", (b / 3 + nth) % 6).parse().unwrap();
                    let write = match b % 4 {
                        0 => KeyWrite::delete(key),
                        _ => KeyWrite::set(key, JsonText::new(b.to_string()).unwrap()).unwrap(),
                    };
                    match session.key(write.key().as_str()) {
                        Some(there) if b.is_multiple_of(5) => {
                            write.expecting(Expected::At(there.version))
                        }
                        _ if b.is_multiple_of(7) => write.expecting(Expected::Nothing),
                        _ => write,
                    }
                });
                let writes = writes.collect();
                match session.bindings().next().filter(|_| b.is_multiple_of(2)) {
                    None => commands::SetKeys { coordination, writes }.into(),
                    Some((live, _)) => {
                        let number = live.session;
                        let session = SessionId { coordination, number };
                        let fence = Some(Version(live.fence.0 - u64::from(b.is_multiple_of(9))));
                        commands::SetSessionKeys { session, fence, writes }.into()
                    }
                }
            }
            53..=55 => {
                let id = format!("w{}", b % 4).parse().unwrap();
                let mut question = Question::new(format!("Go on with {}?", b % 2)).unwrap();
                if !b.is_multiple_of(3) {
                    question = question.with_id(id).unwrap();
                }
                if b.is_multiple_of(5) {
                    question = question.expiring_in(Duration::from_millis(u64::from(b) * 20));
                }
                match session.bindings().next().filter(|_| b.is_multiple_of(2)) {
                    None => commands::AskQuestion { coordination, question }.into(),
                    Some((live, _)) => {
                        let number = live.session;
                        let session = SessionId { coordination, number };
                        let fence = Some(Version(live.fence.0 - u64::from(b.is_multiple_of(9))));
                        commands::AskSessionQuestion { session, fence, question }.into()
                    }
                }
            }
            56..=58 => {
                let asked = session.questions().nth(usize::from(b % 4));
                let question = asked.map_or_else(|| "w9".parse().unwrap(), |(id, _)| id.clone());
                match session.bindings().next().filter(|_| b.is_multiple_of(7)) {
                    None => {
                        let answer = if b.is_multiple_of(2) { Answer::Yes } else { Answer::No };
                        let reason = b.is_multiple_of(3).then_some(reason);
                        commands::AnswerQuestion { coordination, question, answer, reason }.into()
                    }
                    Some((live, _)) => {
                        let number = live.session;
                        let session = SessionId { coordination, number };
                        let fence = Some(Version(live.fence.0 - u64::from(b.is_multiple_of(2))));
                        commands::AnswerSessionQuestion { session, fence, question }.into()
                    }
                }
            }
            46..=49 => {
                let agent = format!("a{}", b % 3).parse().unwrap();
                let mut signal = Signal::new(format!("t{}", b % 4).parse().unwrap())
                    .about(agent)
                    .failed(b.is_multiple_of(5));
                if b.is_multiple_of(3) {
                    signal = signal.once(Dedup {
                        key: format!("k{}", b % 5),
                        window: u64::from(b) * SECOND / 100 + 1,
                        cap: u32::from(b % 4) + 1,
                    });
                }
                let (signal, undeclared) = (Box::new(signal), None);
                match session.bindings().next().filter(|_| b.is_multiple_of(2)) {
                    None => commands::SendSignal { coordination, signal, undeclared }.into(),
                    Some((live, _)) => {
                        let number = live.session;
                        let session = SessionId { coordination, number };
                        let fence = Version(live.fence.0 - u64::from(b.is_multiple_of(7)));
                        let fence = Some(fence).filter(|_| !b.is_multiple_of(3));
                        commands::SendSessionSignal { session, fence, signal }.into()
                    }
                }
            }
            43..=45 => Command::TakeUp(commands::TakeUp { coordination }),
            // Time that went back.
            38 => {
                let then = now(self.passed.saturating_sub(u64::from(b) * SECOND / 100));
                let _ = self.audited.tell(
                    Command::Stop(commands::Stop { coordination, kind: StopKind::Drain, reason }),
                    &then,
                );
                return self.turns();
            }
            _ => {
                let asker = Asker {
                    actor: "bob".parse().unwrap(),
                    id: Some(format!("k{}", b % 4).parse().unwrap()),
                };
                let now = self.now();
                let first = self.audited.tell_as(
                    Command::Pause(commands::Pause { coordination: coordination.clone(), reason }),
                    asker.clone(),
                    &now,
                );
                self.turns();
                if let (Ok(first), true) =
                    (first, self.audited.world.coordination(&coordination).is_some())
                {
                    let again = Command::Pause(commands::Pause {
                        coordination,
                        reason: "again".to_owned(),
                    });
                    let again = self.audited.tell_as(again, asker, &now);
                    assert_eq!(again, Ok(first), "the same command id is answered the same");
                    assert!(
                        self.audited.turns(&now, usize::MAX).is_empty(),
                        "and carried out once"
                    );
                }
                return;
            }
        };
        self.tell(command);
    }

    fn crash(&mut self, taken_up: TakenUp, how: Restart) {
        self.ended.append(&mut self.running);
        self.expanding.clear();
        let turns = self.audited.restart_carrying(taken_up, how, &self.now());
        self.carry_out(&turns);
    }

    fn wait_for_what_is_due(&mut self) {
        let (at, wall) = self.next_deadline();
        let next = [at.map(|LedgerTime(at)| at), wall.map(|WallTime(wall)| wall)]
            .into_iter()
            .flatten()
            .min();
        if let Some(next) = next {
            assert!(next > self.passed, "what was due has happened");
            self.passed = next;
            self.turns();
        }
    }

    /// Lets everything come to its end: what was interrupted is taken up, sessions end, plans come,
    /// pauses are lifted, open coordinations closed.
    fn finish(&mut self) {
        self.register(true);
        self.turns();
        let mut waits = 0_u32;
        for _ in 0..2000 {
            // The one that keeps what all share never ends.
            if self.audited.world.coordinations().all(Coordination::is_shared) {
                assert_eq!(
                    (self.running.len(), self.next_deadline()),
                    (0, (None, None)),
                    "nothing is left over"
                );
                return;
            }
            if let Some(coordination) = self.left_alone() {
                assert!(self.tell(Command::TakeUp(commands::TakeUp { coordination })));
            } else if let Some(session) = self.running.keys().next().cloned() {
                self.end(&session, SessionEnd::new(SessionOutcome::Success));
            } else if !self.expanding.is_empty() {
                self.expand(0, true);
            } else if self.lift_a_pause() {
            } else if let Some(coordination) = self.waiting_open() {
                assert!(self.tell(Command::Stop(commands::Stop {
                    coordination,
                    kind: StopKind::Close,
                    reason: String::new()
                })));
            } else {
                // In turn what is waited for is told, and is waited for, perhaps in vain.
                waits += 1;
                if waits.is_multiple_of(2) && self.tell_what_is_waited_for() {
                    continue;
                }
                assert_ne!(
                    self.next_deadline(),
                    (None, None),
                    "{:?} wait for nothing",
                    self.live()
                );
                self.wait_for_what_is_due();
            }
        }
        panic!("the world does not come to its end");
    }

    /// Continues something that is paused. A nested coordination may not get more than its grant:
    /// it drains instead, and what is paused in it comes next.
    fn lift_a_pause(&mut self) -> bool {
        let paused = self.audited.world.coordinations().filter(|run| run.pause_reason().is_some());
        let paused: Vec<(CoordinationId, Raise)> = paused
            .map(|run| (run.coordination_id().clone(), raised(run.budget(), 50, 100_000)))
            .collect();
        paused.into_iter().any(|(coordination, raise)| {
            let again = coordination.clone();
            self.tell(Command::Continue(commands::Continue { coordination, raise }))
                || self.tell(Command::Stop(commands::Stop {
                    coordination: again,
                    kind: StopKind::Drain,
                    reason: String::new(),
                }))
        })
    }

    /// Sends a signal or sets a key that an item still waits for; whether there is any.
    fn tell_what_is_waited_for(&mut self) -> bool {
        let waiting = self.audited.world.coordinations().find_map(|run| {
            let needs = run.work_queue().filter_map(|id| {
                let item = run.work_tracking(id.as_str())?;
                matches!(item.state, WorkState::Waiting(_)).then_some(&item.spec.needs)
            });
            let is_open = |need: &&Need| match need {
                Need::Signal(need) => {
                    let latest = run.latest_signal(&need.kind, &need.subject());
                    latest.is_none_or(|latest| latest.succeeded.is_none())
                }
                Need::Key(need) => {
                    let enough = KeyValue::Here(enough());
                    run.key(need.key.as_str()).is_none_or(|key| key.value != enough)
                }
                _ => false,
            };
            let need = needs.flatten().find(is_open)?.clone();
            Some((run.coordination_id().clone(), need))
        });
        let Some((coordination, need)) = waiting else { return false };
        let command = match need {
            Need::Signal(need) => {
                let signal = Signal::new(need.kind);
                let signal = match need.about {
                    Some(agent) => signal.about(agent),
                    None => signal,
                };
                let signal = Box::new(signal);
                commands::SendSignal { coordination, signal, undeclared: None }.into()
            }
            Need::Key(need) => {
                let writes = vec![KeyWrite::set(need.key, enough()).unwrap()];
                commands::SetKeys { coordination, writes }.into()
            }
            need => panic!("{need} is not told"),
        };
        self.tell(command)
    }

    /// A coordination that nobody carries out, and that is not nested.
    fn left_alone(&self) -> Option<CoordinationId> {
        let mut all = self.audited.world.coordinations();
        let left = all.find(|run| !run.is_carried() && run.started().parent.is_none())?;
        Some(left.coordination_id().clone())
    }

    fn waiting_open(&self) -> Option<CoordinationId> {
        let open = |session: &&Coordination| {
            !session.is_shared()
                && session.started().mode == antiphon_core::event::Mode::Open
                && session.stop_request().is_none()
        };
        self.audited
            .world
            .coordinations()
            .find(open)
            .map(|session| session.coordination_id().clone())
    }
}

/// A value that meets every need on a key.
fn enough() -> JsonText {
    JsonText::new("30000").unwrap()
}

fn now(passed: u64) -> Now {
    let mut random = [0; 32];
    random[..8].copy_from_slice(&passed.rotate_left(17).to_be_bytes());
    Now { at: LedgerTime(passed), wall: WallTime(passed), random }
}

fn nth<T: Clone>(all: &[T], pick: u16) -> Option<T> {
    (!all.is_empty()).then(|| all[usize::from(pick) % all.len()].clone())
}

fn raised(budget: &CoordinationBudget, sessions: u32, more: u64) -> Raise {
    let time = Duration::from_nanos(antiphon_core::time::nanos(more, budget.tick_rate_hz()));
    let raise = Raise::new().more_sessions(sessions).more_time(time);
    match budget.max_tokens() {
        Some(_) => raise.more_tokens(more),
        None => raise,
    }
}

fn some_end(number: u16, passed: u64) -> SessionEnd {
    let outcome = match number % 16 {
        0..=6 => SessionOutcome::Success,
        7..=10 => SessionOutcome::Failure,
        11 => SessionOutcome::Cancelled,
        12 => SessionOutcome::SpawnFailed,
        13 => SessionOutcome::Timeout,
        14 => SessionOutcome::Deferred {
            until: Deadline::Ledger(LedgerTime(passed / 2 + u64::from(number) * SECOND / 8000)),
        },
        _ => SessionOutcome::Deferred {
            until: Deadline::Wall(WallTime(passed + u64::from(number) * SECOND / 8000)),
        },
    };
    let decided = RoutingDecision::ALL[usize::from(number / 16) % 7];
    let end = match number / 112 % 3 {
        0 => SessionEnd::new(outcome).with_route(Route::new(decided, "so it was drawn")),
        _ => SessionEnd::new(outcome),
    };
    if number.is_multiple_of(3) {
        end.with_report(Report { tokens: u64::from(number % 500), ..Report::default() })
    } else {
        end
    }
}

/// Choices that follow from one number.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn some_time(&mut self) -> Duration {
        Duration::from_millis(1 + self.below(9_000))
    }

    /// A need on a signal or a key, of those that operators send and set.
    fn told(&mut self) -> Need {
        let key = format!("k{}", self.below(6)).parse().unwrap();
        let some = KeyCondition::AtLeast(20_000_000_000);
        match self.below(6) {
            0 => Need::from(KeyNeed::new(key, KeyCondition::Exists)),
            1 => Need::from(KeyNeed::new(key, some)),
            2 => Need::from(KeyNeed::new(key, KeyCondition::Exists).or_shared()),
            3 => Need::from(KeyNeed::new(key, some).or_shared()),
            4 => Need::from(SignalNeed::new(format!("t{}", self.below(4)).parse().unwrap())),
            _ => {
                let agent = format!("a{}", self.below(3)).parse().unwrap();
                let kind = format!("t{}", self.below(4)).parse().unwrap();
                Need::from(SignalNeed::new(kind).about(agent).even_failed())
            }
        }
    }

    fn item(&mut self, id: &str, known: &mut Vec<WorkId>) -> WorkSpec {
        let runner = match self.below(12) {
            0..=6 => Runner::Function("work".parse().unwrap()),
            7 | 8 => Runner::Function("silent".parse().unwrap()),
            9 => Runner::Plan("leaf".parse().unwrap()),
            10 => Runner::Plan("branch".parse().unwrap()),
            _ => Runner::Function("missing".parse().unwrap()),
        };
        let mut item = WorkSpec::new(id.parse().unwrap(), runner);
        for _ in 0..self.below(3).min(known.len() as u64) {
            let target = self.below(known.len() as u64);
            item.needs.push(Need::Work(known[usize::try_from(target).unwrap()].clone()));
        }
        match self.below(8) {
            0 => item.group = Some("g".parse().unwrap()),
            1 => item.needs.push(Need::Group("g".parse().unwrap())),
            _ => {}
        }
        if self.below(5) == 0 && !item.runner.is_plan() {
            let names = (0..=self.below(3)).map(|name| format!("r{name}").parse().unwrap());
            item = item.with_capable(CapableRunners {
                wanted: std::iter::once("can".parse().unwrap()).collect(),
                inputs: names.map(|name| (name, Digest::of(b"input"))).collect(),
            });
        }
        if !item.needs.is_empty() && self.below(6) == 0 {
            item = item.within(self.some_time());
        }
        for _ in 0..self.below(5).saturating_sub(2) {
            item = item.with_need(self.told());
            if self.below(2) == 0 {
                item = item.within(self.some_time());
            }
        }
        item.priority = i32::try_from(self.below(3)).unwrap();
        item.attempts = u32::try_from(self.below(4)).ok().filter(|attempts| *attempts > 0);
        item.timeout_ticks = Some(self.below(8) * 1000).filter(|ticks| *ticks > 0);
        item.max_tokens = Some(self.below(4) * 60).filter(|tokens| *tokens > 0);
        let initial_ns = self.below(3) * SECOND;
        item.backoff =
            Some(Backoff { initial_ns, factor: 2, cap_ns: 5 * SECOND, jitter_ppm: 500_000 })
                .filter(|_| initial_ns > 0)
                .map(Box::new);
        item.critical = self.below(10) == 0;
        item.on_failure = match self.below(10) {
            0 => FailurePolicy::Abort,
            1 | 2 => FailurePolicy::Continue,
            _ => FailurePolicy::SkipDependents,
        };
        known.push(item.id.clone());
        item
    }
}

/// The configuration that a number stands for.
fn some_config(number: u16) -> CoordinationConfig {
    let mut dice = Dice(u64::from(number));
    let mut known = Vec::new();
    let mut work: Vec<WorkSpec> =
        (0..=dice.below(7)).map(|number| dice.item(&format!("w{number}"), &mut known)).collect();
    // Needs on a group that has no member, or that would close a circle, are for the tests of
    // refusals.
    let member = work.iter().position(|item| item.group.is_some());
    for (position, item) in work.iter_mut().enumerate() {
        if member.is_none_or(|member| position <= member) || item.group.is_some() {
            // Only the group's own need may have stood in the way, but places are counted.
            if item.needs.iter().any(|need| matches!(need, Need::Group(_))) {
                item.needs.retain(|need| matches!(need, Need::Work(_)));
                item.need_timeouts.clear();
            }
        }
    }
    let tokens = Some(dice.below(6) * 100).filter(|tokens| *tokens > 0);
    let sessions = u32::try_from(3 + dice.below(20)).unwrap();
    let budget =
        CoordinationBudget::new(sessions, 5000 + dice.below(60_000), 1000, tokens).unwrap();
    let config = match dice.below(4) {
        0 => CoordinationConfig::open(work.clone(), budget.clone()),
        _ => CoordinationConfig::of_work(work.clone(), budget.clone()),
    };
    let config = config.unwrap_or_else(|_| {
        for item in &mut work {
            item.needs.clear();
            item.need_timeouts.clear();
        }
        CoordinationConfig::of_work(work, budget).unwrap()
    });
    let config = config.with_concurrency(u32::try_from(1 + dice.below(4)).unwrap()).unwrap();
    let config = config.with_breaker(u32::try_from(1 + dice.below(4)).unwrap()).unwrap();
    let config = config.when_tripped(match dice.below(4) {
        0 => OnTripped::Pause,
        1 => OnTripped::Ignore,
        _ => OnTripped::Stop,
    });
    let config = if dice.below(3) == 0 { config.pausing_when_exhausted() } else { config };
    if dice.below(3) == 0 { retry(config, &mut dice) } else { config }
}

/// The same as a retry, which takes some of its items over, whatever they need.
fn retry(config: CoordinationConfig, dice: &mut Dice) -> CoordinationConfig {
    let from: CoordinationId = "earlier".parse().unwrap();
    let work = config.work().iter().cloned().map(|item| match dice.below(3) {
        0 => item.again("it failed before"),
        known => item.reused(Reused {
            from: from.clone(),
            work: None,
            output: Some(Digest::of(b"output")).filter(|_| dice.below(2) == 0),
            files: None,
            session: Some("earlier.3".parse().unwrap()).filter(|_| known == 1),
        }),
    });
    let work = work.collect();
    let (receipt, hash) = (Digest::of(b"receipt"), Digest::of(b"head"));
    let forerunner = Forerunner { coordination: from.clone(), receipt, version: Version(9), hash };
    config.retrying(forerunner).with_work(work).unwrap()
}

/// The configuration of a nested item.
fn plan(runner: &Runner) -> CoordinationConfig {
    let Runner::Plan(name) = runner else { panic!("{runner:?} is no plan") };
    let budget = CoordinationBudget::new(20, 20_000, 1000, None).unwrap();
    let x = WorkSpec::function("x", "work").unwrap();
    let y = match name.as_str() {
        "leaf" => WorkSpec::function("y", "silent").unwrap().needs_work("x").unwrap(),
        _ => WorkSpec::plan("y", "leaf").unwrap().with_attempts(2),
    };
    CoordinationConfig::of_work(vec![x, y], budget).unwrap().with_concurrency(2).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_laws_and_comes_to_its_end(steps in prop::collection::vec((0_u8..59, any::<u16>(), any::<u16>()), 1..80)) {
        let mut desk = Desk::new();
        for step in steps {
            desk.step(step);
        }
        desk.finish();
    }
}

/// Items of which the first is needed by all others.
fn fan(items: usize, pad: usize) -> CoordinationConfig {
    let id = |number: usize| format!("w{number}-{}", "x".repeat(pad));
    let root = WorkSpec::function(id(0), "work").unwrap().with_attempts(1);
    let rest = (1..items)
        .map(|number| WorkSpec::function(id(number), "work").unwrap().needs_work(id(0)).unwrap());
    let budget = CoordinationBudget::new(10_000, 1_000_000, 1000, None).unwrap();
    CoordinationConfig::of_work(std::iter::once(root).chain(rest).collect(), budget).unwrap()
}

/// Items of which each needs the one before.
fn chain(items: usize) -> CoordinationConfig {
    let root = WorkSpec::function("w0", "work").unwrap().with_attempts(1);
    let rest = (1..items).map(|number| {
        WorkSpec::function(format!("w{number}"), "work")
            .unwrap()
            .needs_work(format!("w{}", number - 1))
            .unwrap()
    });
    let budget = CoordinationBudget::new(10_000, 1_000_000, 1000, None).unwrap();
    CoordinationConfig::of_work(std::iter::once(root).chain(rest).collect(), budget).unwrap()
}

/// Starts a coordination, fails its first item, and returns how many events of each type it took;
/// the auditor watches the limits.
fn failed_at_its_root(config: CoordinationConfig) -> BTreeMap<String, usize> {
    let mut desk = Desk::new();
    let id: CoordinationId = "big".parse().unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = |turns: &[Turn]| {
        for event in turns.iter().flat_map(|turn| &turn.append.events) {
            *counts.entry(event.kind.to_string()).or_default() += 1;
        }
    };
    desk.audited
        .tell(
            Command::Start(commands::Start {
                id: id.clone(),
                config: Box::new(config),
                blobs: Vec::new(),
            }),
            &now(0),
        )
        .unwrap();
    count(&desk.audited.turns(&now(0), usize::MAX));
    let session = SessionId { coordination: id, number: 1 };
    let fence =
        desk.audited.world.coordination(&session.coordination).unwrap().binding(1).unwrap().0.fence;
    let end = SessionEnd::new(SessionOutcome::Failure);
    let end = commands::EndSession::new(session, fence, end);
    desk.audited.tell(end.into(), &now(1)).unwrap();
    count(&desk.audited.turns(&now(1), usize::MAX));
    assert_eq!(
        desk.audited.world.coordinations().count(),
        0,
        "with all items skipped it has ended"
    );
    counts
}

fn counted(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(kind, count)| (format!("coordination.{kind}"), *count)).collect()
}

#[test]
fn a_large_start_and_a_wide_skip_are_split_by_count() {
    let counts = [
        ("started", 1),
        ("work_added", 4),
        ("session_bound", 1),
        ("session_unbound", 1),
        ("work_skipped", 3),
        ("completed", 1),
    ];
    assert_eq!(failed_at_its_root(fan(3000, 0)), counted(&counts));
}

#[test]
fn a_large_start_and_a_wide_skip_are_split_by_bytes() {
    let mut counts = failed_at_its_root(fan(3000, 200));
    let (added, skipped) =
        (counts.remove("coordination.work_added"), counts.remove("coordination.work_skipped"));
    assert!(added > Some(3) && skipped > Some(3), "{added:?} and {skipped:?} events");
    assert_eq!(
        counts,
        counted(&[("started", 1), ("session_bound", 1), ("session_unbound", 1), ("completed", 1)])
    );
}

#[test]
fn a_long_chain_is_skipped_to_its_end() {
    let counts = failed_at_its_root(chain(3000));
    assert_eq!(counts["coordination.completed"], 1);
}
