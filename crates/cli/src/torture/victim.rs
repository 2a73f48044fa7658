//! The victim: a process that opens the engine on a real state directory and keeps it busy until it
//! is killed, or finishes normally.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon::coordination::Capability;
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent, StopKind};
use antiphon::id::{CommandId, CoordinationId, SessionId, StreamName, Version};
use antiphon::ledger::{HeadFilter, HeadQuery, Location};
use antiphon::process::{Guard, WardenSetup};
use antiphon::random::Random;
use antiphon::{Engine, Submission};
use tokio::task::JoinSet;

use super::function;
use super::journal::{Entry, JournalWriter};
use super::process_trace::TraceDirectory;
use super::processes;
use super::shortage::Shortage;
use super::talk::{Talk, accepted};
use super::workload::{self, Commands, Handling, Workload};

/// Runs at the same time.
const AT_ONCE: usize = 8;

/// A victim that lives so long has not met its end, which is a finding.
const LIFETIME: Duration = Duration::from_secs(60);

/// How long to wait before checking whether the run is paused.
const LOOK_AFTER: Duration = Duration::from_millis(150);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a victim is to do.
#[derive(Debug, Clone)]
pub(crate) struct Victim {
    /// Where the state directory and the journal are.
    dir: PathBuf,
    seed: u64,
    run: u64,
    /// Starts nothing new, finishes what there is and closes.
    finish: bool,
    shortage: Option<Shortage>,
}

/// Where everything lies that an engine writes.
pub(super) fn disk(dir: &Path) -> PathBuf {
    dir.join("disk")
}

/// Where the state of a ledger under torture lies.
pub(super) fn state(dir: &Path) -> PathBuf {
    disk(dir).join("state")
}

/// Where the scratch directories of its sessions lie.
pub(super) fn scratch(dir: &Path) -> PathBuf {
    disk(dir).join("scratch")
}

/// Where its journal lies.
pub(super) fn journal(dir: &Path) -> PathBuf {
    dir.join("journal")
}

impl Victim {
    pub(crate) fn new(
        dir: PathBuf,
        seed: u64,
        run: u64,
        finish: bool,
        shortage: Option<Shortage>,
    ) -> Self {
        Self { dir, seed, run, finish, shortage }
    }

