//! Ledgers with a history: coordinations carried out by the core's world, appended turn by turn.

#![allow(dead_code, clippy::allow_attributes, reason = "every test program uses its own part")]

use std::collections::VecDeque;

use antiphon::ledger::{MarkFinding, Owner, Store};
use antiphon_core::append::Append;
use antiphon_core::coordination::{
    Capability, CoordinationBudget, CoordinationConfig, Runner, Runners, SessionEnd,
    SessionOutcome, TreeReport, WorkSpec,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;
use antiphon_core::event::StopKind;
use antiphon_core::id::{Actor, CoordinationId, RunnerName, Version};
use antiphon_core::time::{LedgerTime, Now, WallTime};
use antiphon_core::world::{Action, Asker, Command, EraseRequest, Reply, Spawn, World, commands};

const WALL: u64 = 1_700_000_000_000_000_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// An engine reduced to one thread: what its functions give depends on their names.
pub(crate) struct History<'a> {
    store: &'a dyn Store,
    world: World,
    at: u64,
    running: VecDeque<Spawn>,
    /// What a forger does to an append on its way to the store.
    pub(crate) forge: fn(&mut Append),
}

impl<'a> History<'a> {
    /// Takes a new ledger over.
    pub(crate) fn begin(store: &'a dyn Store) -> Self {
        let opened = store.open(&owner()).unwrap();
        assert_eq!(opened.mark, MarkFinding::Agrees);
        let (at, facts) = (opened.at, opened.facts(None, "0.0.0-test"));
        let mut runners = Runners::default();
        for name in ["ok", "fail", "output", "large", "printed", "flooded", "hang"] {
            runners.add_function(RunnerName::new(name).unwrap(), Capability::default());
        }
        let mut world = World::new(facts);
        world.set_runners(runners);
        let mut history = Self { store, world, at: at.0, running: VecDeque::new(), forge: |_| {} };
        let now = history.now();
        history.world.open_ledger("host", 4711, false, &now).unwrap();
        history.settle();
        history
    }

    /// Gives the ledger up in good order.
    pub(crate) fn close(mut self) {
        let now = self.now();
        self.world.close_ledger(&now).unwrap();
        self.turn();
        self.store.close().unwrap();
    }

    /// Starts a coordination of functions, two at a time.
    pub(crate) fn start(&mut self, id: &str, functions: &[&str]) {
        let work = functions.iter().enumerate().map(|(number, function)| {
            WorkSpec::function(format!("item-{number}"), function).unwrap().with_attempts(2)
        });
        let budget = CoordinationBudget::new(1_000, 1_000_000, 1_000, None).unwrap();
        let config = CoordinationConfig::of_work(work.collect(), budget)
            .unwrap()
            .with_concurrency(2)
            .unwrap();
        self.start_with(id, config);
    }

    /// Starts a coordination with this.
    pub(crate) fn start_with(&mut self, id: &str, config: CoordinationConfig) {
        self.command(Command::Start(commands::Start {
            id: coordination(id),
            config: Box::new(config),
            blobs: Vec::new(),
        }));
    }

    /// Ends one from outside.
    pub(crate) fn cancel(&mut self, id: &str) {
        let reason = "not wanted any more".to_owned();
        self.command(Command::Stop(commands::Stop {
            coordination: coordination(id),
            kind: StopKind::Cancel,
            reason,
        }));
        self.settle();
    }

    /// Erases payloads of one that has ended, and blobs.
    pub(crate) fn erase(&mut self, id: &str, versions: &[u64], blobs: &[Digest]) {
        let versions = versions.iter().copied().map(Version).collect();
        let payloads = Some((coordination(id), versions));
        self.command(Command::Erase(EraseRequest {
            payloads,
            blobs: blobs.to_vec(),
            reason: "asked for".to_owned(),
        }));
        self.settle();
    }

    fn command(&mut self, command: Command) -> Reply {
        let now = self.now();
        let asker = Asker { actor: Actor::new("operator").unwrap(), id: None };
        self.world.handle(command, asker, &now).unwrap()
    }

    /// Lets everything happen that can, but what hangs.
    pub(crate) fn settle(&mut self) {
        let mut idle = 0;
        while idle < 5 {
            let now = self.now();
            self.world.expire(&now);
            idle = if self.turn() { 0 } else { idle + 1 };
            // What waits for its next attempt has it after a while.
            self.at += if idle > 0 { SECOND } else { 0 };
            let mut left = VecDeque::new();
            while let Some(spawn) = self.running.pop_front() {
                match end_of(&spawn) {
                    Some((end, blobs)) => {
                        let (session, fence) = (spawn.session.clone(), spawn.fence);
                        self.command(Command::EndSession(commands::EndSession {
                            session,
                            fence,
                            end: Box::new(end),
                            asked: None,
                            blobs,
                        }));
                        break;
                    }
                    None => left.push_back(spawn),
                }
            }
            self.running.append(&mut left);
        }
    }

