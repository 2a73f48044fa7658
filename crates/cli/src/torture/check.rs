//! What must hold after any kill: the ledger verifies, and everything that the victim saw is in it.

mod processes;

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;

use antiphon::coordination::{Coordination, Meta, SessionOutcome, TreeReport, Verdict};
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::event::{Event, SessionBound, SessionUnbound, StopKind};
use antiphon::id::{CommandId, CoordinationId, Seq, SessionId, StreamName, Version, WorkId};
use antiphon::ledger::verify::{Scope, verify_directory};
use antiphon::ledger::{ReadError, SqliteOptions, SqliteStore, Store};

use super::journal::{Entry, Journal};
use super::process_trace::ProcessTrace;

/// Events read at a time.
const PAGE: usize = 4_000;

/// Findings that are spelled out.
const MAX_FINDINGS: usize = 20;

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Seen {
    pub(super) events: u64,
    pub(super) runs: u64,
    pub(super) ended: u64,
    pub(super) sessions: u64,
    pub(super) lost: u64,
    pub(super) receipts_rebuilt: u64,
    pub(super) acknowledged: u64,
    /// Sessions of processes whose end is recorded with what became of their tree.
    pub(super) trees: u64,
    /// Of these, sessions that nobody but the next start could end.
    pub(super) swept: u64,
    /// Processes that left their file.
    pub(super) processes: u64,
    /// Different blobs that the ends of sessions name.
    pub(super) blobs: u64,
}

/// What victims have left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) state: &'a Path,
    pub(super) journal: &'a Journal,
    pub(super) tracks: &'a [ProcessTrace],
}

/// Checks the ledger in a state directory against what was seen; `finished` if everything was
/// allowed to come to its end.
pub(super) fn check(left: &Left<'_>, finished: bool) -> Result<Seen, Vec<String>> {
    let Left { state, journal, tracks } = *left;
    let mut findings = Findings::default();
    let mut seen = Seen::default();
    let mut ledger = Ledger::default();
    match verify_directory(state, &Scope::Ledger) {
        Ok(report) => {
            for finding in &report.findings {
                findings.add(finding);
            }
            seen.receipts_rebuilt = report.receipts_rebuilt;
            if let Err(error) = ledger.read(state, &mut findings) {
                findings.add(error);
            }
        }
        // A victim may be killed before it has made one; then nothing was acknowledged either.
        Err(ReadError::Absent { .. }) => {}
        Err(error) => findings.add(format!("the ledger cannot be verified: {error}")),
    }
    for (id, record) in &ledger.records {
        record.check(id, finished, &mut findings);
        seen.runs += 1;
        seen.ended += u64::from(record.ends > 0);
        seen.sessions += record.bound.len() as u64;
        seen.lost +=
            record.unbound.values().filter(|end| end.outcome == SessionOutcome::Lost).count()
                as u64;
        let trees =
            || record.unbound.values().filter_map(|end| Some((end.outcome, end.tree.as_ref()?)));
        seen.trees += trees().count() as u64;
        seen.swept +=
            trees().filter(|(outcome, _)| *outcome == SessionOutcome::Lost).count() as u64;
    }
    seen.events = ledger.events;
    if seen.receipts_rebuilt != seen.ended {
        findings.add(format!(
            "{} coordinations have ended, but {} receipts could be rebuilt",
            seen.ended, seen.receipts_rebuilt
        ));
    }
    seen.acknowledged = check_acknowledged(&ledger, journal, &mut findings);
    check_sessions(&ledger, journal, &mut findings);
    processes::check(&ledger, tracks, &mut findings);
    seen.processes = tracks.len() as u64;
    seen.blobs = processes::check_blobs(&ledger, state, &mut findings);
    if findings.list.is_empty() { Ok(seen) } else { Err(findings.told()) }
}

#[derive(Debug, Default)]
struct Findings {
    list: Vec<String>,
    more: usize,
}

