//! A coordination as its events left it, with its items in the order in which a viewer wants to see
//! them.
//!
//! States, bindings, usage and budget are read from the one reducer. What is kept in addition is
//! what events say and no state needs, such as the last words of a session, and indexes, so that a
//! look costs what it shows and not what there is.

use std::collections::{BTreeSet, HashMap};

use antiphon::coordination::{
    BudgetUsage, Coordination, Counts, Need, SessionOutcome, Stage, Verdict, WorkSpec, WorkStage,
};
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent, DecodeError, SessionUnbound};
use antiphon::id::{CoordinationId, GroupName, StreamName, Version, WorkId};
use antiphon::ledger::{ReadError, Store};
use antiphon::replay::Replay;
use antiphon::report::{Failures, RunReport, in_one_line};
use antiphon::time::{Now, WallTime};

use crate::text::printable;

/// Most of what a session said that is kept, in characters.
const TEXT_KEPT: usize = 200;

/// Ready items for which the engine is asked why they do not run.
const ASKED: usize = 8;

/// One coordination, as far as its events could be read.
#[derive(Debug)]
pub(crate) struct Board {
    id: CoordinationId,
    replay: Replay<Coordination>,
    unread: Option<Unread>,
    end: Option<RunEnd>,
    items: Vec<Item>,
    places: HashMap<WorkId, usize>,
    counts: ClassCounts,
    /// All items, by class and age.
    all: BTreeSet<(Class, usize)>,
    /// Items without a group, and groups at the place of their first member, as far as they are
    /// quiet.
    quiet: BTreeSet<(Class, usize, Option<GroupName>)>,
    groups: HashMap<GroupName, Group>,
    /// Items that need an item which has no outcome yet, and those that need a group.
    needed: HashMap<WorkId, Vec<usize>>,
    needed_groups: HashMap<GroupName, Vec<usize>>,
    /// Items that signals or keys may move.
    needs_told: Vec<usize>,
    failures: Failures,
    /// Whether it only waits for secrets, as its engine says.
    is_waiting: bool,
    /// Whether no engine has the ledger.
    is_abandoned: bool,
}

/// Events that cannot be read: those from this version on.
#[derive(Debug, Clone)]
pub(crate) struct Unread {
    pub(crate) from: Version,
    pub(crate) why: String,
}

/// What its last event says, which can be read also where others before it cannot.
#[derive(Debug, Clone)]
pub(crate) struct RunEnd {
    verdict: Verdict,
    pub(crate) usage: BudgetUsage,
    pub(crate) counts: Counts,
}

/// What is known of an item besides its state.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: WorkId,
    pub(crate) class: Class,
    pub(crate) group: Option<GroupName>,
    pub(crate) last: Option<Last>,
}

/// Its last session that ended.
#[derive(Debug)]
pub(crate) struct Last {
    pub(crate) outcome: SessionOutcome,
    pub(crate) took_ns: u64,
    /// What it said, on one line; nothing if it did well.
    pub(crate) text: Option<Box<str>>,
}

/// Where items are in their life, those first that are looked at first. The words are the core's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class(usize);

impl Class {
    const ORDER: [WorkStage; WorkStage::ALL.len()] = [
        WorkStage::Running,
        WorkStage::Interrupted,
        WorkStage::Failed,
        WorkStage::AwaitingCleanup,
        WorkStage::Delayed,
        WorkStage::Ready,
        WorkStage::Waiting,
        WorkStage::Unfinished,
        WorkStage::Skipped,
        WorkStage::Succeeded,
    ];

    fn of(stage: WorkStage) -> Self {
        let place = Self::ORDER.iter().position(|other| *other == stage);
        Self(place.expect("BUG: every stage has its place"))
    }

    fn all() -> impl Iterator<Item = Self> {
        Self::ORDER.into_iter().map(Self::of)
    }

    pub(crate) fn stage(self) -> WorkStage {
        Self::ORDER[self.0]
    }

    fn is_quiet(self) -> bool {
        self >= Self::of(WorkStage::Ready)
    }
}

/// How many items there are of each class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ClassCounts([usize; Class::ORDER.len()]);

impl ClassCounts {
    pub(crate) fn of(&self, stage: WorkStage) -> usize {
        self.0[Class::of(stage).0]
    }

