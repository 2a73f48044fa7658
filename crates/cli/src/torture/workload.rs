//! Coordinations of random shapes; the same seed, run and number give the same one again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use antiphon::coordination::{
    Backoff, CoordinationBudget, CoordinationConfig, FailurePolicy, Need, Raise, Runner, WorkSpec,
};
use antiphon::digest::Digest;
use antiphon::event::StopKind;
use antiphon::id::IdError;
use antiphon::keys::GATE_SCALE;
use antiphon::plan::{
    CommandSpec, CommandText, Invocation, Millis, RouteRules, SessionLimits, UsageReader,
};
use antiphon::random::Random;
use antiphon::waits::{KeyCondition, KeyNeed, SignalNeed};

use super::talk::{COUNT, NOTE};

/// Where sessions as processes can be had.
const RUNS_PROCESSES: bool = cfg!(target_os = "linux");

/// Ticks are milliseconds.
const RATE_HZ: u64 = 1_000;

/// How items behave, as the first part of their id says, and how often there are such.
const BEHAVIOURS: [(&str, u64); 19] = [
    ("steady", 12),
    ("slow", 4),
    ("flaky", 4),
    ("always_fails", 1),
    ("panics", 1),
    ("defers", 2),
    ("hangs", 1),
    ("stubborn", 1),
    ("adds", 1),
    ("large", 1),
    ("metered", 4),
    ("greedy", 1),
    ("nested", 2),
    ("sends", 2),
    ("counts", 3),
    ("asks", 1),
    ("redoes", 2),
    ("leaves", 1),
    ("gives_up", 1),
];

/// The same for those that are carried out by processes, which [`Program`](super::Program) is.
const PROCESSES: [(&str, u64); 10] = [
    ("brief", 6),
    ("writes", 4),
    ("balks", 2),
    ("prints", 2),
    ("departs", 2),
    ("litters", 2),
    ("waits", 3),
    ("deaf", 1),
    ("freezes", 1),
    ("assassin", 2),
];

/// Longer than what has lost its engine may live, in ticks. What waits ends by itself once the
/// ledger is to finish.
const LONG_WAIT: u64 = 12_000;

/// What the victim does with a coordination besides waiting for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handling {
    Leave,
    /// Ends it in some way after so many milliseconds.
    Stop(StopKind, u64),
    /// Pauses it after so many milliseconds, and lets it go on a little later.
    Pause(u64),
    /// Adds work, under command ids that are repeated after a restart.
    Add,
    Follow,
}

/// A coordination and what is done with it.
#[derive(Debug, Clone)]
pub(super) struct Workload {
    pub(super) config: CoordinationConfig,
    pub(super) handling: Handling,
    pub(super) open: bool,
    /// Whether somebody speaks to it from outside.
    pub(super) talks: bool,
}

/// What is wrong with a shape; its making is at fault then.
pub(super) type WorkloadError = Box<dyn std::error::Error + Send + Sync>;

/// The id of the n-th coordination of a run.
pub(super) fn id(run: u64, number: u64) -> String {
    format!("run-{run}-{number}")
}

/// The run and number of an id, if it is not that of a nested coordination.
pub(super) fn numbers(id: &str) -> Option<(u64, u64)> {
    let (run, number) = id.strip_prefix("run-")?.split_once('-')?;
    Some((run.parse().ok()?, number.parse().ok()?))
}

/// How the processes of a ledger are started: one description for all that report what they use and
/// one for those that do not. What they do follows from the id of their item.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    plain: Vec<u8>,
    reporting: Vec<u8>,
}

impl Commands {
    pub(super) fn of(program: &Path, dir: &Path, seed: u64) -> Self {
        let described = |usage| {
            let seed = seed.to_string();
            let words = [
                &program.to_string_lossy(),
                "torture",
                "--seed",
                &seed,
                "--program",
                &dir.to_string_lossy(),
            ];
            CommandSpec {
                schema: 1,
                run: Invocation::Argv(words.into_iter().map(CommandText::known).collect()),
                dir: dir.to_owned(),
                env: BTreeMap::new(),
                stdin: None,
                limits: SessionLimits::default(),
                grace: Millis(20),
                check: None,
                usage,
                route: RouteRules::default(),
                inputs: BTreeMap::new(),
                outputs: BTreeMap::new(),
            }
            .to_bytes()
        };
        Self { plain: described(UsageReader::None), reporting: described(UsageReader::Result) }
    }

    /// What items name by its digest.
    pub(super) fn inputs(&self) -> Vec<Vec<u8>> {
        vec![self.plain.clone(), self.reporting.clone()]
    }