impl Findings {
    fn add(&mut self, finding: impl Display) {
        if self.list.len() < MAX_FINDINGS {
            self.list.push(finding.to_string())
        } else {
            self.more += 1
        }
    }

    fn told(mut self) -> Vec<String> {
        if self.more > 0 {
            self.list.push(format!("and {} more", self.more));
        }
        self.list
    }
}

/// The ledger as its events tell it.
#[derive(Debug, Default)]
struct Ledger {
    records: HashMap<CoordinationId, Record>,
    events: u64,
    closed: u64,
}

impl Ledger {
    fn read(&mut self, state: &Path, findings: &mut Findings) -> Result<(), String> {
        let store = SqliteStore::at(state, SqliteOptions::default());
        let mut after = Seq(0);
        loop {
            let page = store
                .read_all(after, PAGE)
                .map_err(|error| format!("the ledger cannot be read: {error}"))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.seq;
            for placed in &page {
                self.events += 1;
                match &placed.event.stream {
                    StreamName::Coordination(id) => self.take(id, &placed.event, findings),
                    _ => self.closed += u64::from(&*placed.event.kind == "ledger.closed"),
                }
            }
        }
    }

    fn take(&mut self, id: &CoordinationId, recorded: &Recorded, findings: &mut Findings) {
        let place = format!("coordination/{id} at version {}", recorded.version);
        let payload = recorded.payload.bytes().unwrap_or_default();
        let event = match Event::decode(&recorded.kind, recorded.schema, payload) {
            Ok(event) => event,
            Err(error) => return findings.add(format!("{place}: {error}")),
        };
        let meta = Meta {
            version: recorded.version,
            at: recorded.at,
            wall: recorded.wall,
            cause: recorded.cause.clone(),
        };
        match self.records.get_mut(id) {
            Some(record) => {
                if let Err(error) = record.session.apply(&event, &meta) {
                    findings.add(format!("{place}: {error}"));
                }
            }
            None => match Coordination::begin(id.clone(), &event, &meta) {
                Ok(session) => drop(self.records.insert(id.clone(), Record::of(session))),
                Err(error) => findings.add(format!("{place}: {error}")),
            },
        }
        if let Some(record) = self.records.get_mut(id) {
            record.take(event, recorded, &place, findings);
        }
    }
}

impl Ledger {
    /// Whether a session is on the record with just this item, fence and attempt.
    fn has_bound(&self, session: &SessionId, work: &WorkId, fence: Version, attempt: u32) -> bool {
        let bound = self
            .records
            .get(&session.coordination)
            .and_then(|record| record.bound.get(&session.number));
        bound.is_some_and(|bound| {
            bound.work == *work && bound.fence == fence && bound.attempt == attempt
        })
    }
}

/// One coordination as its events tell it.
#[derive(Debug)]
struct Record {
    session: Coordination,
    hashes: Vec<Digest>,
    causes: HashMap<CommandId, Version>,
    bound: HashMap<u64, SessionBoundAt>,
    unbound: HashMap<u64, SessionEndedAt>,
    stops: Vec<StopKind>,
    pauses: usize,
    continues: usize,
    ends: usize,
    end: Option<(Verdict, Digest)>,
}

#[derive(Debug)]
struct SessionBoundAt {
    fence: Version,
    work: WorkId,
    attempt: u32,
}

#[derive(Debug)]
struct SessionEndedAt {
    version: Version,
    outcome: SessionOutcome,
    output: Option<Digest>,
    tree: Option<Box<TreeReport>>,
}

impl Record {
    fn of(session: Coordination) -> Self {
        Self {
            session,
            hashes: Vec::new(),
            causes: HashMap::new(),
            bound: HashMap::new(),
            unbound: HashMap::new(),
            stops: Vec::new(),
            pauses: 0,
            continues: 0,
            ends: 0,
            end: None,
        }
    }

