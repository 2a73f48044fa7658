//! Finished items of an open coordination leave memory, and are found again when something needs
//! them.

#![allow(clippy::unwrap_used, reason = "a story that cannot be told has failed")]

mod auditor;

use std::collections::BTreeMap;

use antiphon_core::append::Erasure;
use antiphon_core::coordination::{
    ArchiveDamaged, ArchivedWork, Blocked, Capability, ConfigError, CoordinationBudget,
    CoordinationConfig, Forerunner, MAX_FINISHED_IN_MEMORY, Reused, Runners, SessionEnd,
    SessionOutcome, WorkSpec, archived_items,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;
use antiphon_core::event::StopKind;
use antiphon_core::id::{CoordinationId, Fence, SessionId, Version, WorkId};
use antiphon_core::time::{LedgerTime, Now, WallTime};
use antiphon_core::world::{Action, Command, Rejection, Reply, Spawn, Turn, commands};
use auditor::{Audited, Restart};

/// Enough for one batch to leave.
const ITEMS: usize = MAX_FINISHED_IN_MEMORY + 1_000;

/// An open coordination whose sessions are started and ended here.
struct Desk {
    audited: Audited,
    passed: u64,
    running: BTreeMap<SessionId, Spawn>,
    blobs: BTreeMap<Digest, Blob>,
    erased: Vec<Erasure>,
}

fn id() -> CoordinationId {
    "pipeline".parse().unwrap()
}

fn open(work: Vec<WorkSpec>) -> CoordinationConfig {
    let budget = CoordinationBudget::new(1_000_000, 1_000_000_000, 1_000, None).unwrap();
    CoordinationConfig::open(work, budget).unwrap().with_concurrency(5_000).unwrap()
}

fn item(name: &str) -> WorkSpec {
    WorkSpec::function(name, "work").unwrap().with_attempts(1)
}

impl Desk {
    fn new(work: Vec<WorkSpec>) -> Self {
        let mut desk = Self::start(open(Vec::new()));
        for part in work.chunks(1_000) {
            assert!(desk.add(part.to_vec()).is_ok());
        }
        desk
    }

    fn start(config: CoordinationConfig) -> Self {
        let (audited, _) = Audited::open(&now(0));
        let mut desk = Self {
            audited,
            passed: 0,
            running: BTreeMap::new(),
            blobs: BTreeMap::new(),
            erased: Vec::new(),
        };
        let mut runners = Runners::default();
        runners.add_function("work".parse().unwrap(), Capability::default());
        desk.audited.set_runners(runners);
        let start = Command::Start(commands::Start {
            id: id(),
            config: Box::new(config),
            blobs: Vec::new(),
        });
        assert!(desk.tell(start).is_ok());
        desk
    }

    fn tell(&mut self, command: Command) -> Result<Reply, Rejection> {
        let told = self.audited.tell(command, &now(self.passed));
        self.settle();
        told
    }

    fn settle(&mut self) {
        let turns = self.audited.turns(&now(self.passed), usize::MAX);
        self.carry_out(&turns);
    }

    fn carry_out(&mut self, turns: &[Turn]) {
        for turn in turns {
            self.blobs.extend(turn.append.blobs.iter().map(|blob| (blob.digest, blob.clone())));
            self.erased.extend(turn.append.erasures.iter().cloned());
            for action in &turn.actions {
                if let Action::Spawn(spawn) = action {
                    self.running.insert(spawn.session.clone(), (**spawn).clone());
                }
            }
        }
    }

    /// Adds work as the engine's shell does; says how often it had to look into archives.
    fn add(&mut self, items: Vec<WorkSpec>) -> Result<usize, Rejection> {
        let mut archived: Vec<ArchivedWork> = Vec::new();
        for looked in 0.. {
            let command = Command::AddWork(commands::AddWork {
                coordination: id(),
                items: items.clone(),
                archived: archived.clone(),
                blobs: Vec::new(),
            });
            match self.tell(command) {
                Err(Rejection::ArchivesNeeded { archives }) => {
                    archived.extend(archives.iter().map(|name| {
                        ArchivedWork::read(*name, &self.blobs[name].bytes, &items).unwrap()
                    }));
                }
                Err(other) => return Err(other),
                Ok(_) => return Ok(looked),
            }
        }
        unreachable!("the loop ends with an answer")
    }

    fn end(&mut self, session: &SessionId, outcome: SessionOutcome) {
        let spawn = self.running.remove(session).unwrap();
        let output = Blob::new(format!("output of {}", spawn.spec.id).into_bytes());
        let end = SessionEnd { output: Some(output.digest), ..SessionEnd::new(outcome) };
        let (session, fence): (SessionId, Fence) = (session.clone(), spawn.fence);
        let command = Command::EndSession(commands::EndSession {
            session,
            fence,
            end: Box::new(end),
            asked: None,
            blobs: vec![output],
        });
        assert!(self.audited.tell(command, &now(self.passed)).is_ok());
    }

    /// Carries out what may run, but for items whose names start with `hold`; those with `bad`
    /// fail.
    fn work_off(&mut self) {
        loop {
            self.passed += 1;
            let free = |spawn: &Spawn| !spawn.spec.id.as_str().starts_with("hold");
            let sessions: Vec<_> = self
                .running
                .values()
                .filter(|spawn| free(spawn))
                .map(|spawn| spawn.session.clone())
                .collect();
            if sessions.is_empty() {
                return;
            }
            for session in sessions {
                let bad = self.running[&session].spec.id.as_str().starts_with("bad");
                self.end(
                    &session,
                    if bad { SessionOutcome::Failure } else { SessionOutcome::Success },
                );
            }
            self.settle();
        }
    }

    fn in_memory(&self) -> usize {
        self.audited.world.coordination(&id()).unwrap().work_queue().count()
    }

    fn knows(&self, work: &str) -> bool {
        self.audited.world.coordination(&id()).unwrap().work_tracking(work).is_some()
    }

    fn why(&self, work: &str) -> Vec<Blocked> {
        self.audited.world.why(&id(), work, &now(self.passed)).unwrap()
    }
}

fn now(passed: u64) -> Now {
    Now {
        at: LedgerTime(1_000_000 + passed),
        wall: WallTime(1_700_000_000_000_000_000 + passed),
        random: [7; 32],
    }
}

fn many(first: usize, count: usize) -> Vec<WorkSpec> {
    (first..first + count).map(|n| item(&format!("i{n}"))).collect()
}

/// The oldest items: one that keeps waiting work's need, one that failed in a group, then so many
/// more.
fn long_lived() -> Desk {
    let mut work = vec![
        item("kept"),
        item("hold"),
        item("waits").needs_work("kept").unwrap().needs_work("hold").unwrap(),
        item("bad").in_group("g").unwrap(),
    ];
    work.extend(many(0, ITEMS));
    let mut desk = Desk::new(work);
    desk.work_off();
    desk
}

#[test]
fn the_oldest_finished_items_leave_memory_unless_unfinished_work_needs_them() {
    let desk = long_lived();
    // The batch leaves as soon as it is full: `kept` and `bad` finished first, and `kept` is
    // needed.
    assert!(
        (MAX_FINISHED_IN_MEMORY..MAX_FINISHED_IN_MEMORY + 1_000).contains(&desk.in_memory()),
        "{} remain",
        desk.in_memory()
    );
    let known: Vec<bool> = ["kept", "hold", "waits", "bad", "i0", "i997", "i10999"]
        .iter()
        .map(|work| desk.knows(work))
        .collect();
    assert_eq!(known, [true, true, true, false, false, false, true]);
    let run = desk.audited.world.coordination(&id()).unwrap();
    assert_eq!(run.work_count(), ITEMS as u64 + 4);
}

#[test]
fn a_need_on_an_item_that_left_memory_is_met_and_brings_its_output() {
    for how in [Restart::FromEvents, Restart::FromSnapshots] {
        let mut desk = long_lived();
        assert!(!desk.knows("i3"));
        assert_eq!(desk.add(vec![item("late").needs_work("i3").unwrap()]), Ok(1));
        let late = desk.running.values().find(|spawn| spawn.spec.id == *"late").unwrap();
        let output = Digest::of(b"output of i3");
        assert_eq!(late.outputs, [("i3".parse::<WorkId>().unwrap(), output)]);
        let turns = desk.audited.restart(how, &now(desk.passed));
        desk.running.clear();
        desk.carry_out(&turns);
        let again = desk.running.values().find(|spawn| spawn.spec.id == *"late").unwrap();
        assert_eq!(again.outputs, [("i3".parse::<WorkId>().unwrap(), output)], "{how:?}");
    }
}

#[test]
fn what_was_taken_over_leaves_memory_and_comes_back_with_its_output() {
    let output = Digest::of(b"output of an earlier run");
    let earlier: CoordinationId = "earlier".parse().unwrap();
    let reused = Reused {
        from: earlier.clone(),
        work: None,
        output: Some(output),
        files: None,
        session: None,
    };
    let work = many(0, ITEMS).into_iter().map(|item| item.reused(reused.clone())).collect();
    let forerunner = Forerunner {
        coordination: earlier,
        receipt: Digest::of(b"receipt"),
        version: Version(9),
        hash: Digest::of(b"head"),
    };
    for how in [Restart::FromEvents, Restart::FromSnapshots] {
        let mut desk = Desk::start(open(Vec::clone(&work)).retrying(forerunner.clone()));
        assert_eq!((desk.in_memory(), desk.running.len()), (ITEMS, 0));
        assert_eq!(desk.add(vec![item("hold")]), Ok(0));
        assert_eq!((desk.in_memory(), desk.knows("i3")), (MAX_FINISHED_IN_MEMORY + 1, false));
        assert_eq!(desk.add(vec![item("late").needs_work("i3").unwrap()]), Ok(1));
        let outputs = |desk: &Desk| {
            let late = desk.running.values().find(|spawn| spawn.spec.id == *"late").unwrap();
            late.outputs.clone()
        };
        assert_eq!(outputs(&desk), [("i3".parse::<WorkId>().unwrap(), output)]);
        let turns = desk.audited.restart(how, &now(desk.passed));
        desk.running.clear();
        desk.carry_out(&turns);
        assert_eq!(outputs(&desk), [("i3".parse::<WorkId>().unwrap(), output)], "{how:?}");
    }
}

#[test]
fn a_need_on_a_failed_item_or_group_that_left_memory_skips_what_needs_it() {
    let mut desk = long_lived();
    assert_eq!(desk.add(vec![item("doomed").needs_work("bad").unwrap()]), Ok(1));
    assert_eq!(desk.add(vec![item("also").needs_group("g").unwrap()]), Ok(0));
    for work in ["doomed", "also"] {
        let bad = Blocked::NeedsWork { work: "bad".parse().unwrap(), state: "failed" };
        assert_eq!(desk.why(work), [Blocked::Finished { outcome: "skipped" }, bad], "{work}");
    }
}

#[test]
fn an_id_is_never_used_twice_though_its_item_left_memory() {
    let mut desk = long_lived();
    let twice = desk.add(vec![item("i3")]).unwrap_err();
    assert_eq!(twice, ConfigError::DuplicateWork { work_id: "i3".parse().unwrap() }.into());
    let unknown = desk.add(vec![item("x").needs_work("nowhere").unwrap()]).unwrap_err();
    let expected =
        ConfigError::UnknownNeed { work_id: "x".parse().unwrap(), need: "nowhere".to_owned() };
    assert_eq!(unknown, expected.into());
    // Nothing in memory or archives has such names, so nothing is read for them.
    assert_eq!(desk.add(vec![item("fresh"), item("fresher").needs_work("fresh").unwrap()]), Ok(0));
}

#[test]
fn a_damaged_archive_is_refused() {
    let desk = long_lived();
    let name = desk.blobs.keys().next().copied().unwrap();
    let refused = ArchivedWork::read(name, b"[]", &[item("late")]);
    assert_eq!(refused, Err(ArchiveDamaged { archive: name }));
}

#[test]
fn what_was_recalled_may_leave_again_and_be_recalled_again() {
    let mut desk = long_lived();
    assert_eq!(desk.add(vec![item("first").needs_work("i3").unwrap()]), Ok(1));
    desk.work_off();
    for part in 0..13 {
        assert_eq!(desk.add(many(ITEMS + part * 1_000, 1_000)), Ok(0));
        desk.work_off();
    }
    assert!(!desk.knows("i3"));
    assert_eq!(desk.add(vec![item("second").needs_work("i3").unwrap()]), Ok(1));
    desk.work_off();
    assert_eq!(desk.why("second"), [Blocked::Finished { outcome: "succeeded" }]);
    let archived = |work: &str| {
        let holds = |blob: &&Blob| {
            archived_items(&blob.bytes)
                .is_ok_and(|items| items.iter().any(|item| item.work.id == *work))
        };
        desk.blobs.values().filter(holds).count()
    };
    assert_eq!((archived("i3"), archived("i4")), (1, 1));
}

#[test]
fn the_receipt_counts_what_left_memory() {
    let mut desk = long_lived();
    let hold =
        desk.running.values().find(|spawn| spawn.spec.id == *"hold").unwrap().session.clone();
    desk.end(&hold, SessionOutcome::Success);
    desk.settle();
    desk.work_off();
    let stop = Command::Stop(commands::Stop {
        coordination: id(),
        kind: StopKind::Close,
        reason: "done".to_owned(),
    });
    assert!(desk.tell(stop).is_ok());
    let erased = desk.erased.len();
    let archives = desk.blobs.values().filter(|blob| archived_items(&blob.bytes).is_ok()).count();
    assert_eq!((erased, archives > 0), (archives, true), "what nobody can name goes with the end");
    // The auditor has rebuilt the receipt and counted its items.
    let totals = *desk.audited.replayed("pipeline").unwrap().totals();
    assert_eq!((totals.work_succeeded, totals.work_failed), (ITEMS as u64 + 3, 1));
}

#[test]
fn work_added_at_once_may_need_what_comes_in_a_later_event() {
    let mut desk = Desk::new(Vec::new());
    let mut items = vec![item("first").needs_work("i1000").unwrap()];
    items.extend(many(0, 1_001));
    assert_eq!(desk.add(items), Ok(0));
    desk.work_off();
    assert_eq!(desk.why("first"), [Blocked::Finished { outcome: "succeeded" }]);
}