    fn item(&self, id: &str) -> Result<WorkSpec, IdError> {
        let reports = id.starts_with("writes");
        let runner =
            Runner::Process { reports_tokens: reports, reports_cost: reports, secrets: false };
        let input = Digest::of(if reports { &self.reporting } else { &self.plain });
        // One that is killed over its time is charged all that it was granted, and no ceiling is so
        // high that it could be granted all.
        let most = reports.then_some(2_000);
        Ok(WorkSpec {
            input: Some(input),
            max_tokens: most,
            max_cost: most,
            ..WorkSpec::new(id.parse()?, runner)
        })
    }
}

/// The n-th coordination of a run.
pub(super) fn workload(
    commands: &Commands,
    seed: u64,
    run: u64,
    number: u64,
) -> Result<Workload, WorkloadError> {
    let mut random = Random::of(&[seed, run, number]);
    if RUNS_PROCESSES && number == 0 && run % 3 == 1 {
        return waiting(commands, run);
    }
    let open = random.one_in(8);
    let handling = match random.below(12) {
        0 => Handling::Stop(StopKind::Cancel, random.below(20)),
        1 => Handling::Stop(StopKind::Drain, random.below(20)),
        2 => Handling::Pause(random.below(20)),
        3 | 4 => Handling::Add,
        5 | 6 => Handling::Follow,
        _ => Handling::Leave,
    };
    // More items than one event holds, now and then.
    let many = random.one_in(150);
    let work = if many {
        (0..1_100).map(|n| plain(&format!("steady-{n}"))).collect::<Result<_, _>>()?
    } else {
        items(commands, &mut random)?
    };
    let sessions = if many { 2_000 } else { *random.pick(&[3, 8, 20, 100, 100, 100]) };
    let duration = *random.pick(&[40, 400, 60_000, 60_000, 60_000, 60_000]);
    let tokens = *random.pick(&[None, None, Some(500), Some(5_000)]);
    let mut budget = CoordinationBudget::new(sessions, duration, RATE_HZ, tokens)?;
    if random.one_in(4) {
        budget = budget.with_max_cost(random.between(100, 10_000), "EUR");
    }
    let config = if open {
        CoordinationConfig::open(work, budget)?
    } else {
        CoordinationConfig::of_work(work, budget)?
    };
    let mut config = config
        .with_id(id(run, number))?
        .with_concurrency(if many { 32 } else { *random.pick(&[1, 1, 2, 4, 16]) })?
        .with_max_attempts(*random.pick(&[1, 2, 3, 3, 5]))?
        .with_breaker(*random.pick(&[1, 3, 3, 50]))?;
    if random.one_in(3) {
        config = config.pausing_when_exhausted();
    }
    let talks = random.one_in(3);
    Ok(Workload { config, handling, open, talks })
}

/// A run whose processes are alive whenever the victim is killed.
fn waiting(commands: &Commands, run: u64) -> Result<Workload, WorkloadError> {
    let wait = |n| Ok(commands.item(&format!("waits-{n}"))?.with_timeout_ticks(LONG_WAIT));
    let work = (0..4).map(wait).collect::<Result<_, IdError>>()?;
    let config =
        CoordinationConfig::of_work(work, CoordinationBudget::new(1_000, 60_000, RATE_HZ, None)?)?;
    Ok(Workload {
        config: config.with_id(id(run, 0))?.with_concurrency(4)?,
        handling: Handling::Leave,
        open: false,
        talks: false,
    })
}