    fn take(&mut self, event: Event, recorded: &Recorded, place: &str, findings: &mut Findings) {
        self.hashes.push(recorded.hash);
        if let Some(cause) = &recorded.cause
            && self.causes.insert(cause.clone(), recorded.version).is_some()
        {
            findings.add(format!("{place}: command {cause} was carried out twice"));
        }
        match event {
            Event::SessionBound(bound) => {
                self.take_binding(bound, recorded.version, place, findings)
            }
            Event::SessionUnbound(SessionUnbound { session, outcome, output, tree, .. }) => {
                self.unbound.insert(
                    session,
                    SessionEndedAt { version: recorded.version, outcome, output, tree },
                );
            }
            Event::StopRequested(stop) => self.stops.push(stop.kind),
            Event::Paused(_) => self.pauses += 1,
            Event::Continued(_) => self.continues += 1,
            Event::Completed(completed) => {
                self.ends += 1;
                self.end = Some((completed.verdict, completed.receipt));
            }
            Event::Aborted(aborted) => {
                self.ends += 1;
                self.end = Some((aborted.verdict, aborted.receipt));
            }
            _ => {}
        }
    }

    /// Nothing may be granted that is not there, and nothing twice.
    fn take_binding(
        &mut self,
        bound: SessionBound,
        version: Version,
        place: &str,
        findings: &mut Findings,
    ) {
        let (budget, usage) = (self.session.budget(), self.session.budget_usage());
        let (mut sessions, mut tokens, mut cost, mut same, mut live) = (0, 0, 0, 0, 0);
        for (binding, work) in self.session.bindings() {
            sessions += binding.grant.sessions;
            tokens += binding.grant.tokens.unwrap_or(0);
            cost += binding.grant.cost.unwrap_or(0);
            same += u32::from(*work == bound.work);
            live += 1;
        }
        if same != 1 {
            findings.add(format!("{place}: {same} live sessions of item {}", bound.work));
        }
        if live > self.session.started().concurrency {
            findings.add(format!(
                "{place}: {live} live sessions where {} are allowed",
                self.session.started().concurrency
            ));
        }
        if usage.consumed_episodes() + sessions > budget.max_episodes() {
            findings.add(format!("{place}: sessions granted beyond {}", budget.max_episodes()));
        }
        let over = |used: u64, granted: u64, max: Option<u64>| {
            granted > 0 && max.is_some_and(|max| used.saturating_add(granted) > max)
        };
        // What ran before may have overshot its grant, which is recorded; then nothing more may be
        // granted.
        let (used, mine) = (usage.consumed_tokens(), bound.grant.tokens.unwrap_or(0));
        if mine > 0 && over(used, tokens, budget.max_tokens()) {
            findings.add(format!("{place}: tokens granted beyond {:?}", budget.max_tokens()));
        }
        let (used, mine) = (usage.consumed_cost(), bound.grant.cost.unwrap_or(0));
        if mine > 0 && over(used, cost, budget.max_cost()) {
            findings.add(format!("{place}: cost granted beyond {:?}", budget.max_cost()));
        }
        self.bound.insert(
            bound.session,
            SessionBoundAt { fence: version, work: bound.work, attempt: bound.attempt },
        );
    }

    fn check(&self, id: &CoordinationId, finished: bool, findings: &mut Findings) {
        if self.ends > 1 {
            findings.add(format!("coordination/{id}: {} terminal events", self.ends));
        }
        if self.session.budget_usage().consumed_episodes() > self.session.budget().max_episodes() {
            findings.add(format!("coordination/{id}: more sessions used than budgeted"));
        }
        if self.ends > 0 && self.bound.len() != self.unbound.len() {
            findings.add(format!(
                "coordination/{id}: it has ended, and {} sessions have not",
                self.bound.len() - self.unbound.len()
            ));
        }
        if finished && self.ends == 0 {
            findings.add(format!(
                "coordination/{id}: it was allowed to finish and has not ended: {}",
                self.session.status().as_str()
            ));
        }
    }
}