    pub(crate) fn run(self) -> Result<(), BoxError> {
        // A victim without a parent is of no use.
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        std::thread::spawn(|| {
            std::thread::sleep(LIFETIME);
            eprintln!("the victim was still alive after {} s", LIFETIME.as_secs());
            std::process::exit(1);
        });
        // Panics of functions are part of the plan; the engine turns them into failures.
        std::panic::set_hook(Box::new(|panic| {
            if !panic.to_string().contains("a function may panic") {
                eprintln!("{panic}");
            }
        }));
        let journal = Arc::new(JournalWriter::append_to(&journal(&self.dir))?);
        if let Some(shortage) = self.shortage {
            shortage.begin(disk(&self.dir), Random::of(&[self.seed, self.run, 2]))?;
        }
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
            let mut next = 0;
            let mut random = Random::of(&[self.seed, self.run, u64::MAX]);
            loop {
                let engine = Shortage::outlast(self.shortage, || self.open(&journal)).await?;
                for stranger in processes::strangers() {
                    let about = format!("the engine had started, and this was left of an earlier one: {stranger}");
                    journal.write(&Entry::Complained { about });
                }
                journal.write(&Entry::Opened { pid: std::process::id() });
                self.keep_busy(&engine, &journal, &mut next, &mut random).await?;
                match (engine.close().await, self.shortage) {
                    (Ok(()), _) => journal.write(&Entry::Closed { pid: std::process::id() }),
                    (Err(error), Some(shortage)) => eprintln!("without {shortage}: {error}"),
                    (Err(error), None) => return Err(error.into()),
                }
                if self.finish {
                    return Ok(());
                }
            }
        })
    }

    async fn open(&self, journal: &Arc<JournalWriter>) -> Result<Engine, BoxError> {
        let mut setup = Engine::builder(state(&self.dir))?;
        let seed = self.seed;
        let function = |journal: Arc<JournalWriter>| {
            move |session| function::carry_out(seed, Arc::clone(&journal), session)
        };
        setup.register("plain", function(Arc::clone(journal)))?;
        let capability = Capability { reports_tokens: true, reports_cost: true, sessions: None };
        setup.register_reporting("metered", capability, function(Arc::clone(journal)))?;
        for (name, config) in workload::plans(&self.commands()?, seed)? {
            setup.register_plan(name, config)?;
        }
        #[cfg(target_os = "linux")]
        {
            // Unguarded, a session may kill its warden.
            let guard = *Random::of(&[seed, self.run, 1]).pick(&[
                Guard::Best,
                Guard::Best,
                Guard::Seccomp,
                Guard::Off,
                Guard::Off,
            ]);
            let (beat, silence) = (Duration::from_millis(100), Duration::from_secs(1));
            setup.run_processes(WardenSetup { guard, beat, silence, ..WardenSetup::default() })?;
        }
        let snapshot_every = 8 + Random::of(&[seed, self.run]).below(40);
        Ok(setup
            .with_grace(Duration::from_millis(15))
            .with_snapshot_every(snapshot_every)
            .start()
            .await?)
    }

    fn commands(&self) -> Result<Commands, BoxError> {
        Ok(Commands::of(&std::env::current_exe()?, &self.dir, self.seed))
    }

    /// Takes up what there is, and unless it is to finish, starts a wave of new coordinations and
    /// leaves while some still run.
    async fn keep_busy(
        &self,
        engine: &Engine,
        journal: &Arc<JournalWriter>,
        next: &mut u64,
        random: &mut Random,
    ) -> Result<(), BoxError> {
        let mut drivers = JoinSet::new();
        let unended = Shortage::outlast(self.shortage, || async { self.unended() }).await?;
        for (run, number) in unended {
            self.drive(&mut drivers, engine, journal, run, number)?;
        }
        let mut wave = if self.finish { 0 } else { random.between(4, 60) };
        while wave > 0 {
            while wave > 0 && drivers.len() < AT_ONCE {
                self.drive(&mut drivers, engine, journal, self.run, *next)?;
                *next += 1;
                wave -= 1;
            }
            if let Some(driven) = drivers.join_next().await {
                driven??;
            }
        }
        // Sometimes the end of a wave is waited for, sometimes the engine is closed while its
        // sessions run.
        if self.finish || random.one_in(2) {
            while let Some(driven) = drivers.join_next().await {
                driven??;
            }
        }
        drivers.abort_all();
        while drivers.join_next().await.is_some() {}
        Ok(())
    }

    /// The coordinations that have not ended, without nested ones.
    fn unended(&self) -> Result<Vec<(u64, u64)>, BoxError> {
        let store = Location::directory(state(&self.dir)).store();
        let filter = HeadFilter {
            prefix: StreamName::COORDINATIONS.to_owned(),
            ended: Some(false),
            ..HeadFilter::default()
        };
        let heads = store.heads(&HeadQuery::List(filter))?;
        let names = heads.iter().map(|head| head.stream.to_string());
        Ok(names
            .filter_map(|name| workload::numbers(name.strip_prefix(StreamName::COORDINATIONS)?))
            .collect())
    }

    fn drive(
        &self,
        drivers: &mut JoinSet<Result<(), BoxError>>,
        engine: &Engine,
        journal: &Arc<JournalWriter>,
        run: u64,
        number: u64,
    ) -> Result<(), BoxError> {
        let id: CoordinationId = workload::id(run, number).parse()?;
        let commands = self.commands()?;
        let workload = workload::workload(&commands, self.seed, run, number)?;
        let (engine, journal) = (engine.clone(), Arc::clone(journal));
        let driver = Driver {
            engine,
            journal,
            id,
            workload,
            commands,
            process_trace: TraceDirectory::of(&self.dir),
        };
        let (seed, shortage) = (self.seed, self.shortage);
        drivers.spawn(async move {
            Shortage::outlast(shortage, || driver.run(Random::of(&[seed, number]))).await
        });
        Ok(())
    }
}

/// Sees one coordination through.
struct Driver {
    engine: Engine,
    journal: Arc<JournalWriter>,
    id: CoordinationId,
    workload: Workload,
    commands: Commands,
    process_trace: TraceDirectory,
}

impl Driver {
    async fn run(&self, mut random: Random) -> Result<(), BoxError> {
        let run = self
            .engine
            .submit(
                Submission::new(self.workload.config.clone()).with_inputs(self.commands.inputs()),
            )
            .await?;
        self.journal.write(&Entry::Submitted { id: run.id().clone() });
        let talk = Talk::of(run, &self.journal);
        match self.workload.talks {
            false => self.see_through(&talk, &mut random).await,
            true => {
                let mut words = random.clone();
                let speaking = talk.speak(&mut words);
                tokio::try_join!(self.see_through(&talk, &mut random), speaking).map(|_| ())
            }
        }
    }