    pub(crate) fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// Those that have no outcome.
    fn unfinished(&self) -> usize {
        self.present().filter(|(stage, _)| !stage.has_outcome()).map(|(_, count)| count).sum()
    }

    /// Those that there are any of, those first that are looked at first.
    pub(crate) fn present(&self) -> impl Iterator<Item = (WorkStage, usize)> {
        Class::ORDER.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    fn quiet(&self) -> Self {
        let mut quiet = *self;
        Class::all().filter(|class| !class.is_quiet()).for_each(|class| quiet.0[class.0] = 0);
        quiet
    }

    fn add(&mut self, class: Class) {
        self.0[class.0] += 1;
    }

    fn remove(&mut self, class: Class) {
        self.0[class.0] -= 1;
    }

    fn less(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(count, other)| *count -= other);
        self
    }
}

#[derive(Debug)]
struct Group {
    first: usize,
    counts: ClassCounts,
}

impl Group {
    /// Its class among the quiet ones, if any of it is quiet.
    fn class(&self) -> Option<Class> {
        self.counts.quiet().present().map(|(stage, _)| Class::of(stage)).next()
    }
}

/// Something that has a line of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Item(usize),
    /// The quiet members of a group, counted.
    Group(GroupName, ClassCounts),
}

/// What has a line, and how many items have none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LineSelection {
    pub(crate) shown: Vec<Shown>,
    pub(crate) left: ClassCounts,
}

impl Board {
    pub(crate) fn new(id: CoordinationId) -> Self {
        Self {
            replay: Replay::of(StreamName::Coordination(id.clone())),
            id,
            unread: None,
            end: None,
            items: Vec::new(),
            places: HashMap::new(),
            counts: ClassCounts::default(),
            all: BTreeSet::new(),
            quiet: BTreeSet::new(),
            groups: HashMap::new(),
            needed: HashMap::new(),
            needed_groups: HashMap::new(),
            needs_told: Vec::new(),
            failures: Failures::default(),
            is_waiting: false,
            is_abandoned: false,
        }
    }

    pub(crate) fn id(&self) -> &CoordinationId {
        &self.id
    }

    /// The state; none before the first event, or if that cannot be read.
    pub(crate) fn run(&self) -> Option<&Coordination> {
        self.replay.state()
    }

    /// How it ended, if it has and its events could be read.
    pub(crate) fn report(&self, store: &dyn Store) -> Result<Option<RunReport>, ReadError> {
        let run = self.run().filter(|_| self.unread.is_none());
        run.map_or(Ok(None), |run| RunReport::of(run, &self.failures, store))
    }

    pub(crate) fn unread(&self) -> Option<&Unread> {
        self.unread.as_ref()
    }

    /// Its end, where that is known and what came before it is not.
    pub(crate) fn only_end(&self) -> Option<&RunEnd> {
        self.end.as_ref().filter(|_| self.unread.is_some())
    }

    /// Whether it is known what became of an item that was seen last in this state.
    pub(crate) fn is_known(&self, stage: WorkStage) -> bool {
        stage.has_outcome() || self.only_end().is_none()
    }