    fn turn(&mut self) -> bool {
        let now = self.now();
        let Some(mut turn) = self.world.take_turn(&now) else { return false };
        (self.forge)(&mut turn.append);
        if !turn.is_only_actions() {
            self.store.append(&turn.append, &[]).unwrap();
        }
        for action in turn.actions {
            match action {
                Action::Spawn(spawn) => self.running.push_back(*spawn),
                Action::Stop { session, .. } => {
                    let Some(at) = self.running.iter().position(|spawn| spawn.session == session)
                    else {
                        continue;
                    };
                    let spawn = self.running.remove(at).unwrap();
                    let end = Box::new(SessionEnd::new(SessionOutcome::Cancelled));
                    self.command(Command::EndSession(commands::EndSession {
                        session,
                        fence: spawn.fence,
                        end,
                        asked: None,
                        blobs: Vec::new(),
                    }));
                }
                Action::Expand { .. } | Action::Ended { .. } => {}
            }
        }
        true
    }

    fn now(&mut self) -> Now {
        self.at += MILLISECOND;
        Now { at: LedgerTime(self.at), wall: WallTime(WALL + self.at), random: [7; 32] }
    }
}

/// What every test of verification looks at: coordinations that succeeded, failed, were cancelled,
/// are still running, and one with payloads and a blob erased.
pub(crate) fn story(store: &dyn Store) {
    tell(store).close();
}

/// The same, by an engine that has not closed the ledger yet.
pub(crate) fn tell(store: &dyn Store) -> History<'_> {
    let mut history = History::begin(store);
    history.start("build", &["ok", "output", "large", "fail"]);
    history.start("nightly", &["ok", "ok", "ok"]);
    history.settle();
    history.start("endless", &["hang", "ok"]);
    history.start("unwanted", &["hang", "ok", "ok"]);
    history.settle();
    history.cancel("unwanted");
    history.start("private", &["output", "ok"]);
    history.settle();
    history.erase("private", &[2, 4], &[Digest::of(&output("private"))]);
    history.start("last", &["ok"]);
    history.settle();
    history
}

pub(crate) fn coordination(id: &str) -> CoordinationId {
    CoordinationId::new(id).unwrap()
}

/// What the functions `output` and `large` put out.
pub(crate) fn output(id: &str) -> Vec<u8> {
    format!("output of {id}").into_bytes()
}

/// What the functions `printed` and `flooded` leave as their outputs, as processes do: 100,000
/// bytes each if they are large.
pub(crate) fn printed(id: &str, stream: &str, large: bool) -> Vec<u8> {
    let mut bytes = format!("{stream} of {id}").into_bytes();
    if large {
        bytes.resize(100_000, b'.');
    }
    bytes
}

fn end_of(spawn: &Spawn) -> Option<(SessionEnd, Vec<Blob>)> {
    let Runner::Function(function) = &spawn.spec.runner else { return None };
    let put_out = |bytes: Vec<u8>| {
        let blob = Blob::new(bytes);
        let mut end = SessionEnd::new(SessionOutcome::Success);
        end.output = Some(blob.digest);
        Some((end, vec![blob]))
    };
    let mut bytes = output(spawn.session.coordination.as_str());
    match function.as_str() {
        "hang" => None,
        "fail" => Some((SessionEnd::new(SessionOutcome::Failure).with_text("no"), Vec::new())),
        "output" => put_out(bytes),
        name @ ("printed" | "flooded") => {
            let id = spawn.session.coordination.as_str();
            let [stdout, stderr] = ["stdout", "stderr"]
                .map(|stream| Blob::new(printed(id, stream, name == "flooded")));
            let tree = TreeReport {
                containment: "warden".to_owned(),
                clean: true,
                ..TreeReport::default()
            };
            let tree =
                TreeReport { stdout: Some(stdout.digest), stderr: Some(stderr.digest), ..tree };
            Some((SessionEnd::new(SessionOutcome::Success).with_tree(tree), vec![stdout, stderr]))
        }
        "large" => {
            bytes.resize(100_000, b'.');
            put_out(bytes)
        }
        _ => Some((SessionEnd::new(SessionOutcome::Success), Vec::new())),
    }
}

fn owner() -> Owner {
    Owner {
        host: "host".to_owned(),
        pid: 4711,
        engine: "0.0.0-test".to_owned(),
        since: WallTime(WALL),
    }
}