    async fn see_through(&self, talk: &Talk<'_>, random: &mut Random) -> Result<(), BoxError> {
        match self.workload.handling {
            Handling::Leave => {}
            Handling::Stop(kind, after) => {
                tokio::time::sleep(Duration::from_millis(after)).await;
                self.stop(kind).await?;
            }
            Handling::Pause(after) => {
                tokio::time::sleep(Duration::from_millis(after)).await;
                if accepted(self.engine.run(&self.id)?.pause("torture").await)?.is_some() {
                    self.journal.write(&Entry::Paused { id: self.id.clone() });
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                self.resume().await?;
            }
            Handling::Add => {
                for number in 0..random.between(1, 4) {
                    let command = CommandId::new(format!("add-{number}"))?;
                    let late = workload::late(&self.commands, random, number)?;
                    if let Some(version) = accepted(
                        self.engine.run(&self.id)?.once(command.clone())?.add_work(late).await,
                    )? {
                        self.journal.write(&Entry::Added { id: self.id.clone(), command, version });
                    }
                }
            }
            Handling::Follow => {
                return tokio::try_join!(self.follow(), talk.listen(), self.end()).map(|_| ());
            }
        }
        self.end().await
    }

    async fn stop(&self, kind: StopKind) -> Result<(), BoxError> {
        let stopped = match kind {
            StopKind::Close => self.engine.run(&self.id)?.close("closed").await,
            StopKind::Drain => self.engine.run(&self.id)?.drain("torture").await,
            StopKind::Cancel => self.engine.run(&self.id)?.cancel("torture").await,
            kind => return Err(format!("torture knows no {kind:?}").into()),
        };
        if accepted(stopped)?.is_some() {
            self.journal.write(&Entry::Stopped { id: self.id.clone(), kind });
        }
        Ok(())
    }

    /// Lets a paused coordination go on, with more of everything.
    async fn resume(&self) -> Result<(), BoxError> {
        let raise = workload::raise(self.workload.config.budget());
        if accepted(self.engine.run(&self.id)?.unpause_with(raise).await)?.is_some() {
            self.journal.write(&Entry::Continued { id: self.id.clone() });
        }
        Ok(())
    }

    async fn end(&self) -> Result<(), BoxError> {
        if self.workload.open {
            self.stop(StopKind::Close).await?;
        }
        loop {
            if let Ok(ended) =
                tokio::time::timeout(LOOK_AFTER, self.engine.run(&self.id)?.wait()).await
            {
                let ended = ended?;
                for session in self.process_trace.living(&self.id)? {
                    let about = format!(
                        "{} has ended, and a process of its session {session} lives",
                        self.id
                    );
                    self.journal.write(&Entry::Complained { about });
                }
                self.journal.write(&Entry::Ended {
                    id: ended.run,
                    verdict: ended.verdict,
                    receipt: ended.receipt,
                });
                return Ok(());
            }
            // It may be paused for want of budget.
            self.resume().await?;
            if self.workload.open {
                // It may have been started in the meantime.
                self.stop(StopKind::Close).await?;
            }
        }
    }

    async fn follow(&self) -> Result<(), BoxError> {
        let mut events = self.engine.run(&self.id)?.follow().await?;
        let mut last = Version(0);
        while let Some(event) = events.next().await? {
            if event.version != last.next() {
                let about = format!(
                    "a follower of {} was given version {} after {last}",
                    self.id, event.version
                );
                self.journal.write(&Entry::Complained { about });
            }
            last = event.version;
            self.look_for_remains(&event)?;
            self.journal.write(&Entry::Delivered {
                id: self.id.clone(),
                version: event.version,
                hash: event.hash,
            });
        }
        Ok(())
    }
}

impl Driver {
    /// When the record says that a session ended clean, nothing of it is running.
    fn look_for_remains(&self, event: &Recorded) -> Result<(), BoxError> {
        let CoordinationEvent::SessionUnbound(unbound) = CoordinationEvent::of(event)? else {
            return Ok(());
        };
        let session = SessionId { coordination: self.id.clone(), number: unbound.session };
        if unbound.tree.is_none_or(|tree| tree.clean)
            && self.process_trace.lives(&session, &unbound.work)?
        {
            let about = format!(
                "session {session} has ended on the record (version {}), and a process of it lives",
                event.version
            );
            self.journal.write(&Entry::Complained { about });
        }
        Ok(())
    }
}