/// Counts what was acknowledged, all of which must be there.
fn check_acknowledged(ledger: &Ledger, journal: &Journal, findings: &mut Findings) -> u64 {
    let mut acknowledged = 0;
    let mut counts: HashMap<(&CoordinationId, &str), usize> = HashMap::new();
    let mut closed = 0;
    for entry in journal.entries() {
        let id = match entry {
            Entry::Complained { about } => {
                findings.add(about);
                continue;
            }
            Entry::Closed { .. } => {
                closed += 1;
                continue;
            }
            Entry::Opened { .. } | Entry::Began { .. } | Entry::Left { .. } => continue,
            Entry::Submitted { id }
            | Entry::Added { id, .. }
            | Entry::Stopped { id, .. }
            | Entry::Paused { id }
            | Entry::Continued { id }
            | Entry::Ended { id, .. }
            | Entry::Delivered { id, .. } => id,
        };
        acknowledged += 1;
        let Some(record) = ledger.records.get(id) else {
            findings.add(format!("LOST: {entry:?}"));
            continue;
        };
        let mut counted = |what, there: usize| {
            let count = counts.entry((id, what)).or_default();
            *count += 1;
            *count <= there
        };
        let kept = match entry {
            Entry::Added { command, version, .. } => record.causes.get(command) == Some(version),
            Entry::Stopped { kind, .. } => record.stops.contains(kind),
            Entry::Paused { .. } => counted("paused", record.pauses),
            Entry::Continued { .. } => counted("continued", record.continues),
            Entry::Ended { verdict, receipt, .. } => record.end == Some((*verdict, *receipt)),
            Entry::Delivered { version, hash, .. } => {
                let index = usize::try_from(version.0).unwrap_or(0).wrapping_sub(1);
                record.hashes.get(index) == Some(hash)
            }
            _ => true,
        };
        if !kept {
            findings.add(format!("LOST: {entry:?}"));
        }
    }
    if ledger.closed < closed {
        findings.add(format!(
            "LOST: {closed} closes were acknowledged, {} are recorded",
            ledger.closed
        ));
    }
    acknowledged
}

/// When a function began and was gone, and the number of its session.
type Interval = (u64, u64, u64);

/// Every session that began was on the record with just this item and fence; no two of one item
/// overlapped; none ended on the record before it was gone.
fn check_sessions(ledger: &Ledger, journal: &Journal, findings: &mut Findings) {
    for run in &journal.runs {
        let mut intervals: HashMap<(&CoordinationId, &WorkId), Vec<Interval>> = HashMap::new();
        let mut left: HashMap<&SessionId, u64> = HashMap::new();
        for entry in run {
            if let Entry::Left { session, at_ns, .. } = entry {
                left.insert(session, *at_ns);
            }
        }
        for entry in run {
            let Entry::Began { session, work, fence, attempt, at_ns, .. } = entry else { continue };
            let until = left.get(session).copied();
            intervals.entry((&session.coordination, work)).or_default().push((
                *at_ns,
                until.unwrap_or(u64::MAX),
                session.number,
            ));
            let record = ledger.records.get(&session.coordination);
            if !ledger.has_bound(session, work, *fence, *attempt) {
                findings.add(format!("session {session} of {work} ran and is not on the record"));
            }
            let ended = record.and_then(|record| record.unbound.get(&session.number));
            // A lost session is one that nobody could see the end of.
            if let Some(SessionEndedAt { version, outcome, .. }) = ended
                && until.is_none()
                && *outcome != SessionOutcome::Lost
            {
                findings.add(format!("session {session} of {work} ended on the record (version {version}) while it ran"));
            }
        }
        for ((coordination, work), mut sessions) in intervals {
            sessions.sort_unstable();
            for pair in sessions.windows(2) {
                if pair[1].0 < pair[0].1 {
                    findings.add(format!(
                        "item {work} of {coordination} had two live sessions: {} and {}, which began before the other was gone",
                        pair[0].2, pair[1].2
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