    /// The state of an item in a word.
    pub(crate) fn state(&self, stage: WorkStage) -> &'static str {
        if self.is_known(stage) { stage.as_str() } else { "unknown" }
    }

    /// How many items there are of each state, those first that are looked at first.
    pub(crate) fn states(&self, counts: &ClassCounts) -> Vec<(&'static str, usize)> {
        let known = counts.present().filter(|(stage, _)| self.is_known(*stage));
        let mut states: Vec<_> = known.map(|(stage, count)| (stage.as_str(), count)).collect();
        let unknown = counts.present().filter(|(stage, _)| !self.is_known(*stage));
        match unknown.map(|(_, count)| count).sum() {
            0 => {}
            unknown => states.push(("unknown", unknown)),
        }
        states
    }

    /// The place of an item among all.
    pub(crate) fn place(&self, work: &str) -> Option<usize> {
        self.places.get(work).copied()
    }

    pub(crate) fn item(&self, place: usize) -> &Item {
        &self.items[place]
    }

    pub(crate) fn counts(&self) -> &ClassCounts {
        &self.counts
    }

    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        self.replay
            .state()
            .and_then(|run| run.started().name.as_deref())
            .unwrap_or(self.id.as_str())
    }

    /// Where it is in its life, also where events cannot be read.
    pub(crate) fn stage(&self) -> Stage {
        match (&self.end, self.replay.state()) {
            (Some(end), _) => Stage::Ended(end.verdict),
            (None, Some(run)) => match run.stage() {
                Stage::Running if self.is_waiting => Stage::Waiting,
                stage => stage,
            },
            (None, None) => Stage::Starting,
        }
    }

    /// The present in its own time, which passes from its last event on as the wall clock does
    /// while an engine carries it out.
    pub(crate) fn present(&self, wall: WallTime) -> Now {
        let mut now = Now::from(0);
        let Some(run) = self.replay.state() else { return now };
        let (at, since) = run.last_times();
        // Where events are missing, what the time was spent on is unknown.
        let wall = if self.unread.is_some() { since } else { wall };
        now.wall = wall;
        now.at = if run.ages() { at.after(wall.0.saturating_sub(since.0)) } else { at };
        now
    }

    /// The present as of its last event, for a run that no engine owns, whose time does not
    /// advance.
    pub(crate) fn standstill(&self) -> Now {
        let last = self.replay.state().map_or(WallTime(0), |run| run.last_times().1);
        self.present(last)
    }

    /// Takes the next event in.
    pub(crate) fn take(&mut self, recorded: &Recorded) {
        if self.unread.is_some() {
            self.end = end(recorded).or(self.end.take());
        } else if let Err(why) = self.follow(recorded) {
            self.unread = Some(Unread { from: recorded.version, why });
            self.end = end(recorded);
        }
    }

    fn follow(&mut self, recorded: &Recorded) -> Result<(), String> {
        let event =
            CoordinationEvent::of(recorded).map_err(|unreadable| match unreadable.error {
                DecodeError::Erased { .. } => "its payload was erased".to_owned(),
                error => error.to_string(),
            })?;
        let Some(run) = self.replay.state() else {
            return self.replay.apply(recorded, &event).map_err(|error| error.to_string());
        };
        let freed = match &event {
            CoordinationEvent::SessionCleared(cleared) => run.held_by(cleared.session).cloned(),
            _ => None,
        };
        let last = match &event {
            CoordinationEvent::SessionUnbound(unbound) => {
                let since = run
                    .binding(unbound.session)
                    .map_or(recorded.at, |(binding, _)| binding.bound_at);
                Some(last(unbound, recorded.at.since(since)))
            }
            _ => None,
        };
        self.replay.apply(recorded, &event).map_err(|error| error.to_string())?;
        self.failures.take(&event);
        match &event {
            CoordinationEvent::WorkAdded(added) => {
                added.items.iter().for_each(|spec| self.add(spec));
            }
            CoordinationEvent::SessionBound(bound) => self.look_at(&bound.work),
            CoordinationEvent::SessionUnbound(unbound) => {
                if let Some(place) = self.places.get(&unbound.work) {
                    self.items[*place].last = last;
                }
                self.look_at(&unbound.work);
            }
            CoordinationEvent::WorkSkipped(skipped) => {
                skipped.works.iter().for_each(|work| self.look_at(work));
            }
            CoordinationEvent::Completed(_) | CoordinationEvent::Aborted(_) => {
                self.end = end(recorded);
                self.look_at_the_rest();
            }
            CoordinationEvent::Interrupted(_) | CoordinationEvent::Resumed(_) => {
                self.look_at_what_is_bound();
            }
            _ => freed.iter().for_each(|work| self.look_at(work)),
        }
        for place in self.needs_told.clone() {
            self.look_at_place(place);
        }
        Ok(())
    }

    fn add(&mut self, spec: &WorkSpec) {
        let place = self.items.len();
        let class = Class::of(WorkStage::Waiting);
        let group = spec.group.clone();
        if spec.needs.iter().any(|need| !need.is_of_items()) {
            self.needs_told.push(place);
        }
        for need in &spec.needs {
            match need {
                Need::Work(id) => self.needed.entry(id.clone()).or_default().push(place),
                Need::Group(name) => {
                    self.needed_groups.entry(name.clone()).or_default().push(place);
                }
                _ => {}
            }
        }
        let was_open = group.as_ref().is_some_and(|group| self.is_open(group));
        self.items.push(Item { id: spec.id.clone(), class, group: group.clone(), last: None });
        self.places.insert(spec.id.clone(), place);
        self.enter(place, class);
        self.look_at_place(place);
        // What waited for the group and had not begun waits for this member, too.
        if let Some(group) = group.filter(|group| was_open != self.is_open(group)) {
            self.dependents(&group).into_iter().for_each(|place| self.look_at_place(place));
        }
    }

    /// Its engine says whether it only waits for secrets.
    pub(crate) fn wait_for_secrets(&mut self, is_waiting: bool) {
        self.is_waiting = is_waiting;
    }

    /// No engine has the ledger, so no session carries anything out, whatever the record says.
    pub(crate) fn abandon(&mut self) {
        self.is_abandoned = true;
        self.look_at_what_is_bound();
    }

    fn look_at_what_is_bound(&mut self) {
        let bound = self.replay.state().into_iter().flat_map(Coordination::bindings);
        let bound: Vec<WorkId> = bound.map(|(_, work)| work.clone()).collect();
        bound.iter().for_each(|work| self.look_at(work));
    }

    fn look_at(&mut self, work: &WorkId) {
        if let Some(place) = self.places.get(work).copied() {
            self.look_at_place(place);
        }
    }

    /// Puts an item where its state belongs, and with it those that wait for it. They may be a chain
    /// of all items, so this does not recurse.
    fn look_at_place(&mut self, place: usize) {
        let mut places = vec![place];
        while let Some(place) = places.pop() {
            places.extend(self.settle(place));
        }
    }

    /// Puts an item where its state belongs, and gives those that this may have moved. An item that
    /// has left memory stays where it was: only what has its outcome leaves.
    fn settle(&mut self, place: usize) -> Vec<usize> {
        let Item { id, class: before, group, .. } = &self.items[place];
        let (before, group) = (*before, group.clone());
        let stage = self.replay.state().and_then(|run| run.work_stage(id.as_str()));
        let stage = stage.map(|stage| match stage {
            WorkStage::Running if self.is_abandoned => WorkStage::Interrupted,
            stage => stage,
        });
        let Some(stage) = stage.filter(|stage| Class::of(*stage) != before) else {
            return Vec::new();
        };
        let was_open = group.as_ref().is_some_and(|group| self.is_open(group));
        self.items[place].class = Class::of(stage);
        self.leave(place, before);
        self.enter(place, Class::of(stage));
        let mut dependents = Vec::new();
        if stage.has_outcome() {
            dependents.extend(self.needed.remove(&self.items[place].id).into_iter().flatten());
        }
        if let Some(group) = group.filter(|group| was_open != self.is_open(group)) {
            dependents.extend(self.dependents(&group));
        }
        dependents
    }

    /// Whether no member of a group is without an outcome.
    fn is_open(&self, group: &GroupName) -> bool {
        self.groups.get(group).is_none_or(|group| group.counts.unfinished() == 0)
    }

    fn dependents(&self, group: &GroupName) -> Vec<usize> {
        self.needed_groups.get(group).cloned().unwrap_or_default()
    }

    /// Looks at what is left without an outcome when the run ends.
    fn look_at_the_rest(&mut self) {
        let rest = self.all.iter().filter(|(class, _)| !class.stage().has_outcome());
        let rest: Vec<usize> = rest.map(|(_, place)| *place).collect();
        rest.into_iter().for_each(|place| self.look_at_place(place));
    }

    fn enter(&mut self, place: usize, class: Class) {
        self.counts.add(class);
        self.all.insert((class, place));
        if self.items[place].group.is_some() {
            self.regroup(place, |counts| counts.add(class));
        } else if class.is_quiet() {
            self.quiet.insert((class, place, None));
        }
    }

    fn leave(&mut self, place: usize, class: Class) {
        self.counts.remove(class);
        self.all.remove(&(class, place));
        if self.items[place].group.is_some() {
            self.regroup(place, |counts| counts.remove(class));
        } else {
            self.quiet.remove(&(class, place, None));
        }
    }

    /// Changes how many members of an item's group there are of each class, and puts the group
    /// where it belongs then.
    fn regroup(&mut self, place: usize, change: impl FnOnce(&mut ClassCounts)) {
        let Some(name) = &self.items[place].group else { return };
        let group = self
            .groups
            .entry(name.clone())
            .or_insert(Group { first: place, counts: ClassCounts::default() });
        let before = group.class();
        change(&mut group.counts);
        let after = group.class();
        if before != after {
            before.map(|class| self.quiet.remove(&(class, group.first, Some(name.clone()))));
            after.map(|class| self.quiet.insert((class, group.first, Some(name.clone()))));
        }
    }

    /// Items that may start while there is a slot and nothing pauses or stops them, among those
    /// that are looked at first.
    pub(crate) fn unexplained(&self) -> Vec<WorkId> {
        let Some(run) = self.replay.state() else { return Vec::new() };
        if !run.has_slot(0) || run.stage() != Stage::Running {
            return Vec::new();
        }
        let (ready, next) = (Class::of(WorkStage::Ready), Class::of(WorkStage::Waiting));
        let ready = self.all.range((ready, 0)..(next, 0));
        ready.take(ASKED).map(|(_, place)| self.items[*place].id.clone()).collect()
    }

    /// Items that a session carries out, among those that are looked at first.
    pub(crate) fn running(&self) -> Vec<WorkId> {
        let running = self.all.iter().filter(|(class, _)| class.stage() == WorkStage::Running);
        running.take(ASKED).map(|(_, place)| self.items[*place].id.clone()).collect()
    }

    /// So many of the items that failed for good, in the order in which they were added.
    pub(crate) fn failed(&self, count: usize) -> Vec<usize> {
        let failed = self.all.iter().filter(|(class, _)| class.stage() == WorkStage::Failed);
        failed.take(count).map(|(_, place)| *place).collect()
    }

    /// So many items: all in their order if they are no more, else what runs and what failed first.
    pub(crate) fn foremost(&self, count: usize) -> Vec<usize> {
        match self.items.len() <= count {
            true => (0..self.items.len()).collect(),
            false => self.all.iter().take(count).map(|(_, place)| *place).collect(),
        }
    }

    /// The items that failed for good on so many lines, each on its own.
    pub(crate) fn select_failed(&self, lines: usize) -> LineSelection {
        let shown: Vec<Shown> = self.failed(lines).into_iter().map(Shown::Item).collect();
        let mut left = ClassCounts::default();
        left.0[Class::of(WorkStage::Failed).0] = self.counts.of(WorkStage::Failed) - shown.len();
        LineSelection { shown, left }
    }

    /// What to show on so many lines: everything in its order if there is room; else what runs and
    /// what failed first, then what is quiet with groups as one line.
    pub(crate) fn select(&self, lines: usize) -> LineSelection {
        if self.items.len() <= lines {
            return LineSelection {
                shown: (0..self.items.len()).map(Shown::Item).collect(),
                left: ClassCounts::default(),
            };
        }
        let mut left = self.counts;
        let mut shown = Vec::new();
        for (class, place) in self.all.iter().take_while(|(class, _)| !class.is_quiet()).take(lines)
        {
            left.remove(*class);
            shown.push(Shown::Item(*place));
        }
        for (class, place, group) in self.quiet.iter().take(lines - shown.len()) {
            match group {
                None => {
                    left.remove(*class);
                    shown.push(Shown::Item(*place));
                }
                Some(name) => {
                    let counts =
                        self.groups.get(name).map(|group| group.counts.quiet()).unwrap_or_default();
                    left = left.less(counts);
                    shown.push(Shown::Group(name.clone(), counts));
                }
            }
        }
        LineSelection { shown, left }
    }
}

/// How it ended, if this event says so.
fn end(recorded: &Recorded) -> Option<RunEnd> {
    let event = CoordinationEvent::of(recorded).ok()?;
    let end = event.ending()?;
    Some(RunEnd { verdict: end.verdict, usage: end.usage.clone(), counts: end.totals })
}

fn last(unbound: &SessionUnbound, took_ns: u64) -> Last {
    let text = unbound.text.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let text = text.map(in_one_line);
    let kept = text.map(|text| printable(&text.chars().take(TEXT_KEPT).collect::<String>()).into());
    Last { outcome: unbound.outcome, took_ns, text: kept }
}