/// What `nested` items are carried out by.
pub(super) fn plans(
    commands: &Commands,
    seed: u64,
) -> Result<[(&'static str, CoordinationConfig); 2], WorkloadError> {
    let budget = CoordinationBudget::new(12, 30_000, RATE_HZ, Some(5_000))?;
    let flaky = plain("flaky-1")?.needs_work("steady-0")?;
    let inner = vec![plain("steady-0")?, flaky, metered("metered-2")?.needs_work("flaky-1")?];
    let mut outer = vec![
        WorkSpec::plan("nested-0", "inner")?,
        plain("slow-1")?,
        plain("hangs-2")?.with_timeout_ticks(10),
    ];
    if Random::of(&[seed]).one_in(2) {
        outer.push(plain("steady-3")?.needs_work("nested-0")?);
    }
    if RUNS_PROCESSES {
        outer.push(commands.item("writes-4")?);
        outer.push(commands.item("litters-5")?);
    }
    Ok([
        ("inner", CoordinationConfig::of_work(inner, budget.clone())?),
        ("outer", CoordinationConfig::of_work(outer, budget)?.with_concurrency(2)?),
    ])
}

/// Work that is added to a coordination that runs.
pub(super) fn late(
    commands: &Commands,
    random: &mut Random,
    number: u64,
) -> Result<Vec<WorkSpec>, WorkloadError> {
    if RUNS_PROCESSES && random.one_in(4) {
        return Ok(vec![commands.item(&format!("brief-late-{number}"))?]);
    }
    let behaviour = *random.pick(&["steady", "slow", "flaky"]);
    Ok(vec![plain(&format!("{behaviour}-late-{number}"))?])
}

/// An item that a session adds.
pub(super) fn added_by(session: u64) -> Result<WorkSpec, IdError> {
    plain(&format!("steady-by-{session}"))
}

/// Far more of everything that a budget has a ceiling on.
pub(super) fn raise(budget: &CoordinationBudget) -> Raise {
    let mut raise = Raise::new().sessions(100_000).within(Duration::from_secs(100_000));
    if budget.max_tokens().is_some() {
        raise = raise.tokens(u64::MAX / 4);
    }
    if budget.max_cost().is_some() {
        raise = raise.cost(u64::MAX / 4);
    }
    raise
}

fn plain(id: &str) -> Result<WorkSpec, IdError> {
    WorkSpec::function(id, "plain")
}

fn metered(id: &str) -> Result<WorkSpec, IdError> {
    WorkSpec::function(id, "metered")
}

fn items(commands: &Commands, random: &mut Random) -> Result<Vec<WorkSpec>, WorkloadError> {
    let count = if random.one_in(20) { random.between(20, 80) } else { random.between(1, 10) };
    let has_processes = RUNS_PROCESSES && random.one_in(2);
    let mut ids: Vec<String> = Vec::new();
    let mut work = Vec::new();
    for position in 0..count {
        let is_process = has_processes && random.below(4) > 0;
        let behaviour = behaviour(if is_process { &PROCESSES } else { &BEHAVIOURS }, random);
        let id = format!("{behaviour}-{position}");
        let mut item = match behaviour {
            _ if is_process => commands.item(&id)?,
            "metered" | "greedy" => metered(&id)?,
            "nested" => WorkSpec::plan(&id, random.pick::<&str>(&["inner", "outer"]))?,
            _ => plain(&id)?,
        };
        if matches!(behaviour, "waits" | "deaf" | "freezes" | "assassin")
            || is_process && random.one_in(10)
        {
            item = item.with_timeout_ticks(random.between(10, 300)).with_attempts(2);
        } else if matches!(behaviour, "hangs" | "stubborn") || !is_process && random.one_in(10) {
            item = item.with_timeout_ticks(random.between(5, 25)).with_attempts(2);
        }
        if random.one_in(3) {
            let initial_ns = random.below(3_000_000);
            item = item.with_backoff(Backoff {
                initial_ns,
                factor: 2,
                cap_ns: 8_000_000,
                jitter_ppm: 500_000,
            });
        }
        // The first half may be a group, and the other half may wait for it.
        let half = position < count / 2;
        if half && random.one_in(3) {
            item = item.in_group("first")?;
        } else if !half
            && random.one_in(6)
            && work.iter().any(|item: &WorkSpec| item.group.is_some())
        {
            item = item.needs_group("first")?;
        }
        while !ids.is_empty() && random.one_in(3) && item.needs.len() < 3 {
            let need = random.pick(&ids);
            if !item
                .needs
                .iter()
                .any(|other| matches!(other, Need::Work(id) if id.as_str() == need))
            {
                item = item.needs_work(need)?;
            }
        }
        if random.one_in(8) {
            item = told(item, random)?;
        }
        if random.one_in(6) {
            item = item.critical();
        }
        let policy = [
            FailurePolicy::SkipDependents,
            FailurePolicy::SkipDependents,
            FailurePolicy::Continue,
            FailurePolicy::Abort,
        ];
        item = item
            .on_failure(*random.pick(&policy))
            .with_priority(i32::try_from(random.below(3)).unwrap_or(0));
        ids.push(id);
        work.push(item);
    }
    Ok(work)
}

/// The same, waiting for something that is said in the run, or not in time.
fn told(item: WorkSpec, random: &mut Random) -> Result<WorkSpec, WorkloadError> {
    let need = match random.below(3) {
        0 => Need::from(SignalNeed::new(NOTE.parse()?)),
        1 => Need::from(SignalNeed::new(NOTE.parse()?).even_failed()),
        _ => {
            let least = i64::try_from(random.between(1, 4))? * GATE_SCALE;
            Need::from(KeyNeed::new(COUNT.parse()?, KeyCondition::AtLeast(least)))
        }
    };
    Ok(item.with_need(need).within(Duration::from_millis(random.between(1, 60))))
}

fn behaviour(among: &[(&'static str, u64)], random: &mut Random) -> &'static str {
    let all: u64 = among.iter().map(|(_, weight)| weight).sum();
    let mut left = random.below(all);
    for (name, weight) in among {
        if left < *weight {
            return name;
        }
        left -= weight;
    }
    "steady"
}
